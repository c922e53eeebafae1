/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room.
 */
#ifndef DRAY_PEER_ROOM_H
#define DRAY_PEER_ROOM_H

#include <dray/peer.h>
#include <limits.h>

struct json_object;
struct rpc_client;

struct peers {
    char *known; /* all of it is constant */
    char ca[PATH_MAX];
    char cert[PATH_MAX];
    char key[PATH_MAX];
    char crl[PATH_MAX];
};

/* peers.c: what our configuration says of @host. ERR_VALUE. */
struct peer_place {
    char address[PEER_NAME_SIZE];
    struct peer_way way;
};
int peers_find(const struct peers *peers, const char *host,
               struct peer_place *ret_place, struct err *err);

/* call.c: a connection, for one verb after another. */
int peer_connect(const struct peers *peers, const char *host,
                 struct rpc_client **ret_client, struct err *err);
int peer_ask(struct rpc_client *client, const char *verb,
             struct json_object *params, struct json_object **ret_result,
             struct err *err);
/* One verb on that host; takes @params over (NULL: no memory). The caller puts
 * *ret_result. */
int peer_call(const struct peers *peers, const char *host, const char *verb,
              struct json_object *params, struct json_object **ret_result,
              struct err *err);

/* wire.c: JSON <-> structs. NULL: no memory. */
struct json_object *wire_offer(const struct peer_offer *offer);
struct json_object *wire_job(const char *job_id);
struct json_object *wire_room(const char *job_id, const struct peer_room *rooms,
                              size_t n);
struct json_object *wire_layer(const struct peer_layer *layer);
struct json_object *wire_fill(const struct peer_layer *layer,
                              const struct volume_piece *piece);
struct json_object *wire_end(const struct peer_layer *layer, uint64_t size);
struct json_object *wire_range(const struct peer_layer *layer,
                               const struct volume_digest *range);
/* What another drayd says is checked like any input. -EBADMSG. */
int wire_read_verdict(struct json_object *json, struct peer_verdict *ret,
                      struct err *err);
int wire_read_status(struct json_object *json, struct peer_status *ret,
                     struct err *err);
int wire_read_layer(struct json_object *json, char ret_life[UUID_SIZE],
                    bool *ret_complete, struct err *err);
int wire_read_digest(struct json_object *json, struct volume_digest *ret,
                     struct err *err);
/* An error object of JSON-RPC. Returns err->rc. */
int wire_read_error(struct json_object *json, struct err *err);

/* layers.c: the port's operations on layers. */
int peers_layer(void *ctx, const char *host, struct peer_layer *layer,
                bool *ret_complete, struct err *err);
int peers_fill(void *ctx, const char *host, const struct peer_layer *layer,
               const struct volume_piece *piece, struct err *err);
int peers_end(void *ctx, const char *host, const struct peer_layer *layer,
              uint64_t size, struct err *err);
int peers_digest(void *ctx, const char *host, const struct peer_layer *layer,
                 struct volume_digest *digest, struct err *err);

#endif
