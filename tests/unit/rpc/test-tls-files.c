/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What loads and what does not, and the names in certificates.
 */
#include "../../../src/rpc/tls-door.h"
#include "certs.h"

#include <dray/base/file.h>
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct certs certs;
static char paths[4][128];

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    certs_make(&certs, "host",
               &(struct certs_subject){ .cn = "x", .dns = { "Host" } });
    certs_make(&certs, "other", &(struct certs_subject){ .cn = "other" });
    certs_list(&certs, NULL, 3600);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_deinit(&certs);
    return 0;
}

static void loads(const struct rpc_tls_files *files)
{
    struct err err = ERR_INIT;
    char text[RPC_TLS_TEXT_SIZE];
    assert_int_equal(rpc_tls_check(files, text, &err), 0);
    assert_true(str_starts_with(text, "Host, certificate good until 20"));
}

/* With an error that names @path and says @why. */
static void does_not_load(const struct rpc_tls_files *files, const char *path,
                          const char *why)
{
    struct err err = ERR_INIT;
    char text[RPC_TLS_TEXT_SIZE];
    assert_true(rpc_tls_check(files, text, &err) < 0);
    if (!str_starts_with(err.message, path) || !strstr(err.message, why))
        fail_msg("'%s' instead of '%s ... %s'", err.message, path, why);
}

static void loads_with_and_without_a_list(void **state)
{
    (void)state;
    struct rpc_tls_files files = certs_files(&certs, "host", true, paths);
    loads(&files);
    files.crl = "";
    loads(&files);
    files.crl = NULL;
    loads(&files);
}

static void names_the_file_that_is_missing(void **state)
{
    (void)state;
    struct rpc_tls_files good = certs_files(&certs, "host", true, paths);
    struct rpc_tls_files files = good;
    files.ca = "/nonexistent/ca";
    does_not_load(&files, "/nonexistent/ca: No such file", "");
    files = good;
    files.cert = "/nonexistent/cert";
    does_not_load(&files, "/nonexistent/cert: No such file", "");
    files = good;
    files.key = "/nonexistent/key";
    does_not_load(&files, "/nonexistent/key: No such file", "");
    files = good;
    files.crl = "/nonexistent/crl";
    does_not_load(&files, "/nonexistent/crl: No such file", "");
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct rpc_tls_files good = certs_files(&certs, "host", true, paths);
    struct rpc_tls_files files = good;
    files.key = certs_path(&certs, "other-key.pem", NULL);
    does_not_load(&files, good.cert, "another key");
    files = good;
    files.ca = good.key;
    does_not_load(&files, good.key, "nothing of its kind");
    files = good;
    files.cert = good.crl;
    does_not_load(&files, good.crl, "nothing of its kind");
    files = good;
    files.crl = good.cert;
    does_not_load(&files, good.cert, "nothing of its kind");
}

static void refuses_garbage_and_what_is_no_file(void **state)
{
    (void)state;
    struct rpc_tls_files good = certs_files(&certs, "host", true, paths);
    const char *bad = certs_path(&certs, "bad", NULL);
    struct rpc_tls_files files = good;
    assert_int_equal(file_replace(bad, "nonsense", 8, 0600, NULL), 0);
    files.ca = bad;
    does_not_load(&files, bad, "");
    files = good;
    files.cert = bad;
    does_not_load(&files, bad, "");
    files = good;
    files.key = bad;
    does_not_load(&files, bad, "");
    files = good;
    files.crl = bad;
    does_not_load(&files, bad, "");
    assert_int_equal(unlink(bad), 0);
    assert_int_equal(mkfifo(bad, 0600), 0);
    does_not_load(&files, bad, "no regular file");
}

static void refuses_what_others_may_touch(void **state)
{
    (void)state;
    struct rpc_tls_files files = certs_files(&certs, "host", true, paths);
    static const mode_t key_modes[] = { 0604, 0620, 0602, 0601 };
    for (size_t i = 0; i < ARRAY_SIZE(key_modes); i++) {
        assert_int_equal(chmod(files.key, key_modes[i]), 0);
        does_not_load(&files, files.key, "others may read or change it");
    }
    assert_int_equal(chmod(files.key, 0640), 0); /* a group may hold keys */
    loads(&files);
    assert_int_equal(chmod(files.ca, 0664), 0);
    does_not_load(&files, files.ca, "others may read or change it");
    assert_int_equal(chmod(files.ca, 0644), 0);
    loads(&files);
}

static void refuses_what_has_expired(void **state)
{
    (void)state;
    certs_make(&certs, "late",
               &(struct certs_subject){
                   .cn = "late", .starts_s = -7200, .ends_s = -3600 });
    struct rpc_tls_files files = certs_files(&certs, "late", true, paths);
    does_not_load(&files, files.cert, "expired on 20");
    files = certs_files(&certs, "host", true, paths);
    certs_list(&certs, NULL, -3600);
    does_not_load(&files, files.crl, "expired on 20");
    certs_list(&certs, NULL, 3600);
    loads(&files);
}

static void refuses_a_list_of_another_ca(void **state)
{
    (void)state;
    struct certs foreign;
    certs_init(&foreign);
    certs_list(&foreign, NULL, 3600);
    struct rpc_tls_files files = certs_files(&certs, "host", true, paths);
    files.crl = certs_path(&foreign, "crl.pem", NULL);
    does_not_load(&files, files.crl, "not signed by our CA");
    certs_deinit(&foreign);
}

static gnutls_x509_crt_t read_crt(const char *name)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t pem = { 0 };
    assert_int_equal(gnutls_load_file(certs_path(&certs, "*.pem", name), &pem),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), 0);
    gnutls_free(pem.data);
    return crt;
}

static void expect_names(const struct certs_subject *subject,
                         const char *const *names)
{
    char name[TLS_NAME_SIZE];
    certs_make(&certs, "named", subject);
    gnutls_x509_crt_t crt = read_crt("named");
    unsigned n = 0;
    for (; names[n]; n++) {
        assert_true(tls_peer_name(crt, n, name));
        assert_string_equal(name, names[n]);
    }
    assert_false(tls_peer_name(crt, n, name));
    gnutls_x509_crt_deinit(crt);
}

static void reads_names(void **state)
{
    (void)state;
    char too_long[TLS_NAME_SIZE + 1];
    memset(too_long, 'a', TLS_NAME_SIZE);
    too_long[TLS_NAME_SIZE] = '\0';
    expect_names(&(struct certs_subject){ .cn = "cn" },
                 (const char *const[]){ "cn", NULL });
    expect_names(
        &(struct certs_subject){
            .cn = "cn", .dns = {"a", "b.c"}
    },
        (const char *const[]){ "a", "b.c", NULL });
    expect_names(&(struct certs_subject){ .cn = NULL },
                 (const char *const[]){ NULL });
    expect_names(
        &(struct certs_subject){
            .dns = {too_long, "b"}
    },
        (const char *const[]){ "b", NULL });
}

/* "good" must not be read where "good\0.evil" stands. GnuTLS does not make such
 * a certificate: it is changed afterwards. */
static void expect_not_good(const struct certs_subject *subject)
{
    char name[TLS_NAME_SIZE] = "";
    gnutls_datum_t der;
    certs_make(&certs, "nul", subject);
    gnutls_x509_crt_t crt = read_crt("nul");
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der),
                     0);
    gnutls_x509_crt_deinit(crt);
    unsigned char *found = memmem(der.data, der.size, "goodX.evil", 10);
    assert_non_null(found);
    found[4] = '\0';
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    if (gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) == 0)
        (void)tls_peer_name(crt, 0, name);
    assert_false(str_starts_with(name, "good")); /* "" or "#13..." */
    gnutls_x509_crt_deinit(crt);
    gnutls_free(der.data);
}

static void a_name_ends_at_no_nul(void **state)
{
    (void)state;
    expect_not_good(&(struct certs_subject){ .dns = { "goodX.evil" } });
    expect_not_good(&(struct certs_subject){ .cn = "goodX.evil" });
}

static void finds_roles(void **state)
{
    (void)state;
    const char *roles = "host-b full\nMonitor.x read\nhost full\nz read\n";
    assert_int_equal(tls_role_of(roles, "host-b"), RPC_ROLE_FULL);
    assert_int_equal(tls_role_of(roles, "HOST-B"), RPC_ROLE_FULL);
    assert_int_equal(tls_role_of(roles, "host"), RPC_ROLE_FULL);
    assert_int_equal(tls_role_of(roles, "monitor.X"), RPC_ROLE_READ);
    assert_int_equal(tls_role_of(roles, "z"), RPC_ROLE_READ);
    static const char *const nobody[] = { "",        "hos",        "host-",
                                          "host-b ", "monitor",    "full",
                                          "read",    "host-b full" };
    for (size_t i = 0; i < ARRAY_SIZE(nobody); i++)
        assert_int_equal(tls_role_of(roles, nobody[i]), RPC_ROLE_NONE);
    assert_int_equal(tls_role_of("", "host"), RPC_ROLE_NONE);
}

static void refuses_hosts_that_are_none(void **state)
{
    (void)state;
    static const char *const hosts[] = { "",        ":1",      "a:",   "a:0",
                                         "a:65536", "a:x",     "[::1", "[]:1",
                                         "[::1]x",  "[::1]:0", "a:-1" };
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        struct rpc_client *client = NULL;
        struct err err = ERR_INIT;
        assert_int_equal(
            rpc_client_connect_tls(hosts[i], certs.dir, &client, &err),
            -EINVAL);
        assert_non_null(strstr(err.message, "is no NAME[:PORT]"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_with_and_without_a_list),
        cmocka_unit_test(names_the_file_that_is_missing),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_garbage_and_what_is_no_file),
        cmocka_unit_test(refuses_what_others_may_touch),
        cmocka_unit_test(refuses_what_has_expired),
        cmocka_unit_test(refuses_a_list_of_another_ca),
        cmocka_unit_test(reads_names),
        cmocka_unit_test(a_name_ends_at_no_nul),
        cmocka_unit_test(finds_roles),
        cmocka_unit_test(refuses_hosts_that_are_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
