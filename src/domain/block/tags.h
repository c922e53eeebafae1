/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Writing a block domain's metadata: always one commit of all tags.
 */
#ifndef DRAY_DOMAIN_BLOCK_TAGS_H
#define DRAY_DOMAIN_BLOCK_TAGS_H

#include <dray/format/block.h>
#include <dray/lvm.h>
#include <dray/ports/storage.h>

/* The PV map becomes what the report's PVs are: entries that are there stay,
 * others follow in the order of info->devices. */
int block_tags_map(struct format_domain *domain,
                   const struct lvm_report *report,
                   const struct domain_info *info, struct err *err);

/* The VG's tags become those of the metadata, and say that it is a domain.
 * Nothing is written when they do already. */
int block_tags_write(struct lvm *lvm, const struct lvm_vg *vg,
                     const struct format_domain *domain, int64_t deadline_ms,
                     struct err *err);

#endif
