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

void plan_obstacle_from(struct migrate_plan *plan, const struct err *cause)
{
    *add(plan) = *cause;
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

void plan_show_ways_out(struct migrate_plan *plan)
{
    for (size_t i = 0; i < plan->n_obstacles; i++) {
        struct err *err = &plan->obstacles[i];

        (void)err_next(err, "%s", way_out(err->code));
    }
}

/* Before anything was copied nobody knows the rate: what a single disk or a
 * 10 Gbit/s network does with ease. */
static const uint64_t rate_unknown = 200 << 20;

int64_t plan_expect_s(const struct migrate_plan *plan, uint64_t rate)
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
    plan_check_vm(q);
    plan_locate(q);
    if (q->located)
        plan_check_source(q);
    plan_check_target(q);
    if (q->chain.n > 0 || !q->located)
        plan_check_space(q);
    return 0;
}

static void check_twice(struct migrate_plan *plan, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(plan->job.disks[k].target, plan->job.disks[i].target) == 0)
            (void)err_next(plan_obstacle(plan, ERR_VALUE,
                                         "disk %s is named twice",
                                         plan->job.disks[i].target),
                           "name each disk once");
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
                              .vm = vm,
                              .outside_free = UINT64_MAX };

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
    plan_strategy(request, ret_plan);
    for (size_t i = 0; i < ret_plan->job.n_disks; i++)
        plan_check_sum_of_space(ret_plan, i);
    plan_show_ways_out(ret_plan);
    ret_plan->job.progress.total = ret_plan->bytes;
    ret_plan->expected_s = plan_expect_s(ret_plan, rate_guess);
    return 0;
}
