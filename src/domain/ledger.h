/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * outside.json: the files that we made outside of domains and that nobody has
 * kept yet. It is how we know after a restart what may be removed again.
 */
#ifndef DRAY_DOMAIN_LEDGER_H
#define DRAY_DOMAIN_LEDGER_H

#include "domains.h"

/* A file as it was when it was made. */
struct ledger_entry {
    char path[PATH_MAX];
    int64_t inode;
    int64_t born_ns; /* 0: the file system does not tell */
    int64_t size;
    int64_t mtime_ns;
};

int domain_ledger_entry(int fd, const char *path,
                        struct ledger_entry *ret_entry);

/* The same file, whatever was written to it since. */
bool domain_ledger_is_same(const struct ledger_entry *a,
                           const struct ledger_entry *b);
/* And nothing was written to it. */
bool domain_ledger_is_fresh(const struct ledger_entry *a,
                            const struct ledger_entry *b);

/* 0 or DOMAIN_NONE. */
int domain_ledger_find(struct domains *domains, const char *path,
                       struct ledger_entry *ret_entry, struct err *err);
/* Durable; replaces what was there for the path. */
int domain_ledger_put(struct domains *domains, const struct ledger_entry *entry,
                      struct err *err);
/* None there: fine. */
int domain_ledger_drop(struct domains *domains, const char *path,
                       struct err *err);

#endif
