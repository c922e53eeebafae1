/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What two drayds say to each other about a VM's move, as JSON: the client's
 * half. The server's is in api/peer.c.
 */
#include "room.h"

#include <dray/base/util.h>
#include <dray/rpc/blob.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

/* --- writing ----------------------------------------------------------- */

/* Takes @value over, also when it fails. */
static bool add(struct json_object *object, const char *name,
                struct json_object *value)
{
    if (object && value && json_object_object_add(object, name, value) == 0)
        return true;
    (void)json_object_put(value); /* NULL is fine */
    return false;
}

static bool add_text(struct json_object *object, const char *name,
                     const char *text)
{
    return add(object, name, json_object_new_string(text));
}

static bool add_u64(struct json_object *object, const char *name, uint64_t n)
{
    return add(object, name, json_object_new_uint64(n));
}

static bool add_flag(struct json_object *object, const char *name, bool flag)
{
    return add(object, name, json_object_new_boolean(flag));
}

/* An empty one is left out. */
static bool add_uuid(struct json_object *object, const char *name,
                     const char *uuid)
{
    return !uuid[0] || add_text(object, name, uuid);
}

static struct json_object *end(struct json_object *object, bool ok)
{
    if (ok)
        return object;
    (void)json_object_put(object); /* NULL is fine */
    return NULL;
}

static struct json_object *wire_disk(const struct peer_disk *disk)
{
    struct json_object *object = json_object_new_object();

    return end(
        object,
        add_text(object, "disk", disk->target) &&
            add_text(object, "domain", disk->domain) &&
            add_uuid(object, "fromDomain", disk->from) &&
            add_text(object, "imageID", disk->img) &&
            add_text(object, "volumeID", disk->leaf) &&
            add_text(object, "format", disk->cow ? "COW" : "RAW") &&
            add_flag(object, "sparse", disk->sparse) &&
            add_u64(object, "data", disk->data) &&
            add_u64(object, "below", disk->below) &&
            add_u64(object, "layers", disk->layers) &&
            add_u64(object, "templateSize", disk->template_size) &&
            add_u64(object, "capacity", disk->capacity) &&
            add_u64(object, "required", disk->required) &&
            add_u64(object, "templateRequired", disk->template_required) &&
            add_uuid(object, "parentID", disk->parent) &&
            add_uuid(object, "templateImageID", disk->template_img) &&
            add_uuid(object, "templateID", disk->template_vol));
}

static struct json_object *wire_disks(const struct peer_offer *offer)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < offer->n_disks; i++) {
        struct json_object *disk = wire_disk(&offer->disks[i]);

        ok = disk && json_object_array_add(array, disk) == 0;
    }
    return end(array, ok);
}

struct json_object *wire_offer(const struct peer_offer *offer)
{
    struct json_object *object = json_object_new_object();

    return end(object, add_text(object, "jobID", offer->job_id) &&
                           add_text(object, "from", offer->from) &&
                           add_text(object, "vmID", offer->vm) &&
                           add_text(object, "vmName", offer->vm_name) &&
                           add_text(object, "xml", offer->xml) &&
                           add_flag(object, "filled", offer->filled) &&
                           add(object, "disks", wire_disks(offer)));
}

struct json_object *wire_job(const char *job_id)
{
    struct json_object *object = json_object_new_object();

    return end(object, add_text(object, "jobID", job_id));
}

static struct json_object *wire_rooms(const struct peer_room *rooms, size_t n)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    for (size_t i = 0; ok && i < n; i++) {
        struct json_object *room = json_object_new_object();

        ok = add_text(room, "disk", rooms[i].target) &&
             add_u64(room, "bytes", rooms[i].bytes) &&
             json_object_array_add(array, json_object_get(room)) == 0;
        (void)json_object_put(room); /* NULL is fine */
    }
    return end(array, ok);
}

struct json_object *wire_room(const char *job_id, const struct peer_room *rooms,
                              size_t n)
{
    struct json_object *object = wire_job(job_id);

    return end(object, add(object, "room", wire_rooms(rooms, n)));
}

static struct json_object *wire_volume(const struct peer_layer *layer)
{
    const struct volume_id *id = &layer->spec.id;
    struct json_object *object = json_object_new_object();

    return end(object, add_text(object, "jobID", layer->job_id) &&
                           add_text(object, "storagedomainID", id->sd) &&
                           add_text(object, "imageID", id->img) &&
                           add_text(object, "volumeID", id->vol) &&
                           add_uuid(object, "life", layer->life));
}

struct json_object *wire_layer(const struct peer_layer *layer)
{
    const struct volume_create *spec = &layer->spec;
    struct json_object *object = wire_volume(layer);

    return end(object,
               add_text(object, "format", volume_format_name(spec->format)) &&
                   add_text(object, "allocation",
                            volume_allocation_name(spec->allocation)) &&
                   add_text(object, "parentImageID", spec->parent_img) &&
                   add_text(object, "parentID", spec->parent) &&
                   add_u64(object, "capacity", spec->capacity) &&
                   add_u64(object, "initialSize", spec->initial_bytes) &&
                   add_u64(object, "sequence", spec->sequence) &&
                   add_text(object, "diskType", spec->disk_type) &&
                   add_text(object, "description", spec->description));
}

struct json_object *wire_fill(const struct peer_layer *layer,
                              const struct volume_piece *piece)
{
    struct json_object *object = wire_volume(layer);

    return end(object,
               add_u64(object, "offset", piece->offset) &&
                   add_u64(object, "gap", piece->gap) &&
                   add(object, "data", rpc_blob_new(piece->data, piece->size)));
}

struct json_object *wire_end(const struct peer_layer *layer, uint64_t size)
{
    struct json_object *object = wire_volume(layer);

    return end(object,
               add_u64(object, "size", size) &&
                   add_text(object, "description", layer->spec.description));
}

struct json_object *wire_range(const struct peer_layer *layer,
                               const struct volume_digest *range)
{
    struct json_object *object = wire_volume(layer);

    return end(object, add_u64(object, "offset", range->offset) &&
                           add_u64(object, "size", range->size));
}

/* --- reading ----------------------------------------------------------- */

/* "" when it is not there, no string, or too long. */
static void get_text(struct json_object *object, const char *name, char *ret,
                     size_t size)
{
    struct json_object *value = NULL;

    ret[0] = '\0';
    if (json_object_object_get_ex(object, name, &value) &&
        json_object_is_type(value, json_type_string) &&
        !str_copy(ret, size, json_object_get_string(value)))
        ret[0] = '\0';
}

/* NULL when it is not there, or has more than @max. */
static struct json_object *get_array(struct json_object *object,
                                     const char *name, size_t max)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_array) ||
        json_object_array_length(value) > max)
        return NULL;
    return value;
}

/* {code, message, data?: {next}} and {code, message, next} alike. */
static void read_error(struct json_object *json, struct err *err)
{
    char message[ERR_MESSAGE_SIZE], next[ERR_NEXT_SIZE];
    struct json_object *code = NULL, *data = NULL;

    get_text(json, "message", message, sizeof(message));
    get_text(json, "next", next, sizeof(next));
    if (json_object_object_get_ex(json, "data", &data))
        get_text(data, "next", next, sizeof(next));
    str_make_line(message);
    str_make_line(next);
    (void)json_object_object_get_ex(json, "code", &code);
    (void)err_set_code(
        err, code ? (enum err_code)json_object_get_int(code) : ERR_GENERAL,
        "%s", message[0] ? message : "failed without a reason");
    if (next[0])
        (void)err_next(err, "%s", next);
}

int wire_read_error(struct json_object *json, struct err *err)
{
    read_error(json, err);
    return err->rc;
}

static int strange(struct err *err)
{
    (void)err_set(err, -EBADMSG, "its drayd's answer is not understood");
    return err_next(err, "do both hosts have the same version of drayd?");
}

/* In the same order; what is not there is false. */
static void read_flags(struct json_object *json, const char *name,
                       bool ret[PEER_DISKS_MAX])
{
    struct json_object *flags = get_array(json, name, PEER_DISKS_MAX);

    for (size_t i = 0; flags && i < json_object_array_length(flags); i++)
        ret[i] = json_object_get_boolean(json_object_array_get_idx(flags, i));
}

int wire_read_verdict(struct json_object *json, struct peer_verdict *ret,
                      struct err *err)
{
    struct json_object *obstacles =
        get_array(json, "obstacles", PEER_OBSTACLES_MAX);
    struct json_object *domains = get_array(json, "domains", PEER_DISKS_MAX);

    memset(ret, 0, sizeof(*ret));
    if (!obstacles || !domains)
        return strange(err);
    for (size_t i = 0; i < json_object_array_length(domains); i++) {
        const char *sd =
            json_object_get_string(json_object_array_get_idx(domains, i));

        if (sd && uuid_is_valid(sd))
            memcpy(ret->sd[i], sd, UUID_SIZE);
    }
    read_flags(json, "block", ret->block);
    read_flags(json, "qcow2", ret->cow);
    ret->n_obstacles = json_object_array_length(obstacles);
    for (size_t i = 0; i < ret->n_obstacles; i++) {
        ret->obstacles[i] = (struct err)ERR_INIT;
        read_error(json_object_array_get_idx(obstacles, i), &ret->obstacles[i]);
    }
    return 0;
}

static int find_word(struct json_object *json, const char *name,
                     const char *const *words, int n)
{
    char word[32];

    get_text(json, name, word, sizeof(word));
    for (int i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static bool read_paths(struct json_object *json, struct peer_status *status)
{
    struct json_object *paths = get_array(json, "paths", PEER_DISKS_MAX);

    if (!paths)
        return false;
    status->n_disks = json_object_array_length(paths);
    for (size_t i = 0; i < status->n_disks; i++) {
        const char *path =
            json_object_get_string(json_object_array_get_idx(paths, i));

        if (!path || !str_copy(status->paths[i], PEER_PATH_SIZE, path))
            return false;
    }
    return true;
}

int wire_read_status(struct json_object *json, struct peer_status *ret,
                     struct err *err)
{
    struct json_object *error = NULL;
    int stage = find_word(json, "stage", peer_stage_names, PEER_STAGE_COUNT);
    int vm = find_word(json, "vm", peer_arrival_names, VM_ARRIVAL_COUNT);

    memset(ret, 0, sizeof(*ret));
    ret->error = (struct err)ERR_INIT;
    if (stage < 0 || vm < 0 || !read_paths(json, ret))
        return strange(err);
    ret->stage = (enum peer_stage)stage;
    ret->vm = (enum vm_arrival)vm;
    get_text(json, "warning", ret->warning, sizeof(ret->warning));
    if (json_object_object_get_ex(json, "error", &error))
        read_error(error, &ret->error);
    return 0;
}

int wire_read_layer(struct json_object *json, char ret_life[UUID_SIZE],
                    bool *ret_complete, struct err *err)
{
    struct json_object *complete = NULL;
    char life[UUID_SIZE];

    get_text(json, "life", life, sizeof(life));
    if (!uuid_is_valid(life) ||
        !json_object_object_get_ex(json, "complete", &complete))
        return strange(err);
    memcpy(ret_life, life, UUID_SIZE);
    *ret_complete = json_object_get_boolean(complete);
    return 0;
}

int wire_read_digest(struct json_object *json, struct volume_digest *ret,
                     struct err *err)
{
    struct json_object *size = NULL;

    get_text(json, "digest", ret->hex, sizeof(ret->hex));
    if (!ret->hex[0] || !json_object_object_get_ex(json, "size", &size) ||
        !json_object_is_type(size, json_type_int))
        return strange(err);
    ret->n = json_object_get_uint64(size);
    return 0;
}
