/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The blocking client, on a thread of its own, against the real server.
 */
#include "harness.h"

#include <dray/base/codes.h>
#include <dray/base/util.h>
#include <dray/rpc/client.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

struct talk {
    const char *path;
    const char *method;
    struct json_object *params;
    struct json_object *result;
    struct err err;
    int rc;
    atomic_bool done;
};

static void *talk_thread(void *arg)
{
    struct talk *talk = arg;
    struct rpc_client *client = NULL;

    talk->rc = rpc_client_connect(talk->path, &client, &talk->err);
    if (talk->rc == 0)
        talk->rc = rpc_client_call(client, talk->method, talk->params,
                                   &talk->result, &talk->err);
    rpc_client_free(client);
    talk->done = true;
    return NULL;
}

static void run_talk(struct harness *h, struct talk *talk)
{
    pthread_t thread;
    talk->path = h->path;
    talk->err = (struct err)ERR_INIT;
    assert_int_equal(pthread_create(&thread, NULL, talk_thread, talk), 0);
    while (!talk->done)
        (void)sd_event_run(h->loop, 10000);
    pthread_join(thread, NULL);
    harness_run(h);
}

static void gives_the_result(void **state)
{
    struct json_object *params = json_object_new_array();
    (void)json_object_array_add(params, json_object_new_int(300000));
    struct talk talk = { .method = "big", .params = params };
    run_talk(*state, &talk);
    assert_int_equal(talk.rc, 0);
    assert_int_equal(json_object_get_string_len(talk.result), 300000);
    json_object_put(talk.result);
}

static void gives_the_error(void **state)
{
    struct talk talk = { .method = "foobar" };
    struct json_object *code = NULL;
    run_talk(*state, &talk);
    assert_int_equal(talk.rc, RPC_CLIENT_ERROR);
    assert_true(json_object_object_get_ex(talk.result, "code", &code));
    assert_int_equal(json_object_get_int(code), ERR_METHOD);
    json_object_put(talk.result);
}

static void gives_the_reason_when_the_request_is_too_large(void **state)
{
    struct json_object *params = json_object_new_array();
    char *text = calloc(1, 2000000);
    struct json_object *code = NULL;
    assert_non_null(text);
    memset(text, 'x', 2000000 - 1);
    (void)json_object_array_add(params, json_object_new_string(text));
    free(text);
    struct talk talk = { .method = "echo", .params = params };
    run_talk(*state, &talk);
    assert_int_equal(talk.rc, RPC_CLIENT_ERROR);
    assert_true(json_object_object_get_ex(talk.result, "code", &code));
    assert_int_equal(json_object_get_int(code), ERR_REQUEST);
    json_object_put(talk.result);
}

static void says_what_to_do_when_nobody_listens(void **state)
{
    struct rpc_client *client = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_true(rpc_client_connect("/nonexistent/socket", &client, &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent/socket"));
    assert_true(strlen(err.next) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_result),
        cmocka_unit_test(gives_the_error),
        cmocka_unit_test(gives_the_reason_when_the_request_is_too_large),
        cmocka_unit_test(says_what_to_do_when_nobody_listens),
    };
    return cmocka_run_group_tests(tests, harness_setup, harness_teardown);
}
