/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The layers below an image that no VM has open.
 */
#ifndef DRAY_VIRT_BACKING_H
#define DRAY_VIRT_BACKING_H

#include "xml.h"

/* Calls fn(arg, place) for each layer below the qcow2 image @path, as the
 * headers on the way name them. 1: fn said true. A header that cannot be read
 * ends the walk. */
int backing_walk(const char *path, xml_layer_fn fn, void *arg);

#endif
