/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An engine's request becomes a job: first what was asked for, word for word,
 * then what each verb's checks find out (ask-*.c). The first half alone says
 * whether a repeated request means a job that is there, also when the world has
 * moved on and the checks would not pass any more.
 */
#include "ask.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static const struct {
    ask_fn check;
    enum err_code code; /* it cannot be done now */
} kinds[JOB_KIND_COUNT] = {
    [JOB_DISK_MIGRATE] = {NULL,           ERR_DISK_BUSY        },
    [JOB_REPLICATE] = { ask_replicate, ERR_REPLICA          },
    [JOB_SNAPSHOT] = { ask_snapshot,  ERR_SNAPSHOT         },
    [JOB_MERGE] = { ask_merge,     ERR_MERGE            },
    [JOB_CLONE] = { ask_clone,     ERR_SOURCE_IMAGE     },
    [JOB_SYNC] = { ask_sync,      ERR_DESTINATION_IMAGE},
    [JOB_COPY] = { ask_copy,      ERR_COPY_IMAGE       },
    [JOB_MOVE] = { ask_copy,      ERR_MOVE_IMAGE       },
    [JOB_COPY_DATA] = { ask_data,      ERR_TIMEOUT          },
    [JOB_MOVE_DATA] = { ask_data,      ERR_TIMEOUT          },
    [JOB_UPDATE] = { ask_update,    ERR_TIMEOUT          },
};

enum err_code migrate_ask_code(enum job_kind kind)
{
    assert((unsigned)kind < JOB_KIND_COUNT);
    return kinds[kind].code;
}

/* --- word for word ----------------------------------------------------- */

static void take_disk(enum job_kind kind, const struct migrate_ask_disk *from,
                      struct job_disk *to)
{
    memcpy(to->src_sd, from->at.sd, UUID_SIZE);
    memcpy(to->img, from->at.img, UUID_SIZE);
    switch (kind) {
    case JOB_MERGE:
        memcpy(to->leaf, from->base, UUID_SIZE);
        memcpy(to->overlay, from->top, UUID_SIZE);
        break;
    case JOB_SNAPSHOT:
        memcpy(to->leaf, from->at.vol, UUID_SIZE);
        memcpy(to->overlay, from->top, UUID_SIZE);
        break;
    case JOB_COPY_DATA:
    case JOB_MOVE_DATA:
    case JOB_UPDATE:
        memcpy(to->leaf, from->at.vol, UUID_SIZE);
        memcpy(to->dst_sd, from->to.sd, UUID_SIZE);
        memcpy(to->dst_img, from->to.img, UUID_SIZE);
        memcpy(to->dst_vol, from->to.vol, UUID_SIZE);
        memcpy(to->src_path, from->src_path, JOB_PATH_SIZE);
        memcpy(to->dst_path, from->dst_path, JOB_PATH_SIZE);
        break;
    default:
        memcpy(to->leaf, from->at.vol, UUID_SIZE);
        memcpy(to->dst_sd, from->to.sd, UUID_SIZE);
        break;
    }
}

static void take(const struct migrate_ask *ask, int64_t wall_ms,
                 struct job *job)
{
    job_init(job, ask->job_id, ask->kind, wall_ms);
    job->scope = ask->scope;
    job->quiesce = ask->quiesce;
    job->delete_top = ask->delete_top;
    job->verify = ask->verify;
    job->fast = ask->fast;
    job->limit = ask->limit;
    if (job_is_data(job))
        job->data = ask->data;
    job->n_disks = ask->n_disks;
    for (size_t i = 0; i < ask->n_disks; i++)
        take_disk(ask->kind, &ask->disks[i], &job->disks[i]);
}

bool migrate_ask_is(const struct migrate_ask *ask, const struct job *job)
{
    struct job asked;

    take(ask, 0, &asked);
    if (strcmp(ask->vm, job->vm) == 0 || strcmp(ask->vm, job->vm_name) == 0)
        memcpy(asked.vm, job->vm, UUID_SIZE);
    return job_same_request(&asked, job);
}

int migrate_ask(const struct migrate_ports *ports,
                const struct migrate_ask *ask, struct job *ret_job,
                struct err *err)
{
    struct asking q = { .ports = ports, .ask = ask, .job = ret_job };

    assert(kinds[ask->kind].check);
    assert(ask->n_disks > 0 && ask->n_disks <= JOB_DISKS_MAX);
    take(ask, PORT(ports, clock, wall_ms), ret_job);

    int rc = kinds[ask->kind].check(&q, err);

    memcpy(ret_job->vm, q.vm.uuid, UUID_SIZE);
    (void)str_copy(ret_job->vm_name, sizeof(ret_job->vm_name), q.vm.name);
    return rc;
}

/* --- among the checks -------------------------------------------------- */

static bool has_own_number(enum err_code code)
{
    return code == ERR_NO_VM || code == ERR_NOT_RESPONDING;
}

int ask_refuse(struct err *err, enum err_code code, const struct err *cause)
{
    enum err_code own = has_own_number(cause->code) ? cause->code : code;
    int rc = err_set_code(err, own, "%s", cause->message);

    (void)err_next(err, "%s", cause->next);
    return rc;
}

int ask_find_drive(struct asking *q, size_t i, const char *vol,
                   struct vm_disk *ret_drive, struct err *err)
{
    struct job_disk *disk = &q->job->disks[i];
    struct volume_id at = q->ask->disks[i].at;
    int rc = 0;

    memcpy(at.vol, vol, UUID_SIZE);
    rc = migrate_find_drive(q->ports, q->ask->vm, &at, &q->vm, ret_drive, err);
    if (rc)
        return rc;
    (void)str_copy(disk->target, sizeof(disk->target), ret_drive->target);
    disk->capacity = ret_drive->capacity;
    if (!str_copy(disk->src_path, sizeof(disk->src_path), ret_drive->path))
        return err_set_code(err, ERR_IMAGE_PATH,
                            "the path of disk %s is too long: %s", disk->target,
                            ret_drive->path);
    return 0;
}

const char *ask_drive_problem(const struct vm_disk *drive)
{
    if (strcmp(drive->device, "disk") != 0)
        return "is no disk";
    if (drive->read_only)
        return "is read-only";
    if (drive->shareable)
        return "is shareable: another VM may write to it";
    if (drive->transient)
        return "is transient";
    if (drive->job || drive->mirror.present)
        return "has a block job already";
    return NULL;
}

int ask_check_domain(const struct migrate_ports *ports, const char *sd,
                     struct err *err)
{
    struct domain_info info;
    int rc = PORT(ports, storage, domain_info, sd, &info, err);

    if (rc)
        return rc;
    if (info.status != DOMAIN_JOINED) {
        rc = err_set_code(err, ERR_NO_DOMAIN, "domain %s is %s%s%s", info.name,
                          domain_status_name(info.status),
                          info.problem[0] ? ": " : "", info.problem);
        (void)err_next(err, "join it: drayctl domain join %s", info.path);
        return rc;
    }
    if (info.read_only)
        return err_set_code(err, ERR_DOMAIN_ATTACHED,
                            "domain %s belongs to an oVirt pool: it is "
                            "read-only here",
                            info.name);
    if (info.class_name[0] && strcmp(info.class_name, "Data") != 0)
        return err_set_code(err, ERR_DOMAIN_CLASS,
                            "domain %s is not for disks: it is of class %s",
                            info.name, info.class_name);
    return 0;
}

int ask_check_room(const struct migrate_ports *ports, const char *sd,
                   uint64_t required, struct err *err)
{
    struct domain_stats stats;
    int rc = PORT(ports, storage, domain_stats, sd, &stats, err);

    if (rc || stats.free_bytes >= required)
        return rc;
    (void)err_set_code(err, ERR_NO_SPACE,
                       "domain %s has %" PRIu64 " bytes free, %" PRIu64
                       " are needed",
                       sd, stats.free_bytes, required);
    return err_next(err, "free space there, or name another domain");
}

int ask_measure(const struct migrate_ports *ports,
                const struct volume_info *volume,
                const struct domain_info *target, bool leaf,
                uint64_t *ret_bytes, struct err *err)
{
    const struct watermark_policy policy =
        thin_policy(ports, target->extent_bytes);
    bool raw = volume->format == VOLUME_RAW;
    uint64_t bytes = volume->true_bytes;
    int rc = 0;

    if (!raw && (volume->block || target->block))
        rc = thin_measure(ports, volume, &bytes, err);
    if (rc)
        return rc;
    if (target->block && raw)
        bytes = thin_raw(&policy, volume->block ? volume->apparent_bytes
                                                : volume->capacity);
    else if (target->block)
        bytes = thin_copied(&policy, volume->capacity, bytes, leaf);
    *ret_bytes = bytes;
    return 0;
}

int ask_chain(const struct migrate_ports *ports, const char *sd,
              const char *img, const char *leaf,
              struct storage_chain *ret_chain, struct err *err)
{
    int rc = PORT(ports, storage, image_chain, sd, img, leaf, ret_chain, err);

    if (rc == 0 && ret_chain->n == 0)
        rc = err_set_code(err, ERR_NO_IMAGE,
                          "image %s of domain %s has no volumes", img, sd);
    return rc;
}

int ask_compare_chains(const struct storage_chain *a,
                       const struct storage_chain *b, struct err *err)
{
    const struct volume_id *at = &b->volumes[0].id;

    if (a->n != b->n)
        return err_set_code(err, ERR_IMAGE_CHAIN,
                            "image %s has %zu volumes on domain %s and %zu on "
                            "domain %s",
                            at->img, a->n, a->volumes[0].id.sd, b->n, at->sd);
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->volumes[i].id.vol, b->volumes[i].id.vol) != 0)
            return err_set_code(err, ERR_IMAGE_CHAIN,
                                "image %s: volume %zu from below is %s on "
                                "domain %s and %s on domain %s",
                                at->img, i + 1, a->volumes[i].id.vol,
                                a->volumes[0].id.sd, b->volumes[i].id.vol,
                                at->sd);
    }
    return 0;
}
