/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The parts of making a domain.
 */
#ifndef DRAY_DOMAIN_CREATE_H
#define DRAY_DOMAIN_CREATE_H

#include "dir.h"
#include <dray/ports/storage.h>

/* What a domain is called while it is built: this and its UUID. */
#define DOMAIN_BUILD_PREFIX ".drayd-create-"

/* ERR_VALUE unless it is one line of text. */
int domain_create_check_name(const char *name, struct err *err);

/* ERR_VALUE unless it is absolute and never climbs. */
int domain_check_path(const char *path, struct err *err);

/* Everything that can be wrong with @spec; fills in @info from it, but for the
 * path of an export. */
int domain_create_check(const struct domain_create *spec,
                        struct domain_info *info, struct err *err);

/* What is in @top: 0: the very domain that is wanted; DOMAIN_NONE: no domain;
 * another domain or something in its place is an error. */
int domain_place_check(const struct domain_dir *top,
                       const struct domain_info *wanted, struct err *err);

/* Nobody else makes a domain in @top until _unlock() and the close of
 * *ret_fd. */
int domain_place_lock(const struct domain_dir *top, int *ret_fd,
                      struct err *err);
void domain_place_unlock(const struct domain_dir *top);

/* Removes what dead builders left. Under the lock. */
int domain_place_clean(const struct domain_dir *top, struct err *err);

/* Removes a directory of ours with its files, and @deeper, one level of
 * directories within. One that is not there is fine. */
int domain_remove_tree(const struct domain_dir *top, const char *name,
                       bool deeper, struct err *err);

#endif
