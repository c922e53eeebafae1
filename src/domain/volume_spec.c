/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a volume to be made must be, before anything is touched.
 */
#include "volume_spec.h"
#include <string.h>

enum {
    CAPACITY_UNIT = 4096
};

bool domain_spec_has_parent(const struct volume_create *spec)
{
    return spec->parent[0] && !str_equal(spec->parent, UUID_BLANK);
}

static int check_format(const struct volume_create *spec, struct err *err)
{
    if (spec->format != VOLUME_RAW && spec->format != VOLUME_COW)
        return err_set_code(err, ERR_VOLUME_FORMAT,
                            "volume %s: the format is neither RAW nor COW",
                            spec->id.vol);
    if (domain_spec_has_parent(spec) && spec->format != VOLUME_COW)
        return err_set_code(err, ERR_VOLUME_FORMAT,
                            "volume %s: with a parent it must be COW",
                            spec->id.vol);
    if (spec->allocation != VOLUME_SPARSE &&
        spec->allocation != VOLUME_PREALLOCATED)
        return err_set_code(err, ERR_VOLUME_ALLOCATION,
                            "volume %s: the allocation is neither SPARSE nor "
                            "PREALLOCATED",
                            spec->id.vol);
    return 0;
}

int domain_spec_check(const struct volume_create *spec, struct err *err)
{
    int rc = check_format(spec, err);
    if (rc < 0)
        return rc;
    if (spec->disk_type[0] && !format_disk_type_is_valid(spec->disk_type))
        return err_set_code(err, ERR_VALUE,
                            "volume %s: there is no disk type \"%s\"",
                            spec->id.vol, spec->disk_type);
    if (spec->capacity == 0 || spec->capacity > INT64_MAX - CAPACITY_UNIT)
        return err_set_code(err, ERR_VALUE,
                            "volume %s: %llu bytes are no capacity",
                            spec->id.vol, (unsigned long long)spec->capacity);
    if (spec->legality != VOLUME_LEGAL && spec->legality != VOLUME_ILLEGAL)
        return err_set_code(err, ERR_VALUE,
                            "volume %s: it is made LEGAL or ILLEGAL",
                            spec->id.vol);
    if (domain_spec_has_parent(spec) && str_equal(spec->parent, spec->id.vol))
        return err_set_code(err, ERR_VALUE,
                            "volume %s cannot be its own parent", spec->id.vol);
    return 0;
}

/* A clone has exactly its original's size, and what a guest writes to from one
 * moment to the next that of its disk; others get whole blocks. */
static uint64_t capacity_of(const struct volume_create *spec)
{
    if (spec->clone || spec->exact)
        return spec->capacity;
    return (spec->capacity + CAPACITY_UNIT - 1) / CAPACITY_UNIT * CAPACITY_UNIT;
}

void domain_spec_to_record(const struct volume_create *spec,
                           struct format_volume *ret)
{
    *ret = (struct format_volume){
        .capacity = capacity_of(spec),
        .ctime_s = (uint64_t)time_wall_ms() / 1000,
        .kind = (enum format_kind)spec->format,
        .allocation = (enum format_allocation)spec->allocation,
        .role = spec->clone ? (enum format_role)spec->role : FORMAT_LEAF,
        .legality = (enum format_legality)spec->legality,
        .sequence = spec->sequence,
    };
    (void)str_copy(ret->description, sizeof(ret->description),
                   spec->description);
    (void)str_copy(ret->disk_type, sizeof(ret->disk_type),
                   spec->disk_type[0] ? spec->disk_type : "DATA");
    (void)str_copy(ret->domain, sizeof(ret->domain), spec->id.sd);
    (void)str_copy(ret->image, sizeof(ret->image), spec->id.img);
    (void)str_copy(ret->parent, sizeof(ret->parent),
                   domain_spec_has_parent(spec) ? spec->parent : UUID_BLANK);
}
