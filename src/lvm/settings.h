/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: LVM's settings in dray-lvm.
 */
#ifndef DRAY_LVM_SETTINGS_H
#define DRAY_LVM_SETTINGS_H

#include "message.h"

/* Where LVM and we keep other LVM commands of this host away. */
#define LVM_LOCK_DIR "/run/lock/lvm"

/* The text of lvm.conf for a process that sees these devices only. NULL when
 * out of memory. */
char *settings_text(struct lvm_names devices);

#endif
