/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * LUNs: what this host calls them, how large they are, what they hold.
 */
#ifndef DRAY_DOMAIN_BLOCK_DEVICE_H
#define DRAY_DOMAIN_BLOCK_DEVICE_H

#include <dray/lvm.h>
#include <dray/ports/storage.h>

struct block_device {
    char name[DOMAIN_DEVICE_SIZE]; /* /dev/mapper/NAME, /dev/sda */
    uint64_t size_bytes;
    unsigned sector_bytes; /* the smallest that can be written */
};

/* The name that LVM gives it, too; links are resolved. ERR_VALUE when it is no
 * block device. */
int block_device_name(const char *path, char ret_name[DOMAIN_DEVICE_SIZE],
                      struct err *err);

/* The devices of a domain to be, without those of @known (names; may be NULL):
 * all different, of one sector size, and used by nobody on this host.
 * ERR_VALUE, ERR_DOMAIN_CREATE. */
struct block_devices {
    size_t n;
    struct block_device devices[DOMAIN_DEVICES_MAX];
};
int block_devices_open(const char *const *paths, size_t n,
                       const struct domain_info *known,
                       struct block_devices *ret_devices, struct err *err);

/* Borrowed names. */
void block_devices_names(const struct block_devices *devices,
                         const char *ret_names[DOMAIN_DEVICES_MAX]);

/* ERR_DOMAIN_CREATE when one holds something: what it is, and of the VG @sd
 * nothing but what a creation that broke off left. */
int block_devices_check_empty(const struct block_devices *devices,
                              const char *sd, struct err *err);

#endif
