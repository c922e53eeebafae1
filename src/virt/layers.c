/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How far the layers of a VM's disks are written. Which there are, and in what
 * order, is in the XML; how large they are in the statistics. What they have in
 * common is libvirt's index of the layer, "vda[3]".
 *
 * - The two come by two calls: when they do not fit both are asked again, but
 *   not for ever (what a backup writes to is in the statistics only).
 * - libvirt is told not to wait for its lock of the VM: a call that hangs in
 *   the VM's qemu has it until the end. It answers then without what only qemu
 *   knows. Most calls have it for an instant, so we try for a while.
 * - The layers below the leaf of a copy's destination are in the XML, but qemu
 *   opens them at the pivot: about them nothing is known.
 */
#include "layers.h"
#include "call.h"
#include "ops.h"
#include <errno.h>
#include <poll.h>

enum {
    PATIENCE_MS = 1000,
    PAUSE_MS = 20,
    TRIES = 3,
    NAME_SIZE = 64, /* "block.12.backingIndex" */
};

/* One "block.N". */
struct entry {
    virTypedParameterPtr params;
    int n_params;
    unsigned i;
};

static bool name_of(const struct entry *entry, const char *what,
                    char ret_name[NAME_SIZE])
{
    return str_format(ret_name, NAME_SIZE, "block.%u.%s", entry->i, what);
}

static uint64_t number(const struct entry *entry, const char *what)
{
    char name[NAME_SIZE];
    unsigned long long value = 0;
    /* Not there: unknown. */
    if (name_of(entry, what, name))
        (void)virTypedParamsGetULLong(entry->params, entry->n_params, name,
                                      &value);
    return value;
}

/* "vda[3]"; false for a drive without a medium. */
static bool node_of(const struct entry *entry, char ret_node[DISK_TARGET_SIZE])
{
    char name[NAME_SIZE];
    const char *target = NULL;
    unsigned index = 0;
    if (name_of(entry, "name", name))
        (void)virTypedParamsGetString(entry->params, entry->n_params, name,
                                      &target);
    if (name_of(entry, "backingIndex", name))
        (void)virTypedParamsGetUInt(entry->params, entry->n_params, name,
                                    &index);
    return target && index &&
           str_format(ret_node, DISK_TARGET_SIZE, "%s[%u]", target, index);
}

/* Only qemu counts requests. */
static bool is_qemus(const struct entry *entry)
{
    char name[NAME_SIZE];
    return name_of(entry, "rd.reqs", name) &&
           virTypedParamsGet(entry->params, entry->n_params, name);
}

static struct vm_layer *find(struct vm_layer *layers, size_t n,
                             const char *node)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(layers[i].node, node))
            return &layers[i];
    }
    return NULL;
}

/* False: a layer that we do not know. */
static bool add_entry(struct vm_layer *layers, size_t n,
                      const struct entry *entry)
{
    char node[DISK_TARGET_SIZE];
    if (!node_of(entry, node))
        return true;
    struct vm_layer *layer = find(layers, n, node);
    if (!layer)
        return false;
    layer->capacity = number(entry, "capacity");
    layer->allocation = number(entry, "allocation");
    layer->physical = number(entry, "physical");
    layer->threshold = number(entry, "threshold");
    return true;
}

static bool all_leaves_known(const struct vm_layer *layers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (layers[i].depth == 0 && layers[i].capacity == 0)
            return false;
    }
    return true;
}

int layers_add_stats(struct vm_layer *layers, size_t n,
                     virTypedParameterPtr params, int n_params)
{
    unsigned count = 0;
    bool known = true, answered = false;
    (void)virTypedParamsGetUInt(params, n_params, "block.count", &count);
    for (unsigned i = 0; i < count; i++) {
        const struct entry entry = { params, n_params, i };
        known = add_entry(layers, n, &entry) && known;
        answered = is_qemus(&entry) || answered;
    }
    if (!answered)
        return LAYERS_SILENT;
    return known && all_leaves_known(layers, n) ? 0 : LAYERS_CHANGED;
}

/* 0 or an outcome of layers_add_stats(). */
static int ask_stats(const struct call *call, struct vm_layer *layers, size_t n)
{
    virDomainPtr vms[] = { call->vm, NULL };
    virDomainStatsRecordPtr *records = NULL;
    int found =
        virDomainListGetStats(vms, VIR_DOMAIN_STATS_BLOCK, &records,
                              VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING |
                                  VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (found < 0)
        return call_fail(call, "statistics of VM %s", call->name);
    /* None: it is gone, which is found out when it is asked again. */
    int rc = LAYERS_SILENT;
    if (found > 0)
        rc = layers_add_stats(layers, n, records[0]->params,
                              records[0]->nparams);
    virDomainStatsRecordListFree(records);
    return rc;
}

static bool any_on_device(const struct vm_layer *layers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (layers[i].block)
            return true;
    }
    return false;
}

/* Most VMs have nothing but files, and each change of a VM is a reason to ask:
 * their statistics would hold up whoever made the change. The caller frees
 * *ret_layers, also when it fails. */
static int ask(const struct call *call, struct vm_layer **ret_layers,
               size_t *ret_n)
{
    _cleanup_free_ char *text = NULL;
    bool active = false;
    int rc = call_is_active(call, &active);
    if (rc < 0 || !active)
        return rc;
    rc = call_xml(call, 0, &text);
    if (rc == 0)
        rc = xml_open_layers(text, ret_layers, ret_n, call->err);
    if (rc < 0)
        return rc;
    if (!any_on_device(*ret_layers, *ret_n)) {
        *ret_n = 0;
        return 0;
    }
    return ask_stats(call, *ret_layers, *ret_n);
}

static int give_up(const struct call *call)
{
    int rc = err_set_code(call->err, ERR_NOT_RESPONDING,
                          "statistics of VM %s: another call to its qemu has "
                          "not come back",
                          call->name);
    (void)err_next(call->err, "its qemu or its storage may hang; try again "
                              "later");
    return rc;
}

/* 0 or an outcome of layers_add_stats(), as long as to try again. */
static int ask_once(const struct call *call, bool last,
                    struct vm_layer **ret_layers, size_t *ret_n)
{
    _cleanup_free_ struct vm_layer *layers = NULL;
    size_t n = 0;
    int rc = ask(call, &layers, &n);
    if (rc == LAYERS_CHANGED && last)
        rc = 0;
    if (rc == 0) {
        *ret_layers = TAKE(layers);
        *ret_n = n;
    }
    return rc;
}

int virt_layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
                     size_t *ret_n, struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc < 0)
        return rc;
    const int64_t deadline_ms = time_now_ms() + PATIENCE_MS;
    for (int tries = 1;; tries++) {
        rc = ask_once(&call, tries >= TRIES, ret_layers, ret_n);
        if (rc <= 0)
            return rc;
        if (time_now_ms() >= deadline_ms)
            return give_up(&call);
        (void)poll(NULL, 0, PAUSE_MS);
    }
}
