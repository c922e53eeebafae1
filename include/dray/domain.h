/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Storage domains in oVirt's V5 format: implements ports/storage.h, for file
 * domains (a directory, an NFS export that is mounted for it) and for domains
 * on LUNs.
 */
#ifndef DRAY_DOMAIN_H
#define DRAY_DOMAIN_H

#include <dray/ports/lease.h>
#include <dray/ports/storage.h>
#include <dray/ports/xlease.h>
#include <sys/types.h>

struct domains;

struct domains_options {
    const char *state_dir; /* domains.json: known domains, which are joined */
    const char *run_dir; /* run_dir/storage/SD/IMG links, run_dir/mnt/EXPORT */
    const char *qemu_img;
    const char *dray_lvm; /* the program, absolute */
    int lvm_command_ms; /* the longest that one LVM command may take; 0: 30 s */
    uid_t owner_uid;    /* of every file made */
    gid_t owner_gid;
    unsigned host_id;
    const char *hardware_id; /* of this host, for records on shared storage;
                                NULL: none */
    /* Exports. NULL: the system's own mount(8), umount(8), list of mounts. */
    const char *mount, *umount, *mount_table;
    int mount_ms;            /* the longest that a mount may take; 0: 30 s */
    const char *systemd_run; /* runs both in the host's mount namespace; NULL:
                                ours is the host's */
};

/* Reads the list of known domains; joins nothing. */
int domains_new(const struct domains_options *options,
                const struct lease_port *leases, struct domains **ret_domains,
                struct err *err);
void domains_free(struct domains *domains);
struct storage_port domains_port(struct domains *domains);
struct xlease_port domains_xlease_port(struct domains *domains);

#endif
