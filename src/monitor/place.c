/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose a path is. To find out takes a look at its storage, which may hang: it
 * is asked for apart, once per path, and the layer is watched from then on.
 */
#include "core.h"
#include <dray/base/util.h>
#include <string.h>

enum {
    FOREIGN_MS = 10 * 1000, /* its domain may have been joined since */
    UNKNOWN_MS = 1000,
};

static void ask_place(struct core *core, struct place *place, int64_t now_ms)
{
    char *path = strdup(place->path);
    struct act *act = path ? act_new(core, ACT_LOCATE, "") : NULL;
    if (!act) {
        free(path); /* with the next look */
        return;
    }
    act->path = path;
    place->asking = true;
    place->asked_ms = now_ms;
}

static struct place *place_find(const struct core *core, const char *path)
{
    list_for_each (item, &core->places) {
        struct place *place = container_of(item, struct place, link);
        if (str_equal(place->path, path))
            return place;
    }
    return NULL;
}

static struct place *place_new(struct core *core, const char *path)
{
    struct place *place = calloc(1, sizeof(*place));
    char *copy = strdup(path);
    if (!place || !copy) {
        free(place);
        free(copy);
        return NULL;
    }
    place->path = copy;
    list_append(&core->places, &place->link);
    return place;
}

/* What was asked and not answered is not asked again. */
static bool is_due(const struct place *place, int64_t now_ms)
{
    int64_t passed_ms = now_ms - place->asked_ms;
    return !place->asking &&
           ((place->state == PLACE_FOREIGN && passed_ms >= FOREIGN_MS) ||
            (place->state == PLACE_UNKNOWN && passed_ms >= UNKNOWN_MS) ||
            place->state == PLACE_ASKED);
}

struct place *place_of(struct core *core, const char *path, int64_t now_ms)
{
    struct place *place = place_find(core, path);
    if (!place) {
        place = place_new(core, path);
        if (place)
            ask_place(core, place, now_ms);
    } else if (is_due(place, now_ms)) {
        ask_place(core, place, now_ms);
    }
    if (place)
        place->used_ms = now_ms;
    return place;
}

void place_forget(struct core *core, const char *path)
{
    struct place *place = place_find(core, path);
    if (place)
        place_free(place);
}

static void look_where_used(struct core *core, const char *path)
{
    list_for_each (item, &core->vms) {
        struct watched_vm *vm = container_of(item, struct watched_vm, link);
        list_for_each (other, &vm->layers) {
            const struct layer *layer = container_of(other, struct layer, link);
            if (str_equal(layer->path, path))
                vm_look(vm, true);
        }
    }
}

void core_located(struct core *core, const char *path,
                  const struct place *found, int64_t now_ms)
{
    struct place *place = place_find(core, path);
    if (!place)
        return;
    bool changed = place->state != found->state;
    place->asking = false;
    place->state = found->state;
    place->volume = found->volume;
    place->block = found->block;
    place->extent_bytes = found->extent_bytes;
    if (changed)
        look_where_used(core, path);
    core_pump(core, now_ms);
}
