/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Events are kept in memory, as many as fit into what may wait for one client:
 * so all of them can be sent to one that comes back. Numbers begin with the
 * time, so those of a later life of the daemon are larger than all before, and
 * a client sees by the number alone that it missed something.
 */
#include "event-log.h"

#include "put.h"
#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <json-c/json.h>
#include <stdlib.h>

enum {
    KEPT_BYTES = RPC_BACKLOG_MAX / 2
};

void event_log_init(struct event_log *log, uint64_t base)
{
    list_init(&log->events);
    log->bytes = 0;
    log->last = base;
}

static void drop(struct event_log *log, struct event *event)
{
    list_remove(&event->link);
    log->bytes -= event->bytes;
    json_object_put(event->params);
    free(event);
}

void event_log_deinit(struct event_log *log)
{
    list_for_each_safe (item, next, &log->events)
        drop(log, container_of(item, struct event, link));
}

/* All but the newest may have to go. */
static void make_room(struct event_log *log)
{
    list_for_each_safe (item, next, &log->events) {
        if (log->bytes <= KEPT_BYTES || next == &log->events)
            return;
        drop(log, container_of(item, struct event, link));
    }
}

const struct event *event_log_add(struct event_log *log, const char *method,
                                  struct json_object *params)
{
    struct event *event = calloc(1, sizeof(*event));

    log->last++;
    if (!event || !put_u64(params, "seq", log->last)) {
        json_object_put(params);
        free(event);
        return NULL;
    }
    event->seq = log->last;
    event->params = params;
    (void)str_copy(event->method, sizeof(event->method), method); /* fits */
    (void)json_object_to_json_string_length(params, JSON_C_TO_STRING_PLAIN,
                                            &event->bytes);
    event->bytes += sizeof(event->method);
    log->bytes += event->bytes;
    list_append(&log->events, &event->link);
    make_room(log);
    return event;
}

uint64_t event_log_oldest(const struct event_log *log)
{
    if (list_is_empty(&log->events))
        return log->last + 1;
    return container_of(log->events.next, struct event, link)->seq;
}
