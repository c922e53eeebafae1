/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The name is walked component by component, as realpath() does it, so that it
 * is known at any time which one does not answer. What hangs is then its whole
 * file system: the mount point above it, as /proc tells, which itself never
 * waits for a server. Names below that are not looked at any more, until the
 * thread that hangs comes back.
 *
 * Deciding by time is a guess. It is wrong for a storage that is slow, and the
 * answer is then the name as it was given, which is nearly always the same.
 */
#include <dray/base/file.h>
#include <dray/base/list.h>
#include <dray/base/lock.h>
#include <dray/base/mounts.h>
#include <dray/base/reach.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

enum {
    LINKS_MAX = 40,
    WALK_ON = 2, /* see step() */
};

struct reach {
    pthread_mutex_t lock;   /* protects what follows, and questions */
    pthread_cond_t changed; /* one has come to its end */
    struct list hanging;
    unsigned users; /* the owner, and threads */

    int patience_ms; /* constant */
};

struct question {
    struct reach *reach; /* constant */
    reach_fn fn;         /* constant */
    struct list link;    /* in reach->hanging, once nobody waits for it */
    char name[PATH_MAX]; /* changed by the thread only */
    size_t real;         /* so much of it has no links */
    size_t at;           /* where the component that is looked at ends */
    int links;           /* followed so far */
    bool over, late;
    int64_t sure_ms; /* once it is late: when it hangs without a doubt */
    int rc;
    char hangs[PATH_MAX];       /* once it is late: what does not answer */
    char text[REACH_TEXT_SIZE]; /* the thread's until it is over */
};

/* --- what hangs -------------------------------------------------------- */

/* The file system that @path is on, or @path: not the root's, without which
 * nothing works at all. */
static void find_mount(const char *path, char ret_mount[PATH_MAX])
{
    _cleanup_free_ char *mounts = NULL;
    size_t len = 0, longest = 1;
    (void)str_copy(ret_mount, PATH_MAX, path);
    if (file_read("/proc/self/mountinfo", MOUNTS_TEXT_MAX, &mounts, &len,
                  NULL) < 0)
        return;
    const char *rest = mounts;
    for (struct mount_entry entry; mounts_next(&rest, &entry);) {
        if (strlen(entry.point) > longest &&
            path_is_within(path, entry.point)) {
            longest = strlen(entry.point);
            memcpy(ret_mount, entry.point, longest + 1);
        }
    }
}

static bool hangs_locked(const struct reach *reach, const char *path)
{
    list_for_each (item, &reach->hanging) {
        const struct question *other =
            container_of(item, struct question, link);
        if (path_is_within(path, other->hangs))
            return true;
    }
    return false;
}

/* --- the walk ---------------------------------------------------------- */

static bool is_dots(const char *name, size_t len)
{
    return (len == 1 && name[0] == '.') ||
           (len == 2 && name[0] == '.' && name[1] == '.');
}

/* Drops the "." or ".." of length @len after the real part. */
static void drop_dots(struct question *q, const char *dots, size_t len)
{
    while (len == 2 && q->real > 0 && q->name[--q->real] != '/')
        ;
    memmove(q->name + q->real, dots + len, strlen(dots + len) + 1);
}

/* False: there is none. */
static bool next_component_locked(struct question *q)
{
    for (;;) {
        char *rest = q->name + q->real;
        char *begin = rest + strspn(rest, "/");
        size_t len = strcspn(begin, "/");
        if (len == 0) {
            (void)str_copy(rest, 2, q->real ? "" : "/");
            return false;
        }
        if (is_dots(begin, len)) {
            drop_dots(q, begin, len);
            continue;
        }
        memmove(rest + 1, begin, strlen(begin) + 1);
        q->at = q->real + 1 + len;
        return true;
    }
}

static int follow_locked(struct question *q, const char *target)
{
    char name[PATH_MAX];
    bool absolute = target[0] == '/';
    if (++q->links > LINKS_MAX)
        return -ELOOP;
    if (!str_format(name, sizeof(name), "%.*s%s%s%s",
                    absolute ? 0 : (int)q->real, q->name, absolute ? "" : "/",
                    target, q->name + q->at))
        return -ENAMETOOLONG;
    q->real = absolute ? 0 : q->real;
    memcpy(q->name, name, strlen(name) + 1);
    return WALK_ON;
}

/* 0: all of it is real. WALK_ON, REACH_HANGS, or -errno. */
static int step(struct question *q)
{
    char component[PATH_MAX], target[PATH_MAX];
    {
        SCOPED_LOCK(&q->reach->lock);
        if (!next_component_locked(q))
            return 0;
        (void)str_format(component, sizeof(component), "%.*s", (int)q->at,
                         q->name);
        if (hangs_locked(q->reach, component))
            return REACH_HANGS;
    }
    ssize_t len = readlink(component, target, sizeof(target) - 1);
    int error = errno;
    SCOPED_LOCK(&q->reach->lock);
    if (len >= 0) {
        target[len] = '\0';
        return follow_locked(q, target);
    }
    if (error != EINVAL) /* it is no link */
        return -error;
    q->real = q->at;
    return WALK_ON;
}

static int walk(struct question *q)
{
    int rc = WALK_ON;
    while (rc == WALK_ON)
        rc = step(q);
    return rc;
}

/* --- questions --------------------------------------------------------- */

/* The last one out frees it. */
static void put(struct reach *reach)
{
    (void)pthread_mutex_lock(&reach->lock); /* ours, and whole */
    bool last = --reach->users == 0;
    (void)pthread_mutex_unlock(&reach->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&reach->changed); /* nobody waits any more */
    (void)pthread_mutex_destroy(&reach->lock);
    free(reach);
}

/* True: nobody waits for it. */
static bool end(struct question *q, int rc)
{
    SCOPED_LOCK(&q->reach->lock);
    q->rc = rc;
    q->over = true;
    if (q->late)
        list_remove(&q->link);
    (void)pthread_cond_broadcast(&q->reach->changed); /* cannot fail */
    return q->late;
}

static void *run(void *arg)
{
    struct question *q = arg;
    struct reach *reach = q->reach;
    int rc = walk(q);
    if (rc == 0 && q->fn)
        q->fn(q->name, q->text);
    if (end(q, rc))
        free(q);
    put(reach);
    return NULL;
}

static int start(struct question *q)
{
    pthread_t thread;
    {
        SCOPED_LOCK(&q->reach->lock);
        q->reach->users++;
    }
    int rc = thread_start(&thread, run, q);
    if (rc < 0)
        put(q->reach);
    else
        (void)pthread_detach(thread); /* ours, and joinable */
    return rc;
}

static void give_up_locked(struct question *q)
{
    char component[PATH_MAX];
    (void)str_format(component, sizeof(component), "%.*s", (int)q->at, q->name);
    find_mount(component, q->hangs);
    q->late = true;
    q->sure_ms = time_now_ms() + REACH_SURE_MS;
    list_append(&q->reach->hanging, &q->link);
}

/* False: it is late, and nobody's any more. */
static bool await(struct question *q, int *ret_rc, char ret_name[PATH_MAX],
                  char ret_text[REACH_TEXT_SIZE])
{
    const struct timespec until = time_after_ms(q->reach->patience_ms);
    struct reach *reach = q->reach;
    SCOPED_LOCK(&reach->lock);
    while (!q->over &&
           pthread_cond_timedwait(&reach->changed, &reach->lock, &until) == 0)
        ;
    (void)str_copy(ret_name, PATH_MAX, q->name);
    if (!q->over) {
        give_up_locked(q);
        *ret_rc = REACH_HANGS;
        return false;
    }
    *ret_rc = q->rc;
    (void)str_copy(ret_text, REACH_TEXT_SIZE, q->text);
    return true;
}

static int ask(struct reach *reach, const char *path, reach_fn fn,
               char ret_name[PATH_MAX], char ret_text[REACH_TEXT_SIZE])
{
    struct question *q = calloc(1, sizeof(*q));
    if (!q)
        return -ENOMEM;
    q->reach = reach;
    q->fn = fn;
    int rc = -ENAMETOOLONG;
    if (str_copy(q->name, sizeof(q->name), path))
        rc = path[0] == '/' ? start(q) : -EINVAL;
    if (rc < 0 || await(q, &rc, ret_name, ret_text))
        free(q);
    return rc;
}

int reach_real(struct reach *reach, const char *path, char ret_real[PATH_MAX])
{
    char name[PATH_MAX], text[REACH_TEXT_SIZE];
    int rc = ask(reach, path, NULL, name, text);
    if (rc >= 0)
        (void)str_copy(ret_real, PATH_MAX, name);
    return rc;
}

int reach_read(struct reach *reach, const char *path, reach_fn fn,
               char ret_text[REACH_TEXT_SIZE])
{
    char name[PATH_MAX];
    ret_text[0] = '\0';
    int rc = ask(reach, path, fn, name, ret_text);
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* How long the last of those that hang is still in doubt; 0: none is. */
static int doubt_ms_locked(const struct reach *reach)
{
    int64_t longest = 0;
    list_for_each (item, &reach->hanging) {
        const struct question *q = container_of(item, struct question, link);
        int64_t left = q->sure_ms - time_now_ms();
        longest = left > longest ? left : longest;
    }
    return (int)longest;
}

bool reach_settle(struct reach *reach)
{
    bool waited = false;
    SCOPED_LOCK(&reach->lock);
    for (int left; (left = doubt_ms_locked(reach)) > 0; waited = true) {
        const struct timespec until = time_after_ms(left);
        (void)pthread_cond_timedwait(&reach->changed, &reach->lock, &until);
    }
    return waited;
}

/* --- life -------------------------------------------------------------- */

int reach_new(int patience_ms, struct reach **ret_reach)
{
    struct reach *reach = calloc(1, sizeof(*reach));
    if (!reach)
        return -ENOMEM;
    list_init(&reach->hanging);
    reach->users = 1;
    reach->patience_ms = patience_ms;
    int rc = thread_init_condition(&reach->changed);
    if (rc == 0)
        rc = -pthread_mutex_init(&reach->lock, NULL);
    if (rc < 0) {
        free(reach);
        return rc;
    }
    *ret_reach = reach;
    return 0;
}

void reach_free(struct reach *reach)
{
    if (reach)
        put(reach);
}
