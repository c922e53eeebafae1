/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names and places of the V5 format on a file system.
 */
#include "layout.h"
#include <string.h>

static const char *const suffixes[] = {
    [PART_META] = ".meta",
    [PART_INTENT] = ".meta.new",
    [PART_LEASE] = ".lease",
};

static const char *const types[] = { "NFS",  "FCP",     "ISCSI",    "LOCALFS",
                                     "CIFS", "POSIXFS", "GLUSTERFS" };

struct domain_file_name domain_file_name(const char *vol, enum domain_part part)
{
    struct domain_file_name name;
    (void)str_format(name.s, sizeof(name.s), "%.36s%s", vol, suffixes[part]);
    return name;
}

bool domain_file_is(const char *name, enum domain_part part,
                    char ret_vol[UUID_SIZE])
{
    char vol[UUID_SIZE];
    (void)str_copy(vol, sizeof(vol), name);
    if (!uuid_is_valid(vol) || !str_equal(name + UUID_SIZE - 1, suffixes[part]))
        return false;
    (void)str_copy(ret_vol, UUID_SIZE, vol);
    return true;
}

unsigned domain_type_number(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (str_equal(types[i], name))
            return i + 1;
    }
    return 0;
}

const char *domain_type_name(unsigned type)
{
    return type >= 1 && type <= ARRAY_SIZE(types) ? types[type - 1] : NULL;
}

static void place(const struct domain_info *info, struct lease_place *ret)
{
    *ret = (struct lease_place){
        .block_size = info->block_size ? info->block_size : 512,
        .alignment = info->alignment ? info->alignment : 1024 * 1024,
    };
    (void)str_copy(ret->lockspace, sizeof(ret->lockspace), info->sd);
}

/* A path that was cut would be one of something else: then there is none. */
static void place_path(struct lease_place *place, const char *path, bool fits)
{
    (void)str_copy(place->path, sizeof(place->path), fits ? path : "");
}

/* A file in dom_md, or an LV. */
static bool special_path(const struct domain_info *info, const char *name,
                         char ret_path[PATH_MAX])
{
    return str_format(ret_path, PATH_MAX, "%s/%s%s/%s", info->path, info->sd,
                      info->block ? "" : "/" DOMAIN_METADATA_DIR, name);
}

void domain_special_path(const struct domain_info *info, const char *name,
                         char ret_path[PATH_MAX])
{
    if (!special_path(info, name, ret_path))
        ret_path[0] = '\0';
}

void domain_place_lockspace(const struct domain_info *info,
                            struct lease_place *ret_place)
{
    char path[PATH_MAX];
    bool fits = special_path(info, "ids", path);
    place(info, ret_place);
    place_path(ret_place, path, fits);
}

void domain_place_sdm(const struct domain_info *info,
                      struct lease_place *ret_place)
{
    char path[PATH_MAX];
    bool fits = special_path(info, "leases", path);
    place(info, ret_place);
    place_path(ret_place, path, fits);
    (void)str_copy(ret_place->resource, sizeof(ret_place->resource), "SDM");
    ret_place->offset = ret_place->alignment;
}

void domain_place_volume(const struct domain_info *info, const char *img,
                         const char *vol, struct lease_place *ret_place)
{
    char path[PATH_MAX];
    bool fits = str_format(path, sizeof(path), "%s/%s/images/%s/%s.lease",
                           info->path, info->sd, img, vol);
    place(info, ret_place);
    place_path(ret_place, path, fits);
    (void)str_copy(ret_place->resource, sizeof(ret_place->resource), vol);
}

bool domain_volume_path(const struct domain_info *info, const char *img,
                        const char *vol, char ret_path[PATH_MAX])
{
    return str_format(ret_path, PATH_MAX, "%s/%s/images/%s%s%s", info->path,
                      info->sd, img, vol ? "/" : "", vol ? vol : "");
}
