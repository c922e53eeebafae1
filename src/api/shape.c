/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domains, volumes, VMs and disks as JSON.
 */
#include "shape.h"

#include "put.h"

#include <json-c/json.h>
#include <string.h>

struct json_object *shape_uuids(const struct uuid_list *list)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < list->n; i++)
        ok = put_item(array, json_object_new_string(list->uuids[i]));
    return put_end(array, ok);
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case DOMAIN_TYPE_NFS:
        return "NFS";
    case DOMAIN_TYPE_FCP:
        return "FCP";
    case DOMAIN_TYPE_ISCSI:
        return "ISCSI";
    case DOMAIN_TYPE_LOCALFS:
        return "LOCALFS";
    case DOMAIN_TYPE_POSIXFS:
        return "POSIXFS";
    default:
        return "UNKNOWN";
    }
}

/* "a,b" -> ["a", "b"] */
static struct json_object *split(const char *joined)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;

    while (ok && *joined) {
        size_t n = strcspn(joined, ",");
        if (n > 0)
            ok = put_item(array, json_object_new_string_len(joined, (int)n));
        joined += n + (joined[n] == ',');
    }
    return put_end(array, ok);
}

/* What a domain is for this host. */
static bool put_state(struct json_object *object,
                      const struct domain_info *info)
{
    bool lost = info->status == DOMAIN_JOINED && info->problem[0];
    return put_text(object, "path", info->path) &&
           (!info->remote[0] ||
            (put_text(object, "remotePath", info->remote) &&
             put_text(object, "mountOptions", info->mount_options))) &&
           put_text(object, "status",
                    lost ? "unreachable" : domain_status_name(info->status)) &&
           put_flag(object, "readOnly", info->read_only) &&
           put_u64(object, "hostId", info->host_id) &&
           (!info->problem[0] || put_text(object, "problem", info->problem));
}

static struct json_object *devices_of(const struct domain_info *info)
{
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < info->n_devices; i++)
        ok = put_item(array, json_object_new_string(info->devices[i]));
    return put_end(array, ok);
}

/* VDSM names devices by the last part of their path; the VG's metadata and the
 * volumes' are on the first. */
static bool put_block(struct json_object *object,
                      const struct domain_info *info)
{
    if (!info->block)
        return true;
    const char *first = strrchr(info->devices[0], '/');
    first = first ? first + 1 : info->devices[0];
    return put_text(object, "vguuid", info->vg_uuid) &&
           put_text(object, "state", "OK") &&
           put_text(object, "metadataDevice", first) &&
           put_text(object, "vgMetadataDevice", first) &&
           put_value(object, "devices", devices_of(info)) &&
           put_u64(object, "extentSize", info->extent_bytes);
}

struct json_object *shape_domain(const struct domain_info *info)
{
    struct json_object *object = json_object_new_object();
    char version[16];
    (void)str_format(version, sizeof(version), "%u", info->version);
    return put_end(object,
                   put_text(object, "uuid", info->sd) &&
                       put_text(object, "type", type_name(info->type)) &&
                       put_text(object, "class", info->class_name) &&
                       put_text(object, "name", info->name) &&
                       put_text(object, "role", info->role) &&
                       put_value(object, "pool", split(info->pools)) &&
                       put_text(object, "version", version) &&
                       put_u64(object, "block_size", info->block_size) &&
                       put_u64(object, "alignment", info->alignment) &&
                       put_block(object, info) && put_state(object, info));
}

struct json_object *shape_domain_item(const struct domain_info *info)
{
    struct json_object *object = json_object_new_object();
    return put_end(
        object,
        put_text(object, "uuid", info->sd) &&
            put_text(object, "name", info->name) &&
            put_text(object, "type", type_name(info->type)) &&
            (!info->block || put_value(object, "devices", devices_of(info))) &&
            put_state(object, info));
}

/* VDSM's limits for the metadata area of a VG; a file domain has none. */
enum {
    MDA_BYTES_MIN = 64 * 1024 * 1024,
    MDA_FREE_PERCENT = 20,
};

struct json_object *shape_domain_stats(const struct domain_stats *stats)
{
    struct json_object *object = json_object_new_object();
    bool file = stats->mda_bytes == 0;
    bool valid = file || stats->mda_bytes >= MDA_BYTES_MIN;
    bool roomy = file || stats->mda_free_bytes / MDA_FREE_PERCENT * 100 >=
                             stats->mda_bytes;
    return put_end(object,
                   put_digits(object, "disktotal", stats->total_bytes) &&
                       put_digits(object, "diskfree", stats->free_bytes) &&
                       put_u64(object, "mdasize", stats->mda_bytes) &&
                       put_u64(object, "mdafree", stats->mda_free_bytes) &&
                       put_flag(object, "mdavalid", valid) &&
                       put_flag(object, "mdathreshold", roomy));
}

static struct json_object *shape_finding(const struct audit_finding *finding)
{
    static const char *const kinds[] = {
        [AUDIT_LEFTOVER] = "leftover",
        [AUDIT_ORPHAN] = "orphan",
        [AUDIT_MISMATCH] = "mismatch",
        [AUDIT_IDLE] = "idle",
    };
    struct json_object *object = json_object_new_object();
    return put_end(
        object,
        put_text(object, "kind", kinds[finding->kind]) &&
            (!finding->img[0] || put_text(object, "imageID", finding->img)) &&
            (!finding->vol[0] || put_text(object, "volumeID", finding->vol)) &&
            put_text(object, "text", finding->text) &&
            (!finding->repair[0] ||
             put_text(object, "repair", finding->repair)) &&
            put_flag(object, "repaired", finding->repaired));
}

struct json_object *shape_domain_audit(const struct domain_audit *audit)
{
    struct json_object *object = json_object_new_object();
    struct json_object *array = json_object_new_array();
    bool ok = array;
    for (size_t i = 0; ok && i < audit->n; i++)
        ok = put_item(array, shape_finding(&audit->findings[i]));
    return put_end(object, put_value(object, "findings", put_end(array, ok)));
}

static struct json_object *shape_lease(const struct lease_state *lease)
{
    struct json_object *object = json_object_new_object();
    struct json_object *owners = json_object_new_array();
    bool ok = owners;

    if (lease->owner_host != 0)
        ok = put_item(owners, json_object_new_uint64(lease->owner_host));
    if (!ok) {
        json_object_put(owners);
        return put_end(object, false);
    }
    ok = put_value(object, "owners", owners) &&
         put_text(object, "path", lease->path) &&
         put_u64(object, "offset", lease->offset) &&
         put_u64(object, "version", lease->version);
    return put_end(object, ok);
}

static bool put_kind(struct json_object *object, const struct volume_info *info)
{
    return put_text(object, "uuid", info->id.vol) &&
           put_text(object, "type", volume_allocation_name(info->allocation)) &&
           put_text(object, "format", volume_format_name(info->format)) &&
           put_text(object, "disktype", info->disk_type) &&
           put_text(object, "voltype", volume_role_name(info->role)) &&
           put_text(object, "legality", volume_legality_name(info->legality)) &&
           put_text(object, "status",
                    info->legality == VOLUME_ILLEGAL ? "ILLEGAL" : "OK");
}

static bool put_place(struct json_object *object,
                      const struct volume_info *info)
{
    return put_text(object, "parent", info->parent) &&
           put_text(object, "pool", "") &&
           put_text(object, "domain", info->id.sd) &&
           put_text(object, "image", info->id.img) &&
           put_value(object, "children", json_object_new_array()) &&
           put_text(object, "path", info->path);
}

struct json_object *shape_volume(const struct volume_info *info,
                                 const struct lease_state *lease)
{
    struct json_object *object = json_object_new_object();
    return put_end(
        object, put_kind(object, info) && put_place(object, info) &&
                    put_digits(object, "capacity", info->capacity) &&
                    put_text(object, "description", info->description) &&
                    put_digits(object, "ctime", info->ctime_s) &&
                    put_text(object, "mtime", "0") &&
                    put_u64(object, "generation", info->generation) &&
                    put_u64(object, "sequence", info->sequence) &&
                    put_digits(object, "apparentsize", info->apparent_bytes) &&
                    put_digits(object, "truesize", info->true_bytes) &&
                    (!lease || put_value(object, "lease", shape_lease(lease))));
}

struct json_object *shape_volume_size(const struct volume_info *info)
{
    struct json_object *object = json_object_new_object();
    return put_end(
        object, put_digits(object, "truesize", info->true_bytes) &&
                    put_digits(object, "apparentsize", info->apparent_bytes));
}

struct json_object *shape_vm(const struct vm_info *vm)
{
    struct json_object *object = json_object_new_object();
    return put_end(object,
                   put_text(object, "vmId", vm->uuid) &&
                       put_text(object, "vmName", vm->name) &&
                       put_text(object, "status", vm_state_name(vm->state)) &&
                       put_flag(object, "persistent", vm->persistent));
}

static struct json_object *shape_mirror(const struct vm_mirror *mirror)
{
    struct json_object *object = json_object_new_object();
    return put_end(object, put_text(object, "path", mirror->path) &&
                               put_flag(object, "ready", mirror->ready));
}

static bool put_disk_place(struct json_object *object,
                           const struct volume_id *place)
{
    return !place || (put_text(object, "domainID", place->sd) &&
                      put_text(object, "imageID", place->img) &&
                      put_text(object, "volumeID", place->vol));
}

struct json_object *shape_disk(const struct vm_disk *disk,
                               const struct volume_id *place)
{
    struct json_object *object = json_object_new_object();
    return put_end(
        object, put_text(object, "name", disk->target) &&
                    put_text(object, "device", disk->device) &&
                    put_text(object, "type", disk->type) &&
                    put_text(object, "path", disk->path) &&
                    put_text(object, "format", disk->format) &&
                    put_u64(object, "capacity", disk->capacity) &&
                    put_text(object, "serial", disk->serial) &&
                    put_text(object, "alias", disk->alias) &&
                    put_flag(object, "readOnly", disk->read_only) &&
                    put_u64(object, "chain", disk->chain_n) &&
                    put_flag(object, "job", disk->job) &&
                    put_disk_place(object, place) &&
                    (!disk->mirror.present ||
                     put_value(object, "mirror", shape_mirror(&disk->mirror))));
}
