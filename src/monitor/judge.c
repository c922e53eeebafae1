/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a look's numbers mean for one layer. All arithmetic about sizes is
 * watermark/'s; here is what it is fed with.
 *
 * qemu's number is the highest offset written since it opened the layer. So
 * - 0 says nothing, and the first step up from there need not be a rate;
 * - a write that failed at the end of the LV counts, so that after a pause for
 *   want of space the number may be beyond the end (seen);
 * - the base of a commit may be full though nothing was written to it yet.
 */
#include "core.h"
#include <dray/base/util.h>

struct watermark_policy layer_policy(const struct core *core,
                                     const struct layer *layer)
{
    struct watermark_policy policy = core->policy;
    if (layer->extent_bytes > 0)
        policy.extent_bytes = layer->extent_bytes;
    return policy;
}

struct watermark_pace layer_pace(struct core *core, const struct layer *layer)
{
    /* Out of memory: as if nothing was measured. */
    const struct lane *lane = lane_of(core, layer->volume.sd);
    return (struct watermark_pace){
        .bytes_per_s = layer->rate.bytes_per_s,
        .extension_ms = lane ? watermark_times_longest(&lane->times) : 0,
        .replicating = layer->replicating,
    };
}

static void sample_rate(const struct core *core, struct layer *layer,
                        uint64_t allocation, int64_t now_ms)
{
    uint64_t before = layer->rate.allocation_bytes;
    if (allocation == 0 || (layer->rate.known && allocation < before)) {
        layer->rate = (struct watermark_rate){ 0 };
        layer->rose = false;
    }
    if (allocation == 0)
        return;
    if (layer->rate.known && allocation > before && !layer->rose) {
        layer->rose = true;
        /* A mirror's destination begins empty: there each step is one. */
        if (!layer->replica && allocation - before > core->policy.chunk_bytes)
            layer->rate = (struct watermark_rate){ 0 };
    }
    watermark_rate_add(&layer->rate, allocation, now_ms);
}

/* A number beyond the end stands for "full" once a pause explained it. */
static uint64_t real_allocation(struct layer *layer, uint64_t allocation)
{
    uint64_t size = layer->is.size_bytes;
    if (layer->floor_bytes > size)
        layer->floor_bytes = 0; /* somebody who knew better made it smaller */
    if (allocation <= size)
        return allocation > layer->floor_bytes ? allocation
                                               : layer->floor_bytes;
    return allocation == layer->overshoot_bytes ? size : allocation;
}

void layer_stopped(const struct core *core, struct layer *layer)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    uint64_t allocation = layer->is.allocation_bytes;
    uint64_t size = layer->is.size_bytes;
    if (allocation <= size ||
        (allocation > watermark_max(&policy, &layer->is) &&
         allocation - size > policy.chunk_bytes))
        return;
    layer->overshoot_bytes = allocation;
    layer->is.allocation_bytes = size;
}

void layer_sample(struct core *core, struct layer *layer,
                  const struct vm_layer *seen, int64_t now_ms)
{
    layer->is.size_bytes = seen->physical;
    layer->is.capacity_bytes = seen->capacity;
    layer->threshold_bytes = seen->threshold;
    if (layer->grown_bytes <= seen->physical)
        layer->grown_bytes = 0;
    sample_rate(core, layer, seen->allocation, now_ms);
    layer->is.allocation_bytes = real_allocation(layer, seen->allocation);
}

uint64_t layer_left(const struct layer *layer)
{
    const struct watermark_layer *is = &layer->is;
    return is->allocation_bytes < is->size_bytes
               ? is->size_bytes - is->allocation_bytes
               : 0;
}

void layer_judge(struct core *core, struct layer *layer, bool paused)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    const struct watermark_pace pace = layer_pace(core, layer);
    layer->verdict = watermark_judge(&policy, &layer->is, &pace, paused,
                                     &layer->wanted_bytes);
    layer->right_bytes = watermark_threshold(&policy, &layer->is, &pace);
    if (layer->verdict != WATERMARK_IMPLAUSIBLE)
        layer->implausible = 0;
}

void layer_keep_up(const struct core *core, struct layer *layer,
                   const struct layer *source)
{
    const struct watermark_policy policy = layer_policy(core, layer);
    uint64_t max = watermark_max(&policy, &layer->is);
    uint64_t bytes = source->wanted_bytes < max ? source->wanted_bytes : max;
    if (layer->verdict == WATERMARK_IMPLAUSIBLE ||
        layer->is.size_bytes >= bytes)
        return;
    if (layer->verdict != WATERMARK_GROW || layer->wanted_bytes < bytes)
        layer->wanted_bytes = bytes;
    layer->verdict = WATERMARK_GROW;
}
