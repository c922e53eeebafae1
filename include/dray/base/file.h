/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files: read whole, replace atomically, make durable. Paths are ours or were
 * checked before; every descriptor is CLOEXEC.
 */
#ifndef DRAY_BASE_FILE_H
#define DRAY_BASE_FILE_H

#include <dray/base/err.h>
#include <stddef.h>
#include <sys/types.h>

/* Reads a regular file of at most @max bytes without following a final link.
 * *ret_text is NUL-terminated (the NUL is not counted) and the caller's.
 * -ENOENT when there is none, -EFBIG when larger. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
              struct err *err);

/* Replaces @path with the bytes: writes path + ".new", fsync, rename, fsync of
 * the directory. After 0 it is durable; after a failure the old file stands
 * (a ".new" may be left over), or the new one when only the last fsync failed:
 * whole in any case. The mode is exact, whatever the umask. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode,
                 struct err *err);

/* fsync of the directory @path. */
int file_sync_dir(const char *path, struct err *err);

/* Creates a directory, durably and with exactly this mode; one that exists
 * already is left as it is. */
int file_make_dir(const char *path, mode_t mode, struct err *err);

/* write() until all is written. 0 or negative errno. */
int file_write_all(int fd, const void *data, size_t len);

/* unlink(); a file that is not there is fine. */
int file_remove(const char *path, struct err *err);

#endif
