/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the acts share: how an error becomes an outcome, and the names of the
 * things that a move is about.
 *
 * The policy: what failed before the pivot is undone; what may go better next
 * time is tried for a while; while libvirtd is away nothing is decided at all.
 */
#include "migration.h"

#include <dray/base/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOW_RETRY_MS = 1000,
    HELD_RETRY_MS = 20, /* while the guest is suspended */
};

/* --- outcomes ---------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void format_text(
    char *dst, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(dst, size, format, args); /* cut off is fine for people */
}

enum job_outcome migration_fail(struct migration *m, const struct err *err)
{
    if (m->job.error.rc == 0) {
        m->job.error = *err;
        (void)err_set(&m->job.error, -EIO, "unknown error");
        (void)err_next(&m->job.error, "the disk is unchanged on the source; "
                                      "mend the cause, then start again");
        m->job.failed_in = m->job.state;
    }
    return JOB_FAIL;
}

enum job_outcome migration_fail_text(struct migration *m, enum err_code code,
                                     const char *format, ...)
{
    char text[ERR_MESSAGE_SIZE];
    struct err err = ERR_INIT;
    va_list args;

    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    (void)err_set_code(&err, code, "%s", text);
    return migration_fail(m, &err);
}

enum job_outcome migration_again(struct migration *m, int64_t wait_ms)
{
    m->wait_ms = wait_ms;
    return JOB_AGAIN;
}

bool migration_libvirt_is_away(const struct migration *m, const struct err *err)
{
    return (err->rc == -ENOTCONN && err->code == ERR_NOT_RESPONDING) ||
           PORT(&m->ports, hypervisor, connected) != 0;
}

enum job_outcome migration_trouble(struct migration *m, const struct err *err,
                                   int64_t patience_ms)
{
    int64_t now_ms = migration_now_ms(m);

    m->troubled = true;
    if (migration_libvirt_is_away(m, err)) {
        m->trouble_ms = -1;
        return migration_again(m, m->job.suspended ? HELD_RETRY_MS : AWAY_MS);
    }
    if (m->trouble_ms < 0)
        m->trouble_ms = now_ms;

    int64_t lasted_ms = now_ms - m->trouble_ms;

    if (lasted_ms >= patience_ms)
        return JOB_FAIL;
    if (m->job.suspended)
        return migration_again(m, HELD_RETRY_MS);
    return migration_again(m, lasted_ms < 4000 ? POLL_MS + lasted_ms / 4
                                               : SLOW_RETRY_MS);
}

enum job_outcome migration_doubt(struct migration *m, const struct err *err,
                                 int64_t patience_ms)
{
    enum job_outcome outcome = migration_trouble(m, err, patience_ms);

    return outcome == JOB_FAIL ? migration_fail(m, err) : outcome;
}

void migration_name_cause(const struct migration *m, struct err *err)
{
    for (size_t i = 0; i < m->job.n_disks; i++) {
        const char *sd = m->job.disks[i].dst_sd;
        struct err cause = ERR_INIT;
        struct domain_info info;

        if (sd[0] && PORT(&m->ports, storage, domain_info, sd, &info, &cause)) {
            *err = cause;
            return;
        }
    }
}

enum job_outcome migration_storage_failed(struct migration *m,
                                          const struct err *err)
{
    struct err named = *err;

    migration_name_cause(m, &named);
    return migration_doubt(m, &named, m->adopted ? ADOPT_PATIENCE_MS : 0);
}

void migration_warn(struct migration *m, const char *format, ...)
{
    char text[sizeof(m->job.warning)];
    size_t used = strlen(m->job.warning);
    va_list args;

    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    if (strstr(m->job.warning, text))
        return;
    /* What does not fit is lost: the first warnings matter most. */
    (void)str_format(m->job.warning + used, sizeof(m->job.warning) - used,
                     "%s%s", used ? "; " : "", text);
    log_warning("job=%s vm=%s %s", m->job.id, m->job.vm, text);
}

int64_t migration_now_ms(const struct migration *m)
{
    return PORT(&m->ports, clock, now_ms);
}

int64_t migration_poll_ms(const struct migration *m)
{
    int64_t in_state_ms =
        m->entered_ms < 0 ? 0 : migration_now_ms(m) - m->entered_ms;
    int64_t wait_ms = in_state_ms / 8;

    if (wait_ms < POLL_STILL_MS)
        return POLL_STILL_MS;
    return wait_ms < POLL_MS ? wait_ms : POLL_MS;
}

/* --- names of things --------------------------------------------------- */

const char *disk_image(const struct disk *d, bool on_destination)
{
    return on_destination && d->of->dst_img[0] ? d->of->dst_img : d->of->img;
}

static struct volume_id volume_on(const struct disk *d, bool on_destination,
                                  const char *vol)
{
    struct volume_id id;

    memcpy(id.sd, on_destination ? d->of->dst_sd : d->of->src_sd, UUID_SIZE);
    memcpy(id.img, disk_image(d, on_destination), UUID_SIZE);
    memcpy(id.vol, vol, UUID_SIZE);
    return id;
}

struct volume_id disk_source(const struct disk *d, const char *vol)
{
    return volume_on(d, false, vol);
}

struct volume_id disk_target(const struct disk *d, const char *vol)
{
    return volume_on(d, true, vol);
}

bool disk_is_outside(const struct disk *d, bool on_destination)
{
    return d->m->job.kind == JOB_DISK_MIGRATE &&
           !(on_destination ? d->of->dst_sd : d->of->src_sd)[0];
}

static const char *format_outside(const struct disk *d, bool on_destination,
                                  const char *vol)
{
    bool cow = on_destination ? d->of->base_cow : d->of->src_cow;

    return cow || strcmp(vol, d->of->leaf) != 0 ? "qcow2" : "raw";
}

int disk_ask_format(const struct disk *d, bool on_destination, const char *vol,
                    const char **ret_format, struct err *err)
{
    const struct volume_id id = volume_on(d, on_destination, vol);
    struct volume_info info;
    int rc;

    if (disk_is_outside(d, on_destination)) {
        *ret_format = format_outside(d, on_destination, vol);
        return 0;
    }
    rc = PORT(&d->m->ports, storage, volume_info, &id, &info, err);
    if (rc == 0)
        *ret_format = info.format == VOLUME_COW ? "qcow2" : "raw";
    return rc;
}

const char *disk_top(const struct disk *d)
{
    return d->of->overlay[0] ? d->of->overlay : d->of->leaf;
}

/* Layers lie beside each other under their UUIDs; outside of domains the plan
 * said where the overlay goes. */
static void path_beside(const struct disk *d, bool on_destination,
                        const char *vol, char ret_path[PATH_MAX])
{
    const char *leaf_path = on_destination ? d->of->dst_path : d->of->src_path;

    (void)str_copy(ret_path, PATH_MAX, leaf_path); /* no longer than it was */
    if (strcmp(vol, d->of->leaf) == 0)
        return;
    if (disk_is_outside(d, on_destination)) {
        (void)str_copy(ret_path, PATH_MAX, d->of->beside);
        return;
    }

    char *slash = strrchr(ret_path, '/');

    if (slash)
        (void)str_copy(slash + 1, PATH_MAX - (size_t)(slash + 1 - ret_path),
                       vol);
}

void disk_source_path(const struct disk *d, const char *vol,
                      char ret_path[PATH_MAX])
{
    path_beside(d, false, vol, ret_path);
}

void disk_target_path(const struct disk *d, const char *vol,
                      char ret_path[PATH_MAX])
{
    path_beside(d, true, vol, ret_path);
}

enum volume_format disk_format(const struct disk *d, size_t i)
{
    if (i == 0 && d->of->convert)
        return d->of->base_cow ? VOLUME_COW : VOLUME_RAW;
    return d->chain.volumes[i].format;
}

const char *disk_top_format(const struct disk *d)
{
    enum volume_format format = VOLUME_COW;

    if (!d->of->overlay[0])
        format = disk_format(d, d->of->dst_sd[0] ? d->chain.n - 1 : 0);
    return format == VOLUME_COW ? "qcow2" : "raw";
}

/* What a disk from outside becomes. */
static int make_chain(struct disk *d, struct err *err)
{
    struct volume_info *volume = calloc(1, sizeof(*volume));

    if (!volume)
        return err_set(err, -ENOMEM, "out of memory");
    volume->id = disk_target(d, d->of->leaf);
    volume->format = d->of->base_cow ? VOLUME_COW : VOLUME_RAW;
    volume->capacity = d->of->capacity;
    volume->true_bytes = d->of->overlay[0] ? d->of->capacity : 0;
    (void)str_copy(volume->path, sizeof(volume->path), d->of->src_path);
    (void)str_copy(volume->parent, UUID_SIZE, UUID_BLANK);
    (void)str_copy(volume->disk_type, sizeof(volume->disk_type), "DATA");
    d->chain = (struct storage_chain){ .n = 1, .volumes = volume };
    return 0;
}

int disk_load_chain(struct disk *d, struct err *err)
{
    const struct job_disk *of = d->of;

    if (d->chain.n > 0)
        return 0;
    if (!of->src_sd[0])
        return make_chain(d, err);

    int rc = PORT(&d->m->ports, storage, image_chain, of->src_sd, of->img,
                  of->leaf, &d->chain, err);

    if (rc == 0 && d->chain.n == 0)
        return err_set_code(err, ERR_IMAGE_CHAIN, "image %s: no volumes",
                            of->img);
    return rc;
}

void migration_directory(const char *path, char ret_dir[PATH_MAX])
{
    if (ret_dir != path)
        (void)str_copy(ret_dir, PATH_MAX, path); /* no longer than it was */

    char *slash = strrchr(ret_dir, '/');

    if (slash && slash != ret_dir)
        *slash = '\0';
}
