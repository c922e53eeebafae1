/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hosts that drayd.conf knows, and the port's operations: each is one verb
 * of the other drayd. Nothing is kept between two calls, so that a peer that
 * was restarted, or got a new certificate, is simply the next call's.
 */
#include "room.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* --- configuration ----------------------------------------------------- */

static bool copy_files(struct peers *peers, const struct rpc_tls_files *files)
{
    return str_copy(peers->ca, sizeof(peers->ca), files->ca) &&
           str_copy(peers->cert, sizeof(peers->cert), files->cert) &&
           str_copy(peers->key, sizeof(peers->key), files->key) &&
           str_copy(peers->crl, sizeof(peers->crl),
                    files->crl ? files->crl : "");
}

int peers_new(const char *known, const struct rpc_tls_files *files,
              struct peers **ret_peers, struct err *err)
{
    struct peers *peers = calloc(1, sizeof(*peers));

    if (!peers || !(peers->known = strdup(known))) {
        free(peers);
        return err_set(err, -ENOMEM, "no memory for the peers");
    }
    if (!copy_files(peers, files)) {
        peers_free(peers);
        return err_set(err, -ENAMETOOLONG, "[tls]: a path is too long");
    }
    *ret_peers = peers;
    return 0;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    free(peers->known);
    free(peers);
}

/* The next word of a line, "" at its end. */
static const char *take_word(const char *text, char *ret_word, size_t size)
{
    size_t len;

    text += strspn(text, " ");
    len = strcspn(text, " \n");
    (void)str_format(ret_word, size, "%.*s", (int)len, text); /* was checked */
    return text + len;
}

static void read_line(const char *line, struct peer_place *place)
{
    line = take_word(line, place->address, sizeof(place->address));
    line =
        take_word(line, place->way.libvirt_uri, sizeof(place->way.libvirt_uri));
    (void)take_word(line, place->way.migrate_uri,
                    sizeof(place->way.migrate_uri));
}

int peers_find(const struct peers *peers, const char *host,
               struct peer_place *ret_place, struct err *err)
{
    for (const char *line = peers->known; *line;
         line += strcspn(line, "\n") + 1) {
        char name[PEER_NAME_SIZE];
        const char *rest = take_word(line, name, sizeof(name));

        if (strcmp(name, host) == 0) {
            read_line(rest, ret_place);
            return 0;
        }
    }
    (void)err_set_code(err, ERR_VALUE, "host %s is not known here", host);
    return err_next(err, "name it in section [peers] of drayd.conf");
}

/* --- the port ---------------------------------------------------------- */

static int way(void *ctx, const char *host, struct peer_way *ret_way,
               struct err *err)
{
    struct peer_place place;
    int rc = peers_find(ctx, host, &place, err);

    if (rc == 0)
        *ret_way = place.way;
    return rc;
}

static int check(void *ctx, const char *host, const struct peer_offer *offer,
                 struct peer_verdict *ret_verdict, struct err *err)
{
    struct json_object *result = NULL;
    int rc =
        peer_call(ctx, host, "Peer.check", wire_offer(offer), &result, err);

    if (rc == 0)
        rc = wire_read_verdict(result, ret_verdict, err);
    (void)json_object_put(result);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}

static int ask(void *ctx, const char *host, const char *verb,
               struct json_object *params, struct peer_status *ret_status,
               struct err *err)
{
    struct json_object *result = NULL;
    int rc = peer_call(ctx, host, verb, params, &result, err);

    if (rc == 0)
        rc = wire_read_status(result, ret_status, err);
    (void)json_object_put(result);
    return rc < 0 ? err_wrap(err, "host %s", host) : 0;
}

static int prepare(void *ctx, const char *host, const struct peer_offer *offer,
                   struct peer_status *ret_status, struct err *err)
{
    return ask(ctx, host, "Peer.prepare", wire_offer(offer), ret_status, err);
}

static int info(void *ctx, const char *host, const char *job_id,
                struct peer_status *ret_status, struct err *err)
{
    return ask(ctx, host, "Peer.info", wire_job(job_id), ret_status, err);
}

static int room(void *ctx, const char *host, const char *job_id,
                const struct peer_room *rooms, size_t n, struct err *err)
{
    struct peer_status ignored;

    return ask(ctx, host, "Peer.info", wire_room(job_id, rooms, n), &ignored,
               err);
}

static int finish(void *ctx, const char *host, const char *job_id,
                  struct peer_status *ret_status, struct err *err)
{
    return ask(ctx, host, "Peer.finish", wire_job(job_id), ret_status, err);
}

static int undo(void *ctx, const char *host, const char *job_id,
                struct peer_status *ret_status, struct err *err)
{
    return ask(ctx, host, "Peer.undo", wire_job(job_id), ret_status, err);
}

struct peer_port peers_port(struct peers *peers)
{
    static const struct peer_ops ops = {
        .way = way,
        .check = check,
        .prepare = prepare,
        .layer = peers_layer,
        .fill = peers_fill,
        .end = peers_end,
        .digest = peers_digest,
        .info = info,
        .room = room,
        .finish = finish,
        .undo = undo,
    };

    return (struct peer_port){ .ctx = peers, .ops = &ops };
}
