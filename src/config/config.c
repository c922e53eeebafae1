/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The configuration file: what holds without one, and whom we take one from.
 * drayd runs as root and the file names programs that it starts: whoever may
 * write the file is root as well.
 */
#include "config-parse.h"
#include "value.h"
#include <dray/base/file.h>
#include <dray/base/log.h>
#include <dray/base/util.h>
#include <dray/config.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_MAX = 64 * 1024,
    BUFFER_BYTES = 1024 * 1024,
    VDSM_ID = 36, /* user vdsm and group kvm on every oVirt host */
};

/* All of [monitor] as VDSM has it. */
#define CHUNK_BYTES (UINT64_C(2560) * 1024 * 1024)

static const struct config defaults = {
    .socket_path = "/run/drayd/drayd.sock",
    .state_dir = "/var/lib/drayd",
    .run_dir = "/run/drayd",
    .workers = 16,
    .log_level = LOG_LEVEL_INFO,
    .full_gid = (gid_t)-1,
    .read_gid = (gid_t)-1,
    .tls_port = 16515,
    .tls_ca = "/etc/drayd/pki/ca.pem",
    .tls_cert = "/etc/drayd/pki/cert.pem",
    .tls_key = "/etc/drayd/pki/key.pem",
    .tls_crl = "/etc/drayd/pki/crl.pem",
    .host_id = 1,
    .owner_uid = VDSM_ID,
    .owner_gid = VDSM_ID,
    .lvm_timeout_s = 30,
    .io_timeout_s = 10,
    .require_watchdog = true,
    .libvirt_uri = "qemu:///system",
    .buffer_bytes = BUFFER_BYTES,
    .converge_limit_s = 0,
    .migration_wait_s = 0,
    .chunk_bytes = CHUNK_BYTES,
    .utilization_percent = 20,
    .replicate_factor = 2,
    .safety_factor = 4,
    .poll_ms = 2000,
    .qemu_img = "/usr/bin/qemu-img",
    .iscsiadm = "/usr/sbin/iscsiadm",
    .sanlock = "/usr/sbin/sanlock",
    .dray_lvm = DRAY_LVM,
    .dray_job = DRAY_JOB,
};

/* No machine id, as in a container: the name stays empty. */
static void read_machine_id(char *dst, size_t size)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    if (file_read("/etc/machine-id", size, &text, &len, NULL) < 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    const struct value_bounds bounds = { .max = size };
    if (text[0]) /* and what sanlock would not take is none either */
        (void)value_set_host_name(text, &bounds, dst, NULL);
}

/* A drayd that was not installed takes the programs that were built with it. */
static void find_program(const char *built, char *dst, size_t size)
{
    static const char drayd[] = "/daemon/drayd";
    char exe[PATH_MAX] = "";
    char path[PATH_MAX];
    if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0 ||
        !str_ends_with(exe, drayd))
        return;
    exe[strlen(exe) - strlen(drayd)] = '\0';
    if (str_format(path, sizeof(path), "%s/%s", exe, built) &&
        access(path, X_OK) == 0)
        (void)str_copy(dst, size, path);
}

void config_defaults(struct config *ret_config)
{
    *ret_config = defaults;
    /* Without the group nobody but root gets in. */
    (void)value_find_group("dray", &ret_config->full_gid);
    find_program("lvm/process/dray-lvm", ret_config->dray_lvm,
                 sizeof(ret_config->dray_lvm));
    find_program("hold/process/dray-job", ret_config->dray_job,
                 sizeof(ret_config->dray_job));
    read_machine_id(ret_config->host_name, sizeof(ret_config->host_name));
}

static int check_owner(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "stat %s: %m", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "%s is not a regular file", path);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
        (st.st_uid == 0 || st.st_uid == geteuid()))
        return 0;
    int rc =
        err_set(err, -EPERM, "%s may be written by others than root", path);
    (void)err_next(err, "chown root:root %s; chmod go-w %s", path, path);
    return rc;
}

/* A symbolic link is fine: what it leads to is checked. */
static int read_text(const char *path, char *text, size_t size, size_t *ret_len,
                     struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, -errno, "open %s: %m", path);
    int rc = check_owner(fd, path, err);
    if (rc < 0)
        return rc;
    size_t len = 0;
    ssize_t n = 0;
    while (len < size && (n = read(fd, text + len, size - len)) > 0)
        len += (size_t)n;
    if (n < 0)
        return err_set(err, -errno, "read %s: %m", path);
    if (len == size)
        return err_set(err, -EFBIG, "%s is larger than %zu bytes", path,
                       size - 1);
    *ret_len = len;
    return 0;
}

int config_load(const char *path, struct config *ret_config, struct err *err)
{
    /* 120 KiB on the stack: this is the main thread's, before all others. */
    char text[FILE_MAX + 1];
    struct config config;
    size_t len = 0;
    int rc = read_text(path, text, sizeof(text), &len, err);
    if (rc < 0)
        return rc;
    config_defaults(&config);
    rc = config_parse(text, len, path, &config, err);
    if (rc < 0)
        return rc;
    if (!config.host_name[0])
        return err_set(err, -EINVAL,
                       "%s: this host has no /etc/machine-id: give it a name "
                       "in section [host]",
                       path);
    *ret_config = config;
    return 0;
}
