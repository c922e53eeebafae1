/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu-img on volumes: which files it gets, and its answers.
 */
#ifndef DRAY_DOMAIN_TOOL_H
#define DRAY_DOMAIN_TOOL_H

#include "headers.h"

enum {
    TOOL_CPU_S = 30,
    TOOL_MEMORY = 1024 * 1024 * 1024,
    TOOL_WAIT_MS = 120 * 1000,
    COMMIT_WAIT_MS = 3600 * 1000, /* what a guest wrote during a move */
};

/* "/proc/PID/fd/FD": the very file that we opened, for a program. */
struct domain_fd_path {
    char s[64];
};

struct domain_fd_path domain_fd_path(int fd);

/* Open files of a chain, and how qemu is told about them: every layer by its
 * descriptor, its format from its record, nothing below the last. So no name
 * that is written in a header is followed, and nothing is probed. */
struct domain_tool_chain {
    size_t n;
    int fds[DOMAIN_CHAIN_MAX];
    char *name; /* "json:{...}" */
};

#define _cleanup_tool_chain_ _cleanup_(domain_tool_chain_close)

int domain_tool_chain_open(const struct domain_image *image,
                           const struct domain_headers *headers,
                           struct domain_tool_chain *ret_chain,
                           struct err *err);
void domain_tool_chain_close(struct domain_tool_chain *chain);

#endif
