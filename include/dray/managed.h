/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes that others manage: an array, a Ceph cluster, a server. We are told
 * how to reach one, attach it to this host, and remember it until it is
 * detached, over restarts too. What an attempt left behind, or could not be
 * detached, stays in the table and is tried again. Calls block; any worker.
 */
#ifndef DRAY_MANAGED_H
#define DRAY_MANAGED_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <stdbool.h>
#include <stddef.h>

struct managed;

enum {
    MANAGED_PATH_SIZE = 1024
};

enum managed_driver {
    MANAGED_LOCAL, /* a device or file that is there already */
    MANAGED_NBD,   /* a URI; qemu is the client */
    MANAGED_RBD,   /* the same, by POOL/NAME */
    MANAGED_ISCSI, /* open-iscsi makes a device of it */
    MANAGED_DRIVERS,
};

struct managed_connection {
    enum managed_driver driver;
    char place[MANAGED_PATH_SIZE]; /* path, URI, POOL/NAME; iSCSI: empty */
    char portal[256];              /* iSCSI: HOST:PORT */
    char iqn[224];
    unsigned lun;
};

enum managed_state {
    MANAGED_ATTACHING, /* or this was cut off */
    MANAGED_ATTACHED,
    MANAGED_DETACHING, /* or this failed: see problem */
    MANAGED_STATES,
};

struct managed_volume {
    char sd[UUID_SIZE]; /* UUID_BLANK: nobody's */
    char vol[UUID_SIZE];
    struct managed_connection connection;
    enum managed_state state;
    char path[MANAGED_PATH_SIZE]; /* what qemu opens; empty: not known */
    char problem[256];
    /* iSCSI: what attaching has made, and detaching ends. What was there
     * already, or may have been, is somebody else's. */
    bool own_node;    /* open-iscsi's record of the target */
    bool own_session; /* or another volume's that we have, too */
};

struct managed_options {
    const char *state_dir; /* the table is in managed/ there */
    const char *qemu_img;
    const char *iscsiadm;
};

/* 0: nobody uses @volume, as far as one can see. May block. */
typedef int (*managed_check_free)(void *arg,
                                  const struct managed_volume *volume,
                                  struct err *err);

/* Reads the table. */
int managed_new(const struct managed_options *options,
                struct managed **ret_managed, struct err *err);
void managed_free(struct managed *managed);

/* ERR_MANAGED_CONNECTION: attached by another one; ERR_MANAGED_ATTACHED;
 * ERR_MANAGED_NONE: this host cannot; ERR_MANAGED_DEVICE: no disk there;
 * ERR_MANAGED_HELPER: it failed; ERR_DISK_BUSY: somebody is at it. After a
 * failure nothing is attached, or the volume is in MANAGED_DETACHING. */
int managed_attach(struct managed *managed, const char *sd, const char *vol,
                   const struct managed_connection *connection,
                   struct managed_volume *ret_volume, struct err *err);
/* Unknown: 0. What @check_free says: nothing changed. ERR_MANAGED_HELPER: it
 * stays, in MANAGED_DETACHING. */
int managed_detach(struct managed *managed, const char *sd, const char *vol,
                   managed_check_free check_free, void *arg, struct err *err);
/* Tries once more to detach what could not be. How many are left; their
 * problem says why. */
size_t managed_retry(struct managed *managed, managed_check_free check_free,
                     void *arg);

/* All; the caller frees *ret_volumes. */
int managed_list(struct managed *managed, struct managed_volume **ret_volumes,
                 size_t *ret_n, struct err *err);
/* One that is attached. ERR_NO_VOLUME. Does not block. */
int managed_find(struct managed *managed, const char *sd, const char *vol,
                 struct managed_volume *ret_volume, struct err *err);
/* Whether its device is there; of a URI: it is attached. */
bool managed_exists(const struct managed_volume *volume);

const char *managed_driver_name(enum managed_driver driver); /* "local", ... */
int managed_driver_parse(const char *name, enum managed_driver *ret_driver);
const char *managed_state_name(enum managed_state state); /* "attached", ... */

#endif
