/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: what the checks and the acts of SDM's jobs share. Such a job
 * has one disk; each end of it is a volume or something outside of all domains.
 */
#ifndef DRAY_MIGRATE_DATA_H
#define DRAY_MIGRATE_DATA_H

#include "own.h"

/* What the ends are right now. Release with data_ends_deinit(). */
struct data_ends {
    struct storage_chain chain; /* of the source; n 0: it is outside */
    struct volume_info to;      /* unless the destination is outside */
    struct outside_info src_outside, dst_outside;
};

int data_look(const struct migrate_ports *ports, const struct job *job,
              struct data_ends *ret_ends, struct err *err);
void data_ends_deinit(struct data_ends *ends);

/* The source's volume; not for one outside. */
const struct volume_info *data_leaf(const struct data_ends *ends);
uint64_t data_capacity(const struct data_ends *ends);
/* Only this layer is copied, and the destination has a parent of its own. Else
 * the source is read with all that is below it. */
bool data_is_layer(const struct job *job, const struct data_ends *ends);
/* Bytes that are read, about. */
uint64_t data_bytes(const struct job *job, const struct data_ends *ends);
/* The volume at the destination, and at the source. */
struct volume_id data_target(const struct job *job);
struct volume_id data_source(const struct job *job);
unsigned data_next_generation(unsigned generation);

/* All that speaks against the job now, but for the space. */
int data_check(const struct migrate_ports *ports, const struct job *job,
               const struct data_ends *ends, struct err *err);
/* Nobody writes to the source, or has the destination. */
int data_check_users(const struct migrate_ports *ports, const struct job *job,
                     const struct data_ends *ends, struct err *err);
/* The source can be removed: no VM has it, no volume stands on it. */
int data_check_removable(const struct migrate_ports *ports,
                         const struct job *job, const struct data_ends *ends,
                         struct err *err);

/* data-copy.c */
enum job_outcome data_sync(struct migration *m);
enum job_outcome data_verify(struct migration *m);
void data_forget(const struct migration *m);

/* data.c */
enum job_outcome data_plan(struct migration *m);
enum job_outcome data_prepare(struct migration *m);
enum job_outcome data_settle(struct migration *m);
enum job_outcome data_release(struct migration *m);
enum job_outcome data_remove(struct migration *m);

#endif
