/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Volumes, domains and VMs as tables, for what only looks at them: the checks
 * of an engine's requests. Nothing happens in this world by itself.
 */
#ifndef DRAY_TESTS_SMALL_WORLD_H
#define DRAY_TESTS_SMALL_WORLD_H

#include <dray/migrate.h>

#define SMALL_A   "aaaaaaaa-0000-4000-8000-000000000001"
#define SMALL_B   "bbbbbbbb-0000-4000-8000-000000000002"
#define SMALL_C   "cccccccc-0000-4000-8000-000000000003" /* nobody knows it */
#define SMALL_IMG "11111111-0000-4000-8000-000000000004"
#define SMALL_JOB "99999999-0000-4000-8000-000000000005"
#define SMALL_VM  "77777777-0000-4000-8000-000000000006"
#define SMALL_V0  "00000000-0000-4000-8000-0000000000a0" /* base */
#define SMALL_V1  "00000000-0000-4000-8000-0000000000a1"
#define SMALL_V2  "00000000-0000-4000-8000-0000000000a2" /* leaf */
#define SMALL_V3  "00000000-0000-4000-8000-0000000000a3"

enum {
    SMALL_VOLUMES = 16,
    SMALL_VMS = 3,
    SMALL_DISKS = 2,
};

struct small_vm {
    struct vm_info info;
    struct vm_disk disks[SMALL_DISKS];
    size_t n_disks;
};

struct small_world {
    struct migrate_ports ports;
    struct volume_info volumes[SMALL_VOLUMES];
    size_t n_volumes;
    struct domain_info a, b;
    uint64_t free_bytes;
    struct small_vm vms[SMALL_VMS];
    size_t n_vms;
    struct vm_mirror_info mirror;
    bool libvirt_away;
    bool vm_lost; /* one that libvirt takes for stopped runs */
    bool prepare_fails;
    bool storage_hangs; /* locate() cannot say */
    bool agent;         /* of the guest: freezes its file systems */
    bool snapshots_fail;
    /* What was done to it. */
    size_t snapshots, overlays; /* calls, and disks in the last one */
    bool quiesced;
    size_t prepared, marked, forgotten;
    bool allowed_illegal;
};

/* Domain A has SMALL_IMG with a RAW base and two COW layers; a VM "web1" runs
 * on it as vda. B has nothing. */
void small_init(struct small_world *world);
/* The image of A with its first @n volumes on @sd, in legality @legality. */
void small_copy(struct small_world *world, const char *sd, size_t n,
                enum volume_legality legality);
struct volume_info *small_volume(struct small_world *world, const char *sd,
                                 const char *vol);
/* The disk's source, or a mirror's destination. */
void small_path(char ret_path[PATH_MAX], const char *sd, const char *vol);
struct volume_id small_id(const char *sd, const char *vol);
struct vm_disk *small_disk(struct small_world *world);

#endif
