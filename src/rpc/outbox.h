/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes that wait to be sent to one client.
 */
#ifndef DRAY_RPC_OUTBOX_H
#define DRAY_RPC_OUTBOX_H

#include <stddef.h>

struct err;
struct json_object;
struct transport;

struct outbox {
    char *bytes;
    size_t begin, end, size;
};

void outbox_deinit(struct outbox *outbox);
size_t outbox_pending(const struct outbox *outbox);

/* One line. -ENOMEM; -ENOBUFS when others wait already and all together would
 * exceed RPC_BACKLOG_MAX. */
int outbox_put(struct outbox *outbox, struct json_object *value);

/* Sends what the transport takes: 0, also when it takes nothing; negative errno
 * when the peer is gone. *ret_sent counts. */
int outbox_flush(struct outbox *outbox, struct transport *transport,
                 size_t *ret_sent, struct err *err);

#endif
