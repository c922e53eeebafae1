/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * When a layer must grow and how far. All additions saturate: a capacity from
 * a damaged record must not wrap to a small size.
 */
#include <dray/watermark.h>

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    CLUSTER_MIN = 512,
    CLUSTER_MAX = 2 * MIB,
    CLUSTER_DEFAULT = 64 * KIB,
    TABLE_ENTRY = 8,      /* bytes, of L1, L2 and refcount tables */
    REFCOUNTS_PER_16 = 2, /* bytes of one 16-bit reference count */
};

struct watermark_policy watermark_defaults(void)
{
    return (struct watermark_policy){
        .chunk_bytes = 2560ULL * MIB,
        .utilization_percent = 20,
        .replicate_factor = 2,
        .safety_factor = 4,
        .extent_bytes = 128ULL * MIB,
    };
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The largest multiple that fits when the next one would not. */
static uint64_t align_up(uint64_t value, uint64_t unit)
{
    uint64_t aligned = multiply(divide_up(value, unit), unit);
    return aligned == UINT64_MAX ? UINT64_MAX / unit * unit : aligned;
}

uint64_t watermark_qcow2_bytes(uint64_t capacity_bytes, unsigned cluster_bytes)
{
    uint64_t cluster = cluster_bytes;
    uint64_t data = divide_up(capacity_bytes, cluster);
    uint64_t l2 = divide_up(data, cluster / TABLE_ENTRY);
    uint64_t l1 = divide_up(l2, cluster / TABLE_ENTRY);
    uint64_t counted = 1 + data + l2 + l1; /* with the header */
    uint64_t total = counted;
    uint64_t before = 0;
    /* Reference counts also count their own clusters. */
    while (total != before) {
        before = total;
        uint64_t blocks = divide_up(total, cluster / REFCOUNTS_PER_16);
        uint64_t table = divide_up(blocks, cluster / TABLE_ENTRY);
        total = counted + blocks + table;
    }
    return multiply(total, cluster);
}

/* Damaged ones count as the default. */
static unsigned cluster_of(const struct watermark_layer *layer)
{
    unsigned cluster = layer->cluster_bytes;
    if (cluster < CLUSTER_MIN || cluster > CLUSTER_MAX ||
        (cluster & (cluster - 1)) != 0)
        return CLUSTER_DEFAULT;
    return cluster;
}

uint64_t watermark_max(const struct watermark_policy *policy,
                       const struct watermark_layer *layer)
{
    uint64_t full =
        watermark_qcow2_bytes(layer->capacity_bytes, cluster_of(layer));
    return align_up(add(full, layer->extra_bytes), policy->extent_bytes);
}

static uint64_t factor_of(const struct watermark_policy *policy,
                          const struct watermark_pace *pace)
{
    return pace->replicating ? policy->replicate_factor : 1;
}

/* What is written while one extension is under way, with safety. */
static uint64_t needed_by_pace(const struct watermark_policy *policy,
                               const struct watermark_pace *pace)
{
    uint64_t ms = pace->extension_ms > 0 ? (uint64_t)pace->extension_ms : 0;
    uint64_t bytes = multiply(pace->bytes_per_s, ms) / 1000;
    return multiply(bytes, policy->safety_factor);
}

uint64_t watermark_limit(const struct watermark_policy *policy,
                         const struct watermark_pace *pace)
{
    uint64_t chunk = policy->chunk_bytes * factor_of(policy, pace);
    uint64_t limit = chunk / 100 * (100 - policy->utilization_percent) +
                     chunk % 100 * (100 - policy->utilization_percent) / 100;
    return larger(limit, needed_by_pace(policy, pace));
}

/* Enough that the next extension is as far away as with the defaults. */
static uint64_t chunk_of(const struct watermark_policy *policy,
                         const struct watermark_pace *pace)
{
    uint64_t chunk = policy->chunk_bytes * factor_of(policy, pace);
    return larger(chunk, multiply(needed_by_pace(policy, pace), 5) / 4);
}

/* qemu knows the size of a layer and writes nothing beyond it. */
static bool is_plausible(const struct watermark_layer *layer)
{
    return layer->size_bytes > 0 && layer->size_bytes <= INT64_MAX &&
           layer->capacity_bytes > 0 && layer->capacity_bytes <= INT64_MAX &&
           layer->allocation_bytes <= layer->size_bytes;
}

/* A paused guest needs space even where the arithmetic says that there is
 * enough: freed clusters between used ones do not fit every request. */
static enum watermark_verdict judge_paused(
    const struct watermark_policy *policy, const struct watermark_layer *layer,
    uint64_t next, uint64_t *ret_bytes)
{
    uint64_t one_more = add(layer->size_bytes, policy->extent_bytes);
    *ret_bytes = align_up(larger(next, one_more), policy->extent_bytes);
    return WATERMARK_GROW;
}

enum watermark_verdict watermark_judge(const struct watermark_policy *policy,
                                       const struct watermark_layer *layer,
                                       const struct watermark_pace *pace,
                                       bool paused, uint64_t *ret_bytes)
{
    if (!is_plausible(layer))
        return WATERMARK_IMPLAUSIBLE;
    uint64_t max = watermark_max(policy, layer);
    uint64_t next = align_up(add(layer->size_bytes, chunk_of(policy, pace)),
                             policy->extent_bytes);
    next = smaller(next, max);
    if (paused)
        return judge_paused(policy, layer, next, ret_bytes);
    if (layer->size_bytes >= max)
        return WATERMARK_FULL_GROWN;
    uint64_t left = layer->size_bytes - layer->allocation_bytes;
    if (left >= watermark_limit(policy, pace))
        return WATERMARK_ENOUGH;
    *ret_bytes = next;
    return WATERMARK_GROW;
}

uint64_t watermark_threshold(const struct watermark_policy *policy,
                             const struct watermark_layer *layer,
                             const struct watermark_pace *pace)
{
    uint64_t limit = watermark_limit(policy, pace);
    if (layer->size_bytes >= watermark_max(policy, layer))
        return 0;
    return layer->size_bytes > limit ? layer->size_bytes - limit : 1;
}

uint64_t watermark_first(const struct watermark_policy *policy,
                         const struct watermark_layer *destination,
                         uint64_t data_bytes, const struct watermark_pace *pace)
{
    uint64_t wanted = add(data_bytes, chunk_of(policy, pace));
    wanted = smaller(align_up(wanted, policy->extent_bytes),
                     watermark_max(policy, destination));
    return larger(wanted, destination->size_bytes);
}

uint64_t watermark_settled(const struct watermark_policy *policy,
                           const struct watermark_layer *layer, bool leaf)
{
    uint64_t wanted =
        add(layer->allocation_bytes, leaf ? policy->chunk_bytes : 0);
    wanted =
        larger(align_up(wanted, policy->extent_bytes), policy->extent_bytes);
    /* A layer that had to grow beyond it needs what it has. */
    uint64_t max =
        larger(watermark_max(policy, layer),
               align_up(layer->allocation_bytes, policy->extent_bytes));
    return smaller(smaller(wanted, max), layer->size_bytes);
}
