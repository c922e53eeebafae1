/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Comparing a copy with its source, on the copy's thread.
 */
#ifndef DRAY_COPY_COMPARE_H
#define DRAY_COPY_COMPARE_H

#include "copy.h"
#include "side.h"

/* All bytes of the source behind @from, which is of whole blocks. 0 they are
 * equal, ERR_IMAGE_VERIFICATION, other negative errno. */
int compare_bytes(struct copy *copy, const struct pair *pair, uint64_t from,
                  struct err *err);

/* The error of a difference at @where. */
int compare_differs(struct err *err, const struct copy_spec *spec,
                    const char *where);

#endif
