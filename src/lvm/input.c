/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines on a stream socket. One reader; writers keep each other out.
 */
#include "input.h"
#include "message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    PIECE = 64 * 1024
};

void input_init(struct input *input, int fd)
{
    *input = (struct input){ .fd = fd };
}

void input_deinit(struct input *input)
{
    free(input->data);
    input->data = NULL;
}

/* Room for a piece behind what is there. */
static int make_room(struct input *input)
{
    if (input->start > 0) {
        memmove(input->data, input->data + input->start,
                input->end - input->start);
        input->end -= input->start;
        input->start = 0;
    }
    if (input->size - input->end >= PIECE)
        return 0;
    if (input->end > MESSAGE_MAX)
        return -EMSGSIZE;
    size_t size = input->size ? input->size * 2 : 2 * (size_t)PIECE;
    char *data = realloc(input->data, size);
    if (!data)
        return -ENOMEM;
    input->data = data;
    input->size = size;
    return 0;
}

int input_fill(struct input *input, int wait_ms)
{
    struct pollfd fd = { .fd = input->fd, .events = POLLIN };
    int rc = make_room(input);
    if (rc < 0)
        return rc;
    if (poll(&fd, 1, wait_ms) <= 0)
        return 0; /* nothing, or a signal: the caller comes again */
    ssize_t n = recv(input->fd, input->data + input->end,
                     input->size - input->end, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return 1;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    input->end += (size_t)n;
    return 0;
}

bool input_line(struct input *input, char **ret_line, size_t *ret_size)
{
    if (input->start == input->end)
        return false;
    char *line = input->data + input->start;
    char *end = memchr(line, '\n', input->end - input->start);
    if (!end)
        return false;
    *end = '\0';
    *ret_line = line;
    *ret_size = (size_t)(end - line);
    input->start += *ret_size + 1;
    return true;
}

int input_write_line(const struct input *input, const char *text)
{
    static char newline[] = "\n";
    struct iovec parts[] = {
        {.iov_base = (void *)text, .iov_len = strlen(text)},
        { .iov_base = newline,     .iov_len = 1           },
    };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t n = sendmsg(input->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        for (size_t i = 0; i < 2; i++) {
            size_t step =
                (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + step;
            parts[i].iov_len -= step;
            n -= (ssize_t)step;
        }
    }
    return 0;
}
