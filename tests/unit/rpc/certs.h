/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Certificates of all kinds, made on the spot in a directory of their own.
 */
#ifndef TESTS_RPC_CERTS_H
#define TESTS_RPC_CERTS_H

#include <dray/rpc/tls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

enum {
    CERTS_DNS_MAX = 3
};

struct certs {
    char dir[64];
    gnutls_x509_privkey_t ca_key;
    gnutls_x509_crt_t ca;
};

/* What a certificate says. */
struct certs_subject {
    const char *cn;
    const char *dns[CERTS_DNS_MAX];
    size_t dns_len;        /* of the first one; 0: up to its NUL */
    const char *only;      /* purpose, an OID; NULL: server and client */
    long starts_s, ends_s; /* from now; ends 0: in a day */
};

/* A directory with ca.pem. */
void certs_init(struct certs *certs);
void certs_deinit(struct certs *certs);

/* NAME.pem and NAME-key.pem. */
void certs_make(struct certs *certs, const char *name,
                const struct certs_subject *subject);
/* crl.pem without or with the certificate of @name (NULL: without). */
void certs_list(struct certs *certs, const char *name, long ends_s);

/* Their paths; good until the third call after. */
const char *certs_path(const struct certs *certs, const char *format,
                       const char *name);

/* All of them for @name, with crl.pem if @crl. */
struct rpc_tls_files certs_files(const struct certs *certs, const char *name,
                                 bool crl, char paths[4][128]);

#endif
