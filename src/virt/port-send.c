/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests about VMs that go to another host or come from one. Sending itself
 * lasts as long as it lasts: it is begun here, and goes on unseen under a key
 * of its own.
 */
#include "connection.h"
#include "errand.h"
#include "ops.h"
#include "port.h"
#include "room.h"
#include "sends.h"
#include <errno.h>
#include <string.h>

enum {
    SEND_LOOK_MS = 200 /* what is wrong at once is told at once */
};

/* --- sending ------------------------------------------------------------ */

/* What the errand owns of a request. */
struct parcel {
    struct vm_send_spec spec;
    char libvirt_uri[512];
    char migrate_uri[512];
    struct vm_send_disk disks[];
};

static struct parcel *pack(const struct vm_send_spec *spec)
{
    struct parcel *parcel =
        calloc(1, sizeof(*parcel) + spec->n_disks * sizeof(*spec->disks));
    if (!parcel)
        return NULL;
    parcel->spec = *spec;
    parcel->spec.disks = parcel->disks;
    parcel->spec.libvirt_uri = parcel->libvirt_uri;
    parcel->spec.migrate_uri = parcel->migrate_uri;
    for (size_t i = 0; i < spec->n_disks; i++)
        parcel->disks[i] = spec->disks[i];
    if (!str_copy(parcel->libvirt_uri, sizeof(parcel->libvirt_uri),
                  spec->libvirt_uri) ||
        !str_copy(parcel->migrate_uri, sizeof(parcel->migrate_uri),
                  spec->migrate_uri)) {
        free(parcel);
        return NULL;
    }
    return parcel;
}

static int run_vm_send(struct errand *errand)
{
    const struct parcel *parcel = errand->items;
    int rc = virt_vm_send(errand->virt, &parcel->spec, &errand->err);
    sends_end(errand->virt->sends, parcel->spec.vm,
              rc < 0 ? errand->err.message : NULL);
    return rc;
}

static int busy(struct virt *virt, const char *vm, bool ours, struct err *err)
{
    if (ours)
        sends_end(virt->sends, vm, "it could not be begun");
    return err_set_code(err, ERR_NOT_RESPONDING,
                        "VM %s: an earlier migration has not come back", vm);
}

int port_vm_send(void *ctx, const struct vm_send_spec *spec, struct err *err)
{
    struct virt *virt = ctx;
    char key[VM_NAME_SIZE];
    (void)str_format(key, sizeof(key), "/send %s", spec->vm); /* a UUID */
    _cleanup_errand_ struct errand *errand =
        errand_new(virt, key, NULL, run_vm_send);
    if (!errand || !(errand->items = pack(spec)))
        return err_set(err, -ENOMEM, "migration of VM %s: out of memory",
                       spec->vm);
    if (!sends_begin(virt->sends, spec->vm))
        return busy(virt, spec->vm, false, err);
    int outcome =
        bounded_run(connection_bounded(virt), &errand->request, SEND_LOOK_MS);
    if (outcome == BOUNDED_LATE) {
        errand = NULL; /* under way, and frees itself */
        return 0;
    }
    if (outcome)
        return busy(virt, spec->vm, true, err);
    if (errand->rc < 0 && err)
        *err = errand->err;
    return errand->rc;
}

/* --- questions and orders ----------------------------------------------- */

static int run_send_info(struct errand *errand)
{
    return virt_vm_send_info(errand->virt, errand->request.key, errand->items,
                             &errand->err);
}

int port_vm_send_info(void *ctx, const char *vm, struct vm_send_info *ret_info,
                      struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_send_info);
    if (!errand || !(errand->items = calloc(1, sizeof(*ret_info))))
        return err_set(err, -ENOMEM, "libvirt: out of memory");
    memcpy(errand->items, ret_info, sizeof(*ret_info)); /* which disks */
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        memcpy(ret_info, errand->items, sizeof(*ret_info));
    return rc;
}

static int run_send_limit(struct errand *errand)
{
    return virt_vm_send_limit(errand->virt, errand->request.key, errand->value,
                              &errand->err);
}

int port_vm_send_limit(void *ctx, const char *vm, uint64_t bytes_per_s,
                       struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_send_limit);
    if (errand)
        errand->value = bytes_per_s;
    return errand_run(&errand, ACT_MS, err);
}

static int run_send_abort(struct errand *errand)
{
    return virt_vm_send_abort(errand->virt, errand->request.key, &errand->err);
}

int port_vm_send_abort(void *ctx, const char *vm, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_send_abort);
    return errand_run(&errand, ACT_MS, err);
}

static int run_arrival(struct errand *errand)
{
    enum vm_arrival arrival = VM_ABSENT;
    int rc = virt_vm_arrival(errand->virt, errand->request.key, &arrival,
                             &errand->err);
    errand->n = (size_t)arrival;
    return rc;
}

int port_vm_arrival(void *ctx, const char *vm, enum vm_arrival *ret_arrival,
                    struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_arrival);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_arrival = (enum vm_arrival)errand->n;
    return rc;
}

static int run_drop(struct errand *errand)
{
    return virt_vm_drop(errand->virt, errand->request.key, errand->flag,
                        &errand->err);
}

int port_vm_drop(void *ctx, const char *vm, bool stop, struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_drop);
    if (errand)
        errand->flag = stop;
    return errand_run(&errand, ACT_MS, err);
}

static int run_definition(struct errand *errand)
{
    char *xml = NULL;
    int rc = virt_vm_definition(errand->virt, errand->request.key, &xml,
                                &errand->err);
    errand->items = xml;
    return rc;
}

int port_vm_definition(void *ctx, const char *vm, char **ret_xml,
                       struct err *err)
{
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, vm, NULL, run_definition);
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc == 0)
        *ret_xml = TAKE(errand->items);
    return rc;
}

/* The XML and the answers, one behind the other. */
struct fitting {
    size_t max;
    char *xml;
    struct err obstacles[];
};

static int run_fits(struct errand *errand)
{
    struct fitting *fitting = errand->items;
    return virt_vm_fits(errand->virt, fitting->xml, fitting->obstacles,
                        fitting->max, &errand->n, &errand->err);
}

int port_vm_fits(void *ctx, const char *xml, struct err *ret_obstacles,
                 size_t max, size_t *ret_n, struct err *err)
{
    size_t head = sizeof(struct fitting) + max * sizeof(struct err);
    _cleanup_errand_ struct errand *errand =
        errand_new(ctx, "/fits", NULL, run_fits);
    struct fitting *fitting = calloc(1, head + strlen(xml) + 1);
    if (!errand || !fitting) {
        free(fitting);
        return err_set(err, -ENOMEM, "libvirt: out of memory");
    }
    fitting->max = max;
    fitting->xml = (char *)fitting + head;
    memcpy(fitting->xml, xml, strlen(xml) + 1);
    errand->items = fitting;
    int rc = errand_run(&errand, QUERY_MS, err);
    if (rc < 0)
        return rc;
    fitting = errand->items;
    memcpy(ret_obstacles, fitting->obstacles, errand->n * sizeof(struct err));
    *ret_n = errand->n;
    return 0;
}
