/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Accepts on one listening socket, on the owner loop. When all descriptors are
 * used a client is turned away at once, instead of hanging in the queue.
 */
#ifndef DRAY_RPC_ACCEPT_H
#define DRAY_RPC_ACCEPT_H

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct acceptor {
    int fd;       /* listening; -1: none */
    int spare_fd; /* given up for a moment to refuse a client when all
                     descriptors are used */
    sd_event_source *source;
    sd_event_source *pause; /* ends a pause in accepting */
    size_t n_clients;       /* connections that came in here */
    uint64_t request_us;    /* a request that has begun is complete by then, or
                               the connection ends; 0: it may take its time */
    void (*welcome)(void *arg, int fd);   /* takes @fd over */
    void (*turn_away)(void *arg, int fd); /* no descriptor is left; borrows */
    void *arg;
};

/* The functions and their argument are set already. Takes @fd over when it
 * succeeds; deinit() is due in any case. 0 or a negative errno. */
int acceptor_init(struct acceptor *acceptor, sd_event *loop, int fd);
void acceptor_deinit(struct acceptor *acceptor);

#endif
