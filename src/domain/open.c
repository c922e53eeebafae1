/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who has files of a domain open, by what /proc says of each process: that is
 * true also of a VM that libvirt forgot, or when libvirtd does not run. A VM is
 * called as libvirt put it on qemu's command line: -name guest=NAME,...
 */
#include "open.h"
#include <ctype.h>
#include <dirent.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    CMDLINE_SIZE = 128 * 1024
};

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir); /* read only */
}

static bool is_number(const char *text)
{
    return isdigit((unsigned char)text[0]);
}

/* One stream, one thread: readdir() is safe. */
static const char *next_number(DIR *dir)
{
    const struct dirent *entry;
    do {
        entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe) */
    } while (entry && !is_number(entry->d_name));
    return entry ? entry->d_name : NULL;
}

static DIR *open_dir(int at, const char *path)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        (void)close(fd); /* read only */
    return dir;
}

/* --- what it has open --- */

static bool names_it(int at, const char *link, const char *dir,
                     char ret_path[PATH_MAX])
{
    ssize_t n = readlinkat(at, link, ret_path, PATH_MAX - 1);
    ret_path[n < 0 ? 0 : n] = '\0';
    return n > 0 && path_is_within(ret_path, dir);
}

static bool has_open(int proc_fd, const char *pid, const char *dir,
                     char ret_path[PATH_MAX])
{
    static const char *const places[] = { "cwd", "root", "fd" };
    char text[32];
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        (void)str_format(text, sizeof(text), "%.16s/%s", pid, places[i]);
        if (names_it(proc_fd, text, dir, ret_path)) /* fd is no link */
            return true;
    }
    _cleanup_(close_dir) DIR *fds = open_dir(proc_fd, text);
    const char *fd;
    while (fds && (fd = next_number(fds)) != NULL) {
        if (names_it(dirfd(fds), fd, dir, ret_path))
            return true;
    }
    return false;
}

/* --- its name --- */

static size_t read_file(int proc_fd, const char *pid, const char *name,
                        char *buffer, size_t size)
{
    char path[64];
    (void)str_format(path, sizeof(path), "%.16s/%s", pid, name); /* fits */
    _cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    while (fd >= 0 && used + 1 < size) {
        ssize_t n = read(fd, buffer + used, size - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    buffer[used] = '\0';
    return used;
}

/* A comma in the name is written twice. */
static void copy_guest(const char *text, char ret_vm[256])
{
    size_t n = 0;
    for (; *text && n < 255 && (*text != ',' || text[1] == ','); text++) {
        ret_vm[n++] = *text;
        text += *text == ',';
    }
    ret_vm[n] = '\0';
}

static void find_guest(const char *cmdline, size_t len, char ret_vm[256])
{
    static const char wanted[] = "\0-name\0guest=";
    const char *at = memmem(cmdline, len, wanted, sizeof(wanted) - 1);
    if (at)
        copy_guest(at + sizeof(wanted) - 1, ret_vm);
    str_make_line(ret_vm);
}

static int describe(int proc_fd, const char *pid, struct domain_opener *opener)
{
    char comm[32];
    uint64_t number = 0;
    char *cmdline = malloc(CMDLINE_SIZE);
    if (!cmdline)
        return -ENOMEM;
    find_guest(cmdline,
               read_file(proc_fd, pid, "cmdline", cmdline, CMDLINE_SIZE),
               opener->vm);
    free(cmdline);
    (void)read_file(proc_fd, pid, "comm", comm, sizeof(comm));
    str_make_line(comm);
    (void)str_to_u64(pid, &number); /* the kernel's digits */
    opener->pid = (pid_t)number;
    if (opener->vm[0])
        (void)str_format(opener->name, sizeof(opener->name), "VM %.200s",
                         opener->vm);
    else
        (void)str_format(opener->name, sizeof(opener->name),
                         "process %d (%.64s)", (int)opener->pid, comm);
    return 0;
}

int domain_open_find(const char *dir, struct domain_opener *ret)
{
    char own[32];
    const char *pid;
    _cleanup_(close_dir) DIR *proc = open_dir(AT_FDCWD, "/proc");
    *ret = (struct domain_opener){ .pid = 0 };
    if (!proc)
        return -errno;
    (void)str_format(own, sizeof(own), "%d", (int)getpid()); /* fits */
    while ((pid = next_number(proc)) != NULL) {
        if (!str_equal(pid, own) && has_open(dirfd(proc), pid, dir, ret->path))
            return describe(dirfd(proc), pid, ret);
    }
    return 0;
}
