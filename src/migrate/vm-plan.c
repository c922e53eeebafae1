/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a VM's move to another host would take, and everything that speaks
 * against it on both hosts, all at once. Each of its disks is asked about as if
 * it moved alone (plan-source.c); what the other host has to say comes from its
 * drayd.
 */
#include "offer.h"
#include "plan.h"

#include <inttypes.h>
#include <string.h>

/* --- one disk ---------------------------------------------------------- */

static const char *wished_domain(const struct migrate_send_request *request,
                                 const struct vm_disk *disk)
{
    for (size_t i = 0; i < request->n_wishes; i++)
        if (strcmp(request->wishes[i].disk, disk->target) == 0)
            return request->wishes[i].to;
    return request->to;
}

/* What goes beforehand, see send-layers.c. */
static void name_layers(struct question *q)
{
    const struct volume_info *base = &q->chain.volumes[0];
    struct job_disk *of = q->of;

    if (q->chain.n < 2)
        return;
    memcpy(of->parent, q->chain.volumes[q->chain.n - 2].id.vol, UUID_SIZE);
    if (base->role == VOLUME_SHARED) {
        memcpy(of->template_img, base->home, UUID_SIZE);
        memcpy(of->template_vol, base->id.vol, UUID_SIZE);
    }
}

/* The template may be there: it counts apart. As a file it is what it is here.
 */
static void split_space(struct question *q)
{
    struct migrate_plan_disk *out = q->out;
    uint64_t bytes = q->chain.volumes[0].true_bytes;

    if (!q->of->template_img[0])
        return;
    bytes += bytes / 100;
    out->template_required = bytes < out->required ? bytes : out->required;
    out->required -= out->template_required;
}

/* For LVs there: what is below is copied as it is. */
static int measure_below(struct question *q, struct err *err)
{
    bool linked = q->of->template_img[0];

    for (size_t i = 0; i + 1 < q->chain.n; i++) {
        const struct volume_info *layer = &q->chain.volumes[i];
        uint64_t bytes = layer->apparent_bytes;
        int rc = 0;

        if (layer->block && layer->format == VOLUME_COW)
            rc = PORT(q->ports, copier, measure, layer->path, VOLUME_COW,
                      &bytes, err);
        if (rc)
            return rc;
        if (i == 0 && linked)
            q->out->template_size = bytes;
        else
            q->out->below += bytes;
    }
    return 0;
}

/* The place is the other host's: dst_path holds what it is to look up until it
 * has said which domain that is. When none is named: the one that it is in. */
static void name_place(struct question *q, const char *domain)
{
    (void)str_copy(q->of->dst_path, sizeof(q->of->dst_path),
                   domain[0] ? domain : q->of->src_sd);
}

/* Nothing is moved, and nothing needs space. */
static void stay(struct migrate_plan *plan, size_t i)
{
    struct job_disk *of = &plan->job.disks[i];
    struct migrate_plan_disk *out = &plan->disks[i];

    of->stays = true;
    memset(of->parent, 0, UUID_SIZE);
    memset(of->template_img, 0, UUID_SIZE);
    memset(of->template_vol, 0, UUID_SIZE);
    plan->bytes -= out->bytes;
    out->bytes = out->required = 0;
}

static void measure(struct question *q, bool flatten)
{
    const struct volume_info *leaf = &q->chain.volumes[q->chain.n - 1];
    struct err err = ERR_INIT;
    int rc;

    q->out->sparse =
        leaf->format == VOLUME_RAW && leaf->allocation == VOLUME_SPARSE;
    rc = flatten ? thin_measure_chain(q->ports, &leaf->id, &q->of->data, &err)
                 : thin_measure(q->ports, leaf, &q->of->data, &err);
    if (rc == 0 && !flatten)
        rc = measure_below(q, &err);
    if (rc)
        plan_obstacle_from(q->plan, &err);
}

static void ask_disk(struct question *q, const char *domain, bool flatten)
{
    struct job_disk *of = q->of;

    (void)str_copy(of->target, sizeof(of->target), q->disk.target);
    (void)str_copy(of->src_path, sizeof(of->src_path), q->disk.path);
    of->capacity = q->disk.capacity;
    plan_check_vm(q);
    plan_locate(q);
    if (q->located)
        plan_check_source(q);
    if (q->chain.n > 0) {
        of->convert = true;
        of->base_cow = q->chain.volumes[q->chain.n - 1].format == VOLUME_COW;
        if (!flatten)
            name_layers(q);
        plan_check_space(q);
        split_space(q);
        measure(q, flatten);
    }
    name_place(q, domain);
}

/* --- the VM ------------------------------------------------------------ */

static bool is_disk(const struct vm_disk *disk)
{
    return strcmp(disk->device, "disk") == 0 ||
           strcmp(disk->device, "lun") == 0;
}

static void check_medium(struct migrate_plan *plan, const struct vm_disk *disk)
{
    if (disk->path[0])
        (void)err_next(plan_obstacle(plan, ERR_UNSUPPORTED,
                                     "%s %s has a medium: %.200s", disk->device,
                                     disk->target, disk->path),
                       "eject it: virsh change-media");
}

static void ask_disks(const struct migrate_ports *ports,
                      const struct migrate_send_request *request,
                      const struct vm_info *vm, const struct vm_disk *disks,
                      size_t n, struct migrate_plan *plan)
{
    const struct migrate_request as_if = { .keep_source =
                                               request->keep_source };

    for (size_t i = 0; i < n; i++) {
        size_t at = plan->job.n_disks;

        if (!is_disk(&disks[i])) {
            check_medium(plan, &disks[i]);
            continue;
        }
        if (at == JOB_DISKS_MAX) {
            (void)plan_obstacle(plan, ERR_UNSUPPORTED,
                                "VM %s has more than %d disks", vm->name,
                                JOB_DISKS_MAX);
            return;
        }
        struct question q = { .ports = ports,
                              .request = &as_if,
                              .plan = plan,
                              .of = &plan->job.disks[at],
                              .out = &plan->disks[at],
                              .vm = vm,
                              .abroad = true,
                              .outside_free = UINT64_MAX, /* theirs to say */
                              .disk = disks[i] };

        plan->job.n_disks++;
        ask_disk(&q, wished_domain(request, &disks[i]), request->flatten);
        plan->bytes += plan->disks[at].bytes;
        storage_chain_deinit(&q.chain);
    }
}

/* A mistyped target must not go where the others go. */
static void check_wishes(const struct migrate_send_request *request,
                         struct migrate_plan *plan)
{
    for (size_t i = 0; i < request->n_wishes; i++) {
        bool found = false;

        for (size_t k = 0; k < plan->job.n_disks; k++)
            found = found || strcmp(request->wishes[i].disk,
                                    plan->job.disks[k].target) == 0;
        if (!found)
            (void)err_next(
                plan_obstacle(plan, ERR_NO_DISK, "VM %s has no disk %s",
                              plan->job.vm_name, request->wishes[i].disk),
                "see: drayctl vm disks %s", plan->job.vm_name);
    }
}

/* --- the other host ---------------------------------------------------- */

static void fill_disk(const struct job_disk *of, uint64_t required,
                      struct peer_disk *disk)
{
    memcpy(disk->target, of->target, sizeof(disk->target));
    (void)str_copy(disk->domain, sizeof(disk->domain),
                   of->dst_sd[0] ? of->dst_sd : of->dst_path);
    memcpy(disk->from, of->src_sd, UUID_SIZE);
    memcpy(disk->img, of->img, UUID_SIZE);
    memcpy(disk->leaf, of->leaf, UUID_SIZE);
    memcpy(disk->parent, of->parent, UUID_SIZE);
    memcpy(disk->template_img, of->template_img, UUID_SIZE);
    memcpy(disk->template_vol, of->template_vol, UUID_SIZE);
    disk->cow = of->base_cow;
    disk->capacity = of->capacity;
    disk->data = of->data;
    disk->required = required;
}

int offer_of_job(const struct migrate_ports *ports, const struct job *job,
                 struct peer_offer *ret_offer, char **ret_xml, struct err *err)
{
    int rc = PORT(ports, hypervisor, vm_definition, job->vm, ret_xml, err);

    if (rc)
        return rc;
    memset(ret_offer, 0, sizeof(*ret_offer));
    memcpy(ret_offer->job_id, job->id, UUID_SIZE);
    memcpy(ret_offer->vm, job->vm, UUID_SIZE);
    (void)str_copy(ret_offer->vm_name, VM_NAME_SIZE, job->vm_name);
    (void)str_copy(ret_offer->from, PEER_NAME_SIZE, ports->host_name);
    ret_offer->xml = *ret_xml;
    ret_offer->n_disks = job->n_disks;
    for (size_t i = 0; i < job->n_disks; i++)
        fill_disk(&job->disks[i], 0, &ret_offer->disks[i]);
    return 0;
}

static void name_a_domain(struct migrate_plan *plan, const struct job_disk *of)
{
    (void)err_next(plan_obstacle(plan, ERR_PARAMETER,
                                 "no domain of host %s is named for disk %s, "
                                 "and it does not see where the disk is",
                                 plan->job.peer, of->target),
                   "--disk %s=DOMAIN", of->target);
}

static void take_verdict(struct migrate_plan *plan,
                         const struct peer_verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_obstacles; i++) {
        struct err there = verdict->obstacles[i];

        (void)err_wrap(&there, "on host %s", plan->job.peer);
        plan_obstacle_from(plan, &there);
    }
    for (size_t i = 0; i < plan->job.n_disks; i++) {
        struct job_disk *of = &plan->job.disks[i];

        memcpy(of->dst_sd, verdict->sd[i], UUID_SIZE);
        if (!of->dst_sd[0] && strcmp(of->dst_path, of->src_sd) == 0)
            name_a_domain(plan, of);
        if (!of->dst_sd[0])
            continue;
        memset(of->dst_path, 0, sizeof(of->dst_path));
        of->dst_block = verdict->block[i];
        of->base_cow = verdict->cow[i];
        if (strcmp(of->dst_sd, of->src_sd) == 0)
            stay(plan, i);
    }
}

/* Only what it is offered in whole can be judged. */
static bool is_complete(const struct job *job)
{
    for (size_t i = 0; i < job->n_disks; i++)
        if (!job->disks[i].img[0] || !job->disks[i].dst_path[0])
            return false;
    return true;
}

/* Layers below the leaf, but for the template. */
static size_t n_between(const struct migrate_plan *plan, size_t i)
{
    size_t n = plan->disks[i].chain_n;

    return !plan->job.disks[i].parent[0]
               ? 0
               : n - 1 - (plan->job.disks[i].template_img[0] ? 1 : 0);
}

static void ask_peer(const struct migrate_ports *ports,
                     struct migrate_plan *plan)
{
    _cleanup_free_ char *xml = NULL;
    struct peer_verdict verdict;
    struct peer_offer offer;
    struct err err = ERR_INIT;
    int rc = offer_of_job(ports, &plan->job, &offer, &xml, &err);

    for (size_t i = 0; i < plan->job.n_disks; i++) {
        offer.disks[i].required = plan->disks[i].required;
        offer.disks[i].template_required = plan->disks[i].template_required;
        offer.disks[i].sparse = plan->disks[i].sparse;
        offer.disks[i].below = plan->disks[i].below;
        offer.disks[i].layers = n_between(plan, i);
        offer.disks[i].template_size = plan->disks[i].template_size;
    }
    if (rc == 0)
        rc = PORT(ports, peer, check, plan->job.peer, &offer, &verdict, &err);
    if (rc)
        plan_obstacle_from(plan, &err);
    else
        take_verdict(plan, &verdict);
}

/* --- the answer -------------------------------------------------------- */

static void fill_job(const struct migrate_send_request *request,
                     const struct vm_info *vm, struct job *job)
{
    job->keep_source = request->keep_source;
    job->limit = request->limit;
    job->wait_s = request->wait_s;
    (void)str_copy(job->peer, sizeof(job->peer), request->peer);
    (void)str_copy(job->vm, sizeof(job->vm), vm->uuid);
    (void)str_copy(job->vm_name, sizeof(job->vm_name), vm->name);
}

int migrate_send_plan(const struct migrate_ports *ports,
                      const struct migrate_send_request *request,
                      struct migrate_plan *ret_plan, struct err *err)
{
    _cleanup_free_ struct vm_disk *disks = NULL;
    size_t n = 0;
    struct vm_info vm;
    struct peer_way way;
    int rc = PORT(ports, peer, way, request->peer, &way, err);

    if (rc == 0)
        rc = PORT(ports, hypervisor, vm_find, request->vm, &vm, err);
    if (rc == 0)
        rc = PORT(ports, hypervisor, vm_disks, vm.uuid, &disks, &n, err);
    if (rc)
        return rc;
    memset(ret_plan, 0, sizeof(*ret_plan));
    job_init(&ret_plan->job, request->job_id, JOB_VM_MIGRATE,
             PORT(ports, clock, wall_ms));
    if (!request->job_id[0])
        uuid_new(ret_plan->job.id); /* the other host knows it by that */
    fill_job(request, &vm, &ret_plan->job);
    ask_disks(ports, request, &vm, disks, n, ret_plan);
    check_wishes(request, ret_plan);
    if (ret_plan->job.n_disks == 0)
        (void)plan_obstacle(ret_plan, ERR_UNSUPPORTED,
                            "VM %s has no disk: virsh migrate moves it",
                            vm.name);
    else if (is_complete(&ret_plan->job))
        ask_peer(ports, ret_plan);
    plan_show_ways_out(ret_plan);
    (void)str_copy(ret_plan->why, sizeof(ret_plan->why),
                   "libvirt copies disks and memory");
    ret_plan->job.progress.total = ret_plan->bytes;
    ret_plan->expected_s = plan_expect_s(ret_plan, 0);
    return 0;
}
