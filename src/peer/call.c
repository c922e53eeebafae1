/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One call to another host's drayd, on a connection of its own. It ends in
 * time, whatever became of that host or of the network between.
 */
#include "room.h"

#include <dray/rpc/client.h>
#include <errno.h>
#include <json-c/json.h>

enum {
    ANSWER_S = 30 /* its libvirtd may take 10 s, its journal 5 */
};

int peer_connect(const struct peers *peers, const char *host,
                 struct rpc_client **ret_client, struct err *err)
{
    const struct rpc_tls_files files = { .ca = peers->ca,
                                         .cert = peers->cert,
                                         .key = peers->key,
                                         .crl = peers->crl };
    struct peer_place place;
    int rc = peers_find(peers, host, &place, err);

    if (rc == 0)
        rc = rpc_client_connect_peer(place.address, &files, ret_client, err);
    if (rc == 0)
        rpc_client_set_patience(*ret_client, ANSWER_S);
    return rc;
}

int peer_ask(struct rpc_client *client, const char *verb,
             struct json_object *params, struct json_object **ret_result,
             struct err *err)
{
    struct json_object *result = NULL;
    int rc = params ? rpc_client_call(client, verb, params, &result, err)
                    : err_set(err, -ENOMEM, "no memory for the request");

    if (rc == RPC_CLIENT_ERROR) {
        rc = wire_read_error(result, err);
        (void)json_object_put(result);
    } else if (rc == 0) {
        *ret_result = result;
    }
    return rc;
}

int peer_call(const struct peers *peers, const char *host, const char *verb,
              struct json_object *params, struct json_object **ret_result,
              struct err *err)
{
    struct rpc_client *client = NULL;
    int rc = peer_connect(peers, host, &client, err);

    if (rc < 0) {
        (void)json_object_put(params); /* NULL is fine */
        return rc;
    }
    rc = peer_ask(client, verb, params, ret_result, err);
    rpc_client_free(client);
    return rc;
}
