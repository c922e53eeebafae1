/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where things are in a file domain, and what oVirt calls its kinds.
 */
#ifndef DRAY_DOMAIN_LAYOUT_H
#define DRAY_DOMAIN_LAYOUT_H

#include "dir.h"
#include <dray/format.h>
#include <dray/ports/lease.h>
#include <dray/ports/storage.h>

enum {
    DOMAIN_DIR_MODE = 0755,
    DOMAIN_FILE_MODE = 0660,
    DOMAIN_FILE_NAME_SIZE = UUID_SIZE + 16, /* UUID and suffixes */
};

#define DOMAIN_METADATA_DIR   "dom_md"
#define DOMAIN_IMAGES_DIR     "images"
#define DOMAIN_REMOVED_PREFIX "_remove_me_"

/* VOL, VOL.meta, VOL.meta.new, VOL.lease: what a volume's files are called. */
enum domain_part {
    PART_META,
    PART_INTENT,
    PART_LEASE
};

struct domain_file_name {
    char s[DOMAIN_FILE_NAME_SIZE];
};

struct domain_file_name domain_file_name(const char *vol,
                                         enum domain_part part);

/* When @name is the @part of a volume: its id. */
bool domain_file_is(const char *name, enum domain_part part,
                    char ret_vol[UUID_SIZE]);

/* VDSM's number of a TYPE, 0 when there is none; and back, NULL. */
unsigned domain_type_number(const char *name);
const char *domain_type_name(unsigned type);

/* PATH/SD/dom_md/NAME, or the LV; empty when it does not fit. */
void domain_special_path(const struct domain_info *info, const char *name,
                         char ret_path[PATH_MAX]);

/* Leases by their places. A domain that was never read since the start has no
 * geometry yet; then it is taken as 512 bytes and 1 MiB. */
void domain_place_lockspace(const struct domain_info *info,
                            struct lease_place *ret_place);
void domain_place_sdm(const struct domain_info *info,
                      struct lease_place *ret_place);
void domain_place_volume(const struct domain_info *info, const char *img,
                         const char *vol, struct lease_place *ret_place);

/* @size bytes: PATH/SD/images/IMG[/VOL]. False when it does not fit. */
bool domain_volume_path(const struct domain_info *info, const char *img,
                        const char *vol, char ret_path[PATH_MAX]);

#endif
