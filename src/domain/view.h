/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain opened for looking, and one held for a change: every change of
 * structure happens between domain_change_begin() and _end(), under the
 * domain's SDM lease.
 */
#ifndef DRAY_DOMAIN_VIEW_H
#define DRAY_DOMAIN_VIEW_H

#include "domains.h"

struct domain_view {
    struct domains *domains;
    struct domain_info info; /* as read just now */
    struct domain_dir root;  /* PATH/SD */
    struct domain_dir images;
};

#define DOMAIN_VIEW_INIT                                                       \
    {                                                                          \
        .root = DOMAIN_DIR_INIT, .images = DOMAIN_DIR_INIT                     \
    }
#define _cleanup_view_ _cleanup_(domain_view_close)

/* Opens a known domain and verifies its metadata; it need not be joined. */
int domain_view_open(struct domains *domains, const char *sd,
                     struct domain_view *ret_view, struct err *err);
/* The same for a domain that is perhaps not known: @info says sd and path. */
int domain_view_open_at(struct domains *domains, const struct domain_info *info,
                        struct domain_view *ret_view, struct err *err);
void domain_view_close(struct domain_view *view);

/* What a change needs of a domain: ERR_DOMAIN_ACTION unless this host has
 * joined it; unless no pool owns it. */
int domain_check_joined(const struct domain_info *info, struct err *err);
int domain_check_not_attached(const struct domain_info *info, struct err *err);

struct domain_change {
    struct domain_view view;
    bool held; /* the lease */
};

#define DOMAIN_CHANGE_INIT                                                     \
    {                                                                          \
        .view = DOMAIN_VIEW_INIT                                               \
    }
#define _cleanup_change_ _cleanup_(domain_change_end)

/* Of a joined domain that no pool owns. Waits for the lease (30 s), then reads
 * the metadata again. */
int domain_change_begin(struct domains *domains, const char *sd,
                        struct domain_change *ret_change, struct err *err);
/* The part behind the checks of what this host knows, for the scan of a
 * domain that is just being joined. Takes over @view, also when it fails. */
int domain_change_take(struct domain_view *view,
                       struct domain_change *ret_change, struct err *err);
void domain_change_end(struct domain_change *change);

#endif
