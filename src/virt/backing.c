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
 *
 * The virtual size is in the same header (64 bits, after encryption and the
 * size of clusters). libvirt would tell it of a VM that is off too, but then it
 * holds a lock on the VM while it reads, for which even lists of VMs wait.
 */
#include "backing.h"
#include "node.h"
#include <dray/base/reach.h>
#include <dray/base/util.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
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
    uint32_t cluster_bits;
    uint64_t size_bytes;
} __attribute__((packed));

static bool is_readable(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

static int open_image(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && !is_readable(fd)) {
        (void)close(fd); /* read only */
        fd = -1;
    }
    return fd;
}

static bool read_head(int fd, struct head *ret_head)
{
    if (fd < 0 ||
        pread(fd, ret_head, sizeof(*ret_head), 0) != sizeof(*ret_head))
        return false;
    uint32_t version = be32toh(ret_head->version);
    return be32toh(ret_head->magic) == QCOW2_MAGIC && version >= 2 &&
           version <= 3;
}

/* reach_fn */
static void read_name(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    _cleanup_close_ int fd = open_image(path);
    struct head head;
    if (!read_head(fd, &head))
        return;
    char name[NAME_MAX_LEN + 1];
    uint32_t len = be32toh(head.name_len);
    uint64_t offset = be64toh(head.name_offset);
    if (offset == 0 || offset > INT64_MAX || len == 0 || len > NAME_MAX_LEN ||
        pread(fd, name, len, (off_t)offset) != (ssize_t)len)
        return;
    name[len] = '\0';
    if (strlen(name) == len)
        (void)str_copy(ret_text, REACH_TEXT_SIZE, name); /* fits */
}

/* reach_fn */
static void read_size(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    _cleanup_close_ int fd = open_image(path);
    struct head head;
    if (read_head(fd, &head))
        (void)str_format(ret_text, REACH_TEXT_SIZE, "%" PRIu64,
                         be64toh(head.size_bytes));
}

/* reach_fn */
static void read_end(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    _cleanup_close_ int fd = open_image(path);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size >= 0)
        (void)str_format(ret_text, REACH_TEXT_SIZE, "%jd", (intmax_t)size);
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

int backing_walk(struct reach *reach, const char *path, xml_layer_fn fn,
                 void *arg)
{
    char child[PATH_MAX], place[PATH_MAX], name[REACH_TEXT_SIZE];
    if (!str_copy(child, sizeof(child), path))
        return 0;
    for (int i = 0; i < LAYERS_MAX && child[0] == '/'; i++) {
        int rc = reach_read(reach, child, read_name, name);
        if (rc == REACH_HANGS)
            return BACKING_HANGS;
        if (rc < 0 || !name[0] || !resolve_name(child, name, place))
            return 0;
        if (fn(arg, place))
            return 1;
        memcpy(child, place, sizeof(child));
    }
    return 0;
}

uint64_t backing_capacity(struct reach *reach, const char *path,
                          const char *format)
{
    char text[REACH_TEXT_SIZE];
    uint64_t bytes = 0;
    bool is_qcow2 = str_equal(format, "qcow2");
    if (reach_read(reach, path, is_qcow2 ? read_size : read_end, text) != 0 ||
        str_to_u64(text, &bytes) < 0)
        return 0;
    return bytes;
}
