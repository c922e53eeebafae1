/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who comes in over TLS, as what, and what ends a connection.
 */
#include "tls-world.h"

#include <dray/base/file.h>
#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CALL(id, method)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}\n"
#define OK(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":true}\n"

static void send_text(struct tls_world *world, struct tls_client *client,
                      const char *text)
{
    assert_int_equal(tls_client_send(client, world, text, strlen(text)), 0);
}

static void expect(struct tls_world *world, struct tls_client *client,
                   const char *answer, int end)
{
    int ended = 0;
    _cleanup_free_ char *text = tls_client_receive(client, world, &ended);
    assert_string_equal(text, answer);
    assert_int_equal(ended, end);
}

static void expect_alive(struct tls_world *world)
{
    struct tls_client client;
    tls_client_connect(&client, world);
    send_text(world, &client, CALL("1", "echo"));
    expect(world, &client, OK("1"), 0);
    tls_client_deinit(&client);
    _cleanup_free_ char *answer = harness_talk(world->h, CALL("2", "echo"));
    assert_string_equal(answer, OK("2"));
    assert_int_equal(world->door->n_half, 0);
    assert_int_equal(world->door->acceptor.n_clients, 0);
}

static void serves_both_versions(void **state)
{
    struct tls_world *world = *state;
    static const char *const versions[] = { TLS12, TLS13 };
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct tls_client client;
        tls_client_init(&client, world, &world->certs, "full", versions[i]);
        assert_int_equal(tls_client_handshake(&client, world), 0);
        send_text(world, &client, CALL("1", "echo") CALL("2", "echo"));
        expect(world, &client, OK("1") OK("2"), 0);
        assert_int_equal(rpc_conn_role(world->h->last_conn), RPC_ROLE_FULL);
        tls_client_deinit(&client);
        expect_alive(world);
    }
}

static void gives_the_role_of_the_name(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    tls_client_init(&client, world, &world->certs, "read", TLS13);
    assert_int_equal(tls_client_handshake(&client, world), 0);
    send_text(world, &client, CALL("1", "echo"));
    expect(world, &client, OK("1"), 0);
    assert_int_equal(rpc_conn_role(world->h->last_conn), RPC_ROLE_READ);
    assert_true(
        str_starts_with(world->h->last_conn->transport->peer, "read ("));
    tls_client_deinit(&client);
    expect_alive(world);
}

/* TLS 1.2 says it in the handshake, 1.3 after it. */
static void expect_refused(struct tls_world *world, const struct certs *certs,
                           const char *name, gnutls_alert_description_t alert)
{
    static const char *const versions[] = { TLS12, TLS13 };
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct tls_client client;
        unsigned calls = world->h->calls;
        tls_client_init(&client, world, certs, name, versions[i]);
        int r = tls_client_handshake(&client, world);
        if (r == 0) {
            (void)tls_client_send(&client, world, CALL("1", "echo"),
                                  strlen(CALL("1", "echo")));
            free(tls_client_receive(&client, world, &r));
        }
        assert_int_equal(r, GNUTLS_E_FATAL_ALERT_RECEIVED);
        assert_int_equal(gnutls_alert_get(client.session), alert);
        assert_int_equal(world->h->calls, calls);
        tls_client_deinit(&client);
    }
    expect_alive(world);
}

static void refuses_who_has_no_role(void **state)
{
    struct tls_world *world = *state;
    expect_refused(world, &world->certs, "nobody", GNUTLS_A_ACCESS_DENIED);
}

static void refuses_what_is_out_of_its_time(void **state)
{
    struct tls_world *world = *state;
    certs_make(&world->certs, "late",
               &(struct certs_subject){
                   .cn = "late", .starts_s = -7200, .ends_s = -3600 });
    expect_refused(world, &world->certs, "late", GNUTLS_A_CERTIFICATE_EXPIRED);
    certs_make(&world->certs, "late",
               &(struct certs_subject){ .cn = "late", .starts_s = 7200 });
    expect_refused(world, &world->certs, "late", GNUTLS_A_CERTIFICATE_EXPIRED);
}

static void refuses_a_servers_certificate(void **state)
{
    struct tls_world *world = *state;
    certs_make(&world->certs, "server",
               &(struct certs_subject){ .cn = "server",
                                        .only = GNUTLS_KP_TLS_WWW_SERVER });
    expect_refused(world, &world->certs, "server", GNUTLS_A_BAD_CERTIFICATE);
}

static void refuses_another_ca(void **state)
{
    struct tls_world *world = *state;
    struct certs foreign;
    certs_init(&foreign);
    certs_make(&foreign, "full", &(struct certs_subject){ .cn = "full" });
    expect_refused(world, &foreign, "full", GNUTLS_A_UNKNOWN_CA);
    certs_deinit(&foreign);
}

static void refuses_who_shows_none(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    tls_client_init(&client, world, &world->certs, NULL, TLS13);
    int r = tls_client_handshake(&client, world);
    if (r == 0)
        free(tls_client_receive(&client, world, &r));
    assert_int_equal(r, GNUTLS_E_FATAL_ALERT_RECEIVED);
    assert_int_equal(gnutls_alert_get(client.session),
                     GNUTLS_A_CERTIFICATE_REQUIRED);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void refuses_old_versions(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    tls_client_init(&client, world, &world->certs, "full",
                    "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT");
    assert_int_equal(tls_client_handshake(&client, world),
                     GNUTLS_E_FATAL_ALERT_RECEIVED);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void a_reload_revokes_who_is_in(void **state)
{
    struct tls_world *world = *state;
    struct rpc_tls_options options = tls_world_options(world);
    struct err err = ERR_INIT;
    struct tls_client gone, kept;
    tls_client_init(&gone, world, &world->certs, "gone", TLS13);
    assert_int_equal(tls_client_handshake(&gone, world), 0);
    tls_client_connect(&kept, world);
    send_text(world, &gone, CALL("1", "echo"));
    expect(world, &gone, OK("1"), 0);

    certs_list(&world->certs, "gone", 3600);
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    expect(world, &gone, "", 1);
    send_text(world, &kept, CALL("2", "echo"));
    expect(world, &kept, OK("2"), 0);
    tls_client_deinit(&gone);
    tls_client_deinit(&kept);
    expect_refused(world, &world->certs, "gone", GNUTLS_A_CERTIFICATE_REVOKED);

    certs_list(&world->certs, NULL, 3600);
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
}

static void a_reload_changes_roles(void **state)
{
    struct tls_world *world = *state;
    struct rpc_tls_options options = tls_world_options(world);
    struct err err = ERR_INIT;
    struct tls_client client;
    tls_client_connect(&client, world);
    send_text(world, &client, CALL("1", "echo"));
    expect(world, &client, OK("1"), 0);
    options.roles = "full read\n";
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    harness_run_for(world->h, 1);
    assert_int_equal(rpc_conn_role(world->h->last_conn), RPC_ROLE_READ);
    assert_true(str_starts_with(world->h->last_conn->transport->peer,
                                "full (TLS peer)"));
    options.roles = "";
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    expect(world, &client, "", 1);
    tls_client_deinit(&client);
    options = tls_world_options(world);
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    expect_alive(world);
}

/* More than are looked at in one go; what they asked meanwhile is answered, or
 * not, by the new rules. */
static void a_reload_judges_before_the_next_call(void **state)
{
    enum {
        N = 20
    };
    struct tls_world *world = *state;
    struct rpc_tls_options options = tls_world_options(world);
    struct err err = ERR_INIT;
    struct tls_client clients[N];
    for (size_t i = 0; i < N; i++) {
        tls_client_init(&clients[i], world, &world->certs,
                        i % 2 ? "read" : "full", TLS13);
        assert_int_equal(tls_client_handshake(&clients[i], world), 0);
    }
    harness_run(world->h);
    unsigned calls = world->h->calls;
    for (size_t i = 0; i < N; i++)
        assert_int_equal(gnutls_record_send(clients[i].session,
                                            CALL("1", "echo"),
                                            strlen(CALL("1", "echo"))),
                         strlen(CALL("1", "echo")));
    options.roles = "full full\n";
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    while (world->h->calls < calls + N / 2 ||
           world->door->acceptor.n_clients > N / 2)
        harness_run_for(world->h, 1);
    for (size_t i = 0; i < N; i++) {
        expect(world, &clients[i], i % 2 ? "" : OK("1"), i % 2);
        tls_client_deinit(&clients[i]);
    }
    assert_int_equal(world->h->calls, calls + N / 2);
    options = tls_world_options(world);
    assert_int_equal(rpc_tls_reload(world->h->server, &options, &err), 0);
    expect_alive(world);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
    struct tls_world *world = *state;
    struct rpc_tls_options options = tls_world_options(world);
    struct err err = ERR_INIT;
    options.roles = "";
    options.files.key = "/nonexistent";
    assert_true(rpc_tls_reload(world->h->server, &options, &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent"));
    expect_alive(world);
}

/* The list must be fresh on the day of a handshake, not only of a load. */
static void refuses_all_when_the_list_is_old(void **state)
{
    struct tls_world *world = *state;
    time_t good = world->door->identity->crl_expires;
    assert_true(good != (time_t)-1);
    world->door->identity->crl_expires = time(NULL) - 1;
    struct tls_client client;
    tls_client_init(&client, world, &world->certs, "full", TLS12);
    assert_int_equal(tls_client_handshake(&client, world),
                     GNUTLS_E_FATAL_ALERT_RECEIVED);
    tls_client_deinit(&client);
    world->door->identity->crl_expires = good;
    expect_alive(world);
}

static void refuses_renegotiation(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    int end = 0;
    tls_client_init(&client, world, &world->certs, "full", TLS12);
    assert_int_equal(tls_client_handshake(&client, world), 0);
    assert_int_equal(tls_client_handshake(&client, world),
                     GNUTLS_E_FATAL_ALERT_RECEIVED);
    assert_int_equal(gnutls_alert_get(client.session),
                     GNUTLS_A_NO_RENEGOTIATION);
    free(tls_client_receive(&client, world, &end));
    assert_true(end != 0);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void new_keys_are_fine(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    const char *big =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":[500000]}";
    tls_client_connect(&client, world);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            gnutls_session_key_update(client.session, GNUTLS_KU_PEER), 0);
        send_text(world, &client, big);
        _cleanup_free_ char *text = tls_client_receive(&client, world, NULL);
        assert_int_equal(strlen(text), 500000 + strlen(OK("1")) - 4 + 2);
    }
    /* a whole record, though it gave no data */
    struct transport *transport = world->h->last_conn->transport;
    assert_int_equal(gnutls_session_key_update(client.session, GNUTLS_KU_PEER),
                     0);
    harness_run(world->h);
    assert_false(transport->ops->is_partial(transport));
    tls_client_deinit(&client);
    expect_alive(world);
}

static void a_slow_reader_gets_everything(void **state)
{
    struct tls_world *world = *state;
    const char *big =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":[9999]}";
    struct tls_client client;
    const size_t n = 300;
    tls_client_connect(&client, world);
    for (size_t i = 0; i < n; i++)
        send_text(world, &client, big);
    _cleanup_free_ char *text = tls_client_receive(&client, world, NULL);
    size_t line = 9999 + strlen(OK("1")) - 4 + 2;
    assert_int_equal(strlen(text), n * line);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(text + i * line, text, line);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void answers_after_a_good_bye(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    tls_client_connect(&client, world);
    send_text(world, &client, CALL("1", "hold"));
    assert_int_equal(gnutls_bye(client.session, GNUTLS_SHUT_WR), 0);
    expect(world, &client, "", 0);
    harness_release(world->h);
    expect(world, &client, OK("1"), 1);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void forgets_who_goes_without_a_word(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    tls_client_connect(&client, world);
    send_text(world, &client, CALL("1", "hold"));
    tls_client_deinit(&client);
    harness_run(world->h);
    harness_release(world->h);
    expect_alive(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_both_versions),
        cmocka_unit_test(gives_the_role_of_the_name),
        cmocka_unit_test(refuses_who_has_no_role),
        cmocka_unit_test(refuses_what_is_out_of_its_time),
        cmocka_unit_test(refuses_a_servers_certificate),
        cmocka_unit_test(refuses_another_ca),
        cmocka_unit_test(refuses_who_shows_none),
        cmocka_unit_test(refuses_old_versions),
        cmocka_unit_test(a_reload_revokes_who_is_in),
        cmocka_unit_test(a_reload_changes_roles),
        cmocka_unit_test(a_reload_judges_before_the_next_call),
        cmocka_unit_test(a_reload_that_fails_changes_nothing),
        cmocka_unit_test(refuses_all_when_the_list_is_old),
        cmocka_unit_test(refuses_renegotiation),
        cmocka_unit_test(new_keys_are_fine),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(answers_after_a_good_bye),
        cmocka_unit_test(forgets_who_goes_without_a_word),
    };
    return cmocka_run_group_tests(tests, tls_world_setup, tls_world_teardown);
}
