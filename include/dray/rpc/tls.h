/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TLS beside the unix socket: the same JSON-RPC with the same limits, TLS 1.2
 * or newer, certificates on both sides. A peer's role follows from the name in
 * its certificate: a DNS name among its alternative names, else its common
 * name. Whoever cannot show a good certificate of a known name is refused in
 * the handshake and logged; every handshake is a full one, so that what was
 * revoked stays out.
 *
 * A peer can only harm itself: handshakes in progress are bounded in number,
 * time and bytes, and when there are too many the oldest makes room.
 */
#ifndef DRAY_RPC_TLS_H
#define DRAY_RPC_TLS_H

#include <dray/base/err.h>
#include <dray/rpc/server.h>

struct rpc_client;

enum {
    RPC_TLS_HALF_OPEN_MAX = 256,          /* handshakes in progress */
    RPC_TLS_HANDSHAKE_S = 10,             /* one of them, all of it */
    RPC_TLS_HANDSHAKE_BYTES = 128 * 1024, /* received before its end */
    RPC_TLS_TEXT_SIZE = 320,
    RPC_TLS_REQUEST_S = 30, /* from the first byte of a request to its last */
};

#define RPC_TLS_PKI_DIR "/etc/drayd/pki"
#define RPC_TLS_PORT    16515

/* PEM files. */
struct rpc_tls_files {
    const char *ca;   /* who may sign the other side's certificate */
    const char *cert; /* ours, then what leads to the CA; with the private key
                         it may serve both sides */
    const char *key;
    const char *crl; /* revoked certificates; NULL or "": there is no list */
};

struct rpc_tls_options {
    struct rpc_tls_files files;
    /* One "NAME ROLE\n" per peer that may come, ROLE full or read; names in
     * any case. */
    const char *roles;
};

/* Binds and listens on a numeric address, which may come up later. */
int rpc_tls_listen(const char *address, unsigned port, int *ret_fd,
                   struct err *err);

/* Serves TLS on @fd (a listening stream socket; taken over when it succeeds).
 * Once per server, which ends it. */
int rpc_tls_open(struct rpc_server *server, int fd,
                 const struct rpc_tls_options *options, struct err *err);

/* New files and roles, for those who are connected too: who would be refused
 * now is cut off. When the files do not load everything stays as it is. */
int rpc_tls_reload(struct rpc_server *server,
                   const struct rpc_tls_options *options, struct err *err);

/* "NAME, certificate good until DAY" of what is in use; returns @text. */
const char *rpc_tls_describe(const struct rpc_server *server,
                             char text[RPC_TLS_TEXT_SIZE]);

/* The same of files that load. */
int rpc_tls_check(const struct rpc_tls_files *files,
                  char ret_text[RPC_TLS_TEXT_SIZE], struct err *err);

/* "NAME[:PORT]" or "[ADDRESS]:PORT", whose certificate has to be for NAME. The
 * files are those of @pki_dir: ca.pem, cert.pem, key.pem, and crl.pem if it is
 * there. Blocks, for a bounded time. */
int rpc_client_connect_tls(const char *host, const char *pki_dir,
                           struct rpc_client **ret_client, struct err *err);

/* The same with these files, for a drayd that calls another. */
int rpc_client_connect_peer(const char *host, const struct rpc_tls_files *files,
                            struct rpc_client **ret_client, struct err *err);

#endif
