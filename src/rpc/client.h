/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: a client on any transport.
 */
#ifndef DRAY_RPC_CLIENT_PRIVATE_H
#define DRAY_RPC_CLIENT_PRIVATE_H

#include "transport.h"

#include <dray/rpc/client.h>

/* Takes @transport over, also when it fails (NULL: no memory). */
int client_new(struct transport *transport, struct rpc_client **ret_client,
               struct err *err);

#endif
