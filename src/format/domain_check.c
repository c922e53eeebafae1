/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which keys a domain's metadata must have and what they may say. Some are used
 * by nobody any more, but VDSM refuses a domain without them.
 */
#include "text.h"
#include <dray/format/block.h>
#include <limits.h>
#include <string.h>

static const char *const types[] = { "NFS",  "FCP",     "ISCSI",    "LOCALFS",
                                     "CIFS", "POSIXFS", "GLUSTERFS" };
static const char *const classes[] = { "Data", "Iso", "Backup" };
static const char *const roles[] = { "Master", "Regular" };

static int missing(const char *key, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION, "key %s is missing", key);
}

static int wrong(const char *key, const char *value, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "key %s has the value \"%s\"", key, value);
}

static int get_text(const struct format_domain *domain, const char *key,
                    const char **ret_value, struct err *err)
{
    const char *value = format_domain_get(domain, key);
    if (!value)
        return missing(key, err);
    *ret_value = value;
    return 0;
}

static int get_number(const struct format_domain *domain, const char *key,
                      unsigned *ret_value, struct err *err)
{
    uint64_t number = 0;
    const char *value = format_domain_get(domain, key);
    if (!value)
        return missing(key, err);
    if (str_to_u64(value, &number) < 0 || number > UINT_MAX)
        return wrong(key, value, err);
    *ret_value = (unsigned)number;
    return 0;
}

static int get_word(const struct format_domain *domain, const char *key,
                    const char *const *words, size_t n, const char **ret_value,
                    struct err *err)
{
    const char *value = format_domain_get(domain, key);
    if (!value)
        return missing(key, err);
    if (text_index(value, words, n) < 0)
        return wrong(key, value, err);
    *ret_value = value;
    return 0;
}

/* Pools are a list; a blank id in it means nothing. */
static int get_pools(const struct format_domain *domain, const char **ret_pools,
                     struct err *err)
{
    const char *pools = format_domain_get(domain, "POOL_UUID");
    if (!pools)
        return missing("POOL_UUID", err);
    bool attached = false;
    for (const char *next = pools; *next;) {
        size_t len = strcspn(next, ",");
        char pool[UUID_SIZE] = "";
        if (len < sizeof(pool))
            memcpy(pool, next, len);
        if (!uuid_is_valid(pool))
            return wrong("POOL_UUID", pools, err);
        attached = attached || !str_equal(pool, UUID_BLANK);
        next += len;
        next += *next == ',';
    }
    *ret_pools = attached ? pools : "";
    return 0;
}

/* VDSM takes its defaults when one of these does not parse, but wants it. */
static int check_unused(const struct format_domain *domain, struct err *err)
{
    static const char *const keys[] = { "IOOPTIMEOUTSEC", "LEASERETRIES",
                                        "LEASETIMESEC", "LOCKPOLICY",
                                        "LOCKRENEWALINTERVALSEC" };
    const char *ignored = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        int rc = get_text(domain, keys[i], &ignored, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int get_identity(const struct format_domain *domain,
                        struct format_domain_facts *facts, struct err *err)
{
    int rc = get_number(domain, "VERSION", &facts->version, err);
    if (rc < 0)
        return rc;
    if (facts->version != FORMAT_VERSION)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "key VERSION is %u, but only version %d domains "
                            "can be used",
                            facts->version, FORMAT_VERSION);
    rc = get_text(domain, "SDUUID", &facts->sd, err);
    if (rc < 0)
        return rc;
    if (!uuid_is_valid(facts->sd))
        return wrong("SDUUID", facts->sd, err);
    return get_text(domain, "DESCRIPTION", &facts->name, err);
}

static int get_kind(const struct format_domain *domain,
                    struct format_domain_facts *facts, struct err *err)
{
    int rc =
        get_word(domain, "TYPE", types, ARRAY_SIZE(types), &facts->type, err);
    if (rc == 0)
        rc = get_word(domain, "CLASS", classes, ARRAY_SIZE(classes),
                      &facts->class_name, err);
    if (rc == 0)
        rc = get_word(domain, "ROLE", roles, ARRAY_SIZE(roles), &facts->role,
                      err);
    if (rc == 0)
        rc = get_pools(domain, &facts->pools, err);
    return rc;
}

static int get_geometry(const struct format_domain *domain,
                        struct format_domain_facts *facts, struct err *err)
{
    int rc = get_number(domain, "BLOCK_SIZE", &facts->block_size, err);
    if (rc == 0)
        rc = get_number(domain, "ALIGNMENT", &facts->alignment, err);
    if (rc < 0)
        return rc;
    if (!format_geometry_is_valid(facts->block_size, facts->alignment))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "keys BLOCK_SIZE and ALIGNMENT: %u and %u do not "
                            "go together",
                            facts->block_size, facts->alignment);
    return 0;
}

/* Where a file domain is; a block domain is where its VG is, and must have room
 * for LVBs. */
static int get_place(const struct format_domain *domain,
                     struct format_domain_facts *facts, struct err *err)
{
    if (!format_domain_get(domain, "VGUUID"))
        return get_text(domain, "REMOTE_PATH", &facts->remote_path, err);
    facts->remote_path = "";
    if (!format_block_geometry_is_valid(facts->block_size, facts->alignment))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "keys BLOCK_SIZE and ALIGNMENT: with blocks of %u "
                            "bytes in areas of %u bytes a lease's LVB would "
                            "overwrite its neighbour",
                            facts->block_size, facts->alignment);
    return 0;
}

int format_domain_check(const struct format_domain *domain,
                        struct format_domain_facts *ret_facts, struct err *err)
{
    struct format_domain_facts facts = { 0 };
    int rc = get_identity(domain, &facts, err);
    if (rc == 0)
        rc = get_kind(domain, &facts, err);
    if (rc == 0)
        rc = get_geometry(domain, &facts, err);
    if (rc == 0)
        rc = get_place(domain, &facts, err);
    if (rc == 0)
        rc = check_unused(domain, err);
    if (rc < 0)
        return rc;
    *ret_facts = facts;
    return 0;
}
