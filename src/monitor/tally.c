/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the watch tells about itself: counters, how long extensions took, and
 * what it knows of each layer.
 */
#include "core.h"
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

void core_took(struct core *core, int64_t ms)
{
    core->took_ms[core->n_took % TALLY_MAX] = ms > 0 ? ms : 0;
    core->n_took++;
}

static int compare(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The smallest that @percent of them do not exceed. */
static int64_t percentile(const int64_t *sorted, size_t n, size_t percent)
{
    return n == 0 ? 0 : sorted[(n * percent + 99) / 100 - 1];
}

void core_stats(const struct core *core, struct monitor_stats *ret_stats)
{
    int64_t sorted[TALLY_MAX];
    size_t n = core->n_took < TALLY_MAX ? core->n_took : TALLY_MAX;
    memcpy(sorted, core->took_ms, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), compare);
    *ret_stats = (struct monitor_stats){
        .extensions = core->extensions,
        .failures = core->failures,
        .pauses = core->pauses,
        .alarms = core->alarms,
        .polled = core->polled,
        .p50_ms = percentile(sorted, n, 50),
        .p99_ms = percentile(sorted, n, 99),
        .max_ms = percentile(sorted, n, 100),
    };
}

static void fill_mark(const struct core *core, const struct watched_vm *vm,
                      const struct layer *layer, struct monitor_mark *ret_mark)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    *ret_mark = (struct monitor_mark){
        .role = layer->role,
        .volume = layer->volume,
        .size_bytes = layer->is.size_bytes,
        .allocation_bytes = layer->is.allocation_bytes,
        .threshold_bytes = layer->threshold_bytes,
        .max_bytes = watermark_max(&policy, &layer->is),
        .bytes_per_s = layer->rate.bytes_per_s,
    };
    (void)str_copy(ret_mark->vm, UUID_SIZE, vm->uuid);
    (void)str_copy(ret_mark->target, DISK_TARGET_SIZE, layer->target);
    (void)str_copy(ret_mark->problem, sizeof(ret_mark->problem),
                   layer->problem);
}

/* @marks NULL: counts only. */
static size_t fill_marks(const struct core *core, const char *uuid,
                         struct monitor_mark *marks)
{
    size_t n = 0;
    list_for_each (item, &core->vms) {
        const struct watched_vm *vm =
            container_of(item, struct watched_vm, link);
        if (uuid && !str_equal(vm->uuid, uuid))
            continue;
        list_for_each (other, &vm->layers) {
            const struct layer *layer = container_of(other, struct layer, link);
            if (!layer->watched)
                continue;
            if (marks)
                fill_mark(core, vm, layer, &marks[n]);
            n++;
        }
    }
    return n;
}

int core_marks(const struct core *core, const char *vm,
               struct monitor_mark **ret_marks, size_t *ret_n, struct err *err)
{
    size_t n = fill_marks(core, vm, NULL);
    struct monitor_mark *marks = calloc(n > 0 ? n : 1, sizeof(*marks));
    if (!marks)
        return err_set(err, -ENOMEM, "watermarks: out of memory");
    *ret_n = fill_marks(core, vm, marks);
    *ret_marks = marks;
    return 0;
}
