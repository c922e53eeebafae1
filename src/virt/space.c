/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Thin disks: who is told before there is no space, and what is to be seen
 * when there was none.
 */
#include "call.h"
#include "ops.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

/* A VM that is off has no nodes; one that libvirt forgot has. */
static int no_such_node(const struct call *call, const char *node)
{
    bool ignored;
    int rc = call_is_active(call, &ignored);
    if (rc < 0)
        return rc;
    rc = err_set_code(call->err, ERR_NO_DISK,
                      "threshold of %s of VM %s: it has no such layer now",
                      node, call->name);
    (void)err_next(call->err, "look again at the layers of its disks");
    return rc;
}

/* "vda[3]": a layer and nothing else. libvirt takes the bare target too, and
 * then tells of the leaf twice; an empty name ends libvirtd 9.0. */
static bool is_layer(const char *node)
{
    const char *index = strchr(node, '[');
    if (!index || index == node)
        return false;
    size_t n = strspn(index + 1, "0123456789");
    return n > 0 && str_equal(index + 1 + n, "]");
}

int virt_threshold_set(void *ctx, const char *vm, const char *node,
                       uint64_t bytes, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    if (!is_layer(node))
        return no_such_node(&call, node);
    if (virDomainSetBlockThreshold(call.vm, node, bytes, 0) == 0)
        return 0;
    int number = call_error_number();
    if (number == VIR_ERR_INVALID_ARG || (number == VIR_ERR_OPERATION_INVALID &&
                                          virDomainIsActive(call.vm) == 0))
        return no_such_node(&call, node);
    return call_fail_disk(&call, ERR_GENERAL, "threshold", node);
}

static int errors_fail(const struct call *call)
{
    return call_fail(call, "errors of disks of VM %s", call->name);
}

/* The first that has no space; empty when none has. */
static int pick_full(const struct call *call, virDomainDiskErrorPtr errors,
                     int max, char ret_target[DISK_TARGET_SIZE])
{
    int n = virDomainGetDiskErrors(call->vm, errors, (unsigned)max, 0);
    if (n < 0)
        return errors_fail(call);
    ret_target[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (errors[i].error == VIR_DOMAIN_DISK_ERROR_NO_SPACE && !ret_target[0])
            (void)str_copy(ret_target, DISK_TARGET_SIZE, errors[i].disk);
        free(errors[i].disk);
    }
    return 0;
}

static int find_full(const struct call *call, char ret_target[DISK_TARGET_SIZE])
{
    int n = virDomainGetDiskErrors(call->vm, NULL, 0, 0); /* how many */
    if (n < 0)
        return errors_fail(call);
    virDomainDiskError *errors = calloc((size_t)n + 1, sizeof(*errors));
    if (!errors)
        return err_set(call->err, -ENOMEM, "errors of disks: out of memory");
    int rc = n > 0 ? pick_full(call, errors, n, ret_target) : 0;
    free(errors);
    return rc;
}

int virt_paused_for_space(void *ctx, const char *vm, bool *ret_paused,
                          char ret_target[DISK_TARGET_SIZE], struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int state = 0, reason = 0;
    bool active = false;
    char target[DISK_TARGET_SIZE] = "";
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = call_is_active(&call, &active);
    if (rc < 0)
        return rc;
    if (virDomainGetState(call.vm, &state, &reason, 0) < 0)
        return call_fail(&call, "state of VM %s", call.name);
    if (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_IOERROR)
        rc = find_full(&call, target);
    if (rc < 0)
        return rc;
    *ret_paused = target[0] != '\0';
    (void)str_copy(ret_target, DISK_TARGET_SIZE, target);
    return 0;
}
