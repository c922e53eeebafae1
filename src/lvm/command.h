/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: requests as command lines for LVM, and what a failed one
 * means.
 */
#ifndef DRAY_LVM_COMMAND_H
#define DRAY_LVM_COMMAND_H

#include "message.h"

/* NULL when out of memory. Not for reports and holds. */
char *command_of(const struct lvm_request *request, const char *vg);

/* One of the reports: @what is one bit. @lvs: only those, or all. */
char *command_of_report(enum lvm_what what, const char *vg,
                        struct lvm_names lvs);

/* lvchange --refresh of one LV. */
char *command_of_refresh(const char *vg, const char *lv);

enum verdict {
    VERDICT_FAILED,  /* the error stands */
    VERDICT_DONE,    /* things are as requested, whoever did it */
    VERDICT_REFRESH, /* in the metadata; the kernel may not know it yet */
    VERDICT_EXISTS,  /* another LV of that name */
    VERDICT_FULL,    /* the VG has not so much space */
};

/* What a failed command means when the VG (with all LVs of the request that are
 * there) looks like this. */
enum verdict command_judge(const struct lvm_request *request,
                           const struct lvm_report *report);

/* @bytes in whole extents. */
uint64_t round_up(uint64_t bytes, uint64_t extent_bytes);

#endif
