/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Layers on their way to another host. A piece is more than one request may
 * have, so it goes in parts, on one connection; parts without data stay away:
 * a file there is empty, and an LV is zeroed where the next part says so.
 */
#include "room.h"

#include <dray/rpc/client.h>
#include <json-c/json.h>
#include <string.h>

enum {
    PART = 128 * 1024, /* base64 and its frame are less than RPC_REQUEST_MAX */
};

static bool is_zero(const char *data, size_t size)
{
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

int peers_layer(void *ctx, const char *host, struct peer_layer *layer,
                bool *ret_complete, struct err *err)
{
    struct json_object *result = NULL;
    int rc =
        peer_call(ctx, host, "Peer.layer", wire_layer(layer), &result, err);

    if (rc == 0)
        rc = wire_read_layer(result, layer->life, ret_complete, err);
    (void)json_object_put(result);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}

/* On an LV the next part says that this one is zeros, so one follows. */
static bool stays_away(const struct peer_layer *layer,
                       const struct volume_piece *part, bool last)
{
    return part->offset > 0 && !(layer->block && last) &&
           is_zero(part->data, part->size);
}

static int fill_part(struct rpc_client *client, const struct peer_layer *layer,
                     const struct volume_piece *part, struct err *err)
{
    struct json_object *result = NULL;
    int rc =
        peer_ask(client, "Peer.fill", wire_fill(layer, part), &result, err);

    (void)json_object_put(result);
    return rc;
}

int peers_fill(void *ctx, const char *host, const struct peer_layer *layer,
               const struct volume_piece *piece, struct err *err)
{
    struct rpc_client *client = NULL;
    uint64_t gap = piece->gap;
    int rc = peer_connect(ctx, host, &client, err);

    for (size_t at = 0; rc == 0 && at < piece->size; at += PART) {
        size_t rest = piece->size - at;
        const struct volume_piece part = { .offset = piece->offset + at,
                                           .data = (char *)piece->data + at,
                                           .size = rest < PART ? rest : PART,
                                           .gap = layer->block ? gap : 0 };

        gap += part.size;
        if (stays_away(layer, &part, rest <= PART))
            continue;
        rc = fill_part(client, layer, &part, err);
        gap = 0;
    }
    if (client)
        rpc_client_free(client);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}

int peers_end(void *ctx, const char *host, const struct peer_layer *layer,
              uint64_t size, struct err *err)
{
    struct json_object *result = NULL;
    int rc =
        peer_call(ctx, host, "Peer.end", wire_end(layer, size), &result, err);

    (void)json_object_put(result);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}

int peers_digest(void *ctx, const char *host, const struct peer_layer *layer,
                 struct volume_digest *digest, struct err *err)
{
    struct json_object *result = NULL;
    int rc = peer_call(ctx, host, "Peer.digest", wire_range(layer, digest),
                       &result, err);

    if (rc == 0)
        rc = wire_read_digest(result, digest, err);
    (void)json_object_put(result);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}
