/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See fake-travel.h.
 */
#include "fake-travel.h"

#include <errno.h>
#include <string.h>

#define VM   "11111111-1111-4111-8111-111111111111"
#define JOB  "22222222-2222-4222-8222-222222222222"
#define IMG  "33333333-3333-4333-8333-333333333333"
#define LEAF "44444444-4444-4444-8444-444444444444"

#define TEMPLATE_IMG "77777777-7777-4777-8777-777777777777"

enum {
    SEND_MS = 3000,
    PARTS = 3, /* of a layer: one of them is a hole */
    HOLE = 1,
    LAYER_BYTES = PARTS * PEER_PIECE,
};

#define MIB      (1024ULL * 1024)
#define EXTENT   (128 * MIB)
#define CAPACITY (8192 * MIB)
#define DATA     (64 * MIB)
/* More than an LV has at first, while it is sent. */
#define BYTES_A_MS (512 * MIB / 1000)

static const char *const layers[TRAVEL_LAYERS] = {
    [TRAVEL_TEMPLATE] = "88888888-8888-4888-8888-888888888888",
    [TRAVEL_INTERNAL] = "99999999-9999-4999-8999-999999999999",
};

static const char *const sds[HOSTS] = {
    "55555555-5555-4555-8555-555555555555",
    "66666666-6666-4666-8666-666666666666",
};
static const char *const paths[HOSTS] = { "/here/img/leaf", "/there/img/leaf" };

static void broken(struct travel *travel, const char *what)
{
    if (!travel->violation[0])
        (void)str_copy(travel->violation, sizeof(travel->violation), what);
}

/* --- faults ------------------------------------------------------------ */

static int enter(struct travel_host *host, const char *call, struct err *err)
{
    struct travel *travel = host->travel;

    if (host->dead)
        return err_set(err, -EIO, "dead");
    if (++travel->calls != travel->fault_at)
        return 0;
    (void)str_copy(travel->faulted, sizeof(travel->faulted), call);
    if (travel->fault == TRAVEL_KILL_BEFORE)
        host->dead = true;
    return travel->fault == TRAVEL_KILL_AFTER
               ? 0
               : err_set(err, -EIO, "%s failed", call);
}

static int leave(struct travel_host *host, int rc, struct err *err)
{
    struct travel *travel = host->travel;

    if (travel->fault != TRAVEL_KILL_AFTER ||
        travel->calls != travel->fault_at || host->dead)
        return rc;
    host->dead = true;
    return err_set(err, -EIO, "dead");
}

static int enter_libvirt(struct travel_host *host, const char *call,
                         struct err *err)
{
    int rc = enter(host, call, err);

    if (rc == 0 && host->travel->now_ms < host->libvirt_back_ms) {
        rc = err_set(err, -ENOTCONN, "libvirtd is away");
        (void)err_default_code(err, ERR_NOT_RESPONDING);
    }
    return rc;
}

/* --- hypervisor -------------------------------------------------------- */

static int definition(void *ctx, const char *vm, char **ret_xml,
                      struct err *err)
{
    int rc = enter_libvirt(ctx, "definition", err);

    (void)vm;
    if (rc)
        return rc;
    *ret_xml = strdup("<domain/>");
    return leave(ctx, *ret_xml ? 0 : -ENOMEM, err);
}

static int send_vm(void *ctx, const struct vm_send_spec *spec, struct err *err)
{
    struct travel_host *host = ctx;
    struct travel *travel = host->travel;
    int rc = enter_libvirt(host, "send", err);

    if (rc)
        return rc;
    if (travel->sending || !host->running)
        return err_set(err, -EIO, "it is being sent, or does not run");
    if (strcmp(spec->disks[0].path, paths[THERE]) != 0 ||
        !travel->hosts[THERE].image)
        broken(travel, "sent to a volume that is not there");
    if (spec->shallow != travel->chain)
        broken(travel, "sent with another depth than the chain's");
    if (spec->disks[0].block != travel->hosts[THERE].block ||
        (travel->hosts[THERE].block && !travel->hosts[THERE].lv_active))
        broken(travel, "sent to an LV that is not active, or as a file");
    if (host->block && !host->watching)
        broken(travel, "sent from an LV that nobody has widened");
    travel->written = DATA;
    travel->sending = true;
    travel->aborted = false;
    travel->sent_ms = travel->now_ms + SEND_MS;
    travel->hosts[THERE].incoming = true;
    travel->hosts[THERE].active = true;
    return leave(host, 0, err);
}

static int send_info(void *ctx, const char *vm, struct vm_send_info *ret,
                     struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter_libvirt(host, "send info", err);

    (void)vm;
    if (rc)
        return rc;
    if (ret->n_disks != 1 || strcmp(ret->disks[0].target, "vda") != 0)
        broken(host->travel, "asked about strange disks");
    memset(ret, 0, sizeof(*ret));
    ret->active = host->travel->sending;
    ret->disks[0].total = ret->active ? SEND_MS : 0;
    if (ret->active && host->block)
        ret->disks[0].total = CAPACITY + host->travel->written - DATA;
    ret->disks[0].done = 1;
    ret->memory_total = ret->active ? SEND_MS / 2 : 0;
    ret->state = host->running  ? VM_RUNNING
                 : host->active ? VM_PAUSED
                                : VM_SHUTOFF;
    ret->disk_total = SEND_MS;
    ret->disk_done = 1;
    (void)str_copy(ret->failure, sizeof(ret->failure), "it broke");
    return leave(host, 0, err);
}

static int send_limit(void *ctx, const char *vm, uint64_t limit,
                      struct err *err)
{
    int rc = enter_libvirt(ctx, "send limit", err);

    (void)vm;
    (void)limit;
    return rc ? rc : leave(ctx, 0, err);
}

static int send_abort(void *ctx, const char *vm, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter_libvirt(host, "send abort", err);

    (void)vm;
    if (rc)
        return rc;
    host->travel->aborted = true;
    return leave(host, 0, err);
}

static int arrival(void *ctx, const char *vm, enum vm_arrival *ret,
                   struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter_libvirt(host, "arrival", err);

    (void)vm;
    if (rc)
        return rc;
    *ret = host->running    ? VM_RUNS
           : host->incoming ? VM_INCOMING
           : host->active   ? VM_ARRIVED
           : host->defined  ? VM_OFF_THERE
                            : VM_ABSENT;
    return leave(host, 0, err);
}

static int drop(void *ctx, const char *vm, bool stop, struct err *err)
{
    struct travel_host *host = ctx;
    struct travel *travel = host->travel;
    const struct travel_host *here = &travel->hosts[HERE];
    int rc = enter_libvirt(host, "drop", err);

    (void)vm;
    if (rc)
        return rc;
    if (host->running || (host->active && !stop))
        return leave(host, err_set_code(err, ERR_VALUE, "it runs"), err);
    if (host == here && travel->hosts[THERE].knows < travel->acknowledged)
        broken(travel, "undefined here, and not complete there");
    if (host != here && host->active && !host->incoming && !here->active)
        broken(travel, "ended the only one");
    host->active = host->defined = host->incoming = false;
    return leave(host, 0, err);
}

static int resume(void *ctx, const char *vm, struct err *err)
{
    struct travel_host *host = ctx;
    struct travel *travel = host->travel;
    int rc = enter_libvirt(host, "resume", err);

    (void)vm;
    if (rc)
        return rc;
    if (travel->hosts[HERE].active || travel->hosts[HERE].defined)
        broken(travel, "resumed while it may run here");
    if (host->knows != travel->acknowledged)
        broken(travel, "resumed on a copy that lacks writes");
    host->running = true;
    return leave(host, 0, err);
}

static int truth(void *ctx, const char *vm, const char *target, bool persistent,
                 struct vm_disk_truth *ret, struct err *err)
{
    struct travel_host *host = ctx;
    const char *path = paths[host - host->travel->hosts];
    int rc = enter_libvirt(host, "truth", err);

    (void)vm;
    (void)target;
    (void)persistent;
    if (rc)
        return rc;
    if (!host->active && !host->defined)
        return leave(host, err_set_code(err, ERR_NO_VM, "no VM"), err);
    if (host->travel->other_file && host == &host->travel->hosts[THERE])
        path = "/there/img/other";
    memset(ret, 0, sizeof(*ret));
    ret->state = host->active ? VM_RUNNING : VM_SHUTOFF;
    if (host->active) {
        (void)str_copy(ret->qemu_path, PATH_MAX, path);
        (void)str_copy(ret->xml_path, PATH_MAX, path);
    }
    if (host->defined)
        (void)str_copy(ret->persistent_path, PATH_MAX, path);
    return leave(host, 0, err);
}

static int path_user(void *ctx, const char *path, struct vm_info *ret,
                     struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter_libvirt(host, "path user", err);

    (void)path;
    if (rc)
        return rc;
    memset(ret, 0, sizeof(*ret));
    if (host->active || host->defined)
        (void)str_copy(ret->uuid, UUID_SIZE, VM);
    return leave(host, 0, err);
}

static int connected(void *ctx)
{
    const struct travel_host *host = ctx;

    return host->travel->now_ms < host->libvirt_back_ms ? -ENOTCONN : 0;
}

/* --- storage ----------------------------------------------------------- */

static int no_image(struct travel_host *host, struct err *err)
{
    return leave(host, err_set_code(err, ERR_NO_IMAGE, "no image"), err);
}

static int domain_volumes(void *ctx, const char *sd, const char *img,
                          struct uuid_list *ret, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "volumes", err);

    (void)sd;
    (void)img;
    if (rc)
        return rc;
    if (!host->image)
        return no_image(host, err);
    ret->n = 1;
    ret->uuids = calloc(1, UUID_SIZE);
    (void)str_copy(ret->uuids[0], UUID_SIZE, LEAF);
    return leave(host, 0, err);
}

static int volumes_create(void *ctx, const struct volume_create *specs,
                          size_t n, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "create", err);

    if (rc)
        return rc;
    if (n != 1 || specs[0].legality != VOLUME_ILLEGAL)
        broken(host->travel, "a strange volume was made");
    if (host->travel->template_differs)
        broken(host->travel, "a leaf was made above another template");
    if (host->block && specs[0].initial_bytes < DATA + EXTENT)
        broken(host->travel, "an LV that has no room for what comes");
    if (!host->image)
        host->lv_bytes = specs[0].initial_bytes;
    if (host->travel->chain &&
        (strcmp(specs[0].parent, layers[TRAVEL_INTERNAL]) != 0 ||
         !host->whole[TRAVEL_INTERNAL] || !host->whole[TRAVEL_TEMPLATE]))
        broken(host->travel, "a leaf was made above what is not whole");
    host->image = true;
    return leave(host, 0, err);
}

static int image_prepare(void *ctx, const struct volume_id *id, bool illegal,
                         char ret_path[PATH_MAX], struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "prepare", err);

    (void)id;
    (void)illegal;
    if (rc)
        return rc;
    (void)str_copy(ret_path, PATH_MAX, paths[host - host->travel->hosts]);
    host->lv_active = true;
    return leave(host, 0, err);
}

static int image_teardown(void *ctx, const char *sd, const char *img,
                          struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "teardown", err);

    (void)sd;
    (void)img;
    if (rc)
        return rc;
    if (host->active)
        broken(host->travel, "a VM's LV was deactivated");
    host->lv_active = false;
    return host->image ? leave(host, 0, err) : no_image(host, err);
}

static int volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "grow", err);

    (void)deadline_ms;
    if (rc)
        return rc;
    if (strcmp(id->vol, LEAF) != 0 || host != &host->travel->hosts[THERE])
        broken(host->travel, "a strange LV was extended");
    if (host->travel->vg_full)
        return leave(host, err_set_code(err, ERR_NO_SPACE, "full"), err);
    host->lv_bytes = bytes > host->lv_bytes ? bytes : host->lv_bytes;
    *ret_bytes = host->lv_bytes;
    return leave(host, 0, err);
}

static int delete_template(struct travel_host *host, struct err *err)
{
    struct travel *travel = host->travel;

    if (!host->layer[TRAVEL_TEMPLATE])
        return no_image(host, err);
    if (host->image || host->layer[TRAVEL_INTERNAL])
        return leave(host, err_set_code(err, ERR_VOLUME_SHARED, "in use"), err);
    if (host == &travel->hosts[HERE] || travel->template_there || travel->rival)
        broken(travel, "deleted a template that another had made");
    host->layer[TRAVEL_TEMPLATE] = host->whole[TRAVEL_TEMPLATE] = false;
    return leave(host, 0, err);
}

static int image_delete(void *ctx, const char *sd, const char *img,
                        struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "delete", err);

    (void)sd;
    if (rc)
        return rc;
    if (strcmp(img, TEMPLATE_IMG) == 0)
        return delete_template(host, err);
    if (!host->image && !host->layer[TRAVEL_INTERNAL])
        return no_image(host, err);
    if (host->active || host->defined)
        broken(host->travel, "deleted a VM's disk");
    if (host == &host->travel->hosts[HERE] && !host->travel->hosts[THERE].legal)
        broken(host->travel, "deleted the source of a move that did not end");
    host->image = false;
    host->layer[TRAVEL_INTERNAL] = host->whole[TRAVEL_INTERNAL] = false;
    return leave(host, 0, err);
}

static int set_legality(void *ctx, const struct volume_id *id,
                        enum volume_legality legality, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "legality", err);

    (void)id;
    if (rc)
        return rc;
    if (host->knows != host->travel->acknowledged)
        broken(host->travel, "a copy that lacks writes is called legal");
    host->legal = legality == VOLUME_LEGAL;
    return leave(host, 0, err);
}

static int layer_info(struct travel_host *host, enum travel_layer i,
                      struct volume_info *ret, struct err *err)
{
    if (!host->layer[i])
        return no_image(host, err);
    memset(ret, 0, sizeof(*ret));
    ret->legality = host->whole[i] ? VOLUME_LEGAL : VOLUME_ILLEGAL;
    if (i == TRAVEL_TEMPLATE && !host->whole[i])
        migrate_maker(host->travel->rival ? IMG : JOB, ret->description);
    return leave(host, 0, err);
}

static int volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "info", err);

    if (rc)
        return rc;
    for (int i = 0; i < TRAVEL_LAYERS; i++)
        if (strcmp(id->vol, layers[i]) == 0)
            return layer_info(host, (enum travel_layer)i, ret, err);
    if (!host->image)
        return no_image(host, err);
    memset(ret, 0, sizeof(*ret));
    ret->id = *id;
    ret->apparent_bytes = host->lv_bytes;
    ret->legality = host->legal ? VOLUME_LEGAL : VOLUME_ILLEGAL;
    return leave(host, 0, err);
}

static int image_chain(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret,
                       struct err *err)
{
    struct travel_host *host = ctx;
    size_t n = host->travel->chain ? TRAVEL_LAYERS : 0;
    int rc = enter(host, "chain", err);

    (void)sd;
    (void)leaf;
    if (rc)
        return rc;
    if (!host->image)
        return no_image(host, err);
    ret->volumes = calloc(n + 1, sizeof(*ret->volumes));
    for (ret->n = 0; ret->n <= n; ret->n++) {
        struct volume_info *info = &ret->volumes[ret->n];
        bool whole = ret->n == n ? host->legal : host->whole[ret->n];

        (void)str_copy(info->id.img, UUID_SIZE, img);
        (void)str_copy(info->id.vol, UUID_SIZE,
                       ret->n == n ? LEAF : layers[ret->n]);
        info->legality = whole ? VOLUME_LEGAL : VOLUME_ILLEGAL;
        info->apparent_bytes = LAYER_BYTES;
    }
    return leave(host, 0, err);
}

static int volume_measure(void *ctx, const struct volume_id *id,
                          enum volume_format format, const char *base,
                          struct volume_measure *ret, struct err *err)
{
    int rc = enter(ctx, "measure", err);

    (void)format;
    (void)base;
    if (rc)
        return rc;
    if (strcmp(id->vol, LEAF) != 0)
        broken(((struct travel_host *)ctx)->travel, "a strange measurement");
    memset(ret, 0, sizeof(*ret));
    ret->required = DATA;
    return leave(ctx, 0, err);
}

static int volume_read(void *ctx, const struct volume_id *id,
                       struct volume_piece *piece, struct err *err)
{
    int rc = enter(ctx, "read", err);

    (void)id;
    if (rc)
        return rc;
    piece->n = 0;
    piece->next = piece->offset;
    if (piece->offset < LAYER_BYTES) {
        piece->n = piece->offset == HOLE * PEER_PIECE ? 0 : piece->size;
        piece->next = piece->offset + PEER_PIECE;
        memset(piece->data, 1, piece->n);
    }
    return leave(ctx, 0, err);
}

static int digest_of(bool other, struct volume_digest *digest)
{
    uint64_t rest = LAYER_BYTES - digest->offset;

    digest->n = rest < digest->size ? rest : digest->size;
    (void)str_copy(digest->hex, sizeof(digest->hex), other ? "other" : "same");
    return 0;
}

static int volume_digest(void *ctx, const struct volume_id *id,
                         struct volume_digest *ret, struct err *err)
{
    int rc = enter(ctx, "digest", err);

    (void)id;
    return rc ? rc : leave(ctx, digest_of(false, ret), err);
}

static int probe(void *ctx, const struct volume_id *id, int patience_ms,
                 struct err *err)
{
    (void)ctx;
    (void)id;
    (void)patience_ms;
    (void)err;
    return 0;
}

static int domain_info(void *ctx, const char *sd, struct domain_info *ret,
                       struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(ctx, "domain", err);

    if (rc)
        return rc;
    if (strcmp(sd, sds[host - host->travel->hosts]) != 0)
        broken(host->travel, "asked for a domain of the other host");
    memset(ret, 0, sizeof(*ret));
    ret->block = host->block;
    ret->extent_bytes = host->block ? EXTENT : 0;
    return leave(ctx, 0, err);
}

static void keep(void *ctx, const char *sd)
{
    const struct travel_host *host = ctx;

    if (strcmp(sd, sds[host - host->travel->hosts]) != 0)
        broken(host->travel, "asked for a domain of the other host");
}

static int locate(void *ctx, const char *path, struct volume_id *ret,
                  struct err *err)
{
    (void)ctx;
    (void)ret;
    return err_set_code(err, ERR_NO_DISK, "%s", path);
}

static void forget(void *ctx, const char *key)
{
    (void)ctx;
    (void)key;
}

/* --- watch ------------------------------------------------------------- */

static int job_begins(void *ctx, const char *vm, const char *target,
                      const char *base, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "watch", err);

    (void)vm;
    (void)target;
    (void)base;
    if (rc)
        return rc;
    host->watching = true;
    return leave(host, 0, err);
}

static void job_ended(void *ctx, const char *vm, const char *target)
{
    (void)vm;
    (void)target;
    ((struct travel_host *)ctx)->watching = false;
}

/* --- journal, clock ---------------------------------------------------- */

static int put(void *ctx, const struct job *job, struct err *err)
{
    struct travel_host *host = ctx;
    int rc = enter(host, "journal", err);

    if (rc)
        return rc;
    host->record = *job;
    host->has_record = true;
    return leave(host, 0, err);
}

static int64_t now_ms(void *ctx)
{
    return ((const struct travel_host *)ctx)->travel->now_ms;
}

static int64_t now_us(void *ctx)
{
    return now_ms(ctx) * 1000;
}

/* --- the other drayd --------------------------------------------------- */

static int reach(struct travel_host *here, struct travel_host **ret_there,
                 const char *call, struct err *err)
{
    struct travel_host *there = &here->travel->hosts[THERE];
    int rc = enter(here, call, err);

    if (rc == 0 && (there->restart_ms || here->travel->network_cut)) {
        rc = err_set(err, -ENOTCONN, "the other drayd is away");
        (void)err_default_code(err, ERR_NOT_RESPONDING);
    }
    *ret_there = there;
    return rc;
}

/* As api/peer.c answers. */
static int tell(struct travel_host *here, struct travel_host *there,
                struct peer_status *ret, struct err *err)
{
    const struct job *job =
        there->migration ? migration_job(there->migration) : &there->record;
    int rc = 0;

    memset(ret, 0, sizeof(*ret));
    ret->error = job->error;
    (void)str_copy(ret->warning, sizeof(ret->warning), job->warning);
    ret->stage = migrate_receive_stage(job);
    ret->n_disks = 1;
    (void)str_copy(ret->paths[0], PEER_PATH_SIZE, job->disks[0].dst_path);
    rc = arrival(there, job->vm, &ret->vm, err);
    return leave(here, rc, err);
}

static int way(void *ctx, const char *name, struct peer_way *ret,
               struct err *err)
{
    (void)ctx;
    (void)name;
    (void)err;
    memset(ret, 0, sizeof(*ret));
    return 0;
}

static int prepare(void *ctx, const char *name, const struct peer_offer *offer,
                   struct peer_status *ret, struct err *err)
{
    struct travel_host *there = NULL;
    int rc = reach(ctx, &there, "Peer.prepare", err);

    (void)name;
    if (rc)
        return rc;
    if (!there->migration && !there->has_record) {
        struct job job;

        job_init(&job, offer->job_id, JOB_VM_RECEIVE, 1);
        (void)str_copy(job.peer, sizeof(job.peer), "here");
        (void)str_copy(job.vm, UUID_SIZE, offer->vm);
        job.n_disks = 1;
        (void)str_copy(job.disks[0].target, sizeof(job.disks[0].target), "vda");
        (void)str_copy(job.disks[0].dst_sd, UUID_SIZE, sds[THERE]);
        (void)str_copy(job.disks[0].img, UUID_SIZE, IMG);
        (void)str_copy(job.disks[0].leaf, UUID_SIZE, LEAF);
        job.disks[0].base_cow = offer->disks[0].cow;
        job.disks[0].capacity = offer->disks[0].capacity;
        job.disks[0].data = offer->disks[0].data;
        job.disks[0].dst_block = there->block;
        memcpy(job.disks[0].parent, offer->disks[0].parent, UUID_SIZE);
        memcpy(job.disks[0].template_img, offer->disks[0].template_img,
               UUID_SIZE);
        memcpy(job.disks[0].template_vol, offer->disks[0].template_vol,
               UUID_SIZE);
        job.disks[0].template_absent =
            there->travel->chain && !there->travel->template_there;
        there->travel->rival_came = there->travel->rival != TRAVEL_ALONE;
        there->layer[TRAVEL_TEMPLATE] |= there->travel->rival_came;
        there->whole[TRAVEL_TEMPLATE] |=
            there->travel->rival == TRAVEL_RIVAL_FIRST;
        travel_start(there->travel, THERE, &job);
    }
    there->orders.filled = there->orders.filled || offer->filled;
    return tell(ctx, there, ret, err);
}

static int known(struct travel_host *there, struct err *err)
{
    return there->migration || there->has_record
               ? 0
               : err_set_code(err, ERR_NO_JOB, "no such job");
}

static int info(void *ctx, const char *name, const char *id,
                struct peer_status *ret, struct err *err)
{
    struct travel_host *there = NULL;
    int rc = reach(ctx, &there, "Peer.info", err);

    (void)name;
    (void)id;
    if (rc == 0)
        rc = known(there, err);
    return rc ? rc : tell(ctx, there, ret, err);
}

static int room(void *ctx, const char *name, const char *id,
                const struct peer_room *rooms, size_t n, struct err *err)
{
    struct travel_host *here = ctx, *there = NULL;
    int rc = reach(ctx, &there, "Peer.info", err);

    (void)name;
    (void)id;
    if (rc == 0)
        rc = known(there, err);
    if (rc)
        return rc;
    if (!there->block || n != 1 || rooms[0].bytes < DATA ||
        (here->travel->sending && rooms[0].bytes > here->travel->written))
        broken(here->travel, "asked for strange room");
    if (there->migration)
        rc = migrate_receive_room(
            &there->ports, migration_job(there->migration), rooms, n, err);
    return leave(here, rc, err);
}

static int finish(void *ctx, const char *name, const char *id,
                  struct peer_status *ret, struct err *err)
{
    struct travel_host *there = NULL;
    int rc = reach(ctx, &there, "Peer.finish", err);

    (void)name;
    (void)id;
    if (rc == 0)
        rc = known(there, err);
    if (rc)
        return rc;
    there->orders.finish = true;
    there->active = there->active && !there->travel->dies_there;
    return tell(ctx, there, ret, err);
}

static int undo(void *ctx, const char *name, const char *id,
                struct peer_status *ret, struct err *err)
{
    struct travel_host *there = NULL;
    int rc = reach(ctx, &there, "Peer.undo", err);

    (void)name;
    (void)id;
    if (rc == 0)
        rc = known(there, err);
    if (rc)
        return rc;
    there->orders.cancel = true;
    return tell(ctx, there, ret, err);
}

/* As api/peer-layer.c lets them in. */
static int visit(struct travel_host *here, struct travel_host **ret_there,
                 const char *call, const char *life, struct err *err)
{
    struct travel_host *there = NULL;
    int rc = reach(here, &there, call, err);
    char now[UUID_SIZE];

    if (rc)
        return rc;
    if (!there->migration || there->orders.cancel ||
        migration_job(there->migration)->state != JOB_PREPARING)
        return err_set_code(err, ERR_NOT_READY, "it expects no layers");
    (void)str_format(now, sizeof(now), "%u", there->life);
    if (life && strcmp(life, now) != 0)
        return err_set_code(err, ERR_NOT_READY, "another life");
    there->orders.visits++;
    *ret_there = there;
    return 0;
}

static enum travel_layer layer_of(const struct peer_layer *layer)
{
    return strcmp(layer->spec.id.vol, layers[TRAVEL_TEMPLATE]) == 0
               ? TRAVEL_TEMPLATE
               : TRAVEL_INTERNAL;
}

static int layer(void *ctx, const char *name, struct peer_layer *layer,
                 bool *ret_complete, struct err *err)
{
    enum travel_layer i = layer_of(layer);
    struct travel_host *here = ctx, *there = NULL;
    int rc = visit(here, &there, "Peer.layer", NULL, err);

    (void)name;
    if (rc)
        return rc;
    if (i == TRAVEL_INTERNAL && !there->whole[TRAVEL_TEMPLATE])
        broken(here->travel, "a layer was made before what is below it");
    if (layer->is_template != (i == TRAVEL_TEMPLATE) ||
        strcmp(layer->spec.id.img, i == TRAVEL_TEMPLATE ? TEMPLATE_IMG : IMG) !=
            0 ||
        (i == TRAVEL_INTERNAL &&
         strcmp(layer->spec.parent_img, TEMPLATE_IMG) != 0))
        broken(here->travel, "a layer of a strange image");
    if (i == TRAVEL_TEMPLATE && here->travel->rival == TRAVEL_RIVAL_FILLS)
        return leave(here, err_set_code(err, ERR_VOLUME_ILLEGAL, "not ours"),
                     err);
    if (i == TRAVEL_TEMPLATE && !there->whole[i])
        there->orders.made = 1;
    there->layer[i] = true;
    (void)str_format(layer->life, UUID_SIZE, "%u", there->life);
    *ret_complete = there->whole[i];
    return leave(here, 0, err);
}

static int fill(void *ctx, const char *name, const struct peer_layer *layer,
                const struct volume_piece *piece, struct err *err)
{
    enum travel_layer i = layer_of(layer);
    struct travel_host *here = ctx, *there = NULL;
    int rc = visit(here, &there, "Peer.fill", layer->life, err);

    (void)name;
    if (rc)
        return rc;
    if (!there->layer[i] || there->whole[i])
        broken(here->travel, "filled what is not there, or is whole");
    if (piece->offset == 0)
        there->parts[i] = 0;
    if (piece->size == PEER_PIECE)
        there->parts[i] |= 1u << piece->offset / PEER_PIECE;
    return leave(here, 0, err);
}

static int end(void *ctx, const char *name, const struct peer_layer *layer,
               uint64_t size, struct err *err)
{
    const unsigned all = (1u << PARTS) - 1 - (1u << HOLE);
    enum travel_layer i = layer_of(layer);
    struct travel_host *here = ctx, *there = NULL;
    int rc = visit(here, &there, "Peer.end", layer->life, err);

    (void)name;
    if (rc)
        return rc;
    if (size != LAYER_BYTES || (!there->whole[i] && there->parts[i] != all))
        broken(here->travel, "called whole what is not");
    there->whole[i] = true;
    return leave(here, 0, err);
}

static int digest(void *ctx, const char *name, const struct peer_layer *layer,
                  struct volume_digest *ret, struct err *err)
{
    struct travel_host *here = ctx, *there = NULL;
    int rc = visit(here, &there, "Peer.digest", NULL, err);

    (void)name;
    (void)layer;
    if (rc)
        return rc;
    return leave(here, digest_of(here->travel->template_differs, ret), err);
}

/* --- time -------------------------------------------------------------- */

static void end_send(struct travel *travel)
{
    struct travel_host *here = &travel->hosts[HERE];
    struct travel_host *there = &travel->hosts[THERE];

    travel->sending = false;
    there->incoming = false;
    if (travel->aborted || travel->send_breaks || travel->network_cut ||
        travel->starved || !there->active) {
        there->active = false;
        return;
    }
    there->knows = here->knows;
    there->defined = !travel->transient;
    if (!travel->confirm_lost)
        here->active = here->running = false;
}

static void pass_vms(struct travel *travel)
{
    if (travel->hosts[HERE].running && travel->hosts[THERE].running)
        broken(travel, "two run");
    if (travel->hosts[HERE].running || travel->hosts[THERE].running)
        travel->acknowledged++;
    for (int i = 0; i < HOSTS; i++)
        if (travel->hosts[i].running)
            travel->hosts[i].knows = travel->acknowledged;
    if (travel->sending && travel->hosts[THERE].block) {
        travel->written += BYTES_A_MS;
        travel->starved = travel->written > travel->hosts[THERE].lv_bytes;
    }
    if (travel->sending && (travel->aborted || travel->starved ||
                            travel->now_ms >= travel->sent_ms))
        end_send(travel);
}

static void die(struct travel_host *host)
{
    migration_free(host->migration);
    host->migration = NULL;
    host->restart_ms = host->travel->now_ms + host->travel->dead_ms;
    memset(&host->orders, 0, sizeof(host->orders));
    host->life++;
    host->watching = false;
    memset(host->parts, 0, sizeof(host->parts)); /* the host may have died */
}

static void pass_daemon(struct travel_host *host)
{
    struct travel *travel = host->travel;
    int64_t wait_ms;

    if (host->restart_ms && travel->now_ms >= host->restart_ms) {
        host->restart_ms = 0;
        host->dead = false;
        if (host->has_record && !job_is_terminal(host->record.state))
            travel_start(travel, (int)(host - travel->hosts), &host->record);
        else if (!host->has_record && host == &travel->hosts[HERE]) {
            const struct job again = travel_job(travel); /* they ask again */

            travel_start(travel, HERE, &again);
        }
    }
    if (host->dead && !host->restart_ms)
        die(host);
    if (!host->migration || travel->now_ms < host->next_ms)
        return;
    wait_ms = migration_step(host->migration, &host->orders);
    host->next_ms = travel->now_ms + wait_ms;
    if (host->dead) {
        die(host);
    } else if (wait_ms < 0) {
        migration_free(host->migration);
        host->migration = NULL;
    }
}

void travel_pass(struct travel *travel)
{
    travel->now_ms++;
    pass_vms(travel);
    pass_daemon(&travel->hosts[HERE]);
    pass_daemon(&travel->hosts[THERE]);
}

/* --- life -------------------------------------------------------------- */

static const struct hypervisor_ops hypervisor = {
    .disk_truth = truth,
    .path_user = path_user,
    .connected = connected,
    .vm_resume = resume,
    .vm_definition = definition,
    .vm_send = send_vm,
    .vm_send_info = send_info,
    .vm_send_limit = send_limit,
    .vm_send_abort = send_abort,
    .vm_arrival = arrival,
    .vm_drop = drop,
};

static const struct storage_ops storage = {
    .domain_info = domain_info,
    .domain_keep = keep,
    .domain_keep_no_more = keep,
    .domain_soon = keep,
    .domain_volumes = domain_volumes,
    .image_chain = image_chain,
    .image_prepare = image_prepare,
    .image_teardown = image_teardown,
    .image_delete = image_delete,
    .volume_info = volume_info,
    .volume_grow = volume_grow,
    .volume_measure = volume_measure,
    .volume_set_legality = set_legality,
    .volume_probe = probe,
    .volume_read = volume_read,
    .volume_digest = volume_digest,
    .volumes_create = volumes_create,
    .locate = locate,
};

static const struct watch_ops watch = { .job_begins = job_begins,
                                        .job_ended = job_ended };
static const struct copier_ops copier = { .forget = forget };
static const struct journal_ops journal = { .put = put };
static const struct clock_ops clocks = { .now_ms = now_ms,
                                         .now_us = now_us,
                                         .wall_ms = now_ms };
static const struct peer_ops peer = {
    .way = way,
    .prepare = prepare,
    .layer = layer,
    .fill = fill,
    .end = end,
    .digest = digest,
    .info = info,
    .room = room,
    .finish = finish,
    .undo = undo,
};

void travel_init(struct travel *travel)
{
    memset(travel, 0, sizeof(*travel));
    travel->now_ms = 1000;
    travel->dead_ms = 1500;
    for (int i = 0; i < HOSTS; i++) {
        struct travel_host *host = &travel->hosts[i];

        host->travel = travel;
        host->ports = (struct migrate_ports){
            .storage = {host,  &storage   },
            .hypervisor = { host, &hypervisor},
            .copier = { host, &copier    },
            .journal = { host, &journal   },
            .clock = { host, &clocks    },
            .peer = { host, &peer      },
            .watch = { host, &watch     },
            .policy = watermark_defaults(),
            .host_name = i == HERE ? "here" : "there",
        };
    }
    travel->hosts[HERE].defined = travel->hosts[HERE].active = true;
    travel->hosts[HERE].running = travel->hosts[HERE].image = true;
    travel->hosts[HERE].legal = true;
}

void travel_on_lvs(struct travel *travel)
{
    for (int i = 0; i < HOSTS; i++) {
        travel->hosts[i].block = true;
        travel->hosts[i].ports.policy.chunk_bytes = EXTENT;
    }
    travel->hosts[HERE].lv_active = true;
}

void travel_has_chain(struct travel *travel, bool template_there)
{
    struct travel_host *here = &travel->hosts[HERE];
    struct travel_host *there = &travel->hosts[THERE];

    travel->chain = true;
    travel->template_there = template_there;
    for (int i = 0; i < TRAVEL_LAYERS; i++)
        here->layer[i] = here->whole[i] = true;
    there->layer[TRAVEL_TEMPLATE] = template_there;
    there->whole[TRAVEL_TEMPLATE] = template_there;
}

void travel_deinit(struct travel *travel)
{
    for (int i = 0; i < HOSTS; i++)
        migration_free(travel->hosts[i].migration);
}

struct job travel_job(const struct travel *travel)
{
    struct job job;

    job_init(&job, JOB, JOB_VM_MIGRATE, 1);
    (void)str_copy(job.peer, sizeof(job.peer), "there");
    (void)str_copy(job.vm, UUID_SIZE, VM);
    (void)str_copy(job.vm_name, sizeof(job.vm_name), "web1");
    job.n_disks = 1;
    (void)str_copy(job.disks[0].target, sizeof(job.disks[0].target), "vda");
    (void)str_copy(job.disks[0].src_sd, UUID_SIZE, sds[HERE]);
    (void)str_copy(job.disks[0].dst_sd, UUID_SIZE, sds[THERE]);
    (void)str_copy(job.disks[0].img, UUID_SIZE, IMG);
    (void)str_copy(job.disks[0].leaf, UUID_SIZE, LEAF);
    (void)str_copy(job.disks[0].src_path, JOB_PATH_SIZE, paths[HERE]);
    job.disks[0].dst_block = travel->hosts[THERE].block;
    job.disks[0].base_cow = true;
    job.disks[0].capacity = CAPACITY;
    job.disks[0].data = DATA;
    if (!travel->chain)
        return job;
    (void)str_copy(job.disks[0].parent, UUID_SIZE, layers[TRAVEL_INTERNAL]);
    (void)str_copy(job.disks[0].template_img, UUID_SIZE, TEMPLATE_IMG);
    (void)str_copy(job.disks[0].template_vol, UUID_SIZE,
                   layers[TRAVEL_TEMPLATE]);
    return job;
}

void travel_start(struct travel *travel, int host, const struct job *job)
{
    struct travel_host *at = &travel->hosts[host];

    if (migration_new(&at->ports, job, &at->migration))
        broken(travel, "no memory");
    at->orders.cancel = job->cancel_requested;
    at->orders.finish = job->finish_requested;
    at->next_ms = travel->now_ms;
}
