/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A libvirtd that dies in the wrong 10 ms of a pivot writes a status file that
 * the next one cannot read. It then takes the VM for stopped while qemu runs
 * on, on the new disk. Who believes that deletes the disk under a running
 * guest; so "not running" is believed only when no process has the VM's UUID on
 * its command line, where libvirt puts it: ... -uuid UUID ...
 */
#include "orphan.h"
#include <ctype.h>
#include <dirent.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CMDLINE_SIZE = 128 * 1024
};

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir); /* read only */
}

/* What fits of a process's arguments, each with its NUL; 0 for one that is
 * gone, or has none. */
static size_t read_cmdline(int proc_fd, const char *pid, char *buffer,
                           size_t size)
{
    char path[32];
    if (!str_format(path, sizeof(path), "%s/cmdline", pid))
        return 0;
    _cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    while (fd >= 0 && used < size) {
        ssize_t n = read(fd, buffer + used, size - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    return used;
}

/* -uuid and @uuid, as two arguments. */
static bool has_uuid(const char *cmdline, size_t len, const char *uuid)
{
    char wanted[sizeof("-uuid") + UUID_SIZE];
    size_t size = sizeof("-uuid") + strlen(uuid) + 1;
    if (size > sizeof(wanted))
        return false;
    memcpy(wanted, "-uuid", sizeof("-uuid"));
    memcpy(wanted + sizeof("-uuid"), uuid, strlen(uuid) + 1);
    return memmem(cmdline, len, wanted, size) != NULL;
}

int orphan_find(const char *uuid, pid_t *ret_pid)
{
    _cleanup_(close_dir) DIR *proc = opendir("/proc");
    if (!proc)
        return -errno;
    char *cmdline = malloc(CMDLINE_SIZE);
    if (!cmdline)
        return -ENOMEM;
    uint64_t pid = 0;
    const struct dirent *entry;
    /* One stream, one thread: readdir() is safe. NOLINTNEXTLINE */
    while (!pid && (entry = readdir(proc)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        size_t len =
            read_cmdline(dirfd(proc), entry->d_name, cmdline, CMDLINE_SIZE);
        if (has_uuid(cmdline, len, uuid))
            (void)str_to_u64(entry->d_name, &pid); /* the kernel's digits */
    }
    free(cmdline);
    *ret_pid = (pid_t)pid;
    return 0;
}

/* --- what it writes to ------------------------------------------------- */

/* qemu has a shared lock on this byte of each file that a guest, or a block
 * job, of it may write to; what it only reads, or has left after a pivot and
 * not closed, has none. */
static bool is_written(int fd)
{
    enum {
        WRITE_BYTE = 101
    };
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = WRITE_BYTE,
        .l_len = 1,
    };
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Through the link, so that it is that very file, whatever its name is by now;
 * O_NONBLOCK for a pipe, which is none. */
static bool is_written_disk(int fds, const char *name)
{
    struct stat st;
    if (fstatat(fds, name, &st, 0) < 0 ||
        (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
        return false;
    _cleanup_close_ int fd =
        openat(fds, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && is_written(fd);
}

static void add_path(int fds, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];
    size_t used = strlen(text);
    ssize_t n = readlinkat(fds, name, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    str_make_line(path);
    if (n < 0 || strstr(text, path))
        return;
    if (!str_format(text + used, size - used, "%s%s", used ? ", " : "", path))
        text[used] = '\0'; /* no half of a name */
}

void orphan_writes(pid_t pid, char *ret_text, size_t size)
{
    char name[32];
    ret_text[0] = '\0';
    (void)str_format(name, sizeof(name), "/proc/%d/fd", (int)pid); /* fits */
    _cleanup_(close_dir) DIR *fds = opendir(name);
    const struct dirent *entry;
    /* As above. NOLINTNEXTLINE */
    while (fds && (entry = readdir(fds)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) &&
            is_written_disk(dirfd(fds), entry->d_name))
            add_path(dirfd(fds), entry->d_name, ret_text, size);
    }
}
