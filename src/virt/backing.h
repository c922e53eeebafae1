/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is known of an image that no VM has open.
 */
#ifndef DRAY_VIRT_BACKING_H
#define DRAY_VIRT_BACKING_H

#include "xml.h"
#include <stdint.h>

struct reach;

enum {
    BACKING_HANGS = 2, /* an outcome */
};

/* Calls fn(arg, place) for each layer below the qcow2 image @path, as the
 * headers on the way name them. 1: fn said true. A header that cannot be read
 * ends the walk: with BACKING_HANGS when its storage does not answer. */
int backing_walk(struct reach *reach, const char *path, xml_layer_fn fn,
                 void *arg);

/* The virtual size of an image; 0: not to be found out. */
uint64_t backing_capacity(struct reach *reach, const char *path,
                          const char *format);

#endif
