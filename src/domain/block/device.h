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

struct block_devices {
    size_t n;
    struct block_device devices[DOMAIN_DEVICES_MAX];
};

/* The devices for a domain, without those that @known (may be NULL) has: all
 * different, of one sector size. ERR_VALUE. */
int block_devices_look(const char *const *paths, size_t n,
                       const struct domain_info *known,
                       struct block_devices *ret_devices, struct err *err);

/* Borrowed names. */
void block_devices_names(const struct block_devices *devices,
                         const char *ret_names[DOMAIN_DEVICES_MAX]);

/* The PVs among them. */
int block_devices_scan(const struct block_devices *devices,
                       struct lvm_report *ret_report, struct err *err);

/* ERR_DOMAIN_CREATE when one is used by this host or, unless @force, holds
 * something else than what the making of VG @sd left when it broke off. */
int block_devices_check_free(const struct block_devices *devices,
                             const struct lvm_report *report, const char *sd,
                             bool force, struct err *err);

#endif
