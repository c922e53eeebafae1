/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into libvirtd: lets it die, as by SIGKILL, at a given moment of its
 * work. The file that $DRAYD_DIE_AT names says which, in one line or two:
 *
 *   MOMENT COUNT TEXT
 *   EARLIER
 *
 * MOMENT is "write" (before something with TEXT in it is written to a
 * descriptor: a command to qemu), "written" (right after), "rename" (before a
 * file whose path has TEXT in it is replaced: a state file), "renamed" (right
 * after). COUNT is how often that must have happened since EARLIER was written
 * to a descriptor, or since the file is there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int seen;
static atomic_bool begun;

struct order {
    char text[512];
    const char *earlier; /* "" for none */
    const char *wanted;
    char moment[16];
    int count;
};

static int read_order(struct order *order)
{
    /* Set once, before libvirtd starts. NOLINTNEXTLINE(concurrency-mt-unsafe)
     */
    const char *path = getenv("DRAYD_DIE_AT");
    int at = 0, fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        atomic_store(&seen, 0);
        atomic_store(&begun, false);
        return -1;
    }
    ssize_t n = read(fd, order->text, sizeof(order->text) - 1);
    (void)close(fd);
    order->text[n > 0 ? n : 0] = '\0';
    /* our own file NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(order->text, "%15s %d %n", order->moment, &order->count, &at) !=
        2)
        return -1;
    char *wanted = order->text + at, *end = strchr(wanted, '\n');
    order->wanted = wanted;
    order->earlier = end ? end + 1 : "";
    if (end)
        *end = '\0';
    return 0;
}

static bool has(const void *data, size_t len, const char *text)
{
    return memmem(data, len, text, strlen(text)) != NULL;
}

static void moment(const char *name, const void *data, size_t len)
{
    struct order order = { 0 };
    int error = errno;
    if (read_order(&order) == 0) {
        if (!order.earlier[0] ||
            (strcmp(name, "write") == 0 && has(data, len, order.earlier)))
            atomic_store(&begun, true);
        if (atomic_load(&begun) && strcmp(order.moment, name) == 0 &&
            has(data, len, order.wanted) &&
            atomic_fetch_add(&seen, 1) + 1 == order.count)
            (void)kill(getpid(), SIGKILL);
    }
    errno = error;
}

ssize_t write(int fd, const void *data, size_t len)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (!next)
        next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    moment("write", data, len);
    ssize_t n = next(fd, data, len);
    moment("written", data, len);
    return n;
}

int rename(const char *from, const char *to)
{
    static int (*next)(const char *, const char *);
    if (!next)
        next = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    moment("rename", to, strlen(to));
    int rc = next(from, to);
    moment("renamed", to, strlen(to));
    return rc;
}
