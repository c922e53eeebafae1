/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the two files of the fake hypervisor share: VMs are in
 * fake-hypervisor.c, their block jobs in fake-blockjobs.c.
 */
#ifndef DRAY_TESTS_FAKE_HYPERVISOR_H
#define DRAY_TESTS_FAKE_HYPERVISOR_H

#include "fake-world.h"

/* world_enter(), and libvirtd must be there. */
int fake_enter(struct fake_world *world, const char *call, struct err *err);
bool fake_runs(const struct fake_world *world);

int fake_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                      struct err *err);
int fake_mirror_info(void *ctx, const char *vm, const char *target,
                     struct vm_mirror_info *ret_info, struct err *err);
int fake_mirror_limit(void *ctx, const char *vm, const char *target,
                      uint64_t bytes_per_s, struct err *err);
int fake_mirror_abort(void *ctx, const char *vm, const char *target,
                      struct err *err);
int fake_mirror_pivot(void *ctx, const char *vm, const char *target,
                      struct err *err);
void fake_mirror_failure(void *ctx, const char *vm, const char *target,
                         char *ret_text, size_t size);
int fake_snapshot(void *ctx, const char *vm, const struct vm_overlay *overlays,
                  size_t n, bool quiesce, struct err *err);
int fake_commit_start(void *ctx, const struct vm_commit_spec *spec,
                      struct err *err);

#endif
