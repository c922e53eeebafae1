/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu-img does for a copy, on the copy's thread. 0, negative errno;
 * -ECANCELED after a stop. What was written is durable.
 */
#ifndef DRAY_COPY_CONVERT_H
#define DRAY_COPY_CONVERT_H

#include "copy.h"

/* Into another format. */
int convert_copy(struct copy *copy, struct err *err);

/* A byte copy whose header must name its parent's new format. */
int convert_rebase(struct copy *copy, struct err *err);

/* Whether a guest would read the same from both. Parents are read too. */
int convert_compare(struct copy *copy, struct err *err);

#endif
