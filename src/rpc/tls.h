/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: certificates, and one TLS connection on a socket.
 */
#ifndef DRAY_RPC_TLS_PRIVATE_H
#define DRAY_RPC_TLS_PRIVATE_H

#include "transport.h"

#include <dray/rpc/tls.h>
#include <gnutls/gnutls.h>
#include <time.h>

enum {
    TLS_NAME_SIZE = 256,
    RECORD_HEADER = 5
};

/* tls-files.c: what was loaded; counted, sessions outlive a reload. */
struct tls_identity {
    unsigned refs;
    gnutls_certificate_credentials_t credentials;
    char name[TLS_NAME_SIZE]; /* in our certificate */
    time_t expires;           /* our certificate */
    time_t crl_expires;       /* (time_t)-1: there is no list */
};

int tls_identity_load(const struct rpc_tls_files *files,
                      struct tls_identity **ret_identity, struct err *err);
struct tls_identity *tls_identity_ref(struct tls_identity *identity);
void tls_identity_unref(struct tls_identity *identity);
void tls_identity_describe(const struct tls_identity *identity,
                           char ret_text[RPC_TLS_TEXT_SIZE]);
/* "2027-11-21" */
void tls_date(time_t when, char ret_date[16]);

/* tls-peer.c */
/* The names in a certificate, by number: false when there are no more. A name
 * with a NUL in it is "". */
bool tls_peer_name(gnutls_x509_crt_t crt, unsigned number,
                   char ret_name[TLS_NAME_SIZE]);

struct tls;
/* Whether the peer showed a certificate that @identity's CA stands for, which
 * is good now, and fit for a client (@host NULL), or for the server @host.
 * *ret_crt is the caller's. On failure *ret_alert is what to tell the peer. */
int tls_peer_verify(gnutls_session_t session,
                    const struct tls_identity *identity, const char *host,
                    gnutls_x509_crt_t *ret_crt, int *ret_alert,
                    struct err *err);

/* tls.c */
/* Called in the handshake when the peer's certificate is there. 0, or an error
 * in tls->refusal and tls->alert. */
typedef int (*tls_judge)(struct tls *tls, void *arg);

struct tls {
    struct transport transport;
    gnutls_session_t session;
    struct tls_identity *identity;
    bool server;
    tls_judge judge;
    void *judge_arg;
    struct err refusal; /* why the judge said no */
    int alert;
    size_t received;                     /* bytes */
    bool eof;                            /* and no more will come */
    unsigned char first;                 /* byte of all */
    unsigned char header[RECORD_HEADER]; /* of a record that is not here */
    size_t header_len;
    size_t body_left;
    size_t unsent;      /* what an unfinished write() was given */
    enum rpc_role role; /* the judge's */
};

/* @flags: GNUTLS_SERVER or GNUTLS_CLIENT, and more. Takes @fd over, also when
 * it fails. */
int tls_new(int fd, unsigned flags, struct tls_identity *identity,
            struct tls **ret_tls, struct err *err);
void tls_free(struct tls *tls);

/* 0: done; -EAGAIN: call again when the socket is ready, for writing if
 * gnutls_record_get_direction(); other: *err says why, the peer was told. */
int tls_handshake(struct tls *tls, struct err *err);

/* tls-door.c: for the server that owns it. */
struct tls_door;
void tls_door_free(struct tls_door *door);

#endif
