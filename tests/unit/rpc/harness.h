/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A server on a socket of its own with a recording handler, and raw clients;
 * all on one thread. Methods of the handler:
 *   echo    answers with its params (null when absent)
 *   hold    is answered by harness_release()
 *   fail    answers with an error
 *   big     answers with a string of params[0] bytes
 */
#ifndef TESTS_RPC_HARNESS_H
#define TESTS_RPC_HARNESS_H

#include <dray/rpc/server.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

enum {
    HARNESS_HELD_MAX = 1024
};

struct harness {
    sd_event *loop;
    struct rpc_server *server;
    char dir[64];
    char path[128];
    unsigned calls;  /* requests that reached the handler */
    unsigned closed; /* connections that went away */
    struct rpc_call *held[HARNESS_HELD_MAX];
    size_t n_held;
    struct rpc_conn *last_conn;
};

int harness_setup(void **state);
int harness_teardown(void **state);

/* A connected, non-blocking client. */
int harness_connect(const struct harness *h);
/* Handles everything that is to be handled now. */
void harness_run(struct harness *h);
/* Runs for at least @ms. */
void harness_run_for(struct harness *h, int ms);
void harness_release(struct harness *h);

/* Sends all of it, running the server meanwhile. False when the server closed
 * the connection. */
bool harness_send(struct harness *h, int fd, const char *bytes, size_t n);
/* What has come, as a fresh string; *ret_eof when the stream ended. */
char *harness_receive(struct harness *h, int fd, bool *ret_eof);
/* Sends @request on a fresh connection; the answers, as a fresh string. */
char *harness_talk(struct harness *h, const char *request);

/* The number in error.code of a one-line answer, 0 when it is no error. */
int harness_code(const char *answer);

#endif
