/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Directories. The kernel itself keeps a lookup beneath the directory it starts
 * in (openat2), so a link or a mount planted on the way is an error, also when
 * somebody swaps it in while we look.
 */
#include "dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

static const char *advice(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return "free some space there, or take another domain";
    case EROFS:
        return "make the storage writable again; the kernel's log may say "
               "why it is not";
    case EACCES:
    case EPERM:
        return "look at the owner and mode of the files and of the export";
    case EIO:
    case ESTALE:
    case ENOTCONN:
    case ETIMEDOUT:
        return "look at the storage and its connection (dmesg), then repeat";
    case ELOOP:
    case EXDEV:
        return "a domain holds no links and no mounts: find out who put it "
               "there";
    default:
        return NULL;
    }
}

int domain_fail(struct err *err, enum err_code code, const char *verb,
                const struct domain_dir *dir, const char *name)
{
    int errnum = errno;
    if (errnum == ENOSPC || errnum == EDQUOT)
        code = ERR_NO_SPACE;
    int rc = err_set_code(err, code, "%s %s%s%s: %m", verb, dir->path,
                          name ? "/" : "", name ? name : "");
    const char *next = advice(errnum);
    if (next)
        (void)err_next(err, "%s", next);
    return rc;
}

int domain_dir_open(const char *path, struct domain_dir *ret_dir,
                    struct err *err)
{
    struct domain_dir dir = DOMAIN_DIR_INIT;
    if (!str_copy(dir.path, sizeof(dir.path), path))
        return err_set_code(err, ERR_VALUE, "%.64s...: the path is too long",
                            path);
    dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir.fd < 0 && errno == ENOENT)
        return DOMAIN_NONE;
    if (dir.fd < 0)
        return domain_fail(err, ERR_STORAGE, "open", &dir, NULL);
    *ret_dir = dir;
    return 0;
}

int domain_dir_open_below(const struct domain_dir *top, const char *sub,
                          struct domain_dir *ret_dir, struct err *err)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                   RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    struct domain_dir dir = DOMAIN_DIR_INIT;
    if (!str_format(dir.path, sizeof(dir.path), "%s/%s", top->path, sub))
        return err_set_code(err, ERR_VALUE,
                            "%.64s.../%s: the path is too "
                            "long",
                            top->path, sub);
    dir.fd = (int)syscall(SYS_openat2, top->fd, sub, &how, sizeof(how));
    if (dir.fd < 0 && errno == ENOENT)
        return DOMAIN_NONE;
    if (dir.fd < 0)
        return domain_fail(err, ERR_STORAGE, "open", top, sub);
    *ret_dir = dir;
    return 0;
}

void domain_dir_close(struct domain_dir *dir)
{
    util_closep(&dir->fd);
    dir->fd = -1;
}

int domain_dir_make(const struct domain_dir *dir, const char *name, mode_t mode,
                    const struct domain_owner *owner, struct err *err)
{
    if (mkdirat(dir->fd, name, mode) < 0)
        return domain_fail(err, ERR_STORAGE, "make directory", dir, name);
    _cleanup_dir_ struct domain_dir made = DOMAIN_DIR_INIT;
    int rc = domain_dir_open_below(dir, name, &made, err);
    if (rc == DOMAIN_NONE)
        return err_set_code(err, ERR_STORAGE,
                            "%s/%s: somebody removed it again", dir->path,
                            name);
    if (rc < 0)
        return rc;
    struct stat st;
    if (fstat(made.fd, &st) < 0 || fchmod(made.fd, mode) < 0)
        return domain_fail(err, ERR_STORAGE, "set mode of", dir, name);
    if ((st.st_uid != owner->uid || st.st_gid != owner->gid) &&
        fchown(made.fd, owner->uid, owner->gid) < 0)
        return domain_fail(err, ERR_STORAGE, "set owner of", dir, name);
    return 0;
}

int domain_dir_remove(const struct domain_dir *dir, const char *name,
                      struct err *err)
{
    if (unlinkat(dir->fd, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
        return DOMAIN_NONE;
    return domain_fail(err, ERR_STORAGE, "remove directory", dir, name);
}

int domain_dir_sync(const struct domain_dir *dir, struct err *err)
{
    if (fsync(dir->fd) < 0)
        return domain_fail(err, ERR_STORAGE, "sync directory", dir, NULL);
    return 0;
}

void domain_names_deinit(struct domain_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
    names->names = NULL;
    names->n = 0;
}

static int add_name(struct domain_names *names, const char *name)
{
    char **larger = realloc(names->names, (names->n + 1) * sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    names->names = larger;
    larger[names->n] = strdup(name);
    if (!larger[names->n])
        return -ENOMEM;
    names->n++;
    return 0;
}

static int read_names(DIR *stream, struct domain_names *names)
{
    const struct dirent *entry = NULL;
    errno = 0;
    /* A stream of our own: nobody else reads from it. */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((entry = readdir(stream))) {
        bool self =
            str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..");
        int rc = self ? 0 : add_name(names, entry->d_name);
        if (rc < 0)
            return rc;
        errno = 0;
    }
    return -errno;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int domain_dir_list(const struct domain_dir *dir, struct domain_names *ret,
                    struct err *err)
{
    /* Not a dup(): that would share the position in the directory. */
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return domain_fail(err, ERR_STORAGE, "list", dir, NULL);
    DIR *stream = fdopendir(fd);
    if (!stream) {
        util_closep(&fd);
        return err_set(err, -ENOMEM, "list %s: out of memory", dir->path);
    }
    struct domain_names names = { 0 };
    int rc = read_names(stream, &names);
    (void)closedir(stream); /* read only */
    if (rc < 0) {
        domain_names_deinit(&names);
        errno = -rc;
        return domain_fail(err, ERR_STORAGE, "list", dir, NULL);
    }
    if (names.n > 1)
        qsort(names.names, names.n, sizeof(*names.names), compare_names);
    *ret = names;
    return 0;
}
