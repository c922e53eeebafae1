/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words of a volume's record, in the order of the enums in format.h.
 */
#ifndef DRAY_FORMAT_VOLUME_H
#define DRAY_FORMAT_VOLUME_H

#include <stddef.h>

extern const char *const volume_kinds[2];
extern const char *const volume_allocations[2];
extern const char *const volume_roles[3];
extern const char *const volume_legalities[3];

#endif
