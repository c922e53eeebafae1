/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is to become a PV is looked at with care: whoever gives the wrong name
 * loses what is there. Exclusive opening tells what this kernel uses (mounts,
 * swap, device-mapper, md), LVM knows PVs, blkid everything else.
 */
#include "device.h"
#include <dray/base/file.h>
#include <dray/exec.h>
#include <dray/format/block.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    LOOK_MS = 30 * 1000,
    SYS_SIZE = 256,
    SYS_FILE_MAX = 4096, /* what a file in /sys claims to have */
    BLKID_NOTHING = 2,   /* its exit statuses */
    BLKID_AMBIVALENT = 8,
};

/* A line of /sys/dev/block/MAJOR:MINOR/dm; false: there is none. */
static bool read_dm(dev_t device, const char *file, char ret_line[SYS_SIZE])
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    char path[SYS_SIZE];
    (void)str_format(path, sizeof(path), "/sys/dev/block/%u:%u/dm/%s",
                     major(device), minor(device), file);
    if (file_read(path, SYS_FILE_MAX, &text, &len, NULL) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return str_copy(ret_line, SYS_SIZE, text);
}

int block_device_name(const char *path, char ret_name[DOMAIN_DEVICE_SIZE],
                      struct err *err)
{
    char line[SYS_SIZE];
    char real[PATH_MAX];
    struct stat st;
    if (path[0] != '/' || !realpath(path, real) || stat(real, &st) < 0)
        return err_set_code(err, ERR_VALUE, "\"%.128s\": %s", path,
                            path[0] == '/' ? "there is no such device"
                                           : "not an absolute path");
    if (!S_ISBLK(st.st_mode))
        return err_set_code(err, ERR_VALUE, "%s is no block device", path);
    if (read_dm(st.st_rdev, "uuid", line) && str_starts_with(line, "LVM-"))
        return err_set_code(err, ERR_VALUE,
                            "%s is an LV, on which no domain can be", path);
    bool fits =
        read_dm(st.st_rdev, "name", line)
            ? str_format(ret_name, DOMAIN_DEVICE_SIZE, "/dev/mapper/%s", line)
            : str_copy(ret_name, DOMAIN_DEVICE_SIZE, real);
    return fits
               ? 0
               : err_set_code(err, ERR_VALUE, "%s: its name is too long", path);
}

static int measure(int fd, struct block_device *device, struct err *err)
{
    int sector = 0;
    if (ioctl(fd, BLKGETSIZE64, &device->size_bytes) < 0 ||
        ioctl(fd, BLKSSZGET, &sector) < 0)
        return err_set_code(err, ERR_STORAGE, "%s: cannot be measured: %m",
                            device->name);
    device->sector_bytes = (unsigned)sector;
    return 0;
}

static int look_at(const char *name, struct block_device *device,
                   struct err *err)
{
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
    (void)str_copy(device->name, sizeof(device->name), name);
    return fd >= 0 ? measure(fd, device, err)
                   : err_set_code(err, ERR_STORAGE, "%s: %m", name);
}

static bool is_among(const char *name, const struct block_devices *devices)
{
    for (size_t i = 0; i < devices->n; i++) {
        if (str_equal(devices->devices[i].name, name))
            return true;
    }
    return false;
}

static bool is_known(const char *name, const struct domain_info *known)
{
    for (size_t i = 0; known && i < known->n_devices; i++) {
        if (str_equal(known->devices[i], name))
            return true;
    }
    return false;
}

static int add_device(const char *path, const struct domain_info *known,
                      struct block_devices *devices, struct err *err)
{
    char name[DOMAIN_DEVICE_SIZE];
    struct block_device *device = &devices->devices[devices->n];
    int rc = block_device_name(path, name, err);
    if (rc < 0 || is_known(name, known))
        return rc;
    if (is_among(name, devices))
        return err_set_code(err, ERR_VALUE, "%s is given twice", name);
    rc = look_at(name, device, err);
    if (rc < 0)
        return rc;
    devices->n++;
    if (device->sector_bytes != devices->devices[0].sector_bytes)
        return err_set_code(err, ERR_VALUE,
                            "%s has sectors of %u bytes, %s of %u: a domain's "
                            "devices have the same",
                            name, device->sector_bytes,
                            devices->devices[0].name,
                            devices->devices[0].sector_bytes);
    return 0;
}

int block_devices_look(const char *const *paths, size_t n,
                       const struct domain_info *known,
                       struct block_devices *ret_devices, struct err *err)
{
    size_t most = DOMAIN_DEVICES_MAX - (known ? known->n_devices : 0);
    int rc = 0;
    ret_devices->n = 0;
    if (n == 0 || n > most)
        return err_set_code(err, ERR_VALUE,
                            "%zu devices: 1 to %zu can be taken", n, most);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_device(paths[i], known, ret_devices, err);
    return rc;
}

void block_devices_names(const struct block_devices *devices,
                         const char *ret_names[DOMAIN_DEVICES_MAX])
{
    for (size_t i = 0; i < devices->n; i++)
        ret_names[i] = devices->devices[i].name;
}

static int holds(const char *device, const char *what, struct err *err)
{
    (void)err_set_code(err, ERR_DOMAIN_CREATE, "%s holds %s", device, what);
    return err_next(err, "if that can go: force (drayctl domain create "
                         "--force)");
}

static bool has_tag(const struct lvm_pv *pv, const char *tag)
{
    for (size_t i = 0; i < pv->n_vg_tags; i++) {
        if (str_equal(pv->vg_tags[i], tag))
            return true;
    }
    return false;
}

/* What our creation leaves when it breaks off: the VG that is no domain yet, or
 * PVs as nobody else makes them. */
static bool is_leftover(const struct lvm_pv *pv, const char *sd)
{
    if (pv->vg[0])
        return str_equal(pv->vg, sd) && has_tag(pv, FORMAT_VG_TAG_UNREADY);
    return !pv->in_use && pv->mdas == FORMAT_PV_MDAS &&
           pv->mda_bytes >= FORMAT_PV_MDA_MIN;
}

static int check_pv(const struct lvm_pv *pv, const char *sd, struct err *err)
{
    char what[LVM_NAME_SIZE + 64];
    if (is_leftover(pv, sd))
        return 0;
    if (has_tag(pv, FORMAT_VG_TAG_UNREADY))
        (void)str_format(what, sizeof(what),
                         "domain %s, whose making broke off", pv->vg);
    else
        (void)str_format(what, sizeof(what), "%s%s",
                         has_tag(pv, FORMAT_VG_TAG) ? "storage domain "
                         : pv->vg[0]                ? "a PV of VG "
                         : pv->in_use ? "a PV of a VG with other devices"
                                      : "a PV of LVM",
                         pv->vg);
    return holds(pv->name, what, err);
}

/* "KEY=value" of blkid's lines. */
static bool find_line(const char *text, const char *key, char ret_value[64])
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) != 0 || line[len] != '=')
            continue;
        (void)snprintf(ret_value, 64, "%.*s",
                       (int)strcspn(line + len + 1, "\n"), line + len + 1);
        str_make_line(ret_value);
        return true;
    }
    return false;
}

static int probe(const char *device, struct err *err)
{
    const char *const argv[] = { "/usr/sbin/blkid", "-p",   "-o",
                                 "export",          device, NULL };
    const struct exec_options options = { .deadline_ms =
                                              time_now_ms() + LOOK_MS };
    struct exec_result result = { .status = 0 };
    char type[64] = "something that blkid cannot name";
    int rc = exec_run(argv, &options, &result, err);
    if (rc < 0)
        return err_wrap(err, "blkid");
    int status = result.status;
    bool found = status == 0 && (find_line(result.out, "TYPE", type) ||
                                 find_line(result.out, "PTTYPE", type));
    bool is_table = found && !strstr(result.out, "\nTYPE=");
    if (status == 0 || status == BLKID_AMBIVALENT) {
        char what[128];
        (void)str_format(what, sizeof(what), "%s%s", type,
                         is_table ? " partitions" : "");
        rc = holds(device, what, err);
    } else if (status != BLKID_NOTHING) {
        rc = err_set_code(err, ERR_STORAGE, "blkid %s: exit %d: %s", device,
                          status, result.err);
    }
    exec_result_deinit(&result);
    return rc;
}

static const struct lvm_pv *find_pv(const struct lvm_report *report,
                                    const char *device)
{
    for (size_t i = 0; i < report->n_pvs; i++) {
        if (str_equal(report->pvs[i].name, device))
            return &report->pvs[i];
    }
    return NULL;
}

static int check_empty(const struct block_devices *devices,
                       const struct lvm_report *report, const char *sd,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < devices->n; i++) {
        const char *name = devices->devices[i].name;
        const struct lvm_pv *pv = find_pv(report, name);
        rc = pv ? check_pv(pv, sd, err) : probe(name, err);
    }
    return rc;
}

static int check_unused(const char *name, struct err *err)
{
    _cleanup_close_ int fd = open(name, O_RDWR | O_EXCL | O_CLOEXEC);
    if (fd >= 0)
        return 0;
    if (errno != EBUSY)
        return err_set_code(err, ERR_DOMAIN_CREATE, "%s: %m", name);
    (void)err_set_code(err, ERR_DOMAIN_CREATE, "%s is in use on this host",
                       name);
    return err_next(err, "lsblk %s shows by what", name);
}

int block_devices_scan(const struct block_devices *devices,
                       struct lvm_report *ret_report, struct err *err)
{
    const char *names[DOMAIN_DEVICES_MAX];
    block_devices_names(devices, names);
    return lvm_scan(names, devices->n, time_now_ms() + LOOK_MS, ret_report,
                    err);
}

int block_devices_check_free(const struct block_devices *devices,
                             const struct lvm_report *report, const char *sd,
                             bool force, struct err *err)
{
    int rc = force ? 0 : check_empty(devices, report, sd, err);
    for (size_t i = 0; rc == 0 && i < devices->n; i++)
        rc = check_unused(devices->devices[i].name, err);
    return rc;
}
