/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads which file is below a qcow2 image. libvirt tells the layers of a
 * running VM; of one that is off it knows the uppermost, and the rest is in the
 * headers: magic, version (both 32 bits, big endian), then where the name of
 * the backing file is (64 bits) and how long (32 bits; at most 1023, and no NUL
 * after it).
 *
 * What the name leads to is only asked about, so a wrong one does no harm.
 * Files that are neither regular nor block devices are not opened for reading:
 * a guest may have written that name.
 */
#include "backing.h"
#include "node.h"
#include <dray/base/util.h>
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LAYERS_MAX = 512,
    NAME_MAX_LEN = 1023,
    QCOW2_MAGIC = 0x514649fb, /* "QFI\xfb" */
};

struct head {
    uint32_t magic, version;
    uint64_t name_offset;
    uint32_t name_len;
} __attribute__((packed));

static bool is_readable(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

/* False when there is none. */
static bool read_name(const char *path, char ret_name[NAME_MAX_LEN + 1])
{
    _cleanup_close_ int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct head head;
    if (fd < 0 || !is_readable(fd) ||
        pread(fd, &head, sizeof(head), 0) != sizeof(head))
        return false;
    uint32_t version = be32toh(head.version), len = be32toh(head.name_len);
    uint64_t offset = be64toh(head.name_offset);
    if (be32toh(head.magic) != QCOW2_MAGIC || version < 2 || version > 3 ||
        offset == 0 || offset > INT64_MAX || len == 0 || len > NAME_MAX_LEN ||
        pread(fd, ret_name, len, (off_t)offset) != (ssize_t)len)
        return false;
    ret_name[len] = '\0';
    return strlen(ret_name) == len;
}

/* As qemu does: what has a ':' before any '/' is no path. */
static bool resolve_name(const char *child, const char *name,
                         char ret_place[PATH_MAX])
{
    static const char file[] = "file:";
    if (str_starts_with(name, file))
        name += strlen(file);
    if (name[0] == '/' || name[strcspn(name, ":/")] == ':')
        return node_place(name, ret_place);
    const char *slash = strrchr(child, '/');
    return slash && str_format(ret_place, PATH_MAX, "%.*s/%s",
                               (int)(slash - child), child, name);
}

int backing_walk(const char *path, xml_layer_fn fn, void *arg)
{
    char child[PATH_MAX], place[PATH_MAX], name[NAME_MAX_LEN + 1];
    if (!str_copy(child, sizeof(child), path))
        return 0;
    for (int i = 0; i < LAYERS_MAX && child[0] == '/'; i++) {
        if (!read_name(child, name) || !resolve_name(child, name, place))
            return 0;
        if (fn(arg, place))
            return 1;
        memcpy(child, place, sizeof(child));
    }
    return 0;
}
