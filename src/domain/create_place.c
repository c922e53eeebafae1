/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The directory that a domain is made in: what is there, whose it is, and what
 * a dead builder left. A lock on PATH/.drayd-create.lock tells a builder that
 * lives from one that died: who has it may remove every leftover in PATH.
 */
#include "create.h"
#include "layout.h"
#include "metadata.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static const char lock_name[] = ".drayd-create.lock";

/* The same domain made before is what was asked for. 0, DOMAIN_NONE: there is
 * none. */
static int check_same(const struct domain_dir *root,
                      const struct domain_info *wanted, struct err *err)
{
    struct domain_info found = *wanted;
    int rc = domain_metadata_read(root, wanted->sd, &found, err);
    if (rc != 0)
        return rc;
    if (!str_equal(found.name, wanted->name) || found.type != wanted->type ||
        !str_equal(found.class_name, wanted->class_name))
        return err_set_code(err, ERR_DOMAIN_CREATE,
                            "%s is there already: domain \"%s\" of type %s, "
                            "class %s",
                            root->path, found.name,
                            domain_type_name(found.type), found.class_name);
    return 0;
}

static int refuse_other(const struct domain_dir *top, const char *name,
                        struct err *err)
{
    (void)err_set_code(err, ERR_DOMAIN_CREATE, "%s holds a domain already: %s",
                       top->path, name);
    return err_next(err, "one directory holds one domain: take another, or "
                         "join that one");
}

/* PATH/NAME is a domain: one that is being asked for, or in the way. */
static int check_entry(const struct domain_dir *top, const char *name,
                       const struct domain_info *wanted, struct err *err)
{
    _cleanup_dir_ struct domain_dir root = DOMAIN_DIR_INIT;
    char sub[NAME_MAX + sizeof("/" DOMAIN_METADATA_DIR)];
    struct stat st;
    (void)str_format(sub, sizeof(sub), "%s/%s", name, DOMAIN_METADATA_DIR);
    if (fstatat(top->fd, sub, &st, 0) < 0)
        return DOMAIN_NONE;
    if (!str_equal(name, wanted->sd))
        return refuse_other(top, name, err);
    int rc = domain_dir_open_below(top, name, &root, err);
    return rc != 0 ? rc : check_same(&root, wanted, err);
}

/* 0: the very domain is there; DOMAIN_NONE: the place is free. */
int domain_place_check(const struct domain_dir *top,
                       const struct domain_info *wanted, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    struct stat st;
    int rc = domain_dir_list(top, &names, err);
    if (rc < 0)
        return rc;
    rc = DOMAIN_NONE;
    for (size_t i = 0; rc == DOMAIN_NONE && i < names.n; i++) {
        if (names.names[i][0] != '.')
            rc = check_entry(top, names.names[i], wanted, err);
    }
    if (rc == DOMAIN_NONE && domain_file_stat(top, wanted->sd, &st, NULL) == 0)
        return err_set_code(err, ERR_DOMAIN_CREATE,
                            "%s/%s is there already, but is no domain",
                            top->path, wanted->sd);
    return rc;
}

static bool is_still_there(const struct domain_dir *top, int fd)
{
    struct stat ours;
    struct stat named;
    return fstat(fd, &ours) == 0 &&
           fstatat(top->fd, lock_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int domain_place_lock(const struct domain_dir *top, int *ret_fd,
                      struct err *err)
{
    enum {
        MODE = 0600
    };
    _cleanup_close_ int fd =
        openat(top->fd, lock_name,
               O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, MODE);
    if (fd < 0)
        return domain_fail(err, ERR_DOMAIN_CREATE, "make", top, lock_name);
    /* The one before us removes the file as the last thing it does. */
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_still_there(top, fd)) {
        (void)err_set_code(err, ERR_DOMAIN_CREATE,
                           "somebody else is making a domain in %s right now",
                           top->path);
        return err_next(err, "look again in a moment");
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* A tree of two levels at most, all made by us. */
static int remove_level(const struct domain_dir *dir, bool deeper,
                        struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(dir, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        const char *name = names.names[i];
        struct stat st;
        rc = domain_file_stat(dir, name, &st, err);
        if (rc == 0 && !S_ISDIR(st.st_mode))
            rc = domain_file_remove(dir, name, err);
        else if (rc == 0 && deeper)
            rc = domain_remove_tree(dir, name, false, err);
    }
    return rc;
}

int domain_remove_tree(const struct domain_dir *top, const char *name,
                       bool deeper, struct err *err)
{
    _cleanup_dir_ struct domain_dir dir = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(top, name, &dir, err);
    if (rc == 0)
        rc = remove_level(&dir, deeper, err);
    if (rc == 0)
        rc = domain_dir_remove(top, name, err);
    return rc == DOMAIN_NONE ? 0 : rc;
}

int domain_place_clean(const struct domain_dir *top, struct err *err)
{
    _cleanup_names_ struct domain_names names = { 0 };
    int rc = domain_dir_list(top, &names, err);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        const char *name = names.names[i];
        if (str_starts_with(name, DOMAIN_BUILD_PREFIX) &&
            uuid_is_valid(name + sizeof(DOMAIN_BUILD_PREFIX) - 1))
            rc = domain_remove_tree(top, name, true, err);
    }
    return rc;
}

void domain_place_unlock(const struct domain_dir *top)
{
    (void)unlinkat(top->fd, lock_name, 0); /* an old one does no harm */
}
