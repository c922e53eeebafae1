/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's xleases volume, a file or an LV, opened for looking or held for a
 * change; and its index, in memory. Read and written directly: other hosts do
 * so, too.
 */
#ifndef DRAY_DOMAIN_XLEASE_VOLUME_H
#define DRAY_DOMAIN_XLEASE_VOLUME_H

#include "../block/vg.h"
#include "../view.h"
#include <dray/format.h>
#include <dray/ports/xlease.h>

struct xlease_volume {
    struct domains *domains;
    struct domain_info info;
    struct domain_change change; /* files; only its view when looking */
    struct block_vg vg;          /* LVs: while it is held for a change */
    int fd;
    char *index;  /* FORMAT_XLEASES_SIZE bytes, aligned */
    size_t limit; /* so many leases fit */
};

#define XLEASE_VOLUME_INIT                                                     \
    {                                                                          \
        .change = DOMAIN_CHANGE_INIT, .fd = -1                                 \
    }
#define _cleanup_xleases_ _cleanup_(xlease_volume_close)

/* Reads the index, however damaged it is. Of a joined domain. Close it also
 * after a failure; it must not be moved. */
int xlease_volume_open(struct domains *domains, const char *sd,
                       struct xlease_volume *volume, struct err *err);
/* The same under the domain's SDM lease. */
int xlease_volume_begin(struct domains *domains, const char *sd,
                        struct xlease_volume *volume, struct err *err);
void xlease_volume_close(struct xlease_volume *volume);

/* 0 or FORMAT_XLEASE_NONE. */
int xlease_volume_find(const struct xlease_volume *volume, const char *lease,
                       size_t *ret_n, struct err *err);
/* xlease_volume_find(), ERR_NO_SUCH_LEASE when there is none. */
int xlease_volume_get(const struct xlease_volume *volume, const char *lease,
                      struct lease_place *ret_place, struct err *err);
void xlease_volume_place(const struct xlease_volume *volume, size_t n,
                         const char *lease, struct lease_place *ret_place);

/* What is at the place of record @n. 0 or FORMAT_XLEASE_NONE: no lease of this
 * domain, or one that was cleared. */
int xlease_volume_leader(const struct xlease_volume *volume, size_t n,
                         struct format_leader *ret_leader, struct err *err);

/* The blocks of the index that hold these bytes of it; durable. */
int xlease_volume_write(const struct xlease_volume *volume, size_t from,
                        size_t size, struct err *err);

#endif
