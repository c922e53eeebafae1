/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume's record in its image's directory. While a volume is being made or
 * removed its record is VOL.meta.new alone; VOL.meta is what makes a volume
 * one.
 */
#ifndef DRAY_DOMAIN_RECORD_H
#define DRAY_DOMAIN_RECORD_H

#include "dir.h"
#include <dray/format.h>

/* 0 or DOMAIN_NONE. Verifies that the record is one of domain @sd. */
int domain_record_read(const struct domain_dir *image, const char *sd,
                       const char *vol, struct format_volume *ret_record,
                       struct err *err);

/* The record of a volume that was cut off while it was made or removed. 0, or
 * DOMAIN_NONE: there is none such, or nothing else was done yet. */
int domain_record_read_cut(const struct domain_dir *image, const char *sd,
                           const char *vol, struct format_volume *ret_record,
                           struct err *err);

/* Writes VOL.meta.new, durably. An older one is replaced. */
int domain_record_announce(const struct domain_dir *image, const char *vol,
                           const struct format_volume *record,
                           const struct domain_owner *owner, struct err *err);

/* VOL.meta.new becomes VOL.meta, durably. */
int domain_record_commit(const struct domain_dir *image, const char *vol,
                         struct err *err);

/* VOL.meta becomes VOL.meta.new, durably: the volume is no more. */
int domain_record_retract(const struct domain_dir *image, const char *vol,
                          struct err *err);

/* Replaces the record of a volume. Refused for one that other images link to:
 * they would keep the old one. */
int domain_record_replace(const struct domain_dir *image, const char *vol,
                          const struct format_volume *record,
                          const struct domain_owner *owner, struct err *err);

/* ERR_VOLUME_BUSY when a qemu process has the volume's data open. */
int domain_record_check_unused(const struct domain_dir *image, const char *vol,
                               struct err *err);

/* Undoes or completes what was cut off for @vol: a volume that is not quite
 * there goes away, an update that was not committed is forgotten. *ret_mended
 * tells whether the volume was removed. */
int domain_record_mend(const struct domain_dir *image, const char *vol,
                       bool *ret_mended, struct err *err);

#endif
