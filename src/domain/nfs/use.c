/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who uses an export. Whoever mounts or unmounts one is alone with it; others
 * who want the same one wait, and nobody else. The list of known domains tells
 * the rest: an export of a domain that this host uses, or should use, stays.
 */
#include "../known.h"
#include "mount.h"
#include "nfs.h"
#include <dray/base/lock.h>
#include <dray/base/reach.h>
#include <dray/base/thread.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    MOUNT_MS = 30 * 1000,
    TURN_MS = 60 * 1000, /* more than a mount and an unmount take */
};

struct nfs_use {
    struct nfs_use *next;
    char remote[DOMAIN_REMOTE_SIZE];
    unsigned users; /* who took it, and who waits for his turn */
    bool busy;
};

/* --- one at a time --- */

static struct nfs_use *find_locked(const struct nfs *nfs, const char *remote)
{
    struct nfs_use *use = nfs->uses;
    while (use && !str_equal(use->remote, remote))
        use = use->next;
    return use;
}

static void drop_locked(struct nfs *nfs, struct nfs_use *use)
{
    struct nfs_use **link = &nfs->uses;
    if (!use || --use->users > 0)
        return;
    while (*link != use)
        link = &(*link)->next;
    *link = use->next;
    free(use);
}

static struct nfs_use *get_locked(struct nfs *nfs, const char *remote)
{
    struct nfs_use *use = find_locked(nfs, remote);
    if (!use) {
        use = calloc(1, sizeof(*use));
        if (!use)
            return NULL;
        (void)str_copy(use->remote, sizeof(use->remote), remote);
        use->next = nfs->uses;
        nfs->uses = use;
    }
    use->users++;
    return use;
}

/* Ours, and busy with us, until end(). One user more. NULL: see @err. */
static struct nfs_use *begin(struct nfs *nfs, const char *remote,
                             struct err *err)
{
    const struct timespec until = time_after_ms(TURN_MS);
    SCOPED_LOCK(&nfs->lock);
    struct nfs_use *use = get_locked(nfs, remote);
    int rc = use ? 0 : err_set(err, -ENOMEM, "%s: out of memory", remote);
    if (!use)
        return NULL;
    while (use->busy && rc == 0)
        rc = pthread_cond_timedwait(&nfs->changed, &nfs->lock, &until);
    if (use->busy) {
        drop_locked(nfs, use);
        (void)err_set_code(err, ERR_MOUNT,
                           "%s is being mounted or unmounted for more than "
                           "%d s",
                           remote, TURN_MS / 1000);
        (void)err_next(err, "look for what hangs: dmesg, and ps -C mount,"
                            "umount,mount.nfs");
        return NULL;
    }
    use->busy = true;
    return use;
}

static void end(struct nfs *nfs, struct nfs_use *use, unsigned users_less)
{
    SCOPED_LOCK(&nfs->lock);
    use->busy = false;
    (void)pthread_cond_broadcast(&nfs->changed); /* cannot fail */
    while (users_less-- > 0)
        drop_locked(nfs, use);
}

static bool is_last(struct nfs *nfs, const struct nfs_use *use, unsigned ours)
{
    SCOPED_LOCK(&nfs->lock);
    return use->users == ours;
}

/* --- does it answer? --- */

static void look(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    struct statvfs fs;
    if (statvfs(path, &fs) < 0)
        (void)str_format(ret_text, REACH_TEXT_SIZE, "%m");
}

static bool hangs(struct domains *domains, const char *path,
                  char ret_text[REACH_TEXT_SIZE])
{
    int rc = reach_read(domains->reach, path, look, ret_text);
    if (rc == REACH_HANGS && reach_settle(domains->reach))
        rc = reach_read(domains->reach, path, look, ret_text);
    return rc == REACH_HANGS;
}

static int check_answers(struct domains *domains, const char *remote,
                         const char *path, struct err *err)
{
    char text[REACH_TEXT_SIZE];
    bool none = hangs(domains, path, text);
    if (!none && !text[0])
        return 0;
    (void)err_set_code(err, ERR_MOUNT, "%s is mounted on %s, but %s", remote,
                       path, none ? "its server does not answer" : text);
    return err_next(err, none ? "is the server up? It goes on by itself then"
                              : "look at the server and its exports");
}

/* --- taking and giving --- */

/* By a domain that is, or should be, joined. */
static bool is_wanted(struct domains *domains, const char *remote)
{
    bool wanted = false;
    SCOPED_LOCK(&domains->lock);
    for (size_t i = 0; i < domains->known_n; i++)
        wanted = wanted || (domains->known[i].status != DOMAIN_LEFT &&
                            str_equal(domains->known[i].remote, remote));
    return wanted;
}

/* Begun. */
static int unmount_unless_wanted(struct domains *domains, const char *remote,
                                 struct err *err)
{
    char path[PATH_MAX], text[REACH_TEXT_SIZE];
    if (is_wanted(domains, remote))
        return 0;
    int rc = nfs_mount_point(domains->nfs, remote, path, err);
    return rc < 0 ? rc
                  : nfs_unmount(domains->nfs, path, hangs(domains, path, text),
                                err);
}

int nfs_take(struct domains *domains, const char *remote, const char *options,
             char ret_path[PATH_MAX], struct err *err)
{
    struct nfs_use *use = begin(domains->nfs, remote, err);
    char path[PATH_MAX];
    if (!use)
        return err_default_code(err, ERR_MOUNT);
    int rc = nfs_mount_point(domains->nfs, remote, path, err);
    if (rc == 0)
        rc = nfs_mount(domains->nfs, remote, options, path, err);
    if (rc == 0)
        rc = check_answers(domains, remote, path, err);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, path);
    else if (is_last(domains->nfs, use, 1))
        (void)unmount_unless_wanted(domains, remote, NULL);
    end(domains->nfs, use, rc < 0 ? 1 : 0);
    return rc;
}

/* Whose turn did not come. */
static void drop(struct nfs *nfs, const char *remote, unsigned users_less)
{
    SCOPED_LOCK(&nfs->lock);
    while (users_less-- > 0)
        drop_locked(nfs, find_locked(nfs, remote));
}

/* @ours: what the caller has of it, with this call. */
static int rest(struct domains *domains, const char *remote, unsigned ours,
                struct err *err)
{
    struct nfs_use *use = begin(domains->nfs, remote, err);
    int rc = 0;
    if (!use) {
        drop(domains->nfs, remote, ours - 1);
        return err_default_code(err, ERR_MOUNT);
    }
    if (is_last(domains->nfs, use, ours))
        rc = unmount_unless_wanted(domains, remote, err);
    end(domains->nfs, use, ours);
    return rc;
}

void nfs_give(struct domains *domains, const char *remote)
{
    /* What stays mounted is found by the next who takes it. */
    (void)rest(domains, remote, 2, NULL);
}

int nfs_rest(struct domains *domains, const char *remote, struct err *err)
{
    return rest(domains, remote, 1, err);
}

/* --- life --- */

static int set_options(struct nfs *nfs, const struct domains_options *options,
                       struct err *err)
{
    const struct {
        char *to;
        const char *from, *standard;
    } paths[] = {
        {nfs->mount,        options->mount,       "/usr/bin/mount"      },
        { nfs->umount,      options->umount,      "/usr/bin/umount"     },
        { nfs->table,       options->mount_table, "/proc/self/mountinfo"},
        { nfs->systemd_run, options->systemd_run, ""                    },
    };
    nfs->mount_ms = options->mount_ms ? options->mount_ms : MOUNT_MS;
    bool fits =
        str_format(nfs->dir, sizeof(nfs->dir), "%s/mnt", options->run_dir);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        fits =
            fits && str_copy(paths[i].to, PATH_MAX,
                             paths[i].from ? paths[i].from : paths[i].standard);
    return fits ? 0 : err_set_code(err, ERR_VALUE, "run_dir is too long");
}

int nfs_new(const struct domains_options *options, struct nfs **ret_nfs,
            struct err *err)
{
    struct nfs *nfs = calloc(1, sizeof(*nfs));
    if (!nfs || thread_init_condition(&nfs->changed) < 0) {
        free(nfs);
        return err_set(err, -ENOMEM, "exports: out of memory");
    }
    (void)pthread_mutex_init(&nfs->lock, NULL); /* cannot fail on Linux */
    int rc = set_options(nfs, options, err);
    if (rc < 0)
        nfs_free(nfs);
    else
        *ret_nfs = nfs;
    return rc;
}

void nfs_free(struct nfs *nfs)
{
    if (!nfs)
        return;
    (void)pthread_cond_destroy(&nfs->changed);
    (void)pthread_mutex_destroy(&nfs->lock);
    free(nfs);
}
