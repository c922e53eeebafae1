/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A single answer may be larger than the limit: its size is the verb's doing,
 * not the client's. The limit is for what a client lets pile up.
 */
#include "outbox.h"
#include "transport.h"

#include <dray/rpc/server.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum {
    OUTBOX_KEEP = 16 * 1024
}; /* a larger buffer is given back */

void outbox_deinit(struct outbox *outbox)
{
    free(outbox->bytes);
    *outbox = (struct outbox){ 0 };
}

size_t outbox_pending(const struct outbox *outbox)
{
    return outbox->end - outbox->begin;
}

static int make_room(struct outbox *outbox, size_t n)
{
    if (outbox->begin > 0) {
        memmove(outbox->bytes, outbox->bytes + outbox->begin,
                outbox_pending(outbox));
        outbox->end -= outbox->begin;
        outbox->begin = 0;
    }
    if (outbox->end + n <= outbox->size)
        return 0;
    size_t size = outbox->size ? outbox->size : 1024;
    while (size < outbox->end + n)
        size *= 2;
    char *bytes = realloc(outbox->bytes, size);
    if (!bytes)
        return -ENOMEM;
    outbox->bytes = bytes;
    outbox->size = size;
    return 0;
}

int outbox_put(struct outbox *outbox, struct json_object *value)
{
    size_t length = 0;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
        &length);
    if (!text)
        return -ENOMEM;
    size_t pending = outbox_pending(outbox);
    if (pending > 0 && pending + length + 1 > RPC_BACKLOG_MAX)
        return -ENOBUFS;
    if (outbox->end + length + 1 > outbox->size &&
        make_room(outbox, length + 1) < 0)
        return -ENOMEM;
    memcpy(outbox->bytes + outbox->end, text, length);
    outbox->end += length;
    outbox->bytes[outbox->end++] = '\n';
    return 0;
}

static void give_back(struct outbox *outbox)
{
    outbox->begin = 0;
    outbox->end = 0;
    if (outbox->size > OUTBOX_KEEP)
        outbox_deinit(outbox);
}

int outbox_flush(struct outbox *outbox, struct transport *transport,
                 size_t *ret_sent, struct err *err)
{
    *ret_sent = 0;
    while (outbox_pending(outbox) > 0) {
        ssize_t n =
            transport->ops->write(transport, outbox->bytes + outbox->begin,
                                  outbox_pending(outbox), err);
        if (n == -EINTR)
            continue;
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        outbox->begin += (size_t)n;
        *ret_sent += (size_t)n;
    }
    give_back(outbox);
    return 0;
}
