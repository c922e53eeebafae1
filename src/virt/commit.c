/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commits: the data of one or more layers goes down into the layer below them,
 * while the VM runs. Layers are named by their places here and by libvirt's
 * index of them ("vda[3]") there; the live XML has both.
 *
 * - Of the leaf: an active commit, which goes on until it is told to pivot.
 * - Of other layers: it ends by itself, and then the layer above has another
 *   backing file. Its name stays relative when all names on the way are;
 * libvirt is asked for that first and refuses otherwise (a chain with absolute
 * names), and then the new name is absolute as well.
 *
 * Starting the commit that runs already is no error. That it is the same one
 * libvirt tells of an active commit only; of another the job in qemu is named
 * after the top, and the base is the one layer below that qemu may write.
 */
#include "commit.h"
#include "blockjob.h"
#include "call.h"
#include "graph.h"
#include "ops.h"
#include "place.h"
#include "reasons.h"
#include "truth.h"
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

static const char query_jobs[] = "{\"execute\":\"query-block-jobs\"}";
static const char query_nodes[] = "{\"execute\":\"query-named-block-nodes\","
                                  "\"arguments\":{\"flat\":true}}";

struct chain {
    struct xml_layer *layers;
    size_t n;
};

/* Two layers of it, by their number from the leaf on. */
struct span {
    size_t top, base;
};

static void chain_deinit(struct chain *chain)
{
    free(chain->layers);
}

static int read_chain(const struct call *call, const char *target,
                      struct xml_disk *ret_disk, struct chain *ret_chain)
{
    _cleanup_free_ char *text = NULL;
    int rc = call_xml(call, 0, &text);
    if (rc == 0)
        rc = xml_disk(text, target, ret_disk, call->err);
    if (rc == 0)
        rc = xml_chain(text, target, &ret_chain->layers, &ret_chain->n,
                       call->err);
    return rc == XML_NO_DISK ? call_no_disk(call, target) : rc;
}

static int find_layer(const struct call *call, const struct chain *chain,
                      const char *target, const char *path, size_t *ret_i)
{
    char place[PATH_MAX];
    bool ignored;
    int rc = place_normalize(path, place, call->err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < chain->n; i++) {
        /* An index of 0: the VM is off. */
        if (chain->layers[i].index && str_equal(chain->layers[i].path, place)) {
            *ret_i = i;
            return 0;
        }
    }
    rc = call_is_active(call, &ignored); /* off, or forgotten? */
    if (rc < 0)
        return rc;
    return err_set_code(call->err, ERR_NOT_IN_CHAIN,
                        "disk %s of VM %s runs on no layer %s", target,
                        call->name, place);
}

static int find_span(const struct call *call, const struct chain *chain,
                     const struct vm_commit_spec *spec, struct span *ret_span)
{
    int rc =
        find_layer(call, chain, spec->target, spec->top_path, &ret_span->top);
    if (rc == 0)
        rc = find_layer(call, chain, spec->target, spec->base_path,
                        &ret_span->base);
    if (rc == 0 && ret_span->base <= ret_span->top)
        return err_set_code(call->err, ERR_MERGE,
                            "commit of disk %s of VM %s: %s is not below %s",
                            spec->target, call->name, spec->base_path,
                            spec->top_path);
    return rc;
}

static int commit(const struct call *call, const struct vm_commit_spec *spec,
                  const struct chain *chain, struct span span, unsigned flags)
{
    char top[DISK_TARGET_SIZE + 16], base[DISK_TARGET_SIZE + 16];
    (void)str_format(top, sizeof(top), "%s[%u]", spec->target,
                     chain->layers[span.top].index);
    (void)str_format(base, sizeof(base), "%s[%u]", spec->target,
                     chain->layers[span.base].index);
    flags |= VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES;
    if (span.top == 0)
        flags |= VIR_DOMAIN_BLOCK_COMMIT_ACTIVE;
    return virDomainBlockCommit(call->vm, spec->target, base, top,
                                blockjob_speed(spec->bytes_per_s), flags);
}

static size_t find_index(const struct chain *chain, unsigned index)
{
    size_t i = 0;
    while (i < chain->n && chain->layers[i].index != index)
        i++;
    return i;
}

/* The commit that qemu has for the disk, other than of its leaf. 1: found. */
static int ask_span(const struct call *call, const char *target,
                    const struct chain *chain, struct span *ret_span)
{
    _cleanup_free_ char *jobs = NULL, *nodes = NULL;
    unsigned index = 0;
    int rc = call_monitor(call, query_jobs, &jobs);
    if (rc == 0)
        rc = graph_commit_top(jobs, target, &index, call->err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    size_t top = find_index(chain, index);
    rc = call_monitor(call, query_nodes, &nodes);
    for (size_t i = top + 1; i < chain->n && rc == 0; i++) {
        *ret_span = (struct span){ .top = top, .base = i };
        rc = graph_is_writable(nodes, chain->layers[i].index, call->err);
    }
    return rc;
}

int commit_base_path(const struct call *call, const char *target,
                     char ret_path[PATH_MAX])
{
    _cleanup_(chain_deinit) struct chain chain = { 0 };
    struct xml_disk disk;
    struct span span = { 0 };
    ret_path[0] = '\0';
    int rc = read_chain(call, target, &disk, &chain);
    if (rc == 0)
        rc = ask_span(call, target, &chain, &span);
    if (rc == 1)
        (void)str_copy(ret_path, PATH_MAX, chain.layers[span.base].path);
    return rc < 0 ? rc : 0;
}

/* 1: the job that the disk has is this commit. */
static int is_running(const struct call *call,
                      const struct vm_commit_spec *spec,
                      const struct chain *chain, struct span wanted)
{
    struct xml_disk disk;
    struct span span = { 0 };
    int rc = call_disk(call, 0, spec->target, &disk);
    if (rc < 0)
        return rc;
    if (disk.kind != VM_JOB_NONE)
        return disk.kind == VM_JOB_ACTIVE_COMMIT && wanted.top == 0 &&
               disk.phase != MIRROR_ABORTING &&
               str_equal(disk.mirror_path, chain->layers[wanted.base].path);
    rc = ask_span(call, spec->target, chain, &span);
    return rc == 1 ? span.top == wanted.top && span.base == wanted.base : rc;
}

/* Whether libvirt may have refused because of RELATIVE. */
static bool wants_absolute(void)
{
    const virError *error = virGetLastError();
    return error && error->message && strstr(error->message, "relative");
}

static int start(const struct call *call, const struct vm_commit_spec *spec,
                 const struct chain *chain, struct span span)
{
    if (commit(call, spec, chain, span, VIR_DOMAIN_BLOCK_COMMIT_RELATIVE) == 0)
        return 0;
    if (wants_absolute() && commit(call, spec, chain, span, 0) == 0)
        return 0;
    struct err refused = ERR_INIT;
    struct call quiet = *call; /* borrows the references */
    quiet.err = &refused;
    int rc = blockjob_fail(&quiet, ERR_MERGE, "commit", spec->target);
    quiet.err = NULL;
    if (refused.code == ERR_DISK_BUSY &&
        is_running(&quiet, spec, chain, span) == 1)
        return 0;
    if (call->err)
        *call->err = refused;
    return rc;
}

int virt_commit_start(void *ctx, const struct vm_commit_spec *spec,
                      struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    _cleanup_(chain_deinit) struct chain chain = { 0 };
    struct span span = { 0 };
    struct xml_disk disk;
    int rc = call_begin_vm(&call, ctx, spec->vm, err);
    if (rc == 0)
        rc = read_chain(&call, spec->target, &disk, &chain);
    if (rc == 0)
        rc = find_span(&call, &chain, spec, &span);
    if (rc == 0)
        rc = truth_check(&call, &disk.disk);
    if (rc < 0 || !chain.layers)
        return err_default_code(err, ERR_MERGE);
    char uuid[UUID_SIZE];
    call_uuid(call.vm, uuid);
    reasons_forget(connection_reasons(ctx), uuid, spec->target);
    return start(&call, spec, &chain, span);
}
