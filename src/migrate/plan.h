/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: what planning is split into.
 */
#ifndef DRAY_MIGRATE_PLAN_H
#define DRAY_MIGRATE_PLAN_H

#include "migration.h"

/* About one disk. */
struct question {
    const struct migrate_ports *ports;
    const struct migrate_request *request;
    const struct migrate_wish *wish;
    struct migrate_plan *plan;
    struct job_disk *of;           /* in plan->job */
    struct migrate_plan_disk *out; /* in plan */
    const struct vm_info *vm;
    struct vm_disk disk;
    bool abroad;  /* the VM goes, too: its template may */
    bool located; /* the source is in a domain: of has src_sd, img, leaf */
    struct storage_chain chain;
    struct domain_info source;
    struct domain_info target;
    uint64_t outside_free; /* bytes where a file goes; UINT64_MAX: not known */
};

/* Returns the obstacle for its hint, or a spare one when there are too many. */
struct err *plan_obstacle(struct migrate_plan *plan, enum err_code code,
                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void plan_obstacle_from(struct migrate_plan *plan, const struct err *cause);

/* What to do about those that do not say it. */
void plan_show_ways_out(struct migrate_plan *plan);
int64_t plan_expect_s(const struct migrate_plan *plan, uint64_t rate);

/* plan-source.c, plan-target.c */
void plan_check_vm(struct question *q);
void plan_locate(struct question *q);
void plan_check_source(struct question *q);
void plan_check_target(struct question *q);
/* The domain of->dst_sd; 1: it can be asked for more. */
int plan_check_usable(struct question *q);
/* What one disk needs; then, of each, whether its place has it for all. */
void plan_check_space(struct question *q);
void plan_check_sum_of_space(struct migrate_plan *plan, size_t i);

/* How the frozen volumes of this disk would be copied (strategy.c). */
void plan_frozen(struct question *q);
/* Chooses the strategy for all disks, says why, and what speaks against the
 * one that was asked for. */
void plan_strategy(const struct migrate_request *request,
                   struct migrate_plan *plan);

#endif
