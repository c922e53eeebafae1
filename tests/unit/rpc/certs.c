/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See certs.h.
 */
#include "certs.h"

#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    DAY_S = 24 * 3600
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

const char *certs_path(const struct certs *certs, const char *format,
                       const char *name)
{
    static char paths[3][128];
    static unsigned next;
    char file[64];
    char *path = paths[next++ % 3];
    const char *star = strchr(format, '*');
    must(str_format(file, sizeof(file), "%.*s%s%s",
                    (int)(star ? star - format : 0), format, star ? name : "",
                    star ? star + 1 : format));
    must(str_format(path, sizeof(paths[0]), "%s/%s", certs->dir, file));
    return path;
}

/* Not file_replace(): these need not survive a crash, and fsync() takes time.
 */
static void save(const struct certs *certs, const char *format,
                 const char *name, gnutls_datum_t *pem)
{
    _cleanup_close_ int fd =
        open(certs_path(certs, format, name),
             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && file_write_all(fd, pem->data, pem->size) == 0);
    gnutls_free(pem->data);
}

static gnutls_x509_privkey_t new_key(void)
{
    gnutls_x509_privkey_t key = NULL;
    must(gnutls_x509_privkey_init(&key) == 0);
    must(gnutls_x509_privkey_generate(
             key, GNUTLS_PK_ECDSA,
             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
    return key;
}

static gnutls_x509_crt_t new_crt(gnutls_x509_privkey_t key, const char *cn,
                                 long starts_s, long ends_s)
{
    static unsigned char serial = 1;
    gnutls_x509_crt_t crt = NULL;
    time_t now = time(NULL);
    must(gnutls_x509_crt_init(&crt) == 0);
    must(gnutls_x509_crt_set_version(crt, 3) == 0);
    must(gnutls_x509_crt_set_key(crt, key) == 0);
    must(gnutls_x509_crt_set_serial(crt, &serial, 1) == 0);
    must(gnutls_x509_crt_set_activation_time(crt, now + starts_s) == 0);
    must(gnutls_x509_crt_set_expiration_time(
             crt, now + (ends_s ? ends_s : DAY_S)) == 0);
    must(!cn ||
         gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
                                       (unsigned)strlen(cn)) == 0);
    serial++;
    return crt;
}

void certs_init(struct certs *certs)
{
    gnutls_datum_t pem;
    strcpy(certs->dir, "/tmp/drayd-test-certs-XXXXXX");
    must(mkdtemp(certs->dir));
    certs->ca_key = new_key();
    certs->ca = new_crt(certs->ca_key, "test CA", -DAY_S, 0);
    must(gnutls_x509_crt_set_ca_status(certs->ca, 1) == 0);
    must(gnutls_x509_crt_set_key_usage(
             certs->ca, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN) == 0);
    must(gnutls_x509_crt_sign2(certs->ca, certs->ca, certs->ca_key,
                               GNUTLS_DIG_SHA256, 0) == 0);
    must(gnutls_x509_crt_export2(certs->ca, GNUTLS_X509_FMT_PEM, &pem) == 0);
    save(certs, "ca.pem", NULL, &pem);
}

void certs_deinit(struct certs *certs)
{
    DIR *dir = opendir(certs->dir);
    must(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        (void)unlinkat(dirfd(dir), entry->d_name, 0); /* not "." and ".." */
    (void)closedir(dir);
    must(rmdir(certs->dir) == 0);
    gnutls_x509_crt_deinit(certs->ca);
    gnutls_x509_privkey_deinit(certs->ca_key);
}

static void set_names(gnutls_x509_crt_t crt,
                      const struct certs_subject *subject)
{
    for (size_t i = 0; i < CERTS_DNS_MAX && subject->dns[i]; i++) {
        must(gnutls_x509_crt_set_subject_alt_name(
                 crt, GNUTLS_SAN_DNSNAME, subject->dns[i],
                 (unsigned)strlen(subject->dns[i]), GNUTLS_FSAN_APPEND) == 0);
    }
}

static void set_purpose(gnutls_x509_crt_t crt, const char *only)
{
    must(gnutls_x509_crt_set_key_purpose_oid(
             crt, only ? only : GNUTLS_KP_TLS_WWW_CLIENT, 0) == 0);
    must(only || gnutls_x509_crt_set_key_purpose_oid(
                     crt, GNUTLS_KP_TLS_WWW_SERVER, 0) == 0);
}

void certs_make(struct certs *certs, const char *name,
                const struct certs_subject *subject)
{
    gnutls_datum_t pem;
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crt_t crt =
        new_crt(key, subject->cn, subject->starts_s - 60, subject->ends_s);
    set_names(crt, subject);
    set_purpose(crt, subject->only);
    must(gnutls_x509_crt_sign2(crt, certs->ca, certs->ca_key, GNUTLS_DIG_SHA256,
                               0) == 0);
    must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) == 0);
    save(certs, "*.pem", name, &pem);
    must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem) == 0);
    save(certs, "*-key.pem", name, &pem);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static void add_revoked(struct certs *certs, gnutls_x509_crl_t crl,
                        const char *name)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t pem = { 0 };
    must(gnutls_load_file(certs_path(certs, "*.pem", name), &pem) == 0);
    must(gnutls_x509_crt_init(&crt) == 0);
    must(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM) == 0);
    must(gnutls_x509_crl_set_crt(crl, crt, time(NULL)) == 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_free(pem.data);
}

void certs_list(struct certs *certs, const char *name, long ends_s)
{
    gnutls_datum_t pem;
    gnutls_x509_crl_t crl = NULL;
    must(gnutls_x509_crl_init(&crl) == 0);
    must(gnutls_x509_crl_set_version(crl, 2) == 0);
    must(gnutls_x509_crl_set_this_update(crl, time(NULL) - DAY_S) == 0);
    must(gnutls_x509_crl_set_next_update(crl, time(NULL) + ends_s) == 0);
    if (name)
        add_revoked(certs, crl, name);
    must(gnutls_x509_crl_sign2(crl, certs->ca, certs->ca_key, GNUTLS_DIG_SHA256,
                               0) == 0);
    must(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem) == 0);
    save(certs, "crl.pem", NULL, &pem);
    gnutls_x509_crl_deinit(crl);
}

struct rpc_tls_files certs_files(const struct certs *certs, const char *name,
                                 bool crl, char paths[4][128])
{
    strcpy(paths[0], certs_path(certs, "ca.pem", NULL));
    strcpy(paths[1], certs_path(certs, "*.pem", name));
    strcpy(paths[2], certs_path(certs, "*-key.pem", name));
    strcpy(paths[3], certs_path(certs, "crl.pem", NULL));
    return (struct rpc_tls_files){ .ca = paths[0],
                                   .cert = paths[1],
                                   .key = paths[2],
                                   .crl = crl ? paths[3] : NULL };
}
