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
/* What qemu opens then, in @ret_path. */
int driver_attach(const struct driver_tools *tools,
                  const struct managed_connection *connection,
                  char ret_path[MANAGED_PATH_SIZE], struct err *err);
int driver_detach(const struct driver_tools *tools,
                  const struct managed_connection *connection, struct err *err);

#endif
