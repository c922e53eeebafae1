/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A volume to be made, as it was asked for.
 */
#ifndef DRAY_DOMAIN_VOLUME_SPEC_H
#define DRAY_DOMAIN_VOLUME_SPEC_H

#include <dray/format.h>
#include <dray/ports/storage.h>

bool domain_spec_has_parent(const struct volume_create *spec);

/* Everything that is wrong whatever is in the domain. */
int domain_spec_check(const struct volume_create *spec, struct err *err);

/* The record that the volume gets. */
void domain_spec_to_record(const struct volume_create *spec,
                           struct format_volume *ret);

#endif
