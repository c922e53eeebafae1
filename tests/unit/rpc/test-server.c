/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Clients that are slow, gone, many, or hostile.
 */
#include "harness.h"

#include <dray/base/codes.h>
#include <dray/base/util.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
/* last: needs those above */
#include <cmocka.h>

#define CALL(id, method)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}\n"
#define OK(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":true}\n"

static void send_text(struct harness *h, int fd, const char *text)
{
    assert_true(harness_send(h, fd, text, strlen(text)));
}

static void expect(struct harness *h, int fd, const char *answer, bool eof)
{
    bool ended = false;
    _cleanup_free_ char *text = harness_receive(h, fd, &ended);
    assert_string_equal(text, answer);
    assert_int_equal(ended, eof);
}

static void expect_alive(struct harness *h)
{
    _cleanup_free_ char *answer = harness_talk(h, CALL("1", "echo"));
    assert_string_equal(answer, OK("1"));
}

/* Many requests in one write, before the server looks. */
static void send_many(int fd, const char *text, size_t n)
{
    size_t len = strlen(text);
    char *all = malloc(len * n);
    assert_non_null(all);
    for (size_t i = 0; i < n; i++)
        memcpy(all + i * len, text, len);
    assert_int_equal(send(fd, all, len * n, MSG_NOSIGNAL), len * n);
    free(all);
}

static void answers_after_half_close(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    send_text(h, fd, CALL("1", "hold") CALL("2", "echo"));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect(h, fd, OK("2"), false);
    harness_release(h);
    expect(h, fd, OK("1"), true);
    close(fd);
}

static void answers_what_came_with_the_half_close(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    const char *text = CALL("1", "echo") CALL("2", "echo") "{\"jsonrpc";
    bool eof = false;
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    _cleanup_free_ char *answer = harness_receive(h, fd, &eof);
    assert_true(eof);
    assert_true(str_starts_with(answer, OK("1") OK("2")));
    assert_int_equal(harness_code(answer + strlen(OK("1") OK("2"))), ERR_PARSE);
    close(fd);
}

static void runs_what_a_client_left_behind(void **state)
{
    struct harness *h = *state;
    unsigned calls = h->calls, closed = h->closed;
    int fd = harness_connect(h);
    send_many(fd, CALL("1", "echo"), 1000);
    close(fd);
    harness_run(h);
    assert_int_equal(h->calls - calls, 1000);
    assert_int_equal(h->closed - closed, 1);
}

static void forgets_a_client_that_waited_and_went(void **state)
{
    struct harness *h = *state;
    unsigned closed = h->closed;
    int fd = harness_connect(h);
    send_text(h, fd, CALL("1", "hold") "[" CALL("1", "hold") "]");
    assert_int_equal(h->n_held, 2);
    close(fd);
    harness_run(h);
    assert_int_equal(h->closed - closed, 1);
    assert_null(rpc_call_conn(h->held[0]));
    harness_release(h); /* dropped, freed */
    expect_alive(h);
}

static void holds_back_a_client_with_too_many_open_calls(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    send_many(fd, CALL("1", "hold"), RPC_CALLS_MAX + 50);
    harness_run(h);
    assert_int_equal(h->n_held, RPC_CALLS_MAX);
    harness_release(h);
    harness_run(h);
    assert_int_equal(h->n_held, 50);
    harness_release(h);
    _cleanup_free_ char *answer = harness_receive(h, fd, NULL);
    assert_int_equal(strlen(answer), strlen(OK("1")) * (RPC_CALLS_MAX + 50));
    close(fd);
}

static void a_client_that_never_reads_is_bounded_and_ends(void **state)
{
    struct harness *h = *state;
    harness_run(h); /* who left the tests before is gone then */
    unsigned calls = h->calls, closed = h->closed;
    const char *text =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":[9999]}";
    int fd = harness_connect(h);

    send_many(fd, text, 1000);
    harness_run(h);
    /* what the socket holds, half the backlog, one turn */
    assert_in_range(h->calls - calls, 50, 150);
    expect_alive(h);
    assert_int_equal(h->closed - closed, 1); /* that was expect_alive()'s */
    harness_run_for(h, 5500);
    assert_int_equal(h->closed - closed, 2);
    close(fd);
}

static void a_slow_reader_gets_everything(void **state)
{
    struct harness *h = *state;
    const char *text =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":[9999]}";
    int fd = harness_connect(h);
    size_t total = 0;

    send_many(fd, text, 500);
    for (int i = 0; i < 20000 && total < 500 * 10000; i++) {
        char buffer[1000];
        harness_run(h);
        ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
        assert_int_not_equal(n, 0);
        total += n > 0 ? (size_t)n : 0;
    }
    assert_true(total >= 500 * 10000);
    close(fd);
}

static void an_event_flood_ends_who_does_not_read(void **state)
{
    struct harness *h = *state;
    harness_run(h); /* who left the tests before is gone then */
    unsigned closed = h->closed;
    int fd = harness_connect(h);

    send_text(h, fd, CALL("1", "echo"));
    struct rpc_conn *conn = h->last_conn;
    for (int i = 0; i < 2 * RPC_BACKLOG_MAX / 1000; i++) {
        char text[1000];
        memset(text, 'x', sizeof(text));
        struct json_object *params = json_object_new_array();
        (void)json_object_array_add(
            params, json_object_new_string_len(text, sizeof(text)));
        rpc_notify(conn, "|jobs|status|x", params);
    }
    harness_run(h);
    assert_int_equal(h->closed - closed, 1);
    expect_alive(h);
    close(fd);
}

static void one_large_answer_is_no_backlog(void **state)
{
    struct harness *h = *state;
    _cleanup_free_ char *answer = harness_talk(
        h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":"
           "[3000000]}");
    assert_in_range(strlen(answer), 3000000, 3000100);
}

static void a_large_request_is_refused_and_ends_the_connection(void **state)
{
    struct harness *h = *state;
    size_t n = 64 * 1024 * 1024;
    _cleanup_free_ char *text = malloc(n);
    int fd = harness_connect(h);
    bool eof = false;

    assert_non_null(text);
    memset(text, 'x', n);
    text[0] = '"';
    int64_t start = time_now_ms();
    assert_false(harness_send(h, fd, text, n)); /* stopped reading */
    _cleanup_free_ char *answer = harness_receive(h, fd, &eof);
    assert_in_range(time_now_ms() - start, 0, 200);
    assert_true(eof);
    assert_int_equal(harness_code(answer), ERR_REQUEST);
    assert_non_null(strstr(answer, "262144"));
    close(fd);
    expect_alive(h);
}

static void a_stream_of_garbage_ends(void **state)
{
    struct harness *h = *state;
    char text[8192];
    int fd = harness_connect(h);
    size_t sent = 0;

    memset(text, '[', sizeof(text));
    while (sent < 64 * 1024 * 1024 && harness_send(h, fd, text, sizeof(text)))
        sent += sizeof(text);
    assert_in_range(sent, 0, 1024 * 1024);
    _cleanup_free_ char *answer = harness_receive(h, fd, NULL);
    *strchr(answer, '\n') = '\0';
    assert_int_equal(harness_code(answer), ERR_PARSE);
    close(fd);
    expect_alive(h);
}

static void serves_256_clients_at_once(void **state)
{
    struct harness *h = *state;
    int fds[256];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = harness_connect(h);
        harness_run(h);
        send_text(h, fds[i], CALL("1", "hold"));
    }
    assert_int_equal(h->n_held, 256);
    harness_release(h);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        expect(h, fds[i], OK("1"), false);
        close(fds[i]);
    }
    harness_run(h);
}

static void tells_the_client_that_is_too_many(void **state)
{
    struct harness *h = *state;
    int fds[RPC_CLIENTS_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = harness_connect(h);
        harness_run(h);
    }
    int fd = harness_connect(h);
    bool eof = false;
    _cleanup_free_ char *answer = harness_receive(h, fd, &eof);
    assert_true(eof);
    assert_int_equal(harness_code(answer), ERR_GENERAL);
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    harness_run(h);
    expect_alive(h);
}

static void tells_the_client_that_no_descriptor_is_left(void **state)
{
    struct harness *h = *state;
    struct rlimit old, few;
    bool eof = false;
    int fd = harness_connect(h); /* not accepted yet */
    int next = dup(fd);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)next;
    close(next);
    /* no number below the limit is free now */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    _cleanup_free_ char *answer = harness_receive(h, fd, &eof);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(eof);
    assert_int_equal(harness_code(answer), ERR_GENERAL);
    assert_non_null(strstr(answer, "descriptor"));
    close(fd);
    harness_run_for(h, 150); /* the pause in accepting */
    expect_alive(h);
}

static void a_busy_client_does_not_hold_up_others(void **state)
{
    struct harness *h = *state;
    int busy = harness_connect(h), other = harness_connect(h);
    unsigned calls = h->calls;

    harness_run(h);
    send_many(busy, CALL("1", "echo"), 2000);
    (void)sd_event_run(h->loop, 0);
    assert_int_equal(
        send(other, CALL("2", "echo"), strlen(CALL("2", "echo")), 0),
        strlen(CALL("2", "echo")));
    char answer[200] = "";
    while (recv(other, answer, sizeof(answer), 0) < 0)
        (void)sd_event_run(h->loop, 0);
    assert_in_range(h->calls - calls, 1, 200);
    close(busy);
    close(other);
    harness_run(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_after_half_close),
        cmocka_unit_test(answers_what_came_with_the_half_close),
        cmocka_unit_test(runs_what_a_client_left_behind),
        cmocka_unit_test(forgets_a_client_that_waited_and_went),
        cmocka_unit_test(holds_back_a_client_with_too_many_open_calls),
        cmocka_unit_test(a_client_that_never_reads_is_bounded_and_ends),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(an_event_flood_ends_who_does_not_read),
        cmocka_unit_test(one_large_answer_is_no_backlog),
        cmocka_unit_test(a_large_request_is_refused_and_ends_the_connection),
        cmocka_unit_test(a_stream_of_garbage_ends),
        cmocka_unit_test(serves_256_clients_at_once),
        cmocka_unit_test(tells_the_client_that_is_too_many),
        cmocka_unit_test(tells_the_client_that_no_descriptor_is_left),
        cmocka_unit_test(a_busy_client_does_not_hold_up_others),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
