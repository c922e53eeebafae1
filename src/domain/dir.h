/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Directories of a domain and the files right in them. What lies there was put
 * by other hosts and by qemu: no link is followed, nothing but regular files is
 * opened, and no name leads out of the directory it is looked up in.
 */
#ifndef DRAY_DOMAIN_DIR_H
#define DRAY_DOMAIN_DIR_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* An open directory and its name for messages. */
struct domain_dir {
    int fd;
    char path[PATH_MAX];
};

#define DOMAIN_DIR_INIT                                                        \
    {                                                                          \
        .fd = -1                                                               \
    }
#define _cleanup_dir_ _cleanup_(domain_dir_close)

enum {
    DOMAIN_NONE = 1, /* outcome: there is no such file or directory */
};

/* Who gets what we make. */
struct domain_owner {
    uid_t uid;
    gid_t gid;
};

/* A list of names; release with domain_names_deinit(). */
struct domain_names {
    size_t n;
    char **names;
};

#define _cleanup_names_ _cleanup_(domain_names_deinit)

/* Fills in @err from errno: "VERB DIR/NAME: why" (NAME may be NULL). A full
 * disk has a number of its own; everything else gets @code. Adds what to do
 * about the usual causes. Returns a negative errno. */
int domain_fail(struct err *err, enum err_code code, const char *verb,
                const struct domain_dir *dir, const char *name);

/* 0 or DOMAIN_NONE. @path: absolute; its last component must be no link. */
int domain_dir_open(const char *path, struct domain_dir *ret_dir,
                    struct err *err);
/* 0 or DOMAIN_NONE. @sub: one or more components below @top. */
int domain_dir_open_below(const struct domain_dir *top, const char *sub,
                          struct domain_dir *ret_dir, struct err *err);
void domain_dir_close(struct domain_dir *dir);

/* Makes a directory with this mode and owner; -EEXIST is an error. */
int domain_dir_make(const struct domain_dir *dir, const char *name, mode_t mode,
                    const struct domain_owner *owner, struct err *err);
/* 0, or DOMAIN_NONE when it is not empty or not there. */
int domain_dir_remove(const struct domain_dir *dir, const char *name,
                      struct err *err);
int domain_dir_sync(const struct domain_dir *dir, struct err *err);
/* All names but "." and "..", sorted. */
int domain_dir_list(const struct domain_dir *dir, struct domain_names *ret,
                    struct err *err);
void domain_names_deinit(struct domain_names *names);

/* 0 or DOMAIN_NONE: a regular file, opened with @flags (without O_CREAT). */
int domain_file_open(const struct domain_dir *dir, const char *name, int flags,
                     int *ret_fd, struct err *err);
/* Makes a file of mode @mode that must not be there yet. */
int domain_file_make(const struct domain_dir *dir, const char *name,
                     mode_t mode, const struct domain_owner *owner, int *ret_fd,
                     struct err *err);
/* Where to read to: how much it takes, and then how much there was. */
struct domain_buffer {
    void *data;
    size_t size;
};

/* 0 or DOMAIN_NONE. From @offset on, up to the buffer's or the file's end. */
int domain_file_read(const struct domain_dir *dir, const char *name,
                     off_t offset, struct domain_buffer *buffer,
                     struct err *err);
/* Makes a file with these bytes, durable but for its name. */
int domain_file_write(const struct domain_dir *dir, const char *name,
                      const void *data, size_t size,
                      const struct domain_owner *owner, struct err *err);
/* 0 or DOMAIN_NONE. */
int domain_file_stat(const struct domain_dir *dir, const char *name,
                     struct stat *ret_stat, struct err *err);
/* A file that is not there is fine. */
int domain_file_remove(const struct domain_dir *dir, const char *name,
                       struct err *err);
/* Within @dir, and durable when it returns. */
int domain_file_rename(const struct domain_dir *dir, const char *from,
                       const char *to, struct err *err);
/* fsync() of @fd, which is DIR/NAME. */
int domain_file_sync(int fd, const struct domain_dir *dir, const char *name,
                     struct err *err);

#endif
