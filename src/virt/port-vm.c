/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests about VMs, and about all disks of one. Those about no single VM, or
 * that need nothing of its qemu, have keys of their own: no VM has such a name.
 */
#include "errand.h"
#include "ops.h"
#include "port.h"
#include <errno.h>

static int run_vm_list(struct errand *errand)
{
    struct vm_info *vms = NULL;
    int rc = virt_vm_list(errand->virt, &vms, &errand->n, &errand->err);
    errand->items = vms;
    return rc;
}

int port_vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                 struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, "/list", NULL, run_vm_list);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc < 0)
        return rc;
    *ret_vms = TAKE(errand->items);
    *ret_n = errand->n;
    return 0;
}

static int run_vm_find(struct errand *errand)
{
    return virt_vm_find(errand->virt, errand->path, &errand->found.vm,
                        &errand->err);
}

int port_vm_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
                 struct err *err)
{
    char key[VM_NAME_SIZE];
    (void)str_format(key, sizeof(key), "/find %s", name_or_uuid); /* or cut */
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, key, NULL, run_vm_find);
    if (errand)
        errand_copy(errand, errand->path, sizeof(errand->path), name_or_uuid);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_vm = errand->found.vm;
    return rc;
}

static int list_disks(struct errand *errand, int patience_ms,
                      struct vm_disk **ret_disks, size_t *ret_n,
                      struct err *err)
{
    _cleanup_errand_ struct errand *mine = errand;
    int rc = errand_run(&mine, patience_ms, err);
    if (rc < 0)
        return rc;
    *ret_disks = TAKE(mine->items);
    *ret_n = mine->n;
    return 0;
}

static int run_vm_disk_names(struct errand *errand)
{
    struct vm_disk *disks = NULL;
    int rc = virt_vm_disk_names(errand->virt, errand->path, &disks, &errand->n,
                                &errand->err);
    errand->items = disks;
    return rc;
}

int port_vm_disk_names(void *ctx, const char *vm, struct vm_disk **ret_disks,
                       size_t *ret_n, struct err *err)
{
    char key[VM_NAME_SIZE];
    (void)str_format(key, sizeof(key), "/names %s", vm); /* or cut */
    struct errand *errand = errand_new(ctx, key, NULL, run_vm_disk_names);
    if (errand)
        errand_copy(errand, errand->path, sizeof(errand->path), vm);
    return list_disks(errand, QUERY_MS, ret_disks, ret_n, err);
}

static int run_vm_disks(struct errand *errand)
{
    struct vm_disk *disks = NULL;
    int rc = virt_vm_disks(errand->virt, errand->request.key, &disks,
                           &errand->n, &errand->err);
    errand->items = disks;
    return rc;
}

int port_vm_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                  size_t *ret_n, struct err *err)
{
    return list_disks(errand_new(ctx, vm, NULL, run_vm_disks), QUERY_MS,
                      ret_disks, ret_n, err);
}

static int run_vm_suspend(struct errand *errand)
{
    return virt_vm_suspend(errand->virt, errand->request.key, &errand->flag,
                           &errand->err);
}

int port_vm_suspend(void *ctx, const char *vm, bool *ret_was_paused,
                    struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_vm_suspend);
    int rc = errand_run(&errand, ACT_MS, err);
    if (rc == 0)
        *ret_was_paused = errand->flag;
    return rc;
}

static int run_vm_resume(struct errand *errand)
{
    return virt_vm_resume(errand->virt, errand->request.key, &errand->err);
}

int port_vm_resume(void *ctx, const char *vm, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_vm_resume);
    return errand_run(&errand, ACT_MS, err);
}

static int run_path_user(struct errand *errand)
{
    return virt_path_user(errand->virt, errand->path, &errand->found.vm,
                          &errand->err);
}

/* Reads headers of disks on any storage. */
int port_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                   struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, "/path", NULL, run_path_user);
    if (errand)
        errand_copy(errand, errand->path, sizeof(errand->path), path);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_vm = errand->found.vm;
    return rc;
}

static int run_layer_stats(struct errand *errand)
{
    struct vm_layer *layers = NULL;
    int rc = virt_layer_stats(errand->virt, errand->request.key, &layers,
                              &errand->n, &errand->err);
    errand->items = layers;
    return rc;
}

int port_layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
                     size_t *ret_n, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_layer_stats);
    int rc = errand_run(&errand, WATCH_MS, err);
    if (rc < 0)
        return rc;
    *ret_layers = TAKE(errand->items);
    *ret_n = errand->n;
    return 0;
}

static int run_threshold_set(struct errand *errand)
{
    return virt_threshold_set(errand->virt, errand->request.key, errand->target,
                              errand->value, &errand->err);
}

int port_threshold_set(void *ctx, const char *vm, const char *node,
                       uint64_t bytes, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, node, run_threshold_set);
    if (errand)
        errand->value = bytes;
    return errand_run(&errand, WATCH_MS, err);
}

static int run_paused_for_space(struct errand *errand)
{
    return virt_paused_for_space(errand->virt, errand->request.key,
                                 &errand->flag, errand->found.target,
                                 &errand->err);
}

int port_paused_for_space(void *ctx, const char *vm, bool *ret_paused,
                          char ret_target[DISK_TARGET_SIZE], struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_paused_for_space);
    int rc = errand_run(&errand, WATCH_MS, err);
    if (rc < 0)
        return rc;
    *ret_paused = errand->flag;
    (void)str_copy(ret_target, DISK_TARGET_SIZE, errand->found.target);
    return 0;
}

static int run_snapshot(struct errand *errand)
{
    return virt_snapshot(errand->virt, errand->request.key, errand->overlays,
                         errand->n, errand->flag, &errand->err);
}

int port_snapshot(void *ctx, const char *vm, const struct vm_overlay *overlays,
                  size_t n, bool quiesce, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_snapshot);
    struct vm_overlay *mine = calloc(n + 1, sizeof(*mine));
    if (!errand || !mine) {
        free(mine);
        return err_set(err, -ENOMEM, "snapshot of VM %s: out of memory", vm);
    }
    for (size_t i = 0; i < n; i++)
        mine[i] = overlays[i];
    errand->overlays = mine;
    errand->n = n;
    errand->flag = quiesce;
    return errand_run(&errand, quiesce ? QUIESCE_MS : ACT_MS, err);
}
