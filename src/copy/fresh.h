/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a destination reads zeros everywhere, so that zeros need not be
 * written: a terabyte of nothing is 128 MiB of qcow2 tables otherwise.
 */
#ifndef DRAY_COPY_FRESH_H
#define DRAY_COPY_FRESH_H

#include <dray/ports/copier.h>
#include <stdbool.h>

/* The destination of a conversion, before it. A raw file is made so: emptied
 * and given its size again. A doubt means false. */
bool fresh_make(const struct copy_spec *spec);

#endif
