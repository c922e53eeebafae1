/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A bounded number of clients per wake-up, so that a flood of them does not
 * hold up those who are in. Whatever accept() says, it must not make the loop
 * spin: then accepting pauses.
 */
#include "accept.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    ACCEPTS_MAX = 16, /* in one wake-up */
    PAUSE_US = 100 * 1000,
};

static int accept_one(const struct acceptor *acceptor)
{
    int fd = accept4(acceptor->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* All descriptors are used: the spare one takes the client, to refuse it. */
static void refuse_next(struct acceptor *acceptor)
{
    if (acceptor->spare_fd >= 0)
        (void)close(acceptor->spare_fd); /* /dev/null */
    _cleanup_close_ int fd = accept_one(acceptor);
    if (fd >= 0) {
        acceptor->turn_away(acceptor->arg, fd);
        (void)close(TAKE_FD(fd)); /* frees the number for the spare one */
    }
    acceptor->spare_fd = open_spare();
}

static void pause_accepting(struct acceptor *acceptor)
{
    (void)sd_event_source_set_enabled(acceptor->source, SD_EVENT_OFF);
    (void)sd_event_source_set_time_relative(acceptor->pause, PAUSE_US);
    (void)sd_event_source_set_enabled(acceptor->pause, SD_EVENT_ONESHOT);
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *arg)
{
    struct acceptor *acceptor = arg;
    (void)source;
    (void)usec;
    (void)sd_event_source_set_enabled(acceptor->source, SD_EVENT_ON);
    return 0;
}

/* False: no more for now. */
static bool accept_next(struct acceptor *acceptor)
{
    int fd = accept_one(acceptor);
    if (fd >= 0) {
        acceptor->welcome(acceptor->arg, fd);
        return true;
    }
    if (fd == -EMFILE || fd == -ENFILE)
        refuse_next(acceptor);
    if (fd != -EAGAIN && fd != -ECONNABORTED && fd != -EINTR)
        pause_accepting(acceptor);
    return fd == -ECONNABORTED || fd == -EINTR;
}

static int on_accept(sd_event_source *source, int fd, uint32_t events,
                     void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && accept_next(arg); i++)
        ;
    return 0;
}

static int add_sources(struct acceptor *acceptor, sd_event *loop, int fd)
{
    int r = sd_event_add_io(loop, &acceptor->source, fd, EPOLLIN, on_accept,
                            acceptor);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(loop, &acceptor->pause, CLOCK_MONOTONIC,
                                   PAUSE_US, 0, on_pause_end, acceptor);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(acceptor->pause, SD_EVENT_OFF);
}

int acceptor_init(struct acceptor *acceptor, sd_event *loop, int fd)
{
    acceptor->fd = -1;
    acceptor->spare_fd = open_spare();
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    int r = add_sources(acceptor, loop, fd);
    if (r < 0)
        return r;
    acceptor->fd = fd;
    return 0;
}

void acceptor_deinit(struct acceptor *acceptor)
{
    acceptor->source = sd_event_source_disable_unref(acceptor->source);
    acceptor->pause = sd_event_source_disable_unref(acceptor->pause);
    if (acceptor->fd >= 0)
        (void)close(acceptor->fd); /* listening: nothing to lose */
    if (acceptor->spare_fd >= 0)
        (void)close(acceptor->spare_fd); /* /dev/null */
    acceptor->fd = -1;
    acceptor->spare_fd = -1;
}
