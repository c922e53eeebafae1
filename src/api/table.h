/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the files of the verb table share: how a parameter is written down, and
 * those that many verbs have.
 */
#ifndef DRAY_API_TABLE_H
#define DRAY_API_TABLE_H

#include "verb.h"

#define SIZE_BYTES_MAX  UINT64_C(0x7ffffffffffff000)
#define RATE_MAX        UINT64_C(0x7fffffffffffffff)
#define DESCRIPTION_MAX (VOLUME_DESCRIPTION_SIZE - 1)

/* table-domain.c */
extern const struct param_spec domain_create_params[11];
extern const struct param_spec domain_extend_params[4];
extern const struct param_spec domain_audit_params[2];
extern const struct param_spec domain_join_params[4];
extern const struct param_spec domain_params[1];
extern const struct param_spec domain_volumes_params[3];

/* table-image.c */
extern const struct param_spec image_prepare_params[5];
extern const struct param_spec image_teardown_params[4];
extern const struct param_spec image_delete_params[6];
extern const struct param_spec volume_create_params[16];
extern const struct param_spec volume_delete_params[7];
extern const struct param_spec volume_params[4];

/* table-job.c */
extern const struct param_spec get_jobs_params[2];
extern const struct param_spec job_ids_params[1];
extern const struct param_spec job_params[1];
extern const struct param_spec job_wait_params[2];
extern const struct param_spec subscribe_params[1];
extern const struct param_spec job_limit_params[2];

/* table-lease.c */
extern const struct param_spec lease_params[1];
extern const struct param_spec lease_create_params[2];
extern const struct param_spec lease_fence_params[2];
extern const struct param_spec lease_domain_params[1];

/* table-engine.c: the verbs of an engine that moves disks itself. */
extern const char *const table_formats[]; /* RAW, COW */
extern const struct param_spec drive_params[2];
extern const struct param_spec replicate_start_params[7];
extern const struct param_spec replicate_finish_params[3];
extern const struct param_spec snapshot_params[7];
extern const struct param_spec merge_params[7];
extern const struct param_spec image_volumes_params[3];
extern const struct param_spec clone_structure_params[5];
extern const struct param_spec sync_data_params[6];
extern const struct param_spec image_copy_params[7];
extern const struct param_spec image_move_params[11];
extern const struct param_spec reconcile_params[4];
extern const struct param_spec delete_volumes_params[7];
extern const struct param_spec extend_size_params[5];
extern const struct param_spec measure_params[7];
extern const struct param_spec set_legality_params[5];

/* table-sdm.c */
extern const struct param_spec sdm_copy_params[7];
extern const struct param_spec sdm_move_params[5];
extern const struct param_spec sdm_update_params[3];
extern const struct param_spec managed_attach_params[3];
extern const struct param_spec managed_detach_params[2];
extern const struct param_spec managed_info_params[1];

/* table-vm.c */
#define XML_MAX    UINT64_C(204800) /* a request has RPC_REQUEST_MAX */
#define DATA_MAX   UINT64_C(204800)
#define WAIT_S_MAX UINT64_C(2592000) /* 30 days */
extern const struct param_spec vm_params[1];
extern const struct param_spec watermarks_params[1];
extern const struct param_spec disk_plan_params[10];
extern const struct param_spec disk_migrate_params[11];
extern const struct param_spec vm_plan_params[8];
extern const struct param_spec vm_migrate_params[9];
extern const struct param_spec peer_offer_params[7];
extern const struct param_spec peer_info_params[2];
extern const struct param_spec peer_layer_params[14];
extern const struct param_spec peer_fill_params[8];
extern const struct param_spec peer_end_params[7];
extern const struct param_spec peer_digest_params[7];

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

#define P(param, kind, what, ...) \
    { .name = (param), .type = PARAM_##kind, .text = (what), ##__VA_ARGS__ }
#define OPTIONAL .optional = true
#define NULLABLE .nullable = true
#define FLAG(param, value, what) \
    P(param, BOOL, what, OPTIONAL, .preset = (value))

#define POOL \
    P("storagepoolID", UUID, "Taken for VDSM's sake, ignored.", \
      OPTIONAL, NULLABLE, .blank = true)
#define DOMAIN  P("storagedomainID", UUID, "The storage domain.")
#define IMAGE   P("imageID", UUID, "The image: one virtual disk.")
#define VOLUME  P("volumeID", UUID, "The volume: one layer of the image.")
#define VM      P("vmID", NAME, "The VM's UUID or name.")
#define JOB     P("jobID", UUID, "The job.")
#define JOB_IDS P("job_ids", UUIDS, "The jobs.")
#define FORCE   FLAG("force", "false", "Taken for VDSM's sake, ignored.")
#define POST_ZERO \
    FLAG("postZero", "false", "Zero before deleting; file domains refuse it.")
#define DISCARD \
    FLAG("discard", "false", "Discard before deleting; file domains refuse it.")

#define LEASE_STATUS \
    "{owners: [host id], version, metadata?}: no owner: it is free, and " \
    "metadata is the job's record, {} without one: PENDING of a free lease: " \
    "the job never ran, or its host is dead"
#define LEASE_REBUILT \
    "{kept, restored, made, freed, cleared}: how many leases were right; " \
    "records made from the lease at their place; leases made anew, without " \
    "data, for their record; records freed, nothing was behind them; leases " \
    "cleared, no record spoke of them"

/* clang-format on */

#endif
