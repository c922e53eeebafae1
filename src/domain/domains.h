/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The state of this room: what the options said, and the domains this host
 * knows. Everything but the list is constant after domains_new().
 */
#ifndef DRAY_DOMAIN_DOMAINS_H
#define DRAY_DOMAIN_DOMAINS_H

#include "dir.h"
#include <dray/domain.h>
#include <pthread.h>

struct nfs;
struct reach;

struct domains {
    char state_path[PATH_MAX];  /* .../domains.json */
    char ledger_path[PATH_MAX]; /* .../outside.json */
    char run_dir[PATH_MAX];     /* .../storage */
    char qemu_img[PATH_MAX];
    char dray_lvm[PATH_MAX];
    char lvm_dir[PATH_MAX]; /* .../lvm: LVM's settings for each VG */
    int lvm_command_ms;
    struct domain_owner owner;
    unsigned host_id;
    char hardware_id[64];
    struct lease_port leases;
    struct sdms *sdms; /* has a lock of its own: sdm.c */

    /* Protects known, known_n, lvms and probes; never held while something
     * outside is touched, so that a dead storage does not hold those who ask
     * for another domain. */
    pthread_mutex_t lock;
    struct domain_info *known;
    size_t known_n;
    struct block_lvm *lvms;
    struct probe *probes; /* that hang: probe.c */

    struct reach *reach; /* has a lock of its own */

    struct nfs *nfs; /* has a lock of its own: nfs/use.c */

    struct block_uses *uses; /* has a lock of its own: block/use.c */

    /* One block domain is made at a time. */
    pthread_mutex_t making_lock;

    /* Writers of state_path and ledger_path one after the other, so that the
     * last state is the one that stays; taken before lock. Local disk only. */
    pthread_mutex_t save_lock;
};

#endif
