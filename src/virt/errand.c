/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt has no deadlines of its own: a call waits for as long as the VM's
 * qemu does not answer, and a qemu does not answer while it waits for a disk
 * or a mirror's destination that hangs, which is when others need us most.
 */
#include "errand.h"
#include "connection.h"
#include <errno.h>

static void run(struct request *request)
{
    struct errand *errand = container_of(request, struct errand, request);
    errand->rc = errand->operate(errand);
}

static void drop(struct request *request)
{
    struct errand *errand = container_of(request, struct errand, request);
    free(errand->overlays);
    free(errand->items);
    free(errand);
}

struct errand *errand_new(struct virt *virt, const char *vm, const char *target,
                          int (*operate)(struct errand *errand))
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (!errand)
        return NULL;
    errand->virt = virt;
    errand->operate = operate;
    errand->request.run = run;
    errand->request.free = drop;
    errand->err = (struct err)ERR_INIT;
    errand_copy(errand, errand->request.key, sizeof(errand->request.key), vm);
    errand_copy(errand, errand->target, sizeof(errand->target),
                target ? target : "");
    return errand;
}

void errand_copy(struct errand *errand, char *field, size_t size,
                 const char *text)
{
    if (!str_copy(field, size, text))
        errand->rc =
            err_set(&errand->err, -ENAMETOOLONG, "libvirt: too long: %s", text);
}

void errand_freep(struct errand **errand)
{
    if (*errand)
        drop(&(*errand)->request);
}

static int not_responding(const char *vm, int patience_ms, int outcome,
                          struct err *err)
{
    char what[VM_NAME_SIZE + 8] = "VMs";
    if (vm[0] != '/')
        (void)str_format(what, sizeof(what), "VM %s", vm); /* fits */
    int rc = outcome == BOUNDED_LATE
                 ? err_set_code(err, ERR_NOT_RESPONDING,
                                "%s: no answer of libvirt, its qemu or a disk "
                                "for %d s",
                                what, patience_ms / 1000)
                 : err_set_code(err, ERR_NOT_RESPONDING,
                                "%s: an earlier call to libvirt still has no "
                                "answer",
                                what);
    (void)err_next(err, "a disk or a mirror's destination may hang; it goes "
                        "on when that does");
    return rc;
}

int errand_run(struct errand **errand, int patience_ms, struct err *err)
{
    struct errand *mine = *errand;
    char vm[VM_NAME_SIZE];
    if (!mine)
        return err_set(err, -ENOMEM, "libvirt: out of memory");
    (void)str_copy(vm, sizeof(vm), mine->request.key); /* of the same size */
    if (mine->rc == 0) {
        int outcome = bounded_run(connection_bounded(mine->virt),
                                  &mine->request, patience_ms);
        if (outcome == BOUNDED_LATE)
            *errand = NULL;
        if (outcome)
            return not_responding(vm, patience_ms, outcome, err);
    }
    if (mine->rc < 0 && err && err->rc == 0)
        *err = mine->err;
    return mine->rc;
}
