/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: the server's second door, and its limits for the tests.
 */
#ifndef DRAY_RPC_TLS_DOOR_H
#define DRAY_RPC_TLS_DOOR_H

#include "accept.h"
#include "tls.h"

#include <dray/base/list.h>
#include <stdint.h>

/* So many lines in one period, then a number. */
struct quiet {
    int64_t until_ms;
    unsigned n;
};

struct tls_door {
    struct rpc_server *server;
    struct acceptor acceptor;
    struct tls_identity *identity;
    char *roles;
    struct list half; /* handshakes, the oldest first */
    size_t n_half;
    uint64_t handshake_ms;
    sd_event_source *deadline; /* the oldest one's */
    sd_event_source *review;   /* of suspects */
    struct quiet refused;
    struct quiet unfinished;
};

/* RPC_ROLE_NONE: nobody of that name. */
enum rpc_role tls_role_of(const char *roles, const char *name);

#endif
