/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dom_md/metadata <-> struct domain_info.
 */
#include "metadata.h"
#include "layout.h"
#include <dray/format.h>
#include <string.h>

static const char file[] = DOMAIN_METADATA_DIR "/metadata";

/* 0 or DOMAIN_NONE. */
static int read_text(const struct domain_dir *root, char **ret_text,
                     size_t *ret_size, struct err *err)
{
    enum {
        SIZE = FORMAT_DOMAIN_TEXT_MAX + 1
    };
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(root, DOMAIN_METADATA_DIR, &dir, err);
    if (rc != 0)
        return rc;
    _cleanup_free_ char *text = malloc(SIZE);
    if (!text)
        return err_set_code(err, ERR_STORAGE, "%s/%s: out of memory",
                            root->path, file);
    struct domain_buffer buffer = { .data = text, .size = SIZE };
    rc = domain_file_read(&dir, "metadata", 0, &buffer, err);
    if (rc != 0)
        return rc;
    *ret_text = TAKE(text);
    *ret_size = buffer.size;
    return 0;
}

static void fill(struct domain_info *info,
                 const struct format_domain_facts *facts)
{
    (void)str_copy(info->sd, sizeof(info->sd), facts->sd);
    (void)str_copy(info->name, sizeof(info->name), facts->name);
    (void)str_copy(info->class_name, sizeof(info->class_name),
                   facts->class_name);
    (void)str_copy(info->role, sizeof(info->role), facts->role);
    (void)str_copy(info->pools, sizeof(info->pools), facts->pools);
    info->type = domain_type_number(facts->type);
    info->version = facts->version;
    info->block_size = facts->block_size;
    info->alignment = facts->alignment;
    info->read_only = facts->pools[0] != '\0';
}

int domain_metadata_take(const struct format_domain *domain, const char *sd,
                         struct domain_info *info, struct err *err)
{
    struct format_domain_facts facts;
    int rc = format_domain_check(domain, &facts, err);
    if (rc == 0 && !str_equal(facts.sd, sd))
        rc = err_set_code(err, ERR_METADATA_VALIDATION,
                          "key SDUUID is %s, but the domain is called %s",
                          facts.sd, sd);
    if (rc == 0)
        fill(info, &facts);
    return rc;
}

static int parse(const char *text, size_t size, const char *sd,
                 struct domain_info *info, struct err *err)
{
    struct format_domain domain = { 0 };
    int rc = format_domain_parse(text, size, &domain, err);
    if (rc == 0)
        rc = domain_metadata_take(&domain, sd, info, err);
    format_domain_deinit(&domain);
    return rc;
}

int domain_metadata_read(const struct domain_dir *root, const char *sd,
                         struct domain_info *info, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    int rc = read_text(root, &text, &size, err);
    if (rc != 0)
        return rc;
    rc = parse(text, size, sd, info, err);
    if (rc < 0)
        return err_wrap(err, "%s/%s", root->path, file);
    return 0;
}

int domain_metadata_fill(struct format_domain *domain,
                         const struct domain_info *info, struct err *err)
{
    char block_size[16];
    char alignment[16];
    (void)str_format(block_size, sizeof(block_size), "%u", info->block_size);
    (void)str_format(alignment, sizeof(alignment), "%u", info->alignment);
    const struct {
        const char *key;
        const char *value;
    } pairs[] = {
        {"VERSION",                 "5"                         },
        { "SDUUID",                 info->sd                    },
        { "TYPE",                   domain_type_name(info->type)},
        { "CLASS",                  info->class_name            },
        { "DESCRIPTION",            info->name                  },
        { "ROLE",                   "Regular"                   },
        { "POOL_UUID",              ""                          },
        { "LOCKPOLICY",             ""                          },
        { "LOCKRENEWALINTERVALSEC", "5"                         },
        { "LEASETIMESEC",           "60"                        },
        { "IOOPTIMEOUTSEC",         "10"                        },
        { "LEASERETRIES",           "3"                         },
        { "BLOCK_SIZE",             block_size                  },
        { "ALIGNMENT",              alignment                   },
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        int rc = format_domain_set(domain, pairs[i].key, pairs[i].value, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int domain_metadata_write(const struct domain_dir *root,
                          const struct domain_info *info,
                          const struct domain_owner *owner, struct err *err)
{
    struct format_domain domain = { 0 };
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    int rc = domain_metadata_fill(&domain, info, err);
    if (rc == 0)
        rc = format_domain_set(&domain, "REMOTE_PATH", info->path, err);
    if (rc == 0)
        rc = format_domain_text(&domain, &text, &size, err);
    format_domain_deinit(&domain);
    if (rc < 0)
        return rc;
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    rc = domain_dir_open_below(root, DOMAIN_METADATA_DIR, &dir, err);
    if (rc != 0)
        return err_set_code(err, ERR_STORAGE, "%s is gone", dir.path);
    return domain_file_write(&dir, "metadata", text, size, owner, err);
}
