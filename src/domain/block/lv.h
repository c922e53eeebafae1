/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is in special LVs, read and written directly: other hosts read and write
 * there, too, so no page of ours may be old. The LVs must be active.
 */
#ifndef DRAY_DOMAIN_BLOCK_LV_H
#define DRAY_DOMAIN_BLOCK_LV_H

#include <dray/ports/storage.h>

/* @size bytes: /dev/SD/NAME. */
void block_lv_path(const struct domain_info *info, const char *lv,
                   char ret_path[PATH_MAX]);

/* @offset is a multiple of the domain's block size. */
int block_lv_read(const struct domain_info *info, const char *lv,
                  uint64_t offset, void *ret_data, size_t size,
                  struct err *err);
/* Whole blocks, the last one filled up with NULs; durable. */
int block_lv_write(const struct domain_info *info, const char *lv,
                   uint64_t offset, const void *data, size_t size,
                   struct err *err);
/* Whole blocks; durable. */
int block_lv_zero(const struct domain_info *info, const char *lv,
                  uint64_t offset, uint64_t size, struct err *err);

#endif
