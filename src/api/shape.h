/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Our structs as the JSON that clients see. Each returns a new value, NULL when
 * out of memory. Where VDSM has the object, members and types are VDSM's; what
 * we add comes after them.
 */
#ifndef DRAY_API_SHAPE_H
#define DRAY_API_SHAPE_H

#include <dray/migrate.h>
#include <dray/ports/hypervisor.h>
#include <dray/ports/storage.h>

struct json_object;

struct json_object *shape_uuids(const struct uuid_list *list);

/* StorageDomain.getInfo, and one item of StorageDomain.list. */
struct json_object *shape_domain(const struct domain_info *info);
struct json_object *shape_domain_item(const struct domain_info *info);
struct json_object *shape_domain_stats(const struct domain_stats *stats);
struct json_object *shape_domain_audit(const struct domain_audit *audit);

/* @lease may be NULL. */
struct json_object *shape_volume(const struct volume_info *info,
                                 const struct lease_state *lease);
struct json_object *shape_volume_size(const struct volume_info *info);

struct json_object *shape_vm(const struct vm_info *vm);
/* @place NULL: the disk is in none of our domains. */
struct json_object *shape_disk(const struct vm_disk *disk,
                               const struct volume_id *place);

/* {code, message, cause, phase?, next} */
struct json_object *shape_error(const struct err *err, const char *phase);
/* {vmId, vmName} */
struct json_object *shape_job_vm(const struct job *job);
struct json_object *shape_job(const struct job *job);
/* VDSM's word: its snapshots are "virt", all else is "storage". */
const char *shape_vdsm_type(const struct job *job);
/* As VDSM's Host.getJobs gives it. */
struct json_object *shape_vdsm_job(const struct job *job);

/* shape-plan.c */
struct json_object *shape_obstacles(const struct migrate_plan *plan);
struct json_object *shape_plan(const struct migrate_plan *plan);

#endif
