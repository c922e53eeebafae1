/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of managed volumes on this host's disk: a file for each.
 */
#ifndef DRAY_MANAGED_STORE_H
#define DRAY_MANAGED_STORE_H

#include <dray/managed.h>

int store_put(const char *dir, const struct managed_volume *volume,
              struct err *err);
int store_remove(const char *dir, const struct managed_volume *volume,
                 struct err *err);
/* Calls @found for each; what cannot be read is logged and left. */
int store_load(const char *dir,
               int (*found)(void *arg, const struct managed_volume *volume),
               void *arg, struct err *err);

#endif
