/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies and comparisons of volumes that keep their format, on the copy's
 * thread. 0, negative errno; -ECANCELED after a stop.
 */
#ifndef DRAY_COPY_SAME_H
#define DRAY_COPY_SAME_H

#include "copy.h"

/* Moves the bytes by the cheapest mover that can. */
int same_copy(struct copy *copy, struct err *err);

/* What COPY_COMPARE means for them. */
int same_compare(struct copy *copy, struct err *err);

/* Whether the parent's format is the same too: else the header of a copy is
 * changed after the bytes were moved. */
bool same_header(const struct copy_spec *spec);

/* Whether same_copy() would go on from a checkpoint. */
bool same_is_resumable(const struct copy_spec *spec, const char *state_dir);

/* ports/copier.h's probe. */
int same_probe(const char *src_path, const char *dst_dir,
               enum copy_mover *ret_mover, struct err *err);

#endif
