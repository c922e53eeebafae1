/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Certificates, private key and revocation list from their files. All is looked
 * at here that would otherwise refuse every peer later: a key that belongs to
 * another certificate, a certificate or list that has expired, a list that our
 * CA did not sign and that would therefore never match anything.
 *
 * The files are small and local; they are read on the caller's thread. A FIFO
 * in the place of one does not hold it up.
 */
#include "tls.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

enum {
    PEM_MAX = 1024 * 1024
};

/* A symbolic link is fine, as tools that renew certificates make them. */
static int read_pem(const char *path, mode_t forbidden, gnutls_datum_t *ret_pem,
                    struct err *err)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, -errno, "%s: %m", path);
    if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX)
        return err_set(err, -EINVAL, "%s: no regular file of at most 1 MiB",
                       path);
    if (st.st_mode & forbidden) {
        (void)err_set(err, -EPERM, "%s: others may read or change it", path);
        return err_next(err, "chmod 0600 %s", path);
    }
    unsigned char *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes)
        return err_set(err, -ENOMEM, "%s: no memory", path);
    ssize_t n = read(fd, bytes, (size_t)st.st_size);
    *ret_pem = (gnutls_datum_t){ bytes, n > 0 ? (unsigned)n : 0 };
    bytes[ret_pem->size] = '\0';
    return n < 0 ? err_set(err, -errno, "%s: %m", path) : 0;
}

static void wipe(gnutls_datum_t *pem)
{
    if (pem->data)
        gnutls_memset(pem->data, 0, pem->size);
    free(pem->data);
    pem->data = NULL;
}

static int explain(const char *path, int r, struct err *err)
{
    if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_set(err, -EINVAL,
                       "%s: belongs to another key than the one given", path);
    if (r == 0 || r == GNUTLS_E_NO_CERTIFICATE_FOUND ||
        r == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR ||
        r == GNUTLS_E_BASE64_DECODING_ERROR)
        return err_set(err, -EINVAL, "%s: holds nothing of its kind in PEM",
                       path);
    return err_set(err, -EINVAL, "%s: %s", path, gnutls_strerror(r));
}

void tls_date(time_t when, char ret_date[16])
{
    struct tm tm;
    if (!gmtime_r(&when, &tm) || strftime(ret_date, 16, "%Y-%m-%d", &tm) == 0)
        (void)str_copy(ret_date, 16, "an unknown day");
}

static int check_expiry(const char *path, time_t expires, struct err *err)
{
    char date[16];
    if (expires >= time(NULL))
        return 0;
    tls_date(expires, date);
    (void)err_set(err, -EKEYEXPIRED, "%s: expired on %s", path, date);
    return err_next(err, "make a new one, or set the clock");
}

/* The first certificate in @pem is ours, the others lead to the CA. */
static int inspect_own(struct tls_identity *identity, const char *path,
                       const gnutls_datum_t *pem, struct err *err)
{
    gnutls_x509_crt_t crt = NULL;
    int r = gnutls_x509_crt_init(&crt);
    if (r == 0)
        r = gnutls_x509_crt_import(crt, pem, GNUTLS_X509_FMT_PEM);
    if (r == 0) {
        identity->expires = gnutls_x509_crt_get_expiration_time(crt);
        (void)tls_peer_name(crt, 0, identity->name);
    }
    gnutls_x509_crt_deinit(crt);
    return r < 0 ? explain(path, r, err)
                 : check_expiry(path, identity->expires, err);
}

static int load_own(struct tls_identity *identity,
                    const struct rpc_tls_files *files, struct err *err)
{
    gnutls_datum_t cert = { 0 };
    gnutls_datum_t key = { 0 };
    int r = read_pem(files->cert, S_IWGRP | S_IWOTH, &cert, err);
    if (r == 0)
        r = read_pem(files->key, S_IWGRP | S_IRWXO, &key, err);
    if (r == 0)
        r = inspect_own(identity, files->cert, &cert, err);
    if (r == 0) {
        int bad = gnutls_certificate_set_x509_key_mem2(
            identity->credentials, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
        const char *path =
            bad == GNUTLS_E_CERTIFICATE_KEY_MISMATCH ? files->cert : files->key;
        r = bad < 0 ? explain(path, bad, err) : 0;
    }
    wipe(&cert);
    wipe(&key);
    return r;
}

struct authorities {
    gnutls_x509_crt_t *list;
    unsigned n;
};

static void authorities_deinit(struct authorities *authorities)
{
    for (unsigned i = 0; i < authorities->n; i++)
        gnutls_x509_crt_deinit(authorities->list[i]);
    gnutls_free(authorities->list);
}

/* *ret_authorities: a copy, to check lists with. */
static int load_authorities(struct tls_identity *identity, const char *path,
                            struct authorities *ret_authorities,
                            struct err *err)
{
    gnutls_datum_t pem = { 0 };
    int r = read_pem(path, S_IWGRP | S_IWOTH, &pem, err);
    if (r < 0)
        return r;
    int n = gnutls_certificate_set_x509_trust_mem(identity->credentials, &pem,
                                                  GNUTLS_X509_FMT_PEM);
    if (n > 0)
        n = gnutls_x509_crt_list_import2(&ret_authorities->list,
                                         &ret_authorities->n, &pem,
                                         GNUTLS_X509_FMT_PEM, 0);
    else if (n == 0)
        n = GNUTLS_E_NO_CERTIFICATE_FOUND;
    wipe(&pem);
    return n < 0 ? explain(path, n, err) : 0;
}

static int check_list(struct tls_identity *identity, const char *path,
                      gnutls_x509_crl_t crl,
                      const struct authorities *authorities, struct err *err)
{
    /* Its end is looked at below, its begin may be ahead of our clock. */
    const unsigned fine = GNUTLS_CERT_INVALID |
                          GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED |
                          GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
    unsigned status = 0;
    time_t next = gnutls_x509_crl_get_next_update(crl);
    int r = gnutls_x509_crl_verify(crl, authorities->list, (int)authorities->n,
                                   0, &status);
    if (r < 0 || status & ~fine)
        return err_set(err, -EINVAL, "%s: is not signed by our CA", path);
    if (next == (time_t)-1) /* it says nothing about its end */
        return 0;
    if (identity->crl_expires == (time_t)-1 || next < identity->crl_expires)
        identity->crl_expires = next;
    return check_expiry(path, next, err);
}

static int load_list(struct tls_identity *identity, const char *path,
                     const struct authorities *authorities, struct err *err)
{
    gnutls_datum_t pem = { 0 };
    gnutls_x509_crl_t *crls = NULL;
    unsigned n = 0;
    int r = read_pem(path, S_IWGRP | S_IWOTH, &pem, err);
    if (r < 0)
        return r;
    int bad =
        gnutls_x509_crl_list_import2(&crls, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
    if (bad < 0 || n == 0)
        r = explain(path, bad, err);
    for (unsigned i = 0; i < n && r == 0; i++)
        r = check_list(identity, path, crls[i], authorities, err);
    if (r == 0) {
        bad = gnutls_certificate_set_x509_crl(identity->credentials, crls,
                                              (int)n);
        r = bad < 0 ? explain(path, bad, err) : 0;
    }
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crl_deinit(crls[i]);
    gnutls_free(crls);
    wipe(&pem);
    return r;
}

int tls_identity_load(const struct rpc_tls_files *files,
                      struct tls_identity **ret_identity, struct err *err)
{
    struct authorities authorities = { 0 };
    struct tls_identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return err_set(err, -ENOMEM, "no memory for certificates");
    identity->refs = 1;
    identity->crl_expires = (time_t)-1;
    int r = 0;
    if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0)
        r = err_set(err, -ENOMEM, "no memory for certificates");
    if (r == 0)
        r = load_authorities(identity, files->ca, &authorities, err);
    if (r == 0)
        r = load_own(identity, files, err);
    if (r == 0 && files->crl && files->crl[0])
        r = load_list(identity, files->crl, &authorities, err);
    authorities_deinit(&authorities);
    if (r < 0) {
        tls_identity_unref(identity);
        return r;
    }
    *ret_identity = identity;
    return 0;
}

struct tls_identity *tls_identity_ref(struct tls_identity *identity)
{
    identity->refs++;
    return identity;
}

void tls_identity_unref(struct tls_identity *identity)
{
    if (!identity || --identity->refs > 0)
        return;
    if (identity->credentials)
        gnutls_certificate_free_credentials(identity->credentials);
    free(identity);
}

void tls_identity_describe(const struct tls_identity *identity,
                           char ret_text[RPC_TLS_TEXT_SIZE])
{
    char date[16];
    tls_date(identity->expires, date);
    (void)str_format(ret_text, RPC_TLS_TEXT_SIZE,
                     "%s, certificate good until %s", identity->name, date);
}

int rpc_tls_check(const struct rpc_tls_files *files,
                  char ret_text[RPC_TLS_TEXT_SIZE], struct err *err)
{
    struct tls_identity *identity = NULL;
    int r = tls_identity_load(files, &identity, err);
    if (r < 0 || !identity)
        return r;
    tls_identity_describe(identity, ret_text);
    tls_identity_unref(identity);
    return 0;
}
