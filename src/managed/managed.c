/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of managed volumes. What is going to be done is in the volume's
 * file before it is done; whatever is found there in MANAGED_ATTACHING at the
 * start was cut off, and is detached. The lock is never held while a driver or
 * the disk works: who works on a volume has it marked as busy instead.
 */
#include "driver.h"
#include "store.h"

#include <assert.h>
#include <dray/base/file.h>
#include <dray/base/list.h>
#include <dray/base/lock.h>
#include <dray/base/log.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    struct list link;
    struct managed_volume volume;
    bool busy; /* somebody works on it: only they change it */
};

struct managed {
    char dir[PATH_MAX];
    char qemu_img[PATH_MAX];
    char iscsiadm[PATH_MAX];

    pthread_mutex_t lock; /* protects the rest */
    struct list entries;
};

/* --- the table --------------------------------------------------------- */

static struct entry *find_locked(struct managed *managed, const char *sd,
                                 const char *vol)
{
    list_for_each (item, &managed->entries) {
        struct entry *entry = container_of(item, struct entry, link);

        if (strcmp(entry->volume.sd, sd) == 0 &&
            strcmp(entry->volume.vol, vol) == 0)
            return entry;
    }
    return NULL;
}

static bool same_session(const struct managed_connection *a,
                         const struct managed_connection *b)
{
    return a->driver == MANAGED_ISCSI && b->driver == MANAGED_ISCSI &&
           strcmp(a->iqn, b->iqn) == 0 && strcmp(a->portal, b->portal) == 0;
}

static bool same_connection(const struct managed_connection *a,
                            const struct managed_connection *b)
{
    return a->driver == b->driver && strcmp(a->place, b->place) == 0 &&
           strcmp(a->portal, b->portal) == 0 && strcmp(a->iqn, b->iqn) == 0 &&
           a->lun == b->lun;
}

/* LUNs of one target share a session, so they have their turns, too. */
static int check_turn_locked(const struct managed *managed,
                             const struct managed_volume *volume,
                             struct err *err)
{
    list_for_each (item, &managed->entries) {
        const struct entry *entry = container_of(item, struct entry, link);
        const struct managed_volume *other = &entry->volume;
        bool same = strcmp(other->sd, volume->sd) == 0 &&
                    strcmp(other->vol, volume->vol) == 0;

        if (!entry->busy ||
            (!same && !same_session(&other->connection, &volume->connection)))
            continue;
        (void)err_set_code(err, ERR_DISK_BUSY,
                           "managed volume %s is %s right now", other->vol,
                           managed_state_name(other->state));
        return err_next(err, "try again when that is done");
    }
    return 0;
}

static bool session_is_shared(struct managed *managed,
                              const struct managed_volume *volume)
{
    SCOPED_LOCK(&managed->lock);
    list_for_each (item, &managed->entries) {
        const struct entry *entry = container_of(item, struct entry, link);

        if ((strcmp(entry->volume.vol, volume->vol) != 0 ||
             strcmp(entry->volume.sd, volume->sd) != 0) &&
            same_session(&entry->volume.connection, &volume->connection))
            return true;
    }
    return false;
}

/* Only who made it busy has it. */
static void release(struct managed *managed, struct entry *entry,
                    const struct managed_volume *now)
{
    SCOPED_LOCK(&managed->lock);
    assert(entry && entry->busy);
    entry->volume = *now;
    entry->busy = false;
}

static void drop(struct managed *managed, struct entry *entry)
{
    SCOPED_LOCK(&managed->lock);
    assert(entry && entry->busy);
    list_remove(&entry->link);
    free(entry);
}

static struct entry *add_locked(struct managed *managed,
                                const struct managed_volume *volume)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->volume = *volume;
    list_append(&managed->entries, &entry->link);
    return entry;
}

/* --- detaching --------------------------------------------------------- */

static int end_connection(struct managed *managed,
                          const struct managed_volume *volume, struct err *err)
{
    const struct driver_tools tools = { managed->qemu_img, managed->iscsiadm };

    if (session_is_shared(managed, volume))
        return 0; /* the last one logs out */
    return driver_detach(&tools, volume, err);
}

/* It stays in the table, and tells there why. */
static void put_back(struct managed *managed, struct entry *entry,
                     struct managed_volume *volume, const char *problem)
{
    struct err ignored = ERR_INIT;

    (void)str_copy(volume->problem, sizeof(volume->problem), problem);
    (void)store_put(managed->dir, volume, &ignored); /* the old one will do */
    release(managed, entry, volume);
}

/* Of one that is busy, as @now is. */
static int let_go(struct managed *managed, struct entry *entry,
                  const struct managed_volume *now, struct err *err)
{
    struct managed_volume volume = *now;
    int rc;

    volume.state = MANAGED_DETACHING;
    rc = store_put(managed->dir, &volume, err);
    if (rc == 0)
        rc = end_connection(managed, &volume, err);
    if (rc == 0)
        rc = store_remove(managed->dir, &volume, err);
    if (rc)
        put_back(managed, entry, &volume, err->message);
    else
        drop(managed, entry);
    return rc;
}

static int begin_detach(struct managed *managed, const char *sd,
                        const char *vol, struct entry **ret_entry,
                        struct err *err)
{
    SCOPED_LOCK(&managed->lock);
    struct entry *entry = find_locked(managed, sd, vol);
    int rc = entry ? check_turn_locked(managed, &entry->volume, err) : 0;

    *ret_entry = NULL;
    if (rc || !entry)
        return rc;
    entry->busy = true;
    *ret_entry = entry;
    return 0;
}

int managed_detach(struct managed *managed, const char *sd, const char *vol,
                   managed_check_free check_free, void *arg, struct err *err)
{
    struct managed_volume volume;
    struct entry *entry = NULL;
    int rc = begin_detach(managed, sd, vol, &entry, err);

    if (rc || !entry)
        return rc;
    volume = entry->volume;
    rc = check_free(arg, &volume, err);
    if (rc == 0)
        return let_go(managed, entry, &volume, err);
    release(managed, entry, &volume);
    return rc;
}

/* --- attaching --------------------------------------------------------- */

static int check_known(const struct managed_volume *known,
                       const struct managed_connection *connection,
                       struct err *err)
{
    if (!same_connection(&known->connection, connection)) {
        (void)err_set_code(err, ERR_MANAGED_CONNECTION,
                           "managed volume %s is %s by another connection",
                           known->vol, managed_state_name(known->state));
        return err_next(err, "detach it first");
    }
    if (known->state != MANAGED_ATTACHED || !managed_exists(known))
        return 0; /* cut off, or the host was started again */
    return err_set_code(err, ERR_MANAGED_ATTACHED,
                        "managed volume %s is attached already: %s", known->vol,
                        known->path);
}

static int begin_attach(struct managed *managed, struct managed_volume *wish,
                        struct entry **ret_entry, struct err *err)
{
    SCOPED_LOCK(&managed->lock);
    struct entry *entry = find_locked(managed, wish->sd, wish->vol);
    int rc = check_turn_locked(managed, wish, err);

    if (rc == 0 && entry)
        rc = check_known(&entry->volume, &wish->connection, err);
    if (rc)
        return rc;
    if (entry) {
        wish->own_node = entry->volume.own_node;
        wish->own_session = entry->volume.own_session;
    }
    if (!entry)
        entry = add_locked(managed, wish);
    if (!entry)
        return err_set(err, -ENOMEM, "managed volume: out of memory");
    entry->busy = true;
    entry->volume = *wish;
    *ret_entry = entry;
    return 0;
}

/* A session that another volume of ours has made ends with the last one. */
static void inherit(struct managed *managed, struct managed_volume *volume)
{
    SCOPED_LOCK(&managed->lock);
    list_for_each (item, &managed->entries) {
        const struct managed_volume *other =
            &container_of(item, struct entry, link)->volume;

        if (!same_session(&other->connection, &volume->connection))
            continue;
        volume->own_session = volume->own_session || other->own_session;
        volume->own_node = volume->own_node || other->own_node;
    }
}

static int attach(struct managed *managed, struct managed_volume *volume,
                  struct err *err)
{
    const struct driver_tools tools = { managed->qemu_img, managed->iscsiadm };
    int rc = store_put(managed->dir, volume, err);

    if (rc == 0)
        rc = driver_attach(&tools, volume, err);
    inherit(managed, volume);
    if (rc)
        return rc;
    volume->state = MANAGED_ATTACHED;
    return store_put(managed->dir, volume, err);
}

int managed_attach(struct managed *managed, const char *sd, const char *vol,
                   const struct managed_connection *connection,
                   struct managed_volume *ret_volume, struct err *err)
{
    struct managed_volume volume = { .connection = *connection,
                                     .state = MANAGED_ATTACHING };
    const struct driver_tools tools = { managed->qemu_img, managed->iscsiadm };
    struct entry *entry = NULL;
    struct err undo = ERR_INIT; /* told by the table */
    int rc = driver_check(&tools, connection, err);

    if (rc)
        return rc;
    (void)str_copy(volume.sd, UUID_SIZE, sd); /* UUIDs fit */
    (void)str_copy(volume.vol, UUID_SIZE, vol);
    rc = begin_attach(managed, &volume, &entry, err);
    if (rc)
        return rc;
    rc = attach(managed, &volume, err);
    if (rc) {
        if (let_go(managed, entry, &volume, &undo))
            log_warning("managed volume %s stays in the table: %s", vol,
                        undo.message);
        return rc;
    }
    release(managed, entry, &volume);
    *ret_volume = volume;
    return 0;
}

/* --- retries ----------------------------------------------------------- */

static struct entry *next_left(struct managed *managed, size_t i)
{
    SCOPED_LOCK(&managed->lock);
    struct err ignored = ERR_INIT; /* its turn comes */

    list_for_each (item, &managed->entries) {
        struct entry *entry = container_of(item, struct entry, link);

        if (entry->volume.state == MANAGED_ATTACHED || i-- > 0)
            continue;
        if (entry->busy || check_turn_locked(managed, &entry->volume, &ignored))
            return NULL;
        entry->busy = true;
        return entry;
    }
    return NULL;
}

static int retry(struct managed *managed, struct entry *entry,
                 managed_check_free check_free, void *arg)
{
    struct managed_volume volume = entry->volume;
    struct err err = ERR_INIT;
    int rc = check_free(arg, &volume, &err);

    if (rc)
        put_back(managed, entry, &volume, err.message);
    else
        rc = let_go(managed, entry, &volume, &err);
    if (rc == 0)
        log_info("managed volume %s is detached at last", volume.vol);
    return rc;
}

size_t managed_retry(struct managed *managed, managed_check_free check_free,
                     void *arg)
{
    struct entry *entry = NULL;
    size_t left = 0;

    while ((entry = next_left(managed, left)))
        left += retry(managed, entry, check_free, arg) != 0;
    return left;
}

/* --- looking ----------------------------------------------------------- */

bool managed_exists(const struct managed_volume *volume)
{
    if (volume->state != MANAGED_ATTACHED)
        return false;
    return volume->path[0] != '/' || access(volume->path, F_OK) == 0;
}

int managed_find(struct managed *managed, const char *sd, const char *vol,
                 struct managed_volume *ret_volume, struct err *err)
{
    SCOPED_LOCK(&managed->lock);
    const struct entry *entry = find_locked(managed, sd, vol);

    if (entry && !entry->busy && entry->volume.state == MANAGED_ATTACHED) {
        *ret_volume = entry->volume;
        return 0;
    }
    (void)err_set_code(err, ERR_NO_VOLUME, "managed volume %s is not attached",
                       vol);
    return err_next(err, "attach it: ManagedVolume.attach_volume");
}

int managed_list(struct managed *managed, struct managed_volume **ret_volumes,
                 size_t *ret_n, struct err *err)
{
    SCOPED_LOCK(&managed->lock);
    struct managed_volume *volumes = NULL;
    size_t n = 0;

    list_for_each (item, &managed->entries)
        n++;
    volumes = calloc(n + 1, sizeof(*volumes));
    if (!volumes)
        return err_set(err, -ENOMEM, "managed volumes: out of memory");
    n = 0;
    list_for_each (item, &managed->entries)
        volumes[n++] = container_of(item, struct entry, link)->volume;
    *ret_volumes = volumes;
    *ret_n = n;
    return 0;
}

/* --- life -------------------------------------------------------------- */

static int found(void *arg, const struct managed_volume *volume)
{
    const struct managed_connection *to = &volume->connection;
    struct managed *managed = arg;

    if (volume->state == MANAGED_ATTACHING && to->driver == MANAGED_ISCSI)
        log_warning("managed volume %s: attaching it was cut off. A session "
                    "that it had may be left; when nobody needs it: iscsiadm "
                    "-m node -T %s -p %s --logout",
                    volume->vol, to->iqn, to->portal);
    SCOPED_LOCK(&managed->lock);

    return add_locked(managed, volume) ? 0 : -ENOMEM;
}

static int open_table(struct managed *managed,
                      const struct managed_options *options, struct err *err)
{
    int rc;

    if (!str_format(managed->dir, PATH_MAX, "%s/managed", options->state_dir) ||
        !str_copy(managed->qemu_img, PATH_MAX, options->qemu_img) ||
        !str_copy(managed->iscsiadm, PATH_MAX, options->iscsiadm))
        return err_set(err, -ENAMETOOLONG, "%s: too long", options->state_dir);
    rc = file_make_dir(managed->dir, 0700, err);
    return rc ? rc : store_load(managed->dir, found, managed, err);
}

int managed_new(const struct managed_options *options,
                struct managed **ret_managed, struct err *err)
{
    struct managed *managed = calloc(1, sizeof(*managed));
    int rc;

    if (!managed)
        return err_set(err, -ENOMEM, "managed volumes: out of memory");
    (void)pthread_mutex_init(&managed->lock, NULL); /* cannot fail in glibc */
    list_init(&managed->entries);
    rc = open_table(managed, options, err);
    if (rc) {
        managed_free(managed);
        return rc;
    }
    *ret_managed = managed;
    return 0;
}

void managed_free(struct managed *managed)
{
    if (!managed)
        return;
    list_for_each_safe (item, next, &managed->entries)
        free(container_of(item, struct entry, link));
    (void)pthread_mutex_destroy(&managed->lock); /* nobody has it */
    free(managed);
}
