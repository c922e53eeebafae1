/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The last numbered events, for clients that come back. Owner loop only.
 */
#ifndef DRAY_API_EVENT_LOG_H
#define DRAY_API_EVENT_LOG_H

#include <dray/base/list.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

struct event {
    struct list link;
    uint64_t seq;
    char method[80];
    struct json_object *params;
    size_t bytes;
};

struct event_log {
    struct list events; /* oldest first */
    size_t bytes;       /* of all */
    uint64_t last;      /* number of the last event there was */
};

/* Numbers go on after @base. */
void event_log_init(struct event_log *log, uint64_t base);
void event_log_deinit(struct event_log *log);

/* Numbers @params (as member seq) and keeps them for a while; takes them over.
 * NULL: no memory, the number is used up. */
const struct event *event_log_add(struct event_log *log, const char *method,
                                  struct json_object *params);
/* The first number that is still here; last + 1: none is. */
uint64_t event_log_oldest(const struct event_log *log);

#endif
