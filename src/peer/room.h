/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room.
 */
#ifndef DRAY_PEER_ROOM_H
#define DRAY_PEER_ROOM_H

#include <dray/peer.h>
#include <limits.h>

struct json_object;

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

/* call.c: one verb on that host; takes @params over. The caller puts
 * *ret_result. */
int peer_call(const struct peers *peers, const char *host, const char *verb,
              struct json_object *params, struct json_object **ret_result,
              struct err *err);

/* wire.c: JSON <-> structs. NULL: no memory. */
struct json_object *wire_offer(const struct peer_offer *offer);
struct json_object *wire_job(const char *job_id);
/* What another drayd says is checked like any input. -EBADMSG. */
int wire_read_verdict(struct json_object *json, struct peer_verdict *ret,
                      struct err *err);
int wire_read_status(struct json_object *json, struct peer_status *ret,
                     struct err *err);
/* An error object of JSON-RPC. Returns err->rc. */
int wire_read_error(struct json_object *json, struct err *err);

#endif
