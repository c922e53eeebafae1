/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which process of this host has a file open: the names in /proc, which the
 * kernel knows even when its storage does not answer.
 */
#ifndef DRAY_DOMAIN_OPEN_H
#define DRAY_DOMAIN_OPEN_H

#include <limits.h>
#include <sys/types.h>

/* A process that has something of a directory open. */
struct domain_opener {
    pid_t pid;      /* 0: there is none */
    char name[256]; /* "VM web1", "process 123 (qemu-nbd)" */
    char vm[256];   /* its VM's; empty: none */
    char path[PATH_MAX];
};

/* Any but our own, of @dir or beneath it; @dir has no links in it. What we have
 * open ends by itself. 0 or negative errno. */
int domain_open_find(const char *dir, struct domain_opener *ret);

#endif
