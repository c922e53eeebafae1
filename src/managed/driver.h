/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How each kind of connection is made and ended. Both may be repeated.
 */
#ifndef DRAY_MANAGED_DRIVER_H
#define DRAY_MANAGED_DRIVER_H

#include <dray/managed.h>

struct driver_tools {
    const char *qemu_img;
    const char *iscsiadm;
};

/* Whether this host can. ERR_MANAGED_NONE. */
int driver_check(const struct driver_tools *tools,
                 const struct managed_connection *connection, struct err *err);
/* Sets its path and, also when it fails, what is its own. */
int driver_attach(const struct driver_tools *tools,
                  struct managed_volume *volume, struct err *err);
/* Ends what is its own. */
int driver_detach(const struct driver_tools *tools,
                  const struct managed_volume *volume, struct err *err);

#endif
