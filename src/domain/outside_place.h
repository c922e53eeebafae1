/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A place outside of all domains: a file or block device by its path, or
 * something on the network by its URI.
 */
#ifndef DRAY_DOMAIN_OUTSIDE_PLACE_H
#define DRAY_DOMAIN_OUTSIDE_PLACE_H

#include "domains.h"

enum outside_kind {
    OUTSIDE_NETWORK,
    OUTSIDE_NOTHING, /* the directory is there, the file is not */
    OUTSIDE_FILE,
    OUTSIDE_BLOCK,
};

struct outside_place {
    enum outside_kind kind;
    struct domain_dir dir;   /* links resolved; not for a URI */
    char name[NAME_MAX + 1]; /* in dir */
    char path[PATH_MAX];     /* dir and name; or the URI */
    struct stat st;          /* of the file or of the device itself */
};

#define OUTSIDE_PLACE_INIT                                                     \
    {                                                                          \
        .dir = DOMAIN_DIR_INIT                                                 \
    }
#define _cleanup_outside_ _cleanup_(outside_place_close)

/* 0, or DOMAIN_NONE: its directory is not there either. ERR_VALUE: not
 * absolute, climbs, a link to anything but a block device, another kind of
 * file, in a domain, a protocol that we do not know. */
int outside_place_open(struct domains *domains, const char *text,
                       struct outside_place *ret_place, struct err *err);
void outside_place_close(struct outside_place *place);

/* ".NAME.drayd", under which its file is made. ERR_VALUE: too long. */
int outside_place_temporary(const struct outside_place *place,
                            char ret_name[NAME_MAX + 1], struct err *err);

/* Opens the device and tells its size. With O_EXCL in @flags it must not be
 * mounted nor part of anything: ERR_VOLUME_BUSY. */
int outside_place_open_device(const struct outside_place *place, int flags,
                              int *ret_fd, uint64_t *ret_bytes,
                              struct err *err);

#endif
