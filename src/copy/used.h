/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where the contents of a qcow2 end, whatever the size of the device it is on.
 */
#ifndef DRAY_COPY_USED_H
#define DRAY_COPY_USED_H

#include "side.h"

/* Behind the last cluster that has a reference, never behind the end of the
 * file or device. Nobody may write to it. */
int used_end(const struct side *side, uint64_t *ret_bytes, struct err *err);

#endif
