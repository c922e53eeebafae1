/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a domain to be made must be, before anything is touched.
 */
#include "create.h"
#include "layout.h"
#include "nfs/export.h"
#include <errno.h>
#include <string.h>

int domain_create_check_name(const char *name, struct err *err)
{
    if (name[0] && format_text_is_line(name))
        return 0;
    return err_set_code(err, ERR_VALUE,
                        "a domain's name is one line of text, not empty");
}

static int check_kind(const struct domain_create *spec, struct err *err)
{
    if (spec->type != DOMAIN_TYPE_POSIXFS && spec->type != DOMAIN_TYPE_NFS) {
        (void)err_set_code(err, ERR_DOMAIN_TYPE,
                           "domains of type %u (%s) cannot be made", spec->type,
                           domain_type_name(spec->type)
                               ? domain_type_name(spec->type)
                               : "unknown");
        return err_next(err, "take POSIXFS (6) for a directory or NFS (1)");
    }
    if (!str_equal(spec->class_name, "Data"))
        return err_set_code(err, ERR_DOMAIN_CLASS,
                            "domains of class %s cannot be made, only Data",
                            spec->class_name ? spec->class_name : "(none)");
    if (spec->block_size != 512)
        return err_set_code(err, ERR_VALUE,
                            "block size %u: %s domains have 512",
                            spec->block_size, domain_type_name(spec->type));
    return 0;
}

int domain_check_path(const char *path, struct err *err)
{
    bool climbs = strstr(path, "/../") || str_ends_with(path, "/..");
    if (path[0] != '/' || climbs || !format_text_is_line(path))
        return err_set_code(err, ERR_VALUE,
                            "\"%s\" is not an absolute path without \"..\"",
                            path);
    return 0;
}

/* A directory, or an export, which has no place here before it is mounted. */
static int check_place(const struct domain_create *spec,
                       struct domain_info *info, struct err *err)
{
    if (!nfs_is_export(spec->path))
        return domain_check_path(spec->path, err);
    if (spec->type != DOMAIN_TYPE_NFS)
        return err_set_code(err, ERR_DOMAIN_TYPE,
                            "%s is an NFS export: its domain is of type 1, NFS",
                            spec->path);
    int rc = nfs_options_check(spec->mount_options, err);
    if (rc == 0)
        rc = nfs_export_read(spec->path, info->remote, err);
    (void)str_copy(info->mount_options, sizeof(info->mount_options),
                   spec->mount_options);
    return rc;
}

int domain_create_check(const struct domain_create *spec,
                        struct domain_info *info, struct err *err)
{
    int rc = domain_create_check_name(spec->name, err);
    if (rc == 0)
        rc = check_kind(spec, err);
    if (rc == 0)
        rc = check_place(spec, info, err);
    if (rc == 0)
        rc = format_alignment(spec->block_size, spec->max_hosts,
                              &info->alignment, err);
    if (rc < 0)
        return rc;
    if (!info->remote[0] && !realpath(spec->path, info->path))
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s: %m", spec->path);
    (void)str_copy(info->sd, sizeof(info->sd), spec->sd);
    (void)str_copy(info->name, sizeof(info->name), spec->name);
    (void)str_copy(info->class_name, sizeof(info->class_name), "Data");
    (void)str_copy(info->role, sizeof(info->role), "Regular");
    info->type = spec->type;
    info->block_size = spec->block_size;
    info->version = FORMAT_VERSION;
    return 0;
}
