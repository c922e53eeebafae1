/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests about one disk of a VM.
 */
#include "errand.h"
#include "ops.h"
#include "port.h"

static int run_mirror_start(struct errand *errand)
{
    return virt_mirror_start(errand->virt, &errand->mirror, &errand->err);
}

int port_mirror_start(void *ctx, const struct vm_mirror_spec *spec,
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

int port_mirror_info(void *ctx, const char *vm, const char *target,
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

int port_mirror_limit(void *ctx, const char *vm, const char *target,
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

int port_mirror_abort(void *ctx, const char *vm, const char *target,
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

int port_mirror_pivot(void *ctx, const char *vm, const char *target,
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

int port_disk_truth(void *ctx, const char *vm, const char *target,
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

static int run_disk_persistent(struct errand *errand)
{
    return virt_disk_persistent(errand->virt, errand->request.key,
                                errand->target, errand->path, &errand->err);
}

int port_disk_persistent(void *ctx, const char *vm, const char *target,
                         char ret_path[PATH_MAX], struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_persistent);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        (void)str_copy(ret_path, PATH_MAX, errand->path); /* of the same size */
    return rc;
}

static int run_disk_set_persistent(struct errand *errand)
{
    return virt_disk_set_persistent(errand->virt, errand->request.key,
                                    errand->target, errand->path,
                                    errand->format, &errand->err);
}

int port_disk_set_persistent(void *ctx, const char *vm, const char *target,
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

static int run_commit_start(struct errand *errand)
{
    return virt_commit_start(errand->virt, &errand->commit, &errand->err);
}

int port_commit_start(void *ctx, const struct vm_commit_spec *spec,
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

int port_disk_layers(void *ctx, const char *vm, const char *target,
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

int port_disk_io(void *ctx, const char *vm, const char *target,
                 struct vm_disk_io *ret_io, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, target, run_disk_io);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_io = errand->found.io;
    return rc;
}
