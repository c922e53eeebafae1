/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a volume's storage answers. What asks may hang for ever in the
 * kernel, so it is a thread of its own that nobody waits for longer than he
 * wants. One that hangs is kept, and who asks next waits for that one: a dead
 * storage costs one thread for each volume.
 *
 * The thread knows nothing but its own record, which the last of both frees:
 * the room may be gone when it comes back.
 */
#include "probe.h"
#include "block/lv.h"
#include "dir.h"
#include "known.h"
#include "layout.h"
#include "ops.h"
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    BLOCK = 4096
};

struct probe {
    struct probe *next; /* under domains->lock */
    char vol[UUID_SIZE];
    bool block;
    char top[PATH_MAX]; /* PATH/SD; of a block domain the LV */
    char below[3 * UUID_SIZE];

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    unsigned users;
    bool done;
    struct err err;
};

static struct probe *probe_new(const struct domain_info *info,
                               const struct volume_id *id)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        return NULL;
    (void)pthread_mutex_init(&probe->lock, NULL); /* cannot fail on Linux */
    (void)thread_init_condition(&probe->changed);
    probe->block = info->block;
    probe->err = (struct err)ERR_INIT;
    (void)str_copy(probe->vol, sizeof(probe->vol), id->vol);
    (void)str_format(probe->below, sizeof(probe->below), "%s/%s",
                     DOMAIN_IMAGES_DIR, id->img);
    if (info->block)
        block_lv_path(info, id->vol, probe->top);
    else
        (void)str_format(probe->top, sizeof(probe->top), "%.*s/%s",
                         PATH_MAX - UUID_SIZE - 1, info->path, info->sd);
    return probe;
}

static void probe_put(struct probe *probe)
{
    (void)pthread_mutex_lock(&probe->lock);
    bool last = --probe->users == 0;
    (void)pthread_mutex_unlock(&probe->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&probe->changed);
    (void)pthread_mutex_destroy(&probe->lock);
    free(probe);
}

static int open_file(const struct probe *probe, int *ret_fd, struct err *err)
{
    _cleanup_dir_ struct domain_dir top = DOMAIN_DIR_INIT;
    _cleanup_dir_ struct domain_dir image = DOMAIN_DIR_INIT;
    int rc = domain_dir_open(probe->top, &top, err);
    if (rc == 0)
        rc = domain_dir_open_below(&top, probe->below, &image, err);
    if (rc == 0)
        rc = domain_file_open(&image, probe->vol, O_RDONLY | O_DIRECT, ret_fd,
                              err);
    if (rc == DOMAIN_NONE)
        rc = err_set_code(err, ERR_NO_VOLUME, "%s/%s/%s is missing", probe->top,
                          probe->below, probe->vol);
    return rc;
}

static int open_data(const struct probe *probe, int *ret_fd, struct err *err)
{
    if (!probe->block)
        return open_file(probe, ret_fd, err);
    *ret_fd = open(probe->top, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (*ret_fd < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "open %s: %m", probe->top);
    return 0;
}

static int read_block(const struct probe *probe, struct err *err)
{
    _cleanup_close_ int fd = -1;
    _cleanup_free_ void *block = NULL;
    int rc = open_data(probe, &fd, err);
    if (rc < 0)
        return rc;
    if (posix_memalign(&block, BLOCK, BLOCK) != 0)
        return err_set(err, -ENOMEM, "volume %s: out of memory", probe->vol);
    if (pread(fd, block, BLOCK, 0) < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "read volume %s: %m",
                            probe->vol);
    return 0;
}

static void *run(void *arg)
{
    struct probe *probe = arg;
    struct err err = ERR_INIT;
    (void)read_block(probe, &err);
    (void)pthread_mutex_lock(&probe->lock);
    probe->err = err;
    probe->done = true;
    (void)pthread_cond_broadcast(&probe->changed);
    (void)pthread_mutex_unlock(&probe->lock);
    probe_put(probe);
    return NULL;
}

static int start(struct probe *probe, struct err *err)
{
    pthread_t thread;
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, run, probe);
    (void)pthread_attr_destroy(&attr);
    errno = rc;
    return rc == 0 ? 0
                   : err_set(err, -rc, "volume %s: cannot start a thread: %m",
                             probe->vol);
}

/* One that hangs, of this volume; the list's reference becomes ours. */
static struct probe *take_hanging(struct domains *domains, const char *vol)
{
    SCOPED_LOCK(&domains->lock);
    struct probe **link = &domains->probes;
    while (*link && !str_equal((*link)->vol, vol))
        link = &(*link)->next;
    struct probe *probe = *link;
    if (probe)
        *link = probe->next;
    return probe;
}

static void keep_hanging(struct domains *domains, struct probe *probe)
{
    SCOPED_LOCK(&domains->lock);
    probe->next = domains->probes;
    domains->probes = probe;
}

static bool is_done(struct probe *probe)
{
    SCOPED_LOCK(&probe->lock);
    return probe->done;
}

static struct probe *start_new(const struct domain_info *info,
                               const struct volume_id *id, struct err *err)
{
    struct probe *probe = probe_new(info, id);
    if (!probe) {
        (void)err_set(err, -ENOMEM, "volume %s: out of memory", id->vol);
        return NULL;
    }
    probe->users = 2; /* the thread's, and the caller's */
    if (start(probe, err) == 0)
        return probe;
    probe->users = 1;
    probe_put(probe);
    return NULL;
}

/* A new one, or the one that hangs. NULL: see @err. */
static struct probe *get(struct domains *domains, const struct volume_id *id,
                         struct err *err)
{
    struct domain_info info;
    struct probe *probe = take_hanging(domains, id->vol);
    if (probe && !is_done(probe))
        return probe;
    if (probe) /* its answer is old */
        probe_put(probe);
    return domain_known_get(domains, id->sd, &info, err) == 0
               ? start_new(&info, id, err)
               : NULL;
}

/* False: it hangs. */
static bool wait_for(struct probe *probe, int patience_ms, struct err *ret_err)
{
    const struct timespec until = time_after_ms(patience_ms);
    SCOPED_LOCK(&probe->lock);
    while (!probe->done &&
           pthread_cond_timedwait(&probe->changed, &probe->lock, &until) == 0)
        ;
    *ret_err = probe->err;
    return probe->done;
}

int domain_volume_probe(void *ctx, const struct volume_id *id, int patience_ms,
                        struct err *err)
{
    struct err answer = ERR_INIT;
    struct probe *probe = get(ctx, id, err);
    if (!probe)
        return err_default_code(err, ERR_STORAGE);
    if (!wait_for(probe, patience_ms, &answer)) {
        keep_hanging(ctx, probe);
        return err_set(err, -ETIMEDOUT,
                       "the storage of volume %s does not answer within %d ms",
                       id->vol, patience_ms);
    }
    probe_put(probe);
    if (answer.rc < 0 && err && err->rc == 0)
        *err = answer;
    return answer.rc;
}

void domain_probes_free(struct domains *domains)
{
    while (domains->probes) {
        struct probe *probe = domains->probes;
        domains->probes = probe->next;
        probe_put(probe);
    }
}
