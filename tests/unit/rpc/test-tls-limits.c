/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Peers that are too many, too slow, or stop in the middle of something.
 */
#include "tls-world.h"

#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n"
#define PONG "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}\n"

enum {
    SHORT_MS = 50,
    LONG_MS = 60 * 1000,
};

static void expect_served(struct tls_world *world, struct tls_client *client)
{
    assert_int_equal(tls_client_send(client, world, PING, strlen(PING)), 0);
    _cleanup_free_ char *text = tls_client_receive(client, world, NULL);
    assert_string_equal(text, PONG);
}

static void expect_alive(struct tls_world *world)
{
    struct tls_client client;
    tls_client_connect(&client, world);
    expect_served(world, &client);
    tls_client_deinit(&client);
    harness_run(world->h);
    assert_int_equal(world->door->acceptor.n_clients, 0);
}

/* Waits until the server has ended it. */
static void expect_end(struct tls_world *world, int fd)
{
    char bytes[4096];
    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return;
        harness_run_for(world->h, 1);
    }
}

static void the_oldest_handshake_makes_room(void **state)
{
    enum {
        N = RPC_TLS_HALF_OPEN_MAX + 20
    };
    struct tls_world *world = *state;
    int fds[N];
    struct tls_client client;
    tls_client_connect(&client, world);
    world->door->handshake_ms = LONG_MS;
    for (int i = 0; i < N; i++) {
        fds[i] = tls_world_dial(world);
        harness_run(world->h);
    }
    assert_int_equal(world->door->n_half, RPC_TLS_HALF_OPEN_MAX);
    for (int i = 0; i < N; i++) {
        char byte;
        ssize_t n = recv(fds[i], &byte, 1, MSG_DONTWAIT);
        assert_int_equal(n, i < 20 ? 0 : -1);
    }
    expect_served(world, &client);
    tls_client_deinit(&client);
    expect_alive(world);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    harness_run(world->h);
    assert_int_equal(world->door->n_half, 0);
}

static void a_handshake_has_its_time(void **state)
{
    struct tls_world *world = *state;
    world->door->handshake_ms = SHORT_MS;
    int silent = tls_world_dial(world);
    int begun = tls_world_dial(world);
    assert_int_equal(send(begun, "\x16\x03\x01\x02", 4, 0), 4);
    expect_end(world, silent);
    expect_end(world, begun);
    assert_int_equal(world->door->n_half, 0);
    close(silent);
    close(begun);
    world->door->handshake_ms = LONG_MS;
    int waits = tls_world_dial(world);
    harness_run_for(world->h, 2 * SHORT_MS);
    assert_int_equal(world->door->n_half, 1);
    close(waits);
    expect_alive(world);
}

static void what_is_no_handshake_ends(void **state)
{
    struct tls_world *world = *state;
    static const char *const words[] = { "\x16",
                                         "\x16\x03\x01\x01",
                                         "\x16\x03\x01\x01\x10\x01",
                                         PING,
                                         "GET / HTTP/1.1\r\n\r\n",
                                         "\n",
                                         "\x80\x2e\x01\x03\x01" };
    world->door->handshake_ms = LONG_MS;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        int fd = tls_world_dial(world);
        ssize_t n = (ssize_t)strlen(words[i]);
        assert_int_equal(send(fd, words[i], strlen(words[i]), 0), n);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        harness_run(world->h);
        assert_int_equal(world->door->n_half, 0);
        expect_end(world, fd);
        close(fd);
    }
    expect_alive(world);
}

/* Records that are well-formed and go on and on. */
static void a_handshake_has_its_size(void **state)
{
    struct tls_world *world = *state;
    static char record[5 + 16000] = "\x16\x03\x01\x3e\x80\x01\xff\xff\xff";
    int fd = tls_world_dial(world);
    size_t sent = 0;
    world->door->handshake_ms = LONG_MS;
    harness_run(world->h);
    while (world->door->n_half == 1) {
        size_t at = sent % sizeof(record);
        ssize_t n = send(fd, record + at, sizeof(record) - at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        harness_run(world->h);
        assert_true(sent < 4 * RPC_TLS_HANDSHAKE_BYTES);
    }
    expect_end(world, fd);
    close(fd);
    expect_alive(world);
}

/* The bytes of one record that the client would send. */
static size_t take_record(struct tls_client *client, char *record, size_t size)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                     0);
    gnutls_transport_set_int2(client->session, client->fd, fds[0]);
    assert_int_equal(gnutls_record_send(client->session, PING, strlen(PING)),
                     strlen(PING));
    gnutls_transport_set_int(client->session, client->fd);
    ssize_t n = recv(fds[1], record, size, MSG_DONTWAIT);
    assert_true(n > (ssize_t)strlen(PING));
    close(fds[0]);
    close(fds[1]);
    return (size_t)n;
}

static void a_truncated_record_ends_it(void **state)
{
    struct tls_world *world = *state;
    static const size_t cuts[] = { 1, 4, 5, 6, 30 };
    for (size_t i = 0; i < 2 * ARRAY_SIZE(cuts); i++) {
        struct tls_client client;
        char record[256];
        unsigned calls = world->h->calls;
        size_t cut = cuts[i / 2];
        tls_client_connect(&client, world);
        (void)take_record(&client, record, sizeof(record));
        assert_int_equal(send(client.fd, record, cut, 0), cut);
        if (i % 2) { /* else it comes together with the end */
            harness_run(world->h);
            assert_int_equal(world->door->acceptor.n_clients, 1);
        }
        assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
        expect_end(world, client.fd);
        assert_int_equal(world->h->calls, calls);
        tls_client_deinit(&client);
        expect_alive(world);
    }
}

static void a_damaged_record_ends_it(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    char record[256];
    unsigned calls = world->h->calls;
    tls_client_connect(&client, world);
    size_t n = take_record(&client, record, sizeof(record));
    record[n - 1] ^= 1;
    assert_int_equal(send(client.fd, record, n, 0), n);
    expect_end(world, client.fd);
    assert_int_equal(world->h->calls, calls);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void a_record_that_stops_half_way_has_its_time(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    char record[256];
    world->door->acceptor.request_us = SHORT_MS * 1000;
    tls_client_connect(&client, world);
    (void)take_record(&client, record, sizeof(record));
    assert_int_equal(send(client.fd, record, 20, 0), 20);
    expect_end(world, client.fd);
    tls_client_deinit(&client);
    expect_alive(world);
}

static void a_request_that_stops_half_way_has_its_time(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    world->door->acceptor.request_us = SHORT_MS * 1000;
    tls_client_connect(&client, world);
    assert_int_equal(tls_client_send(&client, world, PING PING, 60), 0);
    expect_end(world, client.fd);
    tls_client_deinit(&client);
    expect_alive(world);
}

/* Between requests a client may rest, and an open call takes what it takes. */
static void resting_is_no_slowness(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    const char *hold = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"}";
    world->door->acceptor.request_us = SHORT_MS * 1000;
    tls_client_connect(&client, world);
    harness_run_for(world->h, 3 * SHORT_MS);
    expect_served(world, &client);
    harness_run_for(world->h, 3 * SHORT_MS);
    assert_int_equal(tls_client_send(&client, world, hold, strlen(hold)), 0);
    harness_run_for(world->h, 3 * SHORT_MS);
    harness_release(world->h);
    _cleanup_free_ char *text = tls_client_receive(&client, world, NULL);
    assert_string_equal(text, PONG);
    tls_client_deinit(&client);
    expect_alive(world);
}

/* When the one connection's time is over. */
static uint64_t deadline(struct tls_world *world)
{
    struct rpc_conn *conn =
        container_of(world->h->server->conns.next, struct rpc_conn, link);
    uint64_t usec = 0;
    int enabled = SD_EVENT_OFF;
    assert_true(sd_event_source_get_enabled(conn->begun, &enabled) >= 0);
    assert_int_equal(enabled, SD_EVENT_ONESHOT);
    assert_true(sd_event_source_get_time(conn->begun, &usec) >= 0);
    return usec;
}

/* Each request has its own time, though there is never a moment between two;
 * and a piece more of the same one gets it no more. */
static void each_request_has_its_own_time(void **state)
{
    struct tls_world *world = *state;
    struct tls_client client;
    static const char two[] = PING PING;
    tls_client_connect(&client, world);
    assert_int_equal(tls_client_send(&client, world, two, 10), 0);
    uint64_t first = deadline(world);
    assert_int_equal(tls_client_send(&client, world, &two[10], 5), 0);
    assert_int_equal(deadline(world), first);
    harness_run_for(world->h, 2);
    assert_int_equal(tls_client_send(&client, world, &two[15], strlen(PING)),
                     0);
    assert_true(deadline(world) > first);
    tls_client_deinit(&client);
    expect_alive(world);
}

/* The unix socket has no such limit. */
static void people_may_type_slowly_on_the_socket(void **state)
{
    struct tls_world *world = *state;
    assert_int_equal(world->h->server->acceptor.request_us, 0);
    assert_int_equal(world->door->acceptor.request_us,
                     (uint64_t)RPC_TLS_REQUEST_S * 1000 * 1000);
    assert_int_equal(world->door->handshake_ms, RPC_TLS_HANDSHAKE_S * 1000);
}

int main(void)
{
#define FRESH(test)                                                            \
    cmocka_unit_test_setup_teardown(test, tls_world_setup, tls_world_teardown)
    const struct CMUnitTest tests[] = {
        FRESH(the_oldest_handshake_makes_room),
        FRESH(a_handshake_has_its_time),
        FRESH(what_is_no_handshake_ends),
        FRESH(a_handshake_has_its_size),
        FRESH(a_truncated_record_ends_it),
        FRESH(a_damaged_record_ends_it),
        FRESH(a_record_that_stops_half_way_has_its_time),
        FRESH(a_request_that_stops_half_way_has_its_time),
        FRESH(resting_is_no_slowness),
        FRESH(each_request_has_its_own_time),
        FRESH(people_may_type_slowly_on_the_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
