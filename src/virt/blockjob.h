/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one block job that a disk can have: what blockjob.c offers to those who
 * start one.
 */
#ifndef DRAY_VIRT_BLOCKJOB_H
#define DRAY_VIRT_BLOCKJOB_H

#include <dray/ports/hypervisor.h>
#include <libvirt/libvirt.h>

struct call;

/* The enum vm_job_kind of the job that runs as libvirt tells it, or -1 (the
 * error is libvirt's last one). */
int blockjob_running(const struct call *call, const char *target,
                     virDomainBlockJobInfo *ret_info);

/* call_fail_disk(), but ERR_DISK_BUSY when the call failed because the disk
 * has a job. */
int blockjob_fail(const struct call *call, enum err_code code, const char *what,
                  const char *target);

/* 0: no limit. 0 or -1. */
int blockjob_set_speed(const struct call *call, const char *target,
                       uint64_t bytes_per_s);

/* qemu's speeds are signed. */
uint64_t blockjob_speed(uint64_t bytes_per_s);

#endif
