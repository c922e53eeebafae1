/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The operations of ports/hypervisor.h that libvirt has to answer, each as an
 * errand with a deadline; contracts are there. ctx is the struct virt.
 */
#ifndef DRAY_VIRT_PORT_H
#define DRAY_VIRT_PORT_H

#include <dray/ports/hypervisor.h>

/* port-vm.c */
int port_vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                 struct err *err);
int port_vm_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                 struct err *err);
int port_vm_disk_names(void *ctx, const char *vm, struct vm_disk **ret_disks,
                       size_t *ret_n, struct err *err);
int port_vm_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                  size_t *ret_n, struct err *err);
int port_vm_suspend(void *ctx, const char *vm, bool *ret_was_paused,
                    struct err *err);
int port_vm_resume(void *ctx, const char *vm, struct err *err);
int port_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                   struct err *err);
int port_layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
                     size_t *ret_n, struct err *err);
int port_threshold_set(void *ctx, const char *vm, const char *node,
                       uint64_t bytes, struct err *err);
int port_paused_for_space(void *ctx, const char *vm, bool *ret_paused,
                          char ret_target[DISK_TARGET_SIZE], struct err *err);
int port_snapshot(void *ctx, const char *vm, const struct vm_overlay *overlays,
                  size_t n, bool quiesce, struct err *err);

/* port-disk.c */
int port_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                      struct err *err);
int port_mirror_info(void *ctx, const char *vm, const char *target,
                     struct vm_mirror_info *ret_info, struct err *err);
int port_mirror_limit(void *ctx, const char *vm, const char *target,
                      uint64_t bytes_per_s, struct err *err);
int port_mirror_abort(void *ctx, const char *vm, const char *target,
                      struct err *err);
int port_mirror_pivot(void *ctx, const char *vm, const char *target,
                      struct err *err);
int port_disk_truth(void *ctx, const char *vm, const char *target,
                    bool persistent, struct vm_disk_truth *ret_truth,
                    struct err *err);
int port_disk_persistent(void *ctx, const char *vm, const char *target,
                         char ret_path[PATH_MAX], struct err *err);
int port_disk_set_persistent(void *ctx, const char *vm, const char *target,
                             const char *path, const char *format,
                             struct err *err);
int port_commit_start(void *ctx, const struct vm_commit_spec *spec,
                      struct err *err);
int port_disk_layers(void *ctx, const char *vm, const char *target,
                     struct vm_layers *ret_layers, struct err *err);
int port_disk_io(void *ctx, const char *vm, const char *target,
                 struct vm_disk_io *ret_io, struct err *err);

/* port-send.c */
int port_vm_definition(void *ctx, const char *vm, char **ret_xml,
                       struct err *err);
int port_vm_fits(void *ctx, const char *xml, struct err *ret_obstacles,
                 size_t max, size_t *ret_n, struct err *err);
int port_vm_send(void *ctx, const struct vm_send_spec *spec, struct err *err);
int port_vm_send_info(void *ctx, const char *vm, struct vm_send_info *ret_info,
                      struct err *err);
int port_vm_send_limit(void *ctx, const char *vm, uint64_t bytes_per_s,
                       struct err *err);
int port_vm_send_abort(void *ctx, const char *vm, struct err *err);
int port_vm_arrival(void *ctx, const char *vm, enum vm_arrival *ret_arrival,
                    struct err *err);
int port_vm_drop(void *ctx, const char *vm, bool stop, struct err *err);

#endif
