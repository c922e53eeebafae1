/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One entry for each LV that somebody uses. The first user activates it, the
 * last one deactivates it; meanwhile it is "changing", and whoever wants it
 * waits. All LVs of a call are taken at once, so nobody waits with half of
 * what another one needs.
 */
#include "use.h"
#include "links.h"
#include "lv.h"
#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
    WAIT_MS = 1000 /* of one look at the clock */
};

struct entry {
    struct entry *next;
    char vol[UUID_SIZE];
    unsigned users;
    bool changing;
    bool ours; /* was activated for its first user */
};

struct block_uses {
    pthread_mutex_t lock; /* of entries and all in them */
    pthread_cond_t changed;
    struct entry *entries;
};

struct block_uses *block_uses_new(void)
{
    struct block_uses *uses = calloc(1, sizeof(*uses));
    if (!uses)
        return NULL;
    (void)pthread_mutex_init(&uses->lock, NULL); /* cannot fail on Linux */
    (void)thread_init_condition(&uses->changed);
    return uses;
}

void block_uses_free(struct block_uses *uses)
{
    if (!uses)
        return;
    assert(!uses->entries);
    (void)pthread_cond_destroy(&uses->changed);
    (void)pthread_mutex_destroy(&uses->lock);
    free(uses);
}

static struct entry *find_locked(struct block_uses *uses, const char *vol)
{
    struct entry *entry = uses->entries;
    while (entry && !str_equal(entry->vol, vol))
        entry = entry->next;
    return entry;
}

static struct entry *add_locked(struct block_uses *uses, const char *vol)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    (void)str_copy(entry->vol, sizeof(entry->vol), vol);
    entry->next = uses->entries;
    uses->entries = entry;
    return entry;
}

static void remove_locked(struct block_uses *uses, struct entry *entry)
{
    struct entry **link = &uses->entries;
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    free(entry);
}

/* @alone: also with users. */
static bool is_busy_locked(struct block_uses *uses, struct lvm_names lvs,
                           bool alone)
{
    for (size_t i = 0; i < lvs.n; i++) {
        const struct entry *entry = find_locked(uses, lvs.names[i]);
        if (entry && (entry->changing || alone))
            return true;
    }
    return false;
}

static int wait_locked(struct block_uses *uses, struct lvm_names lvs,
                       bool alone, struct err *err)
{
    int64_t deadline_ms = block_soon();
    while (is_busy_locked(uses, lvs, alone)) {
        const struct timespec until = time_after_ms(WAIT_MS);
        if (time_now_ms() > deadline_ms)
            return err_set_code(err, ERR_TIMEOUT,
                                "volume %s is in use by something that takes "
                                "too long",
                                lvs.names[0]);
        (void)pthread_cond_timedwait(&uses->changed, &uses->lock, &until);
    }
    return 0;
}

/* Those of @lvs, of which some are to be worked on by LVM. */
struct batch {
    size_t n;
    const char *names[DOMAIN_CHAIN_MAX];
};

static struct lvm_names names_of(const struct batch *batch)
{
    return (struct lvm_names){ .names = batch->names, .n = batch->n };
}

static int check_number(struct lvm_names lvs, struct err *err)
{
    if (lvs.n <= DOMAIN_CHAIN_MAX)
        return 0;
    return err_set_code(err, ERR_VALUE, "%zu LVs are too many at once", lvs.n);
}

/* One more user of each; *ret_first: those that had none. */
static int join(struct block_uses *uses, struct lvm_names lvs,
                struct batch *ret_first, struct err *err)
{
    SCOPED_LOCK(&uses->lock);
    int rc = wait_locked(uses, lvs, false, err);
    for (size_t i = 0; rc == 0 && i < lvs.n; i++) {
        struct entry *entry = find_locked(uses, lvs.names[i]);
        if (!entry) {
            entry = add_locked(uses, lvs.names[i]);
            if (!entry)
                abort(); /* a few bytes: nothing would work any more */
            entry->changing = true;
            ret_first->names[ret_first->n++] = lvs.names[i];
        }
        entry->users++;
    }
    return rc;
}

static void settle(struct block_uses *uses, const struct batch *first,
                   const struct batch *ours)
{
    SCOPED_LOCK(&uses->lock);
    for (size_t i = 0; i < first->n; i++)
        find_locked(uses, first->names[i])->changing = false;
    for (size_t i = 0; i < ours->n; i++)
        find_locked(uses, ours->names[i])->ours = true;
    (void)pthread_cond_broadcast(&uses->changed);
}

/* A fresh node is root's. What a VM has open is its own business. */
static int set_owner(const struct block_vg *vg, const char *vol,
                     struct err *err)
{
    const struct domain_owner *owner = &vg->domains->owner;
    char path[PATH_MAX];
    struct stat st;
    block_lv_path(&vg->info, vol, path);
    if (stat(path, &st) < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "%s: %m", path);
    if ((st.st_uid != owner->uid || st.st_gid != owner->gid) &&
        chown(path, owner->uid, owner->gid) < 0)
        return err_set_code(err, ERR_VOLUME_ACCESS, "chown %s: %m", path);
    return 0;
}

static int activate(const struct block_vg *vg, const struct batch *first,
                    struct batch *ret_ours, struct err *err)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < first->n; i++) {
        block_lv_path(&vg->info, first->names[i], path);
        if (access(path, F_OK) < 0)
            ret_ours->names[ret_ours->n++] = first->names[i];
    }
    int rc = lvm_activate(vg->lvm, names_of(ret_ours), block_soon(), err);
    for (size_t i = 0; rc == 0 && i < ret_ours->n; i++)
        rc = set_owner(vg, ret_ours->names[i], err);
    return rc;
}

int block_use_begin(const struct block_vg *vg, struct lvm_names lvs,
                    struct err *err)
{
    struct block_uses *uses = vg->domains->uses;
    struct batch first = { .n = 0 };
    struct batch ours = { .n = 0 };
    int rc = check_number(lvs, err);
    if (rc == 0)
        rc = join(uses, lvs, &first, err);
    if (rc < 0)
        return rc;
    rc = activate(vg, &first, &ours, err);
    settle(uses, &first, &ours);
    if (rc < 0)
        block_use_end(vg, lvs);
    return rc;
}

/* One user less of each; *ret_last: those that shall not stay active. */
static void part(const struct block_vg *vg, struct lvm_names lvs,
                 struct batch *ret_last)
{
    struct block_uses *uses = vg->domains->uses;
    SCOPED_LOCK(&uses->lock);
    for (size_t i = 0; i < lvs.n; i++) {
        struct entry *entry = find_locked(uses, lvs.names[i]);
        if (--entry->users > 0)
            continue;
        if (!entry->ours || block_links_find(vg, NULL, lvs.names[i])) {
            remove_locked(uses, entry);
            continue;
        }
        entry->changing = true;
        ret_last->names[ret_last->n++] = lvs.names[i];
    }
}

static void forget(struct block_uses *uses, struct lvm_names lvs)
{
    SCOPED_LOCK(&uses->lock);
    for (size_t i = 0; i < lvs.n; i++)
        remove_locked(uses, find_locked(uses, lvs.names[i]));
    (void)pthread_cond_broadcast(&uses->changed);
}

void block_use_end(const struct block_vg *vg, struct lvm_names lvs)
{
    struct batch last = { .n = 0 };
    part(vg, lvs, &last);
    /* One that somebody else has opened meanwhile stays; audit shows it. */
    (void)lvm_deactivate(vg->lvm, names_of(&last), block_soon(), NULL);
    forget(vg->domains->uses, names_of(&last));
}

bool block_use_has(const struct block_vg *vg, const char *lv)
{
    struct block_uses *uses = vg->domains->uses;
    SCOPED_LOCK(&uses->lock);
    return find_locked(uses, lv) != NULL;
}

int block_use_take(const struct block_vg *vg, struct lvm_names lvs,
                   struct err *err)
{
    struct block_uses *uses = vg->domains->uses;
    SCOPED_LOCK(&uses->lock);
    int rc = wait_locked(uses, lvs, true, err);
    for (size_t i = 0; rc == 0 && i < lvs.n; i++) {
        struct entry *entry = add_locked(uses, lvs.names[i]);
        if (!entry)
            abort(); /* as above */
        entry->changing = true;
    }
    return rc;
}

void block_use_drop(const struct block_vg *vg, struct lvm_names lvs)
{
    forget(vg->domains->uses, lvs);
}
