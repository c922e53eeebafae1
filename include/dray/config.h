/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd.conf (ini) -> one const struct. conf/drayd.conf documents each key.
 */
#ifndef DRAY_CONFIG_H
#define DRAY_CONFIG_H

#include <dray/base/err.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    CONFIG_ROLES_SIZE = 16 * 1024,
    CONFIG_PEERS_SIZE = 32 * 1024,
};

struct config {
    /* [daemon] */
    char socket_path[PATH_MAX]; /* socket = /run/drayd/drayd.sock */
    char state_dir[PATH_MAX];   /* state_dir = /var/lib/drayd */
    char run_dir[PATH_MAX];     /* run_dir = /run/drayd */
    unsigned workers;           /* workers = 16 */
    unsigned log_level;         /* log_level = info: enum log_level */
    /* [access] names or numbers; full: every verb, read: looking only */
    gid_t full_gid; /* full_group = dray; (gid_t)-1: root only */
    gid_t read_gid; /* read_group = (none) */
    /* [tls] */
    char tls_listen[64]; /* listen = (none): a numeric address */
    unsigned tls_port;   /* port = 16515 */
    char tls_ca[PATH_MAX];
    char tls_cert[PATH_MAX];
    char tls_key[PATH_MAX];
    char tls_crl[PATH_MAX]; /* empty: there is no list */
    /* [tls-roles] NAME = full or read, as lines "NAME ROLE\n" */
    char tls_roles[CONFIG_ROLES_SIZE];
    /* [peers] NAME = ADDRESS LIBVIRT_URI [MIGRATE_URI], as lines "NAME ..." */
    char peers[CONFIG_PEERS_SIZE];
    /* [host] */
    unsigned host_id;   /* id = 1: sanlock host id, 1..2000, one per host */
    char host_name[48]; /* name = (contents of /etc/machine-id): sanlock's
                           our_host_name should be the same */
    /* [storage] */
    uid_t owner_uid;        /* owner = 36 (oVirt's vdsm) */
    gid_t owner_gid;        /* group = 36 (oVirt's kvm) */
    unsigned lvm_timeout_s; /* lvm_timeout = 30: of one LVM command */
    /* [lease] */
    unsigned io_timeout_s; /* io_timeout = 10; below 5 only for tests */
    bool require_watchdog; /* require_watchdog = yes */
    /* [libvirt] */
    char libvirt_uri[256]; /* uri = qemu:///system */
    /* [migrate] */
    uint64_t buffer_bytes;     /* buffer_kib = 1024: mirror's buf-size */
    unsigned converge_limit_s; /* converge_limit = 0: no deadline */
    unsigned migration_wait_s; /* migration_wait = 0: no deadline */
    unsigned job_leases;       /* job_leases = shared: 0; always: 1, never: 2 */
    /* [monitor] */
    uint64_t chunk_bytes;         /* chunk_mib = 2560 */
    unsigned utilization_percent; /* utilization_percent = 20 */
    unsigned replicate_factor;    /* replicate_factor = 2 */
    unsigned safety_factor;       /* safety_factor = 4 */
    unsigned poll_ms;             /* poll_ms = 2000 */
    /* [tools] */
    char qemu_img[PATH_MAX]; /* qemu_img = /usr/bin/qemu-img */
    char iscsiadm[PATH_MAX]; /* iscsiadm = /usr/sbin/iscsiadm */
    char sanlock[PATH_MAX];  /* sanlock = /usr/sbin/sanlock */
    char dray_lvm[PATH_MAX]; /* dray_lvm = /usr/libexec/drayd/dray-lvm: where
                                it is installed, or beside a drayd that runs
                                where it was built */
    char dray_job[PATH_MAX]; /* dray_job = /usr/libexec/drayd/dray-job: so, too
                              */
};

void config_defaults(struct config *ret_config);

/* Reads @path over the defaults. An unknown section or key, or a value that
 * does not parse, is an error that names file, line and key. A missing file is
 * an error too: the caller decides whether the default path may be absent.
 * Refuses a file that others than root may write. */
int config_load(const char *path, struct config *ret_config, struct err *err);

#endif
