/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to dray-lvm: what a killed LVM left behind in the kernel.
 */
#ifndef DRAY_LVM_PROCESS_RECOVER_H
#define DRAY_LVM_PROCESS_RECOVER_H

#include <dray/base/err.h>

/* Resumes the suspended LVs of the VG with the tables they had. @vg_uuid: as
 * LVM prints it. *ret_count: how many devices were touched. */
int recover(const char *vg, const char *vg_uuid, unsigned *ret_count,
            struct err *err);

#endif
