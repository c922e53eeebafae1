/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The harness's server with a TLS door, and GnuTLS clients, all on one thread
 * and on unix sockets. Certificates: "host" (the server's), "full", "read" (of
 * these roles), "nobody" (good, but of no role), "gone" (to be revoked).
 */
#ifndef TESTS_RPC_TLS_WORLD_H
#define TESTS_RPC_TLS_WORLD_H

#include "../../../src/rpc/conn.h"
#include "../../../src/rpc/tls-door.h"
#include "certs.h"
#include "harness.h"

#define TLS12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

struct tls_world {
    struct harness *h;
    struct certs certs;
    char tls_path[160];
    struct tls_door *door;
    char paths[4][128];
};

struct tls_client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

int tls_world_setup(void **state);
int tls_world_teardown(void **state);

/* Settings as at the start, for reloads. */
struct rpc_tls_options tls_world_options(struct tls_world *world);

/* A socket to the door, nothing said yet. */
int tls_world_dial(const struct tls_world *world);

/* Shows the certificate @name (NULL: none) of @certs. */
void tls_client_init(struct tls_client *client, const struct tls_world *world,
                     const struct certs *certs, const char *name,
                     const char *priority);
/* Runs both sides. 0, or GnuTLS's error. */
int tls_client_handshake(struct tls_client *client, struct tls_world *world);
/* Both of the above with the certificate of "full" and TLS 1.3; succeeds. */
void tls_client_connect(struct tls_client *client, struct tls_world *world);
void tls_client_deinit(struct tls_client *client);

/* Sends all; runs the server meanwhile. 0, or GnuTLS's error. */
int tls_client_send(struct tls_client *client, struct tls_world *world,
                    const char *text, size_t n);
/* What has come, as a fresh string. *ret_end: 0 it goes on, 1 a good-bye, else
 * GnuTLS's error. */
char *tls_client_receive(struct tls_client *client, struct tls_world *world,
                         int *ret_end);

#endif
