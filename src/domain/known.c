/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of known domains. It is written whole, since it is small and a
 * rename makes it old or new. A domain is "joined" in the file as long as it
 * should be used; whether it can be is found out anew after each start.
 */
#include "known.h"
#include "ops.h"
#include <dray/base/lock.h>
#include <errno.h>
#include <string.h>

static struct domain_info *find_locked(struct domains *domains, const char *sd)
{
    for (size_t i = 0; i < domains->known_n; i++) {
        if (str_equal(domains->known[i].sd, sd))
            return &domains->known[i];
    }
    return NULL;
}

int domain_known_get(struct domains *domains, const char *sd,
                     struct domain_info *ret_info, struct err *err)
{
    {
        SCOPED_LOCK(&domains->lock);
        const struct domain_info *info = find_locked(domains, sd);
        if (info) {
            *ret_info = *info;
            return 0;
        }
    }
    (void)err_set_code(err, ERR_NO_DOMAIN, "this host knows no domain %s", sd);
    return err_next(err, "join it: drayctl domain join PATH");
}

static int put_locked(struct domains *domains, const struct domain_info *info)
{
    struct domain_info *old = find_locked(domains, info->sd);
    if (old) {
        *old = *info;
        return 0;
    }
    struct domain_info *larger =
        realloc(domains->known, (domains->known_n + 1) * sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    larger[domains->known_n++] = *info;
    domains->known = larger;
    return 0;
}

int domain_known_add(struct domains *domains, const struct domain_info *info,
                     struct err *err)
{
    SCOPED_LOCK(&domains->lock);
    if (put_locked(domains, info) < 0)
        return err_set(err, -ENOMEM, "domain %s: out of memory", info->sd);
    return 0;
}

int domain_known_put(struct domains *domains, const struct domain_info *info,
                     struct err *err)
{
    int rc = domain_known_add(domains, info, err);
    return rc < 0 ? rc : domain_known_save(domains, err);
}

void domain_known_status(struct domains *domains, const char *sd,
                         enum domain_status status, const char *problem)
{
    SCOPED_LOCK(&domains->lock);
    struct domain_info *info = find_locked(domains, sd);
    if (!info)
        return;
    info->status = status;
    (void)str_copy(info->problem, sizeof(info->problem),
                   problem ? problem : "");
}

void domain_known_problem(struct domains *domains, const char *sd,
                          enum domain_status status, const char *problem)
{
    SCOPED_LOCK(&domains->lock);
    struct domain_info *info = find_locked(domains, sd);
    if (info && info->status == status)
        (void)str_copy(info->problem, sizeof(info->problem),
                       problem ? problem : "");
}

int domain_known_all(struct domains *domains, struct domain_info **ret_infos,
                     size_t *ret_n, struct err *err)
{
    SCOPED_LOCK(&domains->lock);
    struct domain_info *copy =
        calloc(domains->known_n + 1, sizeof(*copy)); /* never 0 bytes */
    if (!copy)
        return err_set(err, -ENOMEM, "list of domains: out of memory");
    if (domains->known_n > 0)
        memcpy(copy, domains->known, domains->known_n * sizeof(*copy));
    *ret_infos = copy;
    *ret_n = domains->known_n;
    return 0;
}

int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                struct err *err)
{
    return domain_known_all(ctx, ret_infos, ret_n, err);
}

/* How many domains are called so; the first one's id. */
static size_t count_by_name(struct domains *domains, const char *name,
                            char ret_sd[UUID_SIZE])
{
    size_t n = 0;
    SCOPED_LOCK(&domains->lock);
    for (size_t i = 0; i < domains->known_n; i++) {
        if (!str_equal(domains->known[i].name, name))
            continue;
        if (n == 0)
            (void)str_copy(ret_sd, UUID_SIZE, domains->known[i].sd);
        n++;
    }
    return n;
}

int domain_find(void *ctx, const char *name_or_sd, char ret_sd[UUID_SIZE],
                struct err *err)
{
    struct domains *domains = ctx;
    char sd[UUID_SIZE] = "";
    struct domain_info info;
    if (uuid_is_valid(name_or_sd)) {
        int rc = domain_known_get(domains, name_or_sd, &info, err);
        if (rc < 0)
            return rc;
        (void)str_copy(ret_sd, UUID_SIZE, name_or_sd);
        return 0;
    }
    size_t n = count_by_name(domains, name_or_sd, sd);
    if (n == 1) {
        (void)str_copy(ret_sd, UUID_SIZE, sd);
        return 0;
    }
    if (n > 1) {
        (void)err_set_code(err, ERR_VALUE, "%zu domains are called \"%s\"", n,
                           name_or_sd);
        return err_next(err, "give the UUID: drayctl domain list shows it");
    }
    (void)err_set_code(err, ERR_NO_DOMAIN,
                       "this host knows no domain called \"%s\"", name_or_sd);
    return err_next(err, "drayctl domain list shows those it knows");
}
