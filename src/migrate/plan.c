/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a move would take, and everything that speaks against it, all at once:
 * an admin who has removed one obstacle should not find the next. Only looks.
 *
 * The checks are grouped by what they look at; each group needs the groups
 * before it only as far as the struct question says, so that one failing does
 * not hide the others. One question per disk; then strategy.c chooses for all.
 */
#include "plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void format_text(
    char *dst, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(dst, size, format, args); /* cut off is fine for people */
}

static struct err *add(struct migrate_plan *plan)
{
    if (plan->n_obstacles < PLAN_OBSTACLES_MAX)
        plan->n_obstacles++;
    struct err *err = &plan->obstacles[plan->n_obstacles - 1];

    err_clear(err);
    return err;
}

struct err *plan_obstacle(struct migrate_plan *plan, enum err_code code,
                          const char *format, ...)
{
    char text[ERR_MESSAGE_SIZE];
    struct err *err = add(plan);
    va_list args;

    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    (void)err_set_code(err, code, "%s", text);
    return err;
}

static void obstacle_from(struct question *q, const struct err *cause)
{
    *add(q->plan) = *cause;
}

/* --- which disk -------------------------------------------------------- */

static bool is_asked_disk(const struct question *q, const struct vm_disk *disk)
{
    const char *wish = q->wish->disk;
    struct err ignored = ERR_INIT; /* not one of our volumes, so not asked */
    struct volume_id id;

    if (strcmp(disk->target, wish) == 0 || strcmp(disk->path, wish) == 0)
        return true;
    return uuid_is_valid(wish) && disk->path[0] &&
           PORT(q->ports, storage, locate, disk->path, &id, &ignored) == 0 &&
           strcmp(id.img, wish) == 0;
}

static int find_disk(struct question *q, struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    size_t n = 0;
    int rc = PORT(q->ports, hypervisor, vm_disks, q->vm->uuid, &disks, &n, err);

    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (is_asked_disk(q, &disks[i])) {
            q->disk = disks[i];
            return 0;
        }
    }
    rc = err_set_code(err, ERR_NO_DISK, "VM %s has no disk %s", q->vm->name,
                      q->wish->disk);
    (void)err_next(err, "see: drayctl vm disks %s", q->vm->name);
    return rc;
}

/* An absolute path or a URI; else the name of a domain. */
static bool is_outside(const char *to)
{
    return to[0] == '/' || strstr(to, "://");
}

static int understand_target(struct question *q, struct err *err)
{
    const char *to = q->wish->to;

    if (!is_outside(to))
        return PORT(q->ports, storage, domain_find, to, q->of->dst_sd, err);
    (void)str_copy(q->of->dst_path, sizeof(q->of->dst_path), to);
    return 0;
}

static int understand(struct question *q, struct err *err)
{
    struct job_disk *of = q->of;
    int rc = find_disk(q, err);

    if (rc == 0)
        rc = understand_target(q, err);
    if (rc)
        return rc;
    (void)str_copy(of->target, sizeof(of->target), q->disk.target);
    if (!str_copy(of->src_path, sizeof(of->src_path), q->disk.path))
        return err_set_code(err, ERR_IMAGE_PATH,
                            "the path of disk %s is too long: %s", of->target,
                            q->disk.path);
    of->capacity = q->disk.capacity;
    of->convert = q->wish->convert;
    of->base_cow = q->wish->base_cow;
    return 0;
}

/* --- the VM and its disk ----------------------------------------------- */

static void check_kind(struct question *q)
{
    const struct vm_disk *disk = &q->disk;
    const char *name = disk->target;

    if (strcmp(disk->device, "disk") != 0)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "%s is a %s, not a disk", name,
                      disk->device);
    if (disk->read_only)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "disk %s is read-only", name);
    if (disk->shareable)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "disk %s is shareable: another VM may write to it", name);
    if (disk->transient)
        plan_obstacle(q->plan, ERR_UNSUPPORTED, "disk %s is transient", name);
}

static void check_jobs(struct question *q)
{
    if (q->disk.job || q->disk.mirror.present)
        (void)err_next(plan_obstacle(q->plan, ERR_DISK_BUSY,
                                     "disk %s of VM %s has a block job already",
                                     q->disk.target, q->vm->name),
                       "wait for its end: virsh blockjob %s %s", q->vm->name,
                       q->disk.target);
}

/* All names of the disk's file must agree before we change them. */
static void check_truth(struct question *q)
{
    const char *path = q->disk.path;
    struct err err = ERR_INIT;
    struct vm_disk_truth truth;

    if (PORT(q->ports, hypervisor, disk_truth, q->vm->uuid, q->disk.target,
             &truth, &err)) {
        obstacle_from(q, &err);
        return;
    }
    if (strcmp(truth.qemu_path, path) != 0)
        plan_obstacle(q->plan, ERR_CHANGE_DISK,
                      "qemu writes disk %s to %s, but libvirt says %s",
                      q->disk.target, truth.qemu_path, path);
    if (truth.persistent_path[0] && strcmp(truth.persistent_path, path) != 0)
        (void)err_next(
            plan_obstacle(
                q->plan, ERR_CHANGE_DISK,
                "the persistent definition of VM %s has %s as disk %s, "
                "the running VM has %s",
                q->vm->name, truth.persistent_path, q->disk.target, path),
            "make them agree: virsh edit %s", q->vm->name);
}

static void check_vm(struct question *q)
{
    if (q->vm->state != VM_RUNNING && q->vm->state != VM_PAUSED) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_UNSUPPORTED,
                          "VM %s is not running: only disks of running "
                          "VMs can be moved",
                          q->vm->name),
            "start it: virsh start %s", q->vm->name);
    } else {
        check_jobs(q);
        check_truth(q);
    }
    check_kind(q);
}

/* --- the source -------------------------------------------------------- */

/* What comes from outside becomes an image of its own. */
static void adopt(struct question *q)
{
    struct job_disk *of = q->of;

    uuid_new(of->img);
    uuid_new(of->leaf);
    if (!of->convert)
        of->base_cow = strcmp(q->disk.format, "qcow2") == 0;
    of->convert = true;
}

static void not_in_a_domain(struct question *q)
{
    (void)err_next(
        plan_obstacle(q->plan, ERR_NO_DISK,
                      "disk %s of VM %s is %s, which is in no "
                      "domain that this host has joined",
                      q->disk.target, q->vm->name,
                      q->disk.path[0] ? q->disk.path : "without a file"),
        "name a domain to import it to, or join its domain: "
        "drayctl domain join DIRECTORY");
}

static void locate(struct question *q)
{
    struct job_disk *of = q->of;
    struct err err = ERR_INIT;
    struct volume_id id;

    if (q->disk.path[0] != '/')
        (void)err_set_code(&err, ERR_NO_DISK, "no file");
    else
        (void)PORT(q->ports, storage, locate, q->disk.path, &id, &err);
    if (err.rc == 0) {
        q->located = true;
        (void)str_copy(of->src_sd, UUID_SIZE, id.sd);
        (void)str_copy(of->img, UUID_SIZE, id.img);
        (void)str_copy(of->leaf, UUID_SIZE, id.vol);
    } else if (err.code != ERR_NO_DISK) {
        obstacle_from(q, &err);
    } else if (!q->disk.path[0] || !of->dst_sd[0]) {
        not_in_a_domain(q);
    } else {
        adopt(q);
    }
}

static void check_layer(struct question *q, size_t i)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    bool leaf = i + 1 == q->chain.n;

    if (volume->legality != VOLUME_LEGAL)
        plan_obstacle(q->plan, ERR_VOLUME_ILLEGAL,
                      "volume %s of the source is not legal", volume->id.vol);
    if (volume->role == VOLUME_SHARED ||
        strcmp(volume->id.img, q->of->img) != 0)
        plan_obstacle(
            q->plan, ERR_VOLUME_SHARED,
            "volume %s is a template's: moving disks made from templates "
            "is not supported",
            volume->id.vol);
    if (leaf && volume->role == VOLUME_INTERNAL)
        plan_obstacle(q->plan, ERR_IMAGE_CHAIN,
                      "VM %s writes to volume %s, which has children",
                      q->vm->name, volume->id.vol);
    if (volume->capacity % 4096 != 0)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "volume %s has %" PRIu64 " bytes, no multiple of 4096",
                      volume->id.vol, volume->capacity);
}

/* Does the record describe the disk that the VM has? */
static void check_against_vm(struct question *q)
{
    const struct volume_info *leaf = &q->chain.volumes[q->chain.n - 1];
    const char *format = leaf->format == VOLUME_COW ? "qcow2" : "raw";

    if (q->disk.capacity && q->disk.capacity != leaf->capacity)
        plan_obstacle(q->plan, ERR_METADATA_INVALID,
                      "disk %s has %" PRIu64
                      " bytes in the VM, its record says "
                      "%" PRIu64,
                      q->disk.target, q->disk.capacity, leaf->capacity);
    if (q->disk.format[0] && strcmp(q->disk.format, format) != 0)
        plan_obstacle(q->plan, ERR_VOLUME_FORMAT,
                      "VM %s opens disk %s as %s, its record says %s",
                      q->vm->name, q->disk.target, q->disk.format, format);
    if (q->disk.chain_n && q->disk.chain_n != q->chain.n)
        plan_obstacle(q->plan, ERR_IMAGE_CHAIN,
                      "disk %s has %zu layers in the VM, %zu in its records",
                      q->disk.target, q->disk.chain_n, q->chain.n);
}

static void check_source(struct question *q)
{
    const struct job_disk *of = q->of;
    struct err err = ERR_INIT;

    if (PORT(q->ports, storage, domain_info, of->src_sd, &q->source, &err)) {
        obstacle_from(q, &err);
        err_clear(&err);
    } else if (q->source.read_only && !q->request->keep_source) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_DOMAIN_ATTACHED,
                          "domain %s belongs to an oVirt pool: its copy "
                          "cannot be deleted",
                          q->source.name),
            "keep the source (--keep-source), or detach the domain");
    }
    if (PORT(q->ports, storage, image_chain, of->src_sd, of->img, of->leaf,
             &q->chain, &err)) {
        obstacle_from(q, &err);
        return;
    }
    q->out->chain_n = q->chain.n;
    for (size_t i = 0; i < q->chain.n; i++)
        check_layer(q, i);
    if (q->chain.n > 0)
        check_against_vm(q);
}

/* --- the destination --------------------------------------------------- */

static void check_geometry(struct question *q)
{
    if (q->source.block_size && q->target.block_size &&
        q->source.block_size != q->target.block_size)
        plan_obstacle(q->plan, ERR_UNSUPPORTED,
                      "the domains' sector sizes differ: %u and %u",
                      q->source.block_size, q->target.block_size);
}

static void check_image_absent(struct question *q)
{
    const struct job_disk *of = q->of;
    struct uuid_list volumes = { 0 };
    struct err err = ERR_INIT;
    int rc = PORT(q->ports, storage, domain_volumes, of->dst_sd, of->img,
                  &volumes, &err);

    if (rc && err.code != ERR_NO_IMAGE)
        obstacle_from(q, &err);
    else if (rc == 0 && volumes.n > 0)
        plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                      "domain %s has image %s already", q->target.name,
                      of->img);
    uuid_list_deinit(&volumes);
}

/* 1: it can be asked for more. */
static int check_usable(struct question *q)
{
    const char *sd = q->of->dst_sd;
    struct err err = ERR_INIT;

    if (PORT(q->ports, storage, domain_info, sd, &q->target, &err)) {
        obstacle_from(q, &err);
        return 0;
    }
    if (q->target.status != DOMAIN_JOINED) {
        (void)err_next(
            plan_obstacle(q->plan, ERR_NO_DOMAIN, "domain %s is %s%s%s",
                          q->target.name, domain_status_name(q->target.status),
                          q->target.problem[0] ? ": " : "", q->target.problem),
            "join it: drayctl domain join %s", q->target.path);
        return 0;
    }
    if (q->target.read_only)
        plan_obstacle(
            q->plan, ERR_DOMAIN_ATTACHED,
            "domain %s belongs to an oVirt pool: it is read-only here",
            q->target.name);
    if (q->target.class_name[0] && strcmp(q->target.class_name, "Data") != 0)
        plan_obstacle(q->plan, ERR_DOMAIN_CLASS,
                      "domain %s is not for disks: it is of "
                      "class %s",
                      q->target.name, q->target.class_name);
    return 1;
}

/* The place of a live export. */
static void check_outside(struct question *q)
{
    struct job_disk *of = q->of;
    struct outside_info info;
    struct err err = ERR_INIT;

    if (!of->convert && q->chain.n > 0)
        of->base_cow = q->chain.volumes[q->chain.n - 1].format == VOLUME_COW;
    of->convert = true;
    if (PORT(q->ports, storage, outside_info, of->dst_path,
             of->base_cow ? VOLUME_COW : VOLUME_RAW, &info, &err)) {
        obstacle_from(q, &err);
        return;
    }
    q->out->dst.free_bytes = info.free_bytes;
    if (!info.block && !info.network && info.exists && info.bytes > 0)
        (void)err_next(plan_obstacle(q->plan, ERR_VOLUME_EXISTS,
                                     "%s exists already", of->dst_path),
                       "name a file that is not there yet");
    if ((info.block || info.network) && !of->base_cow &&
        info.bytes < of->capacity)
        plan_obstacle(q->plan, ERR_TOO_SMALL,
                      "%s has %" PRIu64 " bytes, disk %s has %" PRIu64,
                      of->dst_path, info.bytes, of->target, of->capacity);
    if (info.network && !info.exists)
        plan_obstacle(q->plan, ERR_STORAGE, "%s does not answer", of->dst_path);
}

static void check_target(struct question *q)
{
    const struct job_disk *of = q->of;

    if (!of->dst_sd[0]) {
        check_outside(q);
        return;
    }
    if (q->located && strcmp(of->src_sd, of->dst_sd) == 0) {
        plan_obstacle(q->plan, ERR_VALUE,
                      "disk %s of VM %s is on this domain already",
                      q->disk.target, q->vm->name);
        return;
    }
    if (!check_usable(q))
        return;
    check_geometry(q);
    if (q->located)
        check_image_absent(q);
}

/* --- formats and bytes ------------------------------------------------- */

/* Only the base's format can be chosen: every layer above needs a backing
 * file, which raw has not. */
static enum volume_format target_format(const struct question *q, size_t i)
{
    if ((i == 0 || !q->of->dst_sd[0]) && q->of->convert)
        return q->of->base_cow ? VOLUME_COW : VOLUME_RAW;
    return q->chain.volumes[i].format;
}

/* What a layer may take: its data, and for qcow2 the tables: 8 bytes of L2 and
 * 2 of refcount for each cluster of 64 KiB, and some fixed clusters. */
static uint64_t allocation(const struct question *q, size_t i)
{
    const struct volume_info *volume = &q->chain.volumes[i];
    uint64_t tables =
        volume->capacity / 8192 + volume->capacity / 32768 + (1 << 20);

    if (target_format(q, i) == VOLUME_COW)
        return volume->true_bytes + tables;
    if (volume->format == VOLUME_RAW &&
        volume->allocation == VOLUME_PREALLOCATED &&
        volume->true_bytes < volume->capacity)
        return volume->capacity;
    return volume->true_bytes;
}

static void sum_up(struct question *q)
{
    struct migrate_plan_disk *out = q->out;

    for (size_t i = 0; i < q->chain.n; i++) {
        out->bytes += q->chain.volumes[i].true_bytes;
        out->required += allocation(q, i);
    }
    if (!q->located) { /* nobody knows better what is in it */
        out->bytes = q->of->capacity;
        out->required = 0;
    }
    out->required += out->required / 100;
}

static void check_space(struct question *q)
{
    struct migrate_plan_disk *out = q->out;
    const struct job_disk *of = q->of;
    struct err err = ERR_INIT;

    sum_up(q);
    if (q->located &&
        PORT(q->ports, storage, domain_stats, of->src_sd, &out->src, &err)) {
        obstacle_from(q, &err);
        err_clear(&err);
    }
    if (of->dst_sd[0] &&
        PORT(q->ports, storage, domain_stats, of->dst_sd, &out->dst, &err)) {
        obstacle_from(q, &err);
        return;
    }
    if (out->dst.unwritable)
        (void)err_next(plan_obstacle(q->plan, ERR_STORAGE,
                                     "the file system of domain %s is mounted "
                                     "read-only",
                                     q->target.name),
                       "see why in the kernel's log, then mount it writable");
}

/* Several disks may go to one place. */
static void check_sum_of_space(struct migrate_plan *plan, size_t i)
{
    const struct job_disk *of = &plan->job.disks[i];
    uint64_t required = 0;

    for (size_t k = 0; k < plan->job.n_disks; k++) {
        bool same = strcmp(plan->job.disks[k].dst_sd, of->dst_sd) == 0;

        if (same && k < i)
            return; /* said so */
        if (same)
            required += plan->disks[k].required;
    }
    if (plan->disks[i].dst.total_bytes &&
        plan->disks[i].dst.free_bytes < required)
        plan_obstacle(plan, ERR_NO_SPACE,
                      "domain %s has %" PRIu64 " MiB free, %" PRIu64
                      " MiB are needed",
                      of->dst_sd, plan->disks[i].dst.free_bytes >> 20,
                      (required >> 20) + 1);
}

/* --- the answer -------------------------------------------------------- */

/* What to do about an obstacle that did not say so itself. */
static const char *way_out(enum err_code code)
{
    static const struct {
        enum err_code code;
        const char *next;
    } ways[] = {
        {ERR_UNSUPPORTED,      "choose another disk or destination"          },
        { ERR_VALUE,           "name another domain: drayctl domain list"    },
        { ERR_DISK_BUSY,       "wait for its end, then try again"            },
        { ERR_NO_SPACE,        "free space there, or name another domain"    },
        { ERR_VOLUME_EXISTS,   "if it is a leftover, remove it: drayctl rpc "
                             "Image.delete"      },
        { ERR_DOMAIN_ATTACHED, "detach it in oVirt, or name another domain"  },
        { ERR_DOMAIN_CLASS,    "name a data domain: drayctl domain list"     },
        { ERR_VOLUME_SHARED,   "copy the disk into an image of its own first"},
        { ERR_CHANGE_DISK,
         "find out which file is right before anything else"                 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        if (ways[i].code == code)
            return ways[i].next;
    }
    return "look at the volumes: drayctl volume info";
}

static void show_ways_out(struct migrate_plan *plan)
{
    for (size_t i = 0; i < plan->n_obstacles; i++) {
        struct err *err = &plan->obstacles[i];

        (void)err_next(err, "%s", way_out(err->code));
    }
}

/* Before anything was copied nobody knows the rate: what a single disk or a
 * 10 Gbit/s network does with ease. */
static const uint64_t rate_unknown = 200 << 20;

static int64_t expect_s(const struct migrate_plan *plan, uint64_t rate)
{
    uint64_t limit = plan->job.limit;

    if (rate == 0)
        rate = rate_unknown;
    if (limit && limit < rate)
        rate = limit;
    return (int64_t)(plan->bytes / rate) + 1;
}

/* --- all disks --------------------------------------------------------- */

static int ask(struct question *q, struct err *err)
{
    int rc = understand(q, err);

    if (rc)
        return rc;
    check_vm(q);
    locate(q);
    if (q->located)
        check_source(q);
    check_target(q);
    if (q->chain.n > 0 || !q->located)
        check_space(q);
    return 0;
}

static void check_twice(struct migrate_plan *plan, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(plan->job.disks[k].target, plan->job.disks[i].target) == 0)
            plan_obstacle(plan, ERR_VALUE, "disk %s is named twice",
                          plan->job.disks[i].target);
    }
}

static int ask_all(const struct migrate_ports *ports,
                   const struct migrate_request *request,
                   const struct vm_info *vm, struct migrate_plan *plan,
                   struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < request->n_wishes; i++) {
        struct question q = { .ports = ports,
                              .request = request,
                              .wish = &request->wishes[i],
                              .plan = plan,
                              .of = &plan->job.disks[i],
                              .out = &plan->disks[i],
                              .vm = vm };

        plan->job.n_disks = i + 1;
        rc = ask(&q, err);
        check_twice(plan, i);
        if (rc == 0)
            plan_frozen(&q);
        plan->bytes += plan->disks[i].bytes;
        storage_chain_deinit(&q.chain);
    }
    return rc;
}

static void fill_job(const struct migrate_request *request,
                     const struct vm_info *vm, struct job *job)
{
    job->keep_source = request->keep_source;
    job->verify = request->verify;
    job->fast = request->fast;
    job->limit = request->limit;
    (void)str_copy(job->vm, sizeof(job->vm), vm->uuid);
    (void)str_copy(job->vm_name, sizeof(job->vm_name), vm->name);
}

int migrate_plan(const struct migrate_ports *ports,
                 const struct migrate_request *request, uint64_t rate_guess,
                 struct migrate_plan *ret_plan, struct err *err)
{
    struct vm_info vm;
    int rc = PORT(ports, hypervisor, vm_find, request->vm, &vm, err);

    if (rc)
        return rc;
    memset(ret_plan, 0, sizeof(*ret_plan));
    job_init(&ret_plan->job, request->job_id, JOB_DISK_MIGRATE,
             PORT(ports, clock, wall_ms));
    fill_job(request, &vm, &ret_plan->job);
    rc = ask_all(ports, request, &vm, ret_plan, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < ret_plan->job.n_disks; i++)
        check_sum_of_space(ret_plan, i);
    plan_strategy(request, ret_plan);
    show_ways_out(ret_plan);
    ret_plan->job.progress.total = ret_plan->bytes;
    ret_plan->expected_s = expect_s(ret_plan, rate_guess);
    return 0;
}
