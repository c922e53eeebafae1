/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether the other side is who it says: its certificate against our CA and
 * our list of revoked ones. Without a valid list, when there should be one,
 * nobody is good.
 */
#include "tls.h"

#include <dray/base/util.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>

enum {
    CHAIN_MAX = 8
};

struct chain {
    gnutls_x509_crt_t list[CHAIN_MAX];
    unsigned n;
};

static void chain_deinit(struct chain *chain)
{
    for (unsigned i = 0; i < chain->n; i++)
        gnutls_x509_crt_deinit(chain->list[i]);
    chain->n = 0;
}

static int read_chain(gnutls_session_t session, struct chain *chain,
                      struct err *err)
{
    unsigned n = 0;
    const gnutls_datum_t *raw = gnutls_certificate_get_peers(session, &n);
    if (!raw || n == 0)
        return err_set(err, -EACCES, "it showed no certificate");
    if (n > CHAIN_MAX)
        return err_set(err, -EACCES, "it showed more than %d certificates",
                       CHAIN_MAX);
    while (chain->n < n) {
        gnutls_x509_crt_t *crt = &chain->list[chain->n];
        if (gnutls_x509_crt_init(crt) < 0)
            return err_set(err, -ENOMEM, "no memory for its certificate");
        chain->n++;
        if (gnutls_x509_crt_import(*crt, &raw[chain->n - 1],
                                   GNUTLS_X509_FMT_DER) < 0)
            return err_set(err, -EACCES, "its certificate is damaged");
    }
    return 0;
}

static bool usable(const char *name, size_t len)
{
    return len > 0 && len < TLS_NAME_SIZE && strlen(name) == len;
}

/* The @number-th of the DNS names; 1: there is one, 0: not so many. */
static int dns_name(gnutls_x509_crt_t crt, unsigned number, char *name)
{
    for (unsigned i = 0;; i++) {
        size_t len = TLS_NAME_SIZE - 1;
        int type =
            gnutls_x509_crt_get_subject_alt_name(crt, i, name, &len, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return 0;
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER || type < 0)
            continue;
        if (type != GNUTLS_SAN_DNSNAME || number-- > 0)
            continue;
        name[len] = '\0';
        if (!usable(name, len))
            name[0] = '\0';
        return 1;
    }
}

bool tls_peer_name(gnutls_x509_crt_t crt, unsigned number,
                   char ret_name[TLS_NAME_SIZE])
{
    char name[TLS_NAME_SIZE] = "";
    size_t len = sizeof(name);
    int found = dns_name(crt, number, name);
    if (!found && number == 0 && !dns_name(crt, 0, name)) {
        int r = gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
                                              0, 0, name, &len);
        found = r >= 0;
        if (r >= 0 && !usable(name, len))
            name[0] = '\0';
    }
    memcpy(ret_name, found ? name : "", found ? sizeof(name) : 1);
    return found;
}

static int say_when(unsigned status, gnutls_x509_crt_t crt, struct err *err)
{
    char date[16];
    if (status & GNUTLS_CERT_EXPIRED) {
        tls_date(gnutls_x509_crt_get_expiration_time(crt), date);
        return err_set(err, -EACCES, "its certificate expired on %s", date);
    }
    tls_date(gnutls_x509_crt_get_activation_time(crt), date);
    return err_set(err, -EACCES,
                   "its certificate is not good before %s; is a clock wrong?",
                   date);
}

static int say_other(unsigned status, struct err *err)
{
    gnutls_datum_t text = { 0 };
    int r = gnutls_certificate_verification_status_print(
        status, GNUTLS_CRT_X509, &text, 0);
    (void)err_set(err, -EACCES, "its certificate is not good: %s",
                  r < 0 ? "unknown reason" : (const char *)text.data);
    gnutls_free(text.data);
    return -EACCES;
}

/* One reason is enough: the first that the peer's admin can do something
 * about. */
static int explain(unsigned status, gnutls_x509_crt_t crt, const char *host,
                   int *ret_alert, struct err *err)
{
    *ret_alert = GNUTLS_A_BAD_CERTIFICATE;
    if (status & GNUTLS_CERT_REVOKED) {
        *ret_alert = GNUTLS_A_CERTIFICATE_REVOKED;
        return err_set(err, -EACCES, "its certificate has been revoked");
    }
    if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA |
                  GNUTLS_CERT_SIGNATURE_FAILURE)) {
        *ret_alert = GNUTLS_A_UNKNOWN_CA;
        return err_set(err, -EACCES, "our CA did not sign its certificate");
    }
    if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) {
        *ret_alert = GNUTLS_A_CERTIFICATE_EXPIRED;
        return say_when(status, crt, err);
    }
    if (status & GNUTLS_CERT_PURPOSE_MISMATCH)
        return err_set(err, -EACCES, "its certificate is not for TLS %s",
                       host ? "servers" : "clients");
    if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
        return err_set(err, -EACCES, "its certificate is not for %s", host);
    return say_other(status, err);
}

static int check_lists(const struct tls_identity *identity, struct err *err)
{
    char date[16];
    if (identity->crl_expires == (time_t)-1 ||
        identity->crl_expires >= time(NULL))
        return 0;
    tls_date(identity->crl_expires, date);
    (void)err_set(err, -EACCES,
                  "our list of revoked certificates expired on %s", date);
    return err_next(err, "make a new one");
}

static int verify(struct chain *chain, const struct tls_identity *identity,
                  const char *host, int *ret_alert, struct err *err)
{
    const char *purpose =
        host ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
    gnutls_typed_vdata_st wanted[] = {
        {GNUTLS_DT_KEY_PURPOSE_OID, (void *)purpose, 0},
        { GNUTLS_DT_DNS_HOSTNAME,   (void *)host,    0},
    };
    gnutls_x509_trust_list_t trusted = NULL;
    unsigned status = 0;
    gnutls_certificate_get_trust_list(identity->credentials, &trusted);
    int r = gnutls_x509_trust_list_verify_crt2(
        trusted, chain->list, chain->n, wanted, host ? 2 : 1,
        GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &status, NULL);
    if (r < 0)
        return err_set(err, -EACCES, "its certificate cannot be checked: %s",
                       gnutls_strerror(r));
    return status ? explain(status, chain->list[0], host, ret_alert, err)
                  : check_lists(identity, err);
}

int tls_peer_verify(gnutls_session_t session,
                    const struct tls_identity *identity, const char *host,
                    gnutls_x509_crt_t *ret_crt, int *ret_alert, struct err *err)
{
    struct chain chain = { .n = 0 };
    *ret_alert = GNUTLS_A_BAD_CERTIFICATE;
    int r = read_chain(session, &chain, err);
    if (r == 0)
        r = verify(&chain, identity, host, ret_alert, err);
    if (r == 0) {
        *ret_crt = chain.list[0];
        chain.list[0] = NULL; /* deinit() takes that */
    }
    chain_deinit(&chain);
    return r;
}
