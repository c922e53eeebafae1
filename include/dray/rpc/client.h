/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A blocking JSON-RPC client for drayctl.
 */
#ifndef DRAY_RPC_CLIENT_H
#define DRAY_RPC_CLIENT_H

#include <dray/base/err.h>
#include <stdint.h>

struct json_object;
struct rpc_client;

int rpc_client_connect(const char *path, struct rpc_client **ret_client,
                       struct err *err);
void rpc_client_free(struct rpc_client *client);

/* From now on a call that has no answer after so many seconds fails with
 * -ETIMEDOUT, and the connection is of no use any more. */
void rpc_client_set_patience(struct rpc_client *client, int seconds);

/* One call; notifications that arrive meanwhile are dropped. @params taken
 * over (NULL: none). The caller puts *ret_result. 0; RPC_CLIENT_ERROR: the
 * server answered with an error, *ret_result is its error object; negative
 * errno. -EINTR when a signal came (the answer will be dropped). */
enum {
    RPC_CLIENT_ERROR = 1
};
int rpc_client_call(struct rpc_client *client, const char *method,
                    struct json_object *params, struct json_object **ret_result,
                    struct err *err);

#endif
