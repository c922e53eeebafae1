/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What device-mapper calls a volume's LV: VG-LV, each dash in either doubled.
 */
#ifndef DRAY_DOMAIN_BLOCK_NAME_H
#define DRAY_DOMAIN_BLOCK_NAME_H

#include <dray/ports/storage.h>

enum {
    BLOCK_NAME_SIZE = 4 * UUID_SIZE
};

void block_name_make(const struct volume_id *id,
                     char ret_name[BLOCK_NAME_SIZE]);
/* Domain and volume; the image is not in it. */
bool block_name_parse(const char *name, struct volume_id *ret_id);

/* The same of a device, by any of its names. Touches no storage. */
bool block_name_of(const char *device, struct volume_id *ret_id);

#endif
