/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a network disk is, and its one spelling as a URI (ports/hypervisor.h):
 * functions on strings. Whoever names a place, libvirt's XML, qemu or a person,
 * ends up with the same string, so that places can be compared.
 */
#ifndef DRAY_VIRT_PLACE_H
#define DRAY_VIRT_PLACE_H

#include <dray/base/err.h>
#include <limits.h>
#include <stdbool.h>

enum {
    PLACE_WORD_SIZE = 16,
    PLACE_HOST_SIZE = 256,
    PLACE_PORT_SIZE = 8,
    PLACE_SOCKET_SIZE = 256,
    PLACE_NAME_SIZE = 1024,
};

/* All strings are plain: nothing in them is escaped but the query. */
struct place {
    char protocol[PLACE_WORD_SIZE];  /* nbd, iscsi, rbd, ... */
    char transport[PLACE_WORD_SIZE]; /* unix, rdma; "": TCP */
    char host[PLACE_HOST_SIZE];      /* without brackets; "" for none */
    char port[PLACE_PORT_SIZE];      /* "": the protocol's own */
    char socket[PLACE_SOCKET_SIZE];  /* of transport unix */
    char name[PLACE_NAME_SIZE];      /* export, volume/path, target/lun, path */
    char query[PLACE_NAME_SIZE];     /* http and its like: as it was given */
};

/* False for a path. */
bool place_is_uri(const char *text);

/* A URI that somebody gave us. -EINVAL for what is none, or has something in
 * it that would be lost (a user, a password, parameters). */
int place_parse(const char *uri, struct place *ret_place, struct err *err);

/* What qemu itself calls an image on the network: it escapes nothing. Lets
 * pass what place_parse() refuses as lost. 0 or -EINVAL. */
int place_parse_qemu(const char *filename, struct place *ret_place);

/* Leaves out what is understood anyway (the protocol's own port), and puts the
 * rest into one form. */
void place_simplify(struct place *place);

/* ASCII letters, in place. */
void place_lower(char *text);

/* False for what libvirt and qemu could do nothing with. */
bool place_is_usable(const struct place *place, const char **ret_why);

/* The one spelling. -ENAMETOOLONG. */
int place_format(const struct place *place, char ret_uri[PATH_MAX]);

/* A path as it is, a URI in the one spelling. -EINVAL, -ENAMETOOLONG. */
int place_normalize(const char *text, char ret_place[PATH_MAX],
                    struct err *err);

#endif
