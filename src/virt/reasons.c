/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of reasons. An entry appears when a job's end is heard of, with an
 * empty text if it ended well; the oldest one makes room.
 *
 * The event and the answer to "does a job run?" come by the same connection but
 * reach us on two threads, so the reader may be the faster one: it waits.
 *
 * The event names the job, not the disk. libvirt's names are
 * "copy-vda-libvirt-4-format", "commit-vda-libvirt-2-format": the target is in
 * the middle.
 */
#include "reasons.h"
#include <assert.h>
#include <dray/base/lock.h>
#include <dray/base/thread.h>
#include <dray/base/util.h>
#include <dray/ports/hypervisor.h>
#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES = 256,
    TEXT_SIZE = 256,
};

struct entry {
    uint64_t age; /* higher is younger; 0 is a free entry */
    char vm[UUID_SIZE];
    char target[DISK_TARGET_SIZE];
    char text[TEXT_SIZE];
};

struct reasons {
    pthread_mutex_t lock;   /* protects what follows */
    pthread_cond_t changed; /* an entry was noted */
    uint64_t last_age;
    struct entry entries[ENTRIES];
};

int reasons_new(struct reasons **ret_reasons)
{
    struct reasons *reasons = calloc(1, sizeof(*reasons));
    if (!reasons)
        return -ENOMEM;
    int rc = thread_init_condition(&reasons->changed);
    if (rc == 0)
        rc = -pthread_mutex_init(&reasons->lock, NULL);
    if (rc < 0) {
        free(reasons);
        return rc;
    }
    *ret_reasons = reasons;
    return 0;
}

void reasons_free(struct reasons *reasons)
{
    if (!reasons)
        return;
    int rc = pthread_mutex_destroy(&reasons->lock);
    assert(rc == 0);
    rc = pthread_cond_destroy(&reasons->changed);
    assert(rc == 0);
    (void)rc;
    free(reasons);
}

static struct entry *find_locked(struct reasons *reasons, const char *vm,
                                 const char *target)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &reasons->entries[i];
        if (entry->age && str_equal(entry->vm, vm) &&
            str_equal(entry->target, target))
            return entry;
    }
    return NULL;
}

/* The disk's own entry, else the oldest. */
static struct entry *room_locked(struct reasons *reasons, const char *vm,
                                 const char *target)
{
    struct entry *own = find_locked(reasons, vm, target);
    if (own)
        return own;
    struct entry *oldest = &reasons->entries[0];
    for (size_t i = 1; i < ENTRIES; i++) {
        if (reasons->entries[i].age < oldest->age)
            oldest = &reasons->entries[i];
    }
    return oldest;
}

void reasons_forget(struct reasons *reasons, const char *vm, const char *target)
{
    SCOPED_LOCK(&reasons->lock);
    struct entry *entry = find_locked(reasons, vm, target);
    if (entry)
        entry->age = 0;
}

/* "copy-vda-libvirt-4-format" -> "vda" */
static bool target_of_job(const char *job, char ret_target[DISK_TARGET_SIZE])
{
    const char *start = strchr(job, '-');
    const char *end = start ? strstr(start + 1, "-libvirt-") : NULL;
    return end && end > start + 1 &&
           str_format(ret_target, DISK_TARGET_SIZE, "%.*s",
                      (int)(end - start - 1), start + 1);
}

static const char *string_member(const struct json_object *object,
                                 const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

static void note(struct reasons *reasons, const char *vm, const char *target,
                 const char *text)
{
    SCOPED_LOCK(&reasons->lock);
    struct entry *entry = room_locked(reasons, vm, target);
    entry->age = ++reasons->last_age;
    (void)str_copy(entry->vm, sizeof(entry->vm), vm);
    (void)str_copy(entry->target, sizeof(entry->target), target);
    (void)str_copy(entry->text, sizeof(entry->text), text);
    (void)pthread_cond_broadcast(&reasons->changed); /* cannot fail */
}

bool reasons_note(struct reasons *reasons, const char *vm, const char *details,
                  char ret_target[DISK_TARGET_SIZE])
{
    struct json_object *event = json_tokener_parse(details);
    const char *job = string_member(event, "device");
    const char *text = string_member(event, "error");
    bool no_space = str_equal(text, strerrordesc_np(ENOSPC));
    if (job && target_of_job(job, ret_target))
        note(reasons, vm, ret_target, text ? text : "");
    else
        ret_target[0] = '\0';
    json_object_put(event);
    return no_space;
}

void reasons_get(struct reasons *reasons, const char *vm, const char *target,
                 int wait_ms, char *ret_text, size_t size)
{
    const struct timespec deadline = time_after_ms(wait_ms);
    SCOPED_LOCK(&reasons->lock);
    const struct entry *entry;
    while ((entry = find_locked(reasons, vm, target)) == NULL) {
        if (pthread_cond_timedwait(&reasons->changed, &reasons->lock,
                                   &deadline) != 0)
            break;
    }
    (void)str_copy(ret_text, size, entry ? entry->text : "");
}
