/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table of operations that the use cases see. All that libvirt has to
 * answer is asked with a deadline.
 */
#include "connection.h"
#include "errand.h"
#include "listeners.h"
#include "ops.h"
#include "place.h"
#include <dray/virt.h>
#include <errno.h>

/* --- what libvirt has to answer ------------------------------------------- */

/* Requests about no single VM, or that need nothing of its qemu, have keys of
 * their own: no VM has such a name. */

static int run_vm_list(struct errand *errand)
{
    struct vm_info *vms = NULL;
    int rc = virt_vm_list(errand->virt, &vms, &errand->n, &errand->err);
    errand->items = vms;
    return rc;
}

static int vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
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

static int vm_find(void *ctx, const char *name_or_uuid, struct vm_info *ret_vm,
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

static int run_vm_disks(struct errand *errand)
{
    struct vm_disk *disks = NULL;
    int rc = virt_vm_disks(errand->virt, errand->request.key, &disks,
                           &errand->n, &errand->err);
    errand->items = disks;
    return rc;
}

static int vm_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_vm_disks);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc < 0)
        return rc;
    *ret_disks = TAKE(errand->items);
    *ret_n = errand->n;
    return 0;
}

static int run_vm_suspend(struct errand *errand)
{
    return virt_vm_suspend(errand->virt, errand->request.key, &errand->err);
}

static int vm_suspend(void *ctx, const char *vm, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_vm_suspend);
    return errand_run(&errand, ACT_MS, err);
}

static int run_vm_resume(struct errand *errand)
{
    return virt_vm_resume(errand->virt, errand->request.key, &errand->err);
}

static int vm_resume(void *ctx, const char *vm, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_vm_resume);
    return errand_run(&errand, ACT_MS, err);
}

static int run_mirror_start(struct errand *errand)
{
    return virt_mirror_start(errand->virt, &errand->mirror, &errand->err);
}

static int mirror_start(void *ctx, const struct vm_mirror_spec *spec,
                        struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, spec->vm, spec->target, run_mirror_start);
    if (errand) {
        errand->mirror = *spec;
        errand_copy(errand, errand->format, sizeof(errand->format),
                    spec->format);
        errand->mirror.format = errand->format;
    }
    return errand_run(&errand, ACT_MS, err);
}

static int run_mirror_info(struct errand *errand)
{
    return virt_mirror_info(errand->virt, errand->request.key, errand->target,
                            &errand->found.info, &errand->err);
}

static int mirror_info(void *ctx, const char *vm, const char *target,
                       struct vm_mirror_info *ret_info, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_mirror_info);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_info = errand->found.info;
    return rc;
}

static int run_mirror_limit(struct errand *errand)
{
    return virt_mirror_limit(errand->virt, errand->request.key, errand->target,
                             errand->value, &errand->err);
}

static int mirror_limit(void *ctx, const char *vm, const char *target,
                        uint64_t bytes_per_s, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_mirror_limit);
    if (errand)
        errand->value = bytes_per_s;
    return errand_run(&errand, QUERY_MS, err);
}

static int run_mirror_abort(struct errand *errand)
{
    return virt_mirror_abort(errand->virt, errand->request.key, errand->target,
                             &errand->err);
}

static int mirror_abort(void *ctx, const char *vm, const char *target,
                        struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_mirror_abort);
    return errand_run(&errand, ACT_MS, err);
}

static int run_mirror_pivot(struct errand *errand)
{
    return virt_mirror_pivot(errand->virt, errand->request.key, errand->target,
                             &errand->err);
}

static int mirror_pivot(void *ctx, const char *vm, const char *target,
                        struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_mirror_pivot);
    return errand_run(&errand, ACT_MS, err);
}

static int run_disk_truth(struct errand *errand)
{
    return virt_disk_truth(errand->virt, errand->request.key, errand->target,
                           errand->flag, &errand->found.truth, &errand->err);
}

static int disk_truth(void *ctx, const char *vm, const char *target,
                      bool persistent, struct vm_disk_truth *ret_truth,
                      struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_truth);
    if (errand)
        errand->flag = persistent;
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_truth = errand->found.truth;
    return rc;
}

static int run_disk_set_persistent(struct errand *errand)
{
    return virt_disk_set_persistent(errand->virt, errand->request.key,
                                    errand->target, errand->path,
                                    errand->format, &errand->err);
}

static int disk_set_persistent(void *ctx, const char *vm, const char *target,
                               const char *path, const char *format,
                               struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_set_persistent);
    if (errand) {
        errand_copy(errand, errand->path, sizeof(errand->path), path);
        errand_copy(errand, errand->format, sizeof(errand->format), format);
    }
    return errand_run(&errand, ACT_MS, err);
}

static int run_snapshot(struct errand *errand)
{
    return virt_snapshot(errand->virt, errand->request.key, errand->overlays,
                         errand->n, errand->flag, &errand->err);
}

static int snapshot(void *ctx, const char *vm,
                    const struct vm_overlay *overlays, size_t n, bool quiesce,
                    struct err *err)
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

static int run_commit_start(struct errand *errand)
{
    return virt_commit_start(errand->virt, &errand->commit, &errand->err);
}

static int commit_start(void *ctx, const struct vm_commit_spec *spec,
                        struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, spec->vm, spec->target, run_commit_start);
    if (errand)
        errand->commit = *spec;
    return errand_run(&errand, ACT_MS, err);
}

static int run_disk_layers(struct errand *errand)
{
    int rc = virt_disk_layers(errand->virt, errand->request.key, errand->target,
                              &errand->found.layers, &errand->err);
    errand->items = errand->found.layers.paths;
    return rc;
}

static int disk_layers(void *ctx, const char *vm, const char *target,
                       struct vm_layers *ret_layers, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_layers);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc < 0)
        return rc;
    *ret_layers = errand->found.layers;
    errand->items = NULL; /* the caller's now */
    return 0;
}

static int run_disk_io(struct errand *errand)
{
    return virt_disk_io(errand->virt, errand->request.key, errand->target,
                        &errand->found.io, &errand->err);
}

static int disk_io(void *ctx, const char *vm, const char *target,
                   struct vm_disk_io *ret_io, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_io);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_io = errand->found.io;
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

static int layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
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

static int threshold_set(void *ctx, const char *vm, const char *node,
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

static int paused_for_space(void *ctx, const char *vm, bool *ret_paused,
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

static int run_path_user(struct errand *errand)
{
    return virt_path_user(errand->virt, errand->path, &errand->found.vm,
                          &errand->err);
}

/* Reads headers of disks on any storage. */
static int path_user(void *ctx, const char *path, struct vm_info *ret_vm,
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

/* --- what is answered at once --------------------------------------------- */

static void set_hint(void *ctx, hypervisor_hint_fn fn, void *arg)
{
    listeners_set_hint(connection_listeners(ctx), fn, arg);
}

static void set_alarm(void *ctx, hypervisor_alarm_fn fn, void *arg)
{
    listeners_set_alarm(connection_listeners(ctx), fn, arg);
}

static int connected(void *ctx)
{
    return connection_is_up(ctx);
}

static int place(void *ctx, const char *text, char ret_place[PATH_MAX],
                 struct err *err)
{
    (void)ctx;
    int rc = place_normalize(text, ret_place, err);
    if (rc < 0)
        (void)err_default_code(err, ERR_PARAMETER);
    return rc;
}

static const struct hypervisor_ops ops_table = {
    .vm_list = vm_list,
    .vm_find = vm_find,
    .vm_disks = vm_disks,
    .vm_suspend = vm_suspend,
    .vm_resume = vm_resume,
    .path_user = path_user,
    .mirror_start = mirror_start,
    .mirror_info = mirror_info,
    .mirror_limit = mirror_limit,
    .mirror_abort = mirror_abort,
    .mirror_pivot = mirror_pivot,
    .mirror_failure = virt_mirror_failure,
    .disk_truth = disk_truth,
    .disk_set_persistent = disk_set_persistent,
    .set_hint = set_hint,
    .connected = connected,
    .snapshot = snapshot,
    .commit_start = commit_start,
    .disk_layers = disk_layers,
    .disk_io = disk_io,
    .place = place,
    .layer_stats = layer_stats,
    .threshold_set = threshold_set,
    .paused_for_space = paused_for_space,
    .set_alarm = set_alarm,
};

struct hypervisor_port virt_port(struct virt *virt)
{
    return (struct hypervisor_port){ .ctx = virt, .ops = &ops_table };
}

const char *vm_state_name(enum vm_state state)
{
    switch (state) {
    case VM_SHUTOFF:
        return "shutoff";
    case VM_RUNNING:
        return "running";
    case VM_PAUSED:
        return "paused";
    case VM_OTHER:
        break;
    }
    return "other";
}
