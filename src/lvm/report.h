/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: LVM's own JSON reports as structs.
 */
#ifndef DRAY_LVM_REPORT_H
#define DRAY_LVM_REPORT_H

#include <dray/lvm.h>

struct json_object;

/* The fields that a report must have been asked for. */
#define REPORT_LV_FIELDS                                                       \
    "lv_name,lv_uuid,lv_size,lv_attr,lv_active,lv_device_open,lv_tags"
#define REPORT_VG_FIELDS                                                       \
    "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_mda_size,vg_mda_free,"  \
    "vg_seqno,vg_missing_pv_count,vg_tags"
#define REPORT_PV_FIELDS                                                       \
    "pv_name,pv_uuid,pv_size,pv_free,pv_pe_count,pv_mda_count,"                \
    "pv_mda_used_count,pv_mda_size,pv_missing,pv_in_use,vg_name,vg_tags"

/* Adds what one report says to @report (zero-initialised at first): rows of
 * "lv", "vg" and "pv". -EBADMSG; what was added before stays. */
int report_add(struct lvm_report *report, struct json_object *json,
               struct err *err);

/* The same for LVM's text. */
int report_add_text(struct lvm_report *report, const char *text, size_t size,
                    struct err *err);

#endif
