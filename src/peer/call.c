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

static int connect_to(const struct peers *peers, const char *host,
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
    return rc;
}

int peer_call(const struct peers *peers, const char *host, const char *verb,
              struct json_object *params, struct json_object **ret_result,
              struct err *err)
{
    struct rpc_client *client = NULL;
    struct json_object *result = NULL;
    int rc = params ? connect_to(peers, host, &client, err)
                    : err_set(err, -ENOMEM, "no memory for the request");

    if (rc < 0) {
        (void)json_object_put(params);
        return rc;
    }
    rpc_client_set_patience(client, ANSWER_S);
    rc = rpc_client_call(client, verb, params, &result, err);
    rpc_client_free(client);
    if (rc == RPC_CLIENT_ERROR) {
        rc = wire_read_error(result, err);
        (void)json_object_put(result);
    } else if (rc == 0) {
        *ret_result = result;
    }
    return rc;
}
