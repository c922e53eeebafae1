/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See rig.h.
 */
#include "rig.h"
#include <assert.h>
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

enum {
    DEADLINE_MS = 30 * 1000
};

void rig_vm(unsigned vm, char ret_uuid[UUID_SIZE])
{
    (void)str_format(ret_uuid, UUID_SIZE, "%08x-0000-4000-8000-000000000000",
                     vm);
}

static size_t index_of(const struct rig *rig, const struct rig_layer *layer)
{
    return (size_t)(layer - rig->layers);
}

void rig_path(const struct rig *rig, const struct rig_layer *layer,
              char ret_path[64])
{
    (void)str_format(ret_path, 64, "/dev/vg%u/%zu", layer->vg,
                     index_of(rig, layer));
}

static void node_of(const struct rig *rig, const struct rig_layer *layer,
                    char ret_node[DISK_TARGET_SIZE])
{
    (void)str_format(ret_node, DISK_TARGET_SIZE, "%s[%zu]", layer->target,
                     index_of(rig, layer) + 1);
}

static void id_of(const struct rig *rig, const struct rig_layer *layer,
                  struct volume_id *ret_id)
{
    unsigned i = (unsigned)index_of(rig, layer);
    (void)str_format(ret_id->sd, UUID_SIZE, "%08x-0000-4000-8000-0000000000dd",
                     layer->vg);
    (void)str_format(ret_id->img, UUID_SIZE, "%08x-0000-4000-8000-000000000011",
                     i);
    (void)str_format(ret_id->vol, UUID_SIZE, "%08x-0000-4000-8000-000000000022",
                     i);
}

static struct rig_layer *by_path(struct rig *rig, const char *path)
{
    char own[64];
    for (size_t i = 0; i < rig->n_layers; i++) {
        rig_path(rig, &rig->layers[i], own);
        if (str_equal(own, path))
            return &rig->layers[i];
    }
    return NULL;
}

static unsigned vm_number(const char *uuid)
{
    return (unsigned)strtoul(uuid, NULL, 16);
}

/* --- acts --- */

static void list(struct rig *rig)
{
    struct vm_info vms[RIG_LAYERS];
    size_t n = 0;
    rig->lists++;
    memset(vms, 0, sizeof(vms));
    for (size_t i = 0; i < rig->n_layers; i++) {
        bool known = rig->layers[i].gone;
        for (size_t j = 0; j < n; j++)
            known = known || vm_number(vms[j].uuid) == rig->layers[i].vm;
        if (known)
            continue;
        rig_vm(rig->layers[i].vm, vms[n].uuid);
        vms[n++].state = VM_RUNNING;
    }
    core_listed(&rig->core, !rig->away, vms, n, rig->now_ms);
}

static void show(const struct rig *rig, const struct rig_layer *layer,
                 struct vm_layer *ret)
{
    char path[64];
    *ret = (struct vm_layer){
        .replica = layer->replica,
        .depth = layer->depth,
        .capacity = layer->capacity,
        .allocation = layer->allocation,
        .physical = layer->size,
        .threshold = layer->threshold,
    };
    rig_path(rig, layer, path);
    (void)str_copy(ret->path, sizeof(ret->path), path);
    (void)str_copy(ret->target, sizeof(ret->target), layer->target);
    (void)str_copy(ret->format, sizeof(ret->format), layer->format);
    node_of(rig, layer, ret->node);
}

static void look(struct rig *rig, const char *uuid)
{
    static struct vm_layer layers[RIG_LAYERS];
    struct sight sight = { .layers = layers, .err = ERR_INIT };
    unsigned vm = vm_number(uuid);
    rig->looks++;
    for (size_t i = 0; i < rig->n_layers; i++) {
        if (rig->layers[i].vm == vm && !rig->layers[i].gone)
            show(rig, &rig->layers[i], &layers[sight.n++]);
    }
    if (vm < 16 && rig->paused[vm] && rig->full_target[vm][0]) {
        sight.paused = true;
        (void)str_copy(sight.paused_target, sizeof(sight.paused_target),
                       rig->full_target[vm]);
    }
    if (rig->away)
        sight.rc = err_set_code(&sight.err, ERR_NOT_RESPONDING, "away");
    core_seen(&rig->core, uuid, &sight, rig->now_ms);
}

static void locate(struct rig *rig, const char *path)
{
    struct place found = { .state = PLACE_UNKNOWN };
    const struct rig_layer *layer = by_path(rig, path);
    rig->locates++;
    if (rig->hold_locates) {
        assert(rig->n_held < 8);
        (void)str_copy(rig->held[rig->n_held++], 64, path);
        return;
    }
    if (!rig->no_locate)
        found.state = !layer || layer->foreign ? PLACE_FOREIGN : PLACE_OURS;
    if (found.state == PLACE_OURS) {
        id_of(rig, layer, &found.volume);
        found.block = layer->vg > 0;
        found.extent_bytes = 128 * MIB;
    }
    core_located(&rig->core, path, &found, rig->now_ms);
}

static void note_order(struct rig *rig, const struct rig_layer *layer)
{
    size_t used = strlen(rig->order);
    const char *role = layer->depth > 0 ? "base" : "source";
    bool fits =
        str_format(rig->order + used, sizeof(rig->order) - used, "%s:%s ",
                   layer->target, layer->replica ? "replica" : role);
    assert(fits);
    (void)fits;
}

static void grow(struct rig *rig, const struct act *act)
{
    size_t i = strtoul(act->volume.vol, NULL, 16);
    struct rig_layer *layer = &rig->layers[i];
    struct rig_vg *vg = &rig->vgs[layer->vg];
    struct rig_growth *growth = rig->growths;
    while (growth->busy)
        growth++;
    assert(growth < rig->growths + RIG_GROWTHS);
    *growth = (struct rig_growth){
        .busy = true,
        .due_ms = rig->now_ms + (vg->hangs ? DEADLINE_MS : vg->grow_ms),
        .result = {.layer = act->layer, .err = ERR_INIT},
        .layer = layer,
        .bytes = act->bytes,
        .least_bytes = act->least_bytes,
    };
    (void)str_copy(growth->result.vm, UUID_SIZE, act->vm);
    (void)str_copy(growth->result.sd, UUID_SIZE, act->volume.sd);
    note_order(rig, layer);
    if (++vg->running > vg->most_running)
        vg->most_running = vg->running;
}

static void arm(struct rig *rig, const struct act *act)
{
    struct err err = ERR_INIT;
    if (rig->arm_rc < 0)
        (void)err_set(&err, rig->arm_rc, "qemu does not want to");
    for (size_t i = 0; i < rig->n_layers && rig->arm_rc == 0; i++) {
        struct rig_layer *layer = &rig->layers[i];
        char node[DISK_TARGET_SIZE];
        node_of(rig, layer, node);
        if (layer->vm != vm_number(act->vm) || !str_equal(node, act->node))
            continue;
        layer->threshold = act->bytes;
        layer->sets++;
    }
    core_armed(&rig->core, act->vm, act->layer, &err, rig->now_ms);
}

static void resume(struct rig *rig, const char *uuid)
{
    struct err err = ERR_INIT;
    unsigned vm = vm_number(uuid);
    bool did = false;
    if (rig->resume_rc < 0) {
        (void)err_set(&err, rig->resume_rc, "qemu does not want to");
    } else if (rig->paused[vm] && rig->full_target[vm][0]) {
        rig->paused[vm] = false;
        rig->resumed[vm]++;
        did = true;
    }
    core_resumed(&rig->core, uuid, did, &err, rig->now_ms);
}

static void do_act(struct rig *rig, struct act *act)
{
    switch (act->kind) {
    case ACT_LIST:
        list(rig);
        break;
    case ACT_LOOK:
        look(rig, act->vm);
        break;
    case ACT_LOCATE:
        locate(rig, act->path);
        break;
    case ACT_GROW:
        grow(rig, act);
        break;
    case ACT_ARM:
        arm(rig, act);
        break;
    case ACT_RESUME:
        resume(rig, act->vm);
        break;
    case ACT_EVENT:
        assert(rig->n_events < RIG_LOG);
        rig->events[rig->n_events++] = act->event;
        break;
    case ACT_ANSWER:
        rig->answers++;
        rig->answer = act->err;
        break;
    }
    act_free(act);
}

static void do_acts(struct rig *rig)
{
    struct act *act = NULL;
    unsigned n = 0;
    while ((act = core_next_act(&rig->core)) != NULL) {
        do_act(rig, act);
        assert(++n < 5000); /* it must come to rest */
    }
}

void rig_locate_held(struct rig *rig)
{
    rig->hold_locates = false;
    while (rig->n_held > 0)
        locate(rig, rig->held[--rig->n_held]);
    do_acts(rig);
}

/* --- time --- */

static bool take_space(struct rig *rig, struct rig_growth *growth,
                       uint64_t bytes)
{
    struct rig_vg *vg = &rig->vgs[growth->layer->vg];
    uint64_t size = growth->layer->size;
    growth->result.bytes = bytes > size ? bytes : size;
    if (bytes <= size || vg->deaf)
        return true;
    if (bytes - size > vg->free_bytes)
        return false;
    vg->free_bytes -= bytes - size;
    growth->layer->size = bytes;
    return true;
}

static void end_growth(struct rig *rig, struct rig_growth *growth)
{
    struct rig_vg *vg = &rig->vgs[growth->layer->vg];
    struct growth *result = &growth->result;
    growth->busy = false;
    vg->running--;
    if (vg->hangs) {
        result->rc = err_set(&result->err, -ETIMEDOUT, "storage hangs");
    } else if (!take_space(rig, growth, growth->bytes)) {
        result->rc = err_set_code(
            &result->err, ERR_NO_SPACE, "VG %u has %llu bytes left",
            growth->layer->vg, (unsigned long long)vg->free_bytes);
        result->least = growth->least_bytes > 0 &&
                        take_space(rig, growth, growth->least_bytes);
        if (result->least)
            result->rc = 0;
    }
    core_grown(&rig->core, result, rig->now_ms);
}

static void end_growths(struct rig *rig)
{
    for (size_t i = 0; i < RIG_GROWTHS; i++) {
        struct rig_growth *growth = &rig->growths[i];
        if (!growth->busy || growth->due_ms > rig->now_ms)
            continue;
        end_growth(rig, growth);
        do_acts(rig);
    }
}

static int64_t next_ms(const struct rig *rig, int64_t end_ms)
{
    int64_t next = core_next_ms(&rig->core, rig->now_ms);
    for (size_t i = 0; i < RIG_GROWTHS; i++) {
        if (rig->growths[i].busy && rig->growths[i].due_ms < next)
            next = rig->growths[i].due_ms;
    }
    return next < end_ms ? next : end_ms;
}

void rig_run(struct rig *rig, int64_t ms)
{
    int64_t end_ms = rig->now_ms + ms;
    do_acts(rig);
    for (;;) {
        end_growths(rig);
        core_tick(&rig->core, rig->now_ms);
        do_acts(rig);
        if (rig->now_ms >= end_ms)
            return;
        int64_t next = next_ms(rig, end_ms);
        assert(next > rig->now_ms);
        rig->now_ms = next;
    }
}

/* --- the world --- */

void rig_init(struct rig *rig)
{
    const struct monitor_options options = { .policy = watermark_defaults() };
    memset(rig, 0, sizeof(*rig));
    rig->now_ms = 1000000;
    for (size_t i = 0; i <= RIG_VGS; i++)
        rig->vgs[i] =
            (struct rig_vg){ .free_bytes = 1000 * GIB, .grow_ms = 20 };
    core_init(&rig->core, &options, rig->now_ms);
}

void rig_deinit(struct rig *rig)
{
    core_deinit(&rig->core);
}

struct rig_layer *rig_add(struct rig *rig, unsigned vm, const char *target,
                          unsigned vg, uint64_t size)
{
    assert(rig->n_layers < RIG_LAYERS && vg <= RIG_VGS);
    struct rig_layer *layer = &rig->layers[rig->n_layers++];
    *layer = (struct rig_layer){
        .vm = vm, .vg = vg, .size = size, .capacity = 100 * GIB
    };
    (void)str_copy(layer->target, sizeof(layer->target), target);
    (void)str_copy(layer->format, sizeof(layer->format), "qcow2");
    return layer;
}

void rig_alarm(struct rig *rig, enum vm_alarm_kind kind,
               const struct rig_layer *layer)
{
    struct vm_alarm alarm = { .kind = kind };
    if (rig->lost)
        return;
    rig_vm(layer->vm, alarm.vm);
    if (kind == VM_ALARM_THRESHOLD)
        node_of(rig, layer, alarm.node);
    core_alarm(&rig->core, &alarm, rig->now_ms);
    do_acts(rig);
}

void rig_write(struct rig *rig, struct rig_layer *layer, uint64_t allocation)
{
    if (allocation > layer->allocation)
        layer->allocation = allocation;
    bool fired = layer->threshold > 0 && layer->allocation > layer->threshold;
    if (fired)
        layer->threshold = 0;
    if (fired)
        rig_alarm(rig, VM_ALARM_THRESHOLD, layer);
    if (allocation <= layer->size || layer->replica)
        return;
    rig->paused[layer->vm] = true;
    (void)str_copy(rig->full_target[layer->vm], 8, layer->target);
    rig_alarm(rig, VM_ALARM_NO_SPACE, layer);
}

/* --- what happened --- */

size_t rig_count(const struct rig *rig, enum monitor_event_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < rig->n_events; i++)
        n += rig->events[i].kind == kind;
    return n;
}

const struct monitor_event *rig_last(const struct rig *rig,
                                     enum monitor_event_kind kind)
{
    for (size_t i = rig->n_events; i > 0; i--) {
        if (rig->events[i - 1].kind == kind)
            return &rig->events[i - 1];
    }
    return NULL;
}

struct monitor_mark rig_mark(struct rig *rig, const struct rig_layer *layer)
{
    struct monitor_mark *marks = NULL;
    struct monitor_mark found = { 0 };
    struct volume_id id;
    size_t n = 0;
    id_of(rig, layer, &id);
    int rc = core_marks(&rig->core, NULL, &marks, &n, NULL);
    assert(rc == 0);
    (void)rc;
    for (size_t i = 0; i < n; i++) {
        if (str_equal(marks[i].volume.vol, id.vol))
            found = marks[i];
    }
    free(marks);
    return found;
}
