/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Image.cloneStructure, syncData, copy and move: an image goes from one domain
 * to another without a VM's help. What a VM writes to is not copied behind its
 * back; what a VM has is not written over.
 */
#include "ask.h"

#include <inttypes.h>
#include <string.h>

/* --- the source -------------------------------------------------------- */

static int check_layer(const struct job_disk *disk,
                       const struct volume_info *volume, struct err *err)
{
    if (volume->role == VOLUME_SHARED || strcmp(volume->id.img, disk->img) != 0)
        return err_set_code(err, ERR_SOURCE_IMAGE,
                            "volume %s is a template's: disks made from "
                            "templates are not supported",
                            volume->id.vol);
    if (volume->capacity % 4096 != 0)
        return err_set_code(err, ERR_SOURCE_IMAGE,
                            "volume %s has %" PRIu64 " bytes, no multiple of "
                            "4096",
                            volume->id.vol, volume->capacity);
    return 0;
}

static int take_leaf(struct job_disk *disk, const struct volume_info *leaf,
                     struct err *err)
{
    memcpy(disk->leaf, leaf->id.vol, UUID_SIZE);
    disk->capacity = leaf->capacity;
    if (str_copy(disk->src_path, sizeof(disk->src_path), leaf->path))
        return 0;
    return err_set_code(err, ERR_IMAGE_PATH, "the path is too long: %s",
                        leaf->path);
}

static int load_source(struct asking *q, struct storage_chain *ret_chain,
                       struct err *err)
{
    struct job_disk *disk = &q->job->disks[0];
    struct err cause = ERR_INIT;
    struct domain_info info;
    int rc = PORT(q->ports, storage, domain_info, disk->src_sd, &info, err);

    if (rc)
        return rc;
    rc = ask_chain(q->ports, disk->src_sd, disk->img, NULL, ret_chain, &cause);
    if (rc)
        return ask_refuse(
            err, cause.code == ERR_NO_IMAGE ? ERR_NO_IMAGE : ERR_SOURCE_IMAGE,
            &cause);
    for (size_t i = 0; rc == 0 && i < ret_chain->n; i++)
        rc = check_layer(disk, &ret_chain->volumes[i], err);
    return rc ? rc
              : take_leaf(disk, &ret_chain->volumes[ret_chain->n - 1], err);
}

static int check_legal(const struct storage_chain *chain, size_t first,
                       size_t end, struct err *err)
{
    for (size_t i = first; i < end; i++) {
        const struct volume_info *volume = &chain->volumes[i];

        if (volume->legality != VOLUME_LEGAL)
            return err_set_code(err, ERR_VOLUME_ILLEGAL,
                                "volume %s of the source is %s", volume->id.vol,
                                volume_legality_name(volume->legality));
    }
    return 0;
}

/* Their data is there, and stays as it is. */
static int check_data(const struct asking *q, const struct storage_chain *chain,
                      size_t first, size_t end, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    struct err cause = ERR_INIT;
    struct migrate_users users;

    if (check_legal(chain, first, end, err))
        return err->rc;

    int rc =
        migrate_find_users(q->ports, disk->src_sd, disk->img, &users, &cause);

    if (rc == 0)
        rc = users_check_still(&users, chain, first, end, &cause);
    return rc ? ask_refuse(err, ERR_SOURCE_IMAGE, &cause) : 0;
}

/* --- the destination --------------------------------------------------- */

static int check_domain(const struct asking *q, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];

    if (strcmp(disk->src_sd, disk->dst_sd) != 0)
        return ask_check_domain(q->ports, disk->dst_sd, err);
    (void)err_set_code(err, ERR_VALUE, "image %s is on domain %s already",
                       disk->img, disk->dst_sd);
    return err_next(err, "name another domain: drayctl domain list");
}

static int check_absent(const struct asking *q, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    struct uuid_list volumes = { 0 };
    struct err cause = ERR_INIT;
    int rc = PORT(q->ports, storage, domain_volumes, disk->dst_sd, disk->img,
                  &volumes, &cause);
    size_t n = rc ? 0 : volumes.n;

    uuid_list_deinit(&volumes);
    if (rc && cause.code != ERR_NO_IMAGE)
        return ask_refuse(err, ERR_DESTINATION_IMAGE, &cause);
    if (n == 0)
        return 0;
    (void)err_set_code(err, ERR_DESTINATION_IMAGE,
                       "domain %s has image %s already", disk->dst_sd,
                       disk->img);
    return err_next(err,
                    "check, then remove it: drayctl rpc Image.delete "
                    "'{\"storagedomainID\":\"%s\",\"imageID\":\"%s\"}'",
                    disk->dst_sd, disk->img);
}

static int check_space(const struct asking *q,
                       const struct storage_chain *chain, struct err *err)
{
    const char *sd = q->job->disks[0].dst_sd;
    struct domain_info target;
    uint64_t required = 0;
    int rc = PORT(q->ports, storage, domain_info, sd, &target, err);

    if (rc == 0 && q->ask->kind == JOB_CLONE && !target.block)
        return 0; /* empty files */
    for (size_t i = 0; rc == 0 && i < chain->n; i++) {
        uint64_t bytes = 0;

        rc = ask_measure(q->ports, &chain->volumes[i], &target,
                         i + 1 == chain->n, &bytes, err);
        required += bytes;
    }
    return rc ? rc : ask_check_room(q->ports, sd, required, err);
}

static int check_fresh_place(const struct asking *q, struct err *err)
{
    int rc = check_domain(q, err);

    return rc ? rc : check_absent(q, err);
}

/* --- the verbs --------------------------------------------------------- */

int ask_clone(struct asking *q, struct err *err)
{
    struct storage_chain chain = { 0 };
    int rc = load_source(q, &chain, err);

    if (rc == 0)
        rc = check_fresh_place(q, err);
    if (rc == 0)
        rc = check_space(q, &chain, err);
    storage_chain_deinit(&chain);
    return rc;
}

static int check_source_can_go(const struct asking *q, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];

    return q->ask->kind == JOB_MOVE
               ? ask_check_domain(q->ports, disk->src_sd, err)
               : 0;
}

int ask_copy(struct asking *q, struct err *err)
{
    struct storage_chain chain = { 0 };
    int rc = load_source(q, &chain, err);

    if (rc == 0)
        rc = check_source_can_go(q, err);
    if (rc == 0)
        rc = check_data(q, &chain, 0, chain.n, err);
    if (rc == 0)
        rc = check_fresh_place(q, err);
    if (rc == 0)
        rc = check_space(q, &chain, err);
    storage_chain_deinit(&chain);
    return rc;
}

static int check_unused(const struct asking *q, const struct storage_chain *to,
                        size_t first, size_t end, struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    struct err cause = ERR_INIT;
    struct migrate_users users;
    int rc =
        migrate_find_users(q->ports, disk->dst_sd, disk->img, &users, &cause);

    if (rc == 0)
        rc = users_check_unused(&users, to, first, end, &cause);
    return rc ? ask_refuse(err, ERR_DESTINATION_IMAGE, &cause) : 0;
}

/* The structure is there, and nobody has what is to be written. */
static int compare(struct asking *q, const struct storage_chain *from,
                   const struct storage_chain *to, struct err *err)
{
    struct job_disk *disk = &q->job->disks[0];
    struct err cause = ERR_INIT;
    size_t first = 0, end = 0;

    if (ask_compare_chains(from, to, &cause))
        return ask_refuse(err, ERR_DESTINATION_IMAGE, &cause);
    disk->convert = from->volumes[0].format != to->volumes[0].format;
    disk->base_cow = to->volumes[0].format == VOLUME_COW;
    scope_range(q->job->scope, from->n, &first, &end);

    int rc = check_data(q, from, first, end, err);

    return rc ? rc : check_unused(q, to, first, end, err);
}

static int check_sync(struct asking *q, const struct storage_chain *from,
                      struct err *err)
{
    const struct job_disk *disk = &q->job->disks[0];
    struct storage_chain to = { 0 };
    struct err cause = ERR_INIT;
    int rc = check_domain(q, err);

    if (rc)
        return rc;
    if (ask_chain(q->ports, disk->dst_sd, disk->img, disk->leaf, &to, &cause))
        rc = ask_refuse(err, ERR_DESTINATION_IMAGE, &cause);
    else
        rc = compare(q, from, &to, err);
    storage_chain_deinit(&to);
    return rc;
}

int ask_sync(struct asking *q, struct err *err)
{
    struct storage_chain from = { 0 };
    int rc = load_source(q, &from, err);

    if (rc == 0)
        rc = check_sync(q, &from, err);
    storage_chain_deinit(&from);
    return rc;
}
