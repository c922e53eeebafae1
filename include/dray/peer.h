/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The drayds of other hosts: implements ports/peer.h with JSON-RPC over TLS.
 */
#ifndef DRAY_PEER_H
#define DRAY_PEER_H

#include <dray/ports/peer.h>
#include <dray/rpc/tls.h>

struct peers;

/* @known: a line "NAME ADDRESS LIBVIRT_URI [MIGRATE_URI]\n" per host, ADDRESS
 * as in rpc_client_connect_tls(). @files: our certificate. Both are copied. */
int peers_new(const char *known, const struct rpc_tls_files *files,
              struct peers **ret_peers, struct err *err);
void peers_free(struct peers *peers);

struct peer_port peers_port(struct peers *peers);

#endif
