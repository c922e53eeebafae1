/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Moves the bytes of one frozen volume: implements ports/copier.h. Same format:
 * direct copy that keeps holes; format change: qemu-img convert.
 */
#ifndef DRAY_COPY_H
#define DRAY_COPY_H

#include <dray/ports/copier.h>

struct copier;

int copier_new(const char *qemu_img, struct copier **ret_copier,
               struct err *err);
void copier_free(struct copier *copier);
struct copier_port copier_port(struct copier *copier);

#endif
