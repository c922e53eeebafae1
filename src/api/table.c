/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every verb: its name, who may call it, what it takes and gives, what runs it.
 * Dispatch, validation, roles and rpc.discover read this and nothing else.
 *
 * The order of parameters is VDSM's, because they may be sent as an array.
 * Parameters that VDSM needs and we do not are taken and ignored.
 */
#include "table.h"

static const char *const job_types[] = { "storage", "virt", "v2v", NULL };

/* clang-format 14 crashes on tables like these. */
/* clang-format off */

/* --- parameters -------------------------------------------------------- */

static const struct param_spec get_jobs_params[] = {
    P("job_type", WORD,
      "Only jobs of this type.", OPTIONAL, NULLABLE, .words = job_types),
    P("job_ids", UUIDS,
      "Only these jobs; unknown ones are left out.", OPTIONAL),
};

static const struct param_spec job_ids_params[] = { JOB_IDS };

static const struct param_spec vm_params[] = { VM };

static const struct param_spec watermarks_params[] = {
    P("vmID", NAME,
      "The VM's UUID or name; left out: all VMs.", OPTIONAL, NULLABLE),
};

static const struct param_spec job_params[] = { JOB };

static const struct param_spec job_wait_params[] = {
    JOB,
    P("timeout", UINT,
      "Seconds to wait at most.", OPTIONAL, .preset = "60", .max = 3600),
};

static const struct param_spec subscribe_params[] = {
    P("since", UINT,
      "The last event's seq that the client has: what came after it is sent, "
      "too.", OPTIONAL, NULLABLE, .max = UINT64_C(1) << 53),
};

static const struct param_spec job_limit_params[] = {
    JOB,
    P("limit", UINT,
      "Bytes per second; 0: no limit.", .max = RATE_MAX),
};

/* --- verbs ------------------------------------------------------------- */

#define PARAMS(list) \
    .params = (list), .n_params = ARRAY_SIZE(list)
#define READ         .role = RPC_ROLE_READ
#define FULL         .role = RPC_ROLE_FULL
#define GIVES(type, what) .result_type = (type), .result = (what)
#define GIVES_TRUE   GIVES("boolean", "true")
#define GIVES_JOB    GIVES("object", "The job, as Job.info gives it.")
#define GIVES_MOVE \
    GIVES("object", "{stage, vm, paths, warning, error?}; stage: preparing, " \
                    "ready, landing, done, undoing, undone; vm: absent, " \
                    "incoming, arrived, running, off.")
#define GIVES_JOB_ID GIVES("string", "The job's id (VDSM: a task's).")

const struct verb verb_table[] = {
    { .name = "Host.ping",
      .summary = "Is drayd there?",
      READ,
      .early = true,
      GIVES_TRUE,
      .before = verb_host_ping },
    { .name = "Host.getCapabilities",
      .summary = "What this drayd is and can do.",
      READ,
      GIVES("object", "Version, host, formats, strategies, limits."),
      .before = verb_host_capabilities },
    { .name = "Host.getStats",
      .summary = "How this drayd does, in numbers since it was started.",
      READ,
      GIVES("object", "{jobs {total, running}, clients, domains {known, "
                      "joined, missing}, extensions {count, failures, byAlarm, "
                      "byPoll, p50Ms, p99Ms, maxMs}, pauses, watched}: thin "
                      "disks on LVs that were extended, times from the need to "
                      "usable space of the last 1000, guests that stood still "
                      "for want of space, layers that are watched."),
      .before = verb_host_stats_before,
      .work = verb_host_stats },
    { .name = "Host.getJobs",
      .summary = "Jobs, as VDSM gives them.",
      READ,
      PARAMS(get_jobs_params),
      GIVES("object", "Job id -> {id, status, description, job_type, progress, "
                      "error?}."),
      .before = verb_host_get_jobs },
    { .name = "Host.abortJobs",
      .summary = "Cancels jobs; each answers for itself. Waits as Job.cancel.",
      FULL,
      PARAMS(job_ids_params),
      GIVES("object", "Job id -> {ok: true} or {error}."),
      .before = verb_host_abort_jobs },
    { .name = "Host.deleteJobs",
      .summary = "Forgets jobs that have ended; each answers for itself.",
      FULL,
      PARAMS(job_ids_params),
      GIVES("object", "Job id -> {ok: true} or {error}."),
      .before = verb_host_delete_jobs },
    { .name = "StorageDomain.create",
      .summary = "Makes a storage domain in a directory or on devices.",
      FULL,
      PARAMS(domain_create_params),
      GIVES_TRUE,
      .work = verb_domain_create },
    { .name = "StorageDomain.join",
      .summary = "Uses a storage domain on this host, now and after restarts.",
      FULL,
      PARAMS(domain_join_params),
      GIVES("string", "The domain's UUID."),
      .work = verb_domain_join },
    { .name = "StorageDomain.extend",
      .summary = "Makes a storage domain on devices larger by more devices.",
      FULL,
      PARAMS(domain_extend_params),
      GIVES_TRUE,
      .work = verb_domain_extend },
    { .name = "StorageDomain.audit",
      .summary = "Looks for what is left over, belongs to nothing, or "
                 "contradicts itself in a storage domain.",
      FULL,
      PARAMS(domain_audit_params),
      GIVES("object", "{findings: [{kind, imageID?, volumeID?, text, repair?, "
                      "repaired}]}; kind: leftover, orphan, mismatch, idle; "
                      "repair: what a repair does, absent: a person must "
                      "decide."),
      .work = verb_domain_audit },
    { .name = "StorageDomain.leave",
      .summary = "Uses a storage domain no longer; its data stays.",
      FULL,
      PARAMS(domain_params),
      GIVES_TRUE,
      .before = verb_domain_leave_before,
      .work = verb_domain_leave },
    { .name = "StorageDomain.list",
      .summary = "Storage domains this host knows.",
      READ,
      GIVES("array", "{uuid, name, type, devices?, path, status, readOnly, "
                     "hostId, problem?} of each."),
      .work = verb_domain_list },
    { .name = "StorageDomain.getInfo",
      .summary = "A storage domain's metadata.",
      READ,
      PARAMS(domain_params),
      GIVES("object", "VDSM's members, and path, status, readOnly, hostId; on "
                      "devices: devices, extentSize, too."),
      .work = verb_domain_get_info },
    { .name = "StorageDomain.getStats",
      .summary = "A storage domain's space.",
      READ,
      PARAMS(domain_params),
      GIVES("object", "disktotal and diskfree in bytes, as strings; mdasize, "
                      "mdafree, mdavalid, mdathreshold of a volume group."),
      .work = verb_domain_get_stats },
    { .name = "StorageDomain.getImages",
      .summary = "Images in a storage domain.",
      READ,
      PARAMS(domain_params),
      GIVES("array", "UUIDs."),
      .work = verb_domain_get_images },
    { .name = "StorageDomain.getVolumes",
      .summary = "Volumes in a storage domain, or of one image.",
      READ,
      PARAMS(domain_volumes_params),
      GIVES("array", "UUIDs."),
      .work = verb_domain_get_volumes },
    { .name = "Image.prepare",
      .summary = "Makes an image ready for a VM.",
      FULL,
      PARAMS(image_prepare_params),
      GIVES("object", "{path} of the leaf."),
      .work = verb_image_prepare },
    { .name = "Image.teardown",
      .summary = "Undoes Image.prepare.",
      FULL,
      PARAMS(image_teardown_params),
      GIVES_TRUE,
      .work = verb_image_teardown },
    { .name = "Image.delete",
      .summary = "Deletes an image with all its volumes.",
      FULL,
      .changes_image = true,
      PARAMS(image_delete_params),
      GIVES_TRUE,
      .before = guard_image_before,
      .work = verb_image_delete },
    { .name = "Image.deleteVolumes",
      .summary = "Deletes volumes of an image, one after another.",
      FULL,
      .changes_image = true,
      PARAMS(delete_volumes_params),
      GIVES_TRUE,
      .before = guard_image_before,
      .work = verb_image_delete_volumes },
    { .name = "Image.getVolumes",
      .summary = "Volumes of an image.",
      READ,
      PARAMS(image_volumes_params),
      GIVES("array", "UUIDs."),
      .work = verb_domain_get_volumes },
    { .name = "Image.cloneStructure",
      .summary = "Makes the same volumes, empty and ILLEGAL, on another domain.",
      FULL,
      PARAMS(clone_structure_params),
      GIVES_JOB_ID,
      .before = verb_image_clone_before,
      .work = step_work,
      .after = step_after },
    { .name = "Image.syncData",
      .summary = "Copies volumes' data to where Image.cloneStructure made them.",
      FULL,
      PARAMS(sync_data_params),
      GIVES_JOB_ID,
      .before = verb_image_sync_before,
      .work = step_work,
      .after = step_after },
    { .name = "Image.copy",
      .summary = "Copies an image that no VM writes to.",
      FULL,
      PARAMS(image_copy_params),
      GIVES_JOB_ID,
      .before = verb_image_copy_before,
      .work = step_work,
      .after = step_after },
    { .name = "Image.move",
      .summary = "Copies an image that no VM writes to, then deletes it.",
      FULL,
      PARAMS(image_move_params),
      GIVES_JOB_ID,
      .before = verb_image_move_before,
      .work = step_work,
      .after = step_after },
    { .name = "SDM.copy_data",
      .summary = "Copies a volume's data into one that is there, or from or to "
                 "somewhere outside of all domains.",
      FULL,
      PARAMS(sdm_copy_params),
      GIVES_TRUE,
      .before = verb_sdm_copy_before,
      .work = step_work,
      .after = step_after },
    { .name = "SDM.move_data",
      .summary = "SDM.copy_data, compares both sides, then removes the source.",
      FULL,
      PARAMS(sdm_move_params),
      GIVES_TRUE,
      .before = verb_sdm_move_before,
      .work = step_work,
      .after = step_after },
    { .name = "SDM.update_volume",
      .summary = "Changes a volume's record, if it has the generation named.",
      FULL,
      PARAMS(sdm_update_params),
      GIVES_TRUE,
      .before = verb_sdm_update_before,
      .work = step_work,
      .after = step_after },
    { .name = "Image.reconcileVolumeChain",
      .summary = "Makes the records say what the qcow2 headers do; no VM may "
                 "run on it.",
      FULL,
      .changes_image = true,
      PARAMS(reconcile_params),
      GIVES("array", "The chain's volumes, base first."),
      .before = guard_image_before,
      .work = verb_image_reconcile },
    { .name = "Volume.create",
      .summary = "Makes a volume; done when answered.",
      FULL,
      .changes_image = true,
      PARAMS(volume_create_params),
      GIVES("string", "The volume's UUID (VDSM: a task's)."),
      .before = guard_image_before,
      .work = verb_volume_create },
    { .name = "Volume.delete",
      .summary = "Deletes a volume that has no children.",
      FULL,
      .changes_image = true,
      PARAMS(volume_delete_params),
      GIVES_TRUE,
      .before = guard_image_before,
      .work = verb_volume_delete },
    { .name = "Volume.getInfo",
      .summary = "A volume's metadata, sizes and lease.",
      READ,
      PARAMS(volume_params),
      GIVES("object", "VDSM's VolumeInfo, and path."),
      .work = verb_volume_get_info },
    { .name = "Volume.getSize",
      .summary = "A volume's sizes.",
      READ,
      PARAMS(volume_params),
      GIVES("object", "{truesize, apparentsize} in bytes, as strings."),
      .work = verb_volume_get_size },
    { .name = "Volume.getQemuImageInfo",
      .summary = "A volume as qemu-img sees it.",
      READ,
      PARAMS(volume_params),
      GIVES("object", "{format, virtualsize, clustersize?, backingfile?, "
                      "compat?, bitmaps}."),
      .work = verb_volume_qemu_info },
    { .name = "Volume.measure",
      .summary = "How large a file that holds a volume would be.",
      READ,
      PARAMS(measure_params),
      GIVES("object", "{required, fully-allocated, bitmaps?} in bytes."),
      .work = verb_volume_measure },
    { .name = "Volume.extendSize",
      .summary = "Makes a raw volume larger.",
      FULL,
      .changes_image = true,
      PARAMS(extend_size_params),
      GIVES("string", "The volume's UUID (VDSM: a task's)."),
      .before = guard_image_before,
      .work = verb_volume_extend },
    { .name = "Volume.setLegality",
      .summary = "Says whether a volume's data is there.",
      FULL,
      .changes_image = true,
      PARAMS(set_legality_params),
      GIVES_TRUE,
      .before = verb_volume_set_legality_before,
      .work = verb_volume_set_legality },
    { .name = "Lease.create",
      .summary = "Makes a lease in a storage domain, for a job with its record.",
      FULL,
      PARAMS(lease_create_params),
      GIVES("string", "The lease's id (VDSM: a task's)."),
      .work = verb_lease_create },
    { .name = "Lease.delete",
      .summary = "Removes a lease that nobody holds.",
      FULL,
      PARAMS(lease_params),
      GIVES_TRUE,
      .work = verb_lease_delete },
    { .name = "Lease.info",
      .summary = "Where a lease is.",
      READ,
      PARAMS(lease_params),
      GIVES("object", "{sd_id, lease_id, path, offset}."),
      .work = verb_lease_info },
    { .name = "Lease.status",
      .summary = "Who holds a lease, and what its job came to. Takes no lease.",
      READ,
      PARAMS(lease_params),
      GIVES("object", LEASE_STATUS "."),
      .work = verb_lease_status },
    { .name = "Lease.fence",
      .summary = "Ends a job whose host is dead: FENCED, with the next "
                 "generation, so that it can never succeed.",
      FULL,
      PARAMS(lease_fence_params),
      GIVES_TRUE,
      .work = verb_lease_fence },
    { .name = "Lease.list",
      .summary = "All leases of a storage domain. Takes none.",
      READ,
      PARAMS(lease_domain_params),
      GIVES("array", "Of each {lease_id, offset} and what Lease.status says, "
                     "or {problem}."),
      .work = verb_lease_list },
    { .name = "Lease.rebuild",
      .summary = "Repairs the index of a storage domain's leases from what is "
                 "on the disk.",
      FULL,
      PARAMS(lease_domain_params),
      GIVES("object", LEASE_REBUILT "."),
      .work = verb_lease_rebuild },
    { .name = "Lease.rebuild_leases",
      .summary = "VDSM's name of Lease.rebuild.",
      FULL,
      PARAMS(lease_domain_params),
      GIVES("object", LEASE_REBUILT "."),
      .work = verb_lease_rebuild },
    { .name = "VM.list",
      .summary = "VMs of this host.",
      READ,
      GIVES("array", "{vmId, vmName, status, persistent} of each."),
      .work = verb_vm_list },
    { .name = "VM.getDisks",
      .summary = "A VM's disks and where they are.",
      READ,
      PARAMS(vm_params),
      GIVES("array", "{name, path, format, capacity, serial, alias, chain, "
                     "domainID?, imageID?, volumeID?, mirror?, ...} of each."),
      .work = verb_vm_get_disks },
    { .name = "VM.getDiskWatermarks",
      .summary = "Thin disks on LVs: how full, and when they are extended.",
      READ,
      PARAMS(watermarks_params),
      GIVES("array", "{vmId, name, role (source, replica, base), domainID, "
                     "imageID, volumeID, size, allocation, free, threshold, "
                     "max, rate, problem?} of each layer that is watched, in "
                     "bytes; threshold 0: not armed."),
      .work = verb_vm_watermarks },
    { .name = "VM.refreshDisk",
      .summary = "The sizes of a VM's disk, read anew.",
      READ,
      PARAMS(drive_params),
      GIVES("object", "{apparentsize, truesize} in bytes, as strings."),
      .work = verb_vm_refresh_disk },
    { .name = "VM.refresh_disk",
      .summary = "VM.refreshDisk under VDSM's name.",
      READ,
      PARAMS(drive_params),
      GIVES("object", "{apparentsize, truesize} in bytes, as strings."),
      .work = verb_vm_refresh_disk },
    { .name = "VM.snapshot",
      .summary = "From one instant on the VM writes to new volumes.",
      FULL,
      PARAMS(snapshot_params),
      GIVES_TRUE,
      .before = verb_vm_snapshot_before,
      .work = step_work,
      .after = step_after },
    { .name = "VM.diskReplicateStart",
      .summary = "Mirrors a disk's active volume to another domain; answers "
                 "when the mirror runs.",
      FULL,
      PARAMS(replicate_start_params),
      GIVES_TRUE,
      .before = verb_replicate_start_before,
      .work = step_work,
      .after = verb_replicate_start_after },
    { .name = "VM.diskReplicateFinish",
      .summary = "Pivots to the replica, or ends it; answers when that is "
                 "done.",
      FULL,
      PARAMS(replicate_finish_params),
      GIVES_TRUE,
      .before = verb_replicate_finish_before,
      .work = verb_replicate_finish,
      .after = verb_replicate_finish_after },
    { .name = "VM.merge",
      .summary = "Merges a volume of a running VM's disk into the one below.",
      FULL,
      PARAMS(merge_params),
      GIVES_TRUE,
      .before = verb_vm_merge_before,
      .work = step_work,
      .after = step_after },
    { .name = "Disk.plan",
      .summary = "What moving a running VM's disks would take, and all that "
                 "speaks against it.",
      READ,
      PARAMS(disk_plan_params),
      GIVES("object", "{possible, strategy, why, obstacles, vm, bytes, "
                      "expectedSeconds, disks: [{disk, chain, bytes, mover, "
                      "format?, source, destination}]}, and the first disk's "
                      "members once more at the top."),
      .before = verb_disk_plan_before,
      .work = verb_disk_plan },
    { .name = "Disk.migrate",
      .summary = "Moves disks of a running VM to another domain, from outside "
                 "into one (import), or out of one (export).",
      FULL,
      PARAMS(disk_migrate_params),
      GIVES_JOB,
      .before = verb_disk_migrate_before,
      .work = verb_disk_migrate,
      .after = verb_disk_migrate_after },
    { .name = "VM.planMigrate",
      .summary = "What a VM's move to another host would take, and all that "
                 "speaks against it there and here.",
      READ,
      PARAMS(vm_plan_params),
      GIVES("object", "As Disk.plan."),
      .before = verb_vm_plan_before,
      .work = verb_vm_plan },
    { .name = "VM.migrate",
      .summary = "Moves a running VM with its disks to another host. Answers "
                 "as Disk.migrate.",
      FULL,
      PARAMS(vm_migrate_params),
      GIVES_JOB,
      .before = verb_vm_migrate_before,
      .work = verb_vm_migrate,
      .after = verb_vm_migrate_after },
    { .name = "Peer.check",
      .summary = "For another drayd: what speaks against a VM that would come.",
      FULL,
      PARAMS(peer_offer_params),
      GIVES("object", "{obstacles, domains}: domains the UUIDs of those that "
                      "the disks would go to, \"\" for an unknown one."),
      .before = verb_peer_offer_before,
      .work = verb_peer_check },
    { .name = "Peer.prepare",
      .summary = "For another drayd: makes the disks of a VM that comes.",
      FULL,
      PARAMS(peer_offer_params),
      GIVES_MOVE,
      .before = verb_peer_offer_before,
      .work = verb_peer_prepare,
      .after = verb_peer_prepare_after },
    { .name = "Peer.info",
      .summary = "For another drayd: how far a VM's move has come here.",
      FULL,
      PARAMS(job_params),
      GIVES_MOVE,
      .before = verb_peer_info_before,
      .work = verb_peer_look,
      .after = verb_peer_tell },
    { .name = "Peer.finish",
      .summary = "For another drayd: the VM has stopped there for good, so it "
                 "runs here. By hand only when that host is off for good.",
      FULL,
      PARAMS(job_params),
      GIVES_MOVE,
      .before = verb_peer_finish_before,
      .work = verb_peer_look,
      .after = verb_peer_tell },
    { .name = "Peer.undo",
      .summary = "For another drayd: the VM stays there, all that was made here "
                 "goes.",
      FULL,
      PARAMS(job_params),
      GIVES_MOVE,
      .before = verb_peer_undo_before,
      .work = verb_peer_look,
      .after = verb_peer_tell },
    { .name = "Job.list",
      .summary = "All jobs, running and ended.",
      READ,
      GIVES("array", "Jobs, as Job.info gives them."),
      .before = verb_job_list },
    { .name = "Job.info",
      .summary = "A job: state, progress, error; or what a lease in a joined "
                 "domain says of a job of another host.",
      READ,
      PARAMS(job_params),
      GIVES("object", "{id, kind, state, status, vm?, disks: [{disk?, source?, "
                      "destination?, format?, overlay?}], progress, limit, "
                      "cancelRequested, error?, warning?, created, modified, "
                      "ended?}, the first disk's members once more at the top, "
                      "and by kind: strategy, keepSource, verify, fast, "
                      "finishRequested, quiesce, base, top, deleteTop, scope. "
                      "Of a job elsewhere: {id, state: running, succeeded, failed, fenced or dead, elsewhere: "
                      "true, hostId?, lease: {sd_id, lease_id}, generation, "
                      "hostHardwareId, created, modified}. dead: its lease is "
                      "free, and nobody ended it."),
      .before = verb_job_info_before,
      .work = verb_job_info },
    { .name = "Job.wait",
      .summary = "Answers when the job has ended, or after the timeout.",
      READ,
      PARAMS(job_wait_params),
      GIVES_JOB,
      .before = verb_job_wait },
    { .name = "Job.cancel",
      .summary = "Cancels a job: the disk stays where it was. Answers when a "
                 "restart does not forget it, after 5 s in any case.",
      FULL,
      PARAMS(job_params),
      GIVES_JOB,
      .before = verb_job_cancel },
    { .name = "Job.limit",
      .summary = "Changes a running job's speed limit. Answers when a restart "
                 "does not forget it, after 5 s in any case.",
      FULL,
      PARAMS(job_limit_params),
      GIVES_JOB,
      .before = verb_job_limit },
    { .name = "Events.subscribe",
      .summary = "Sends notifications about jobs and thin disks on this "
                 "connection.",
      READ,
      PARAMS(subscribe_params),
      GIVES("object", "{subscribed: true, seq, oldest, missed}: number of "
                      "the last event, of the oldest that can still be had, "
                      "whether some after since cannot; then |jobs|status|ID and "
                      "|jobs|progress|ID with the job as params, and "
                      "|watermark|KIND|VM (extended, failed, paused, resumed) "
                      "with {vmId, name, domainID, imageID, volumeID, size, "
                      "wanted, free, tookMs, problem?}: failed comes while the "
                      "guest still has the free bytes."),
      .before = verb_events_subscribe },
    { .name = "rpc.discover",
      .summary = "This table, as an OpenRPC document.",
      READ,
      .early = true,
      GIVES("object", "OpenRPC."),
      .before = verb_discover },
};

/* clang-format on */

const size_t verb_table_n = ARRAY_SIZE(verb_table);

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < verb_table_n; i++)
        if (str_equal(verb_table[i].name, name))
            return &verb_table[i];
    return NULL;
}
