/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Plans as JSON. As in a job, the first disk is told at the top, too.
 */
#include "put.h"
#include "shape.h"

#include <dray/base/util.h>
#include <json-c/json.h>

struct json_object *shape_obstacles(const struct migrate_plan *plan)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < plan->n_obstacles; i++)
        ok = put_item(array, shape_error(&plan->obstacles[i], NULL));
    return put_end(array, ok);
}

/* Zeros outside of domains: nobody knows. */
static bool put_space(struct json_object *object, const char *sd,
                      const struct domain_stats *stats)
{
    bool free_known = sd[0] || stats->free_bytes;
    bool total_known = sd[0] || stats->total_bytes;

    return (free_known ? put_u64(object, "free", stats->free_bytes)
                       : put_null(object, "free")) &&
           (total_known ? put_u64(object, "total", stats->total_bytes)
                        : put_null(object, "total"));
}

/* An image that is made of a disk from outside has no UUID before its job. */
static struct json_object *shape_side(const struct job_disk *of, const char *sd,
                                      const char *path,
                                      const struct domain_stats *stats,
                                      const uint64_t *required)
{
    struct json_object *object = json_object_new_object();
    bool ok =
        (!sd[0] || put_text(object, "domainID", sd)) &&
        (!sd[0] || !of->src_sd[0] || put_text(object, "imageID", of->img)) &&
        (!path[0] || put_text(object, "path", path));
    return put_end(object,
                   ok && put_space(object, sd, stats) &&
                       (!required || put_u64(object, "required", *required)));
}

static bool put_disk(struct json_object *object,
                     const struct migrate_plan *plan, size_t i)
{
    const struct job_disk *of = &plan->job.disks[i];
    const struct migrate_plan_disk *disk = &plan->disks[i];

    return put_text(object, "disk", of->target) &&
           put_u64(object, "chain", disk->chain_n) &&
           put_text(object, "mover", copy_mover_name(disk->mover)) &&
           (!of->convert ||
            put_text(object, "format", of->base_cow ? "COW" : "RAW")) &&
           put_value(
               object, "source",
               shape_side(of, of->src_sd, of->src_path, &disk->src, NULL)) &&
           put_value(object, "destination",
                     shape_side(of, of->dst_sd, of->dst_path, &disk->dst,
                                &disk->required));
}

static struct json_object *shape_disk_of(const struct migrate_plan *plan,
                                         size_t i)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_disk(object, plan, i) &&
                               put_u64(object, "bytes", plan->disks[i].bytes));
}

static struct json_object *shape_disks(const struct migrate_plan *plan)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < plan->job.n_disks; i++)
        ok = put_item(array, shape_disk_of(plan, i));
    return put_end(array, ok);
}

struct json_object *shape_plan(const struct migrate_plan *plan)
{
    struct json_object *object = json_object_new_object();
    const char *strategy = job_strategy_name(plan->job.strategy);
    return put_end(object,
                   put_flag(object, "possible", plan->n_obstacles == 0) &&
                       put_text(object, "strategy", strategy) &&
                       put_text(object, "why", plan->why) &&
                       put_value(object, "obstacles", shape_obstacles(plan)) &&
                       put_value(object, "vm", shape_job_vm(&plan->job)) &&
                       put_disk(object, plan, 0) &&
                       put_u64(object, "bytes", plan->bytes) &&
                       put_i64(object, "expectedSeconds", plan->expected_s) &&
                       put_value(object, "disks", shape_disks(plan)));
}
