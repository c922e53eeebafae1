/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * mount(8) and umount(8), with a deadline. What came of it is read from the
 * kernel's table, which waits for no server.
 *
 * As a service drayd has a mount namespace of its own: what it mounts there,
 * qemu and sanlock do not see. systemd then runs the programs, in the host's;
 * and what is mounted in that one comes to ours by itself.
 *
 * Unmounting does not look at the server (no helper, no lookup of the path). A
 * mount of a server that does not answer is detached, and what waits for it
 * fails, which is ours only: not while another process has anything open there.
 */
#include "mount.h"
#include "../open.h"
#include <dray/base/file.h>
#include <dray/base/mounts.h>
#include <dray/exec.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum {
    UNMOUNT_MS = 15 * 1000,
    BUSY_MS = 1000,
    BUSY_STEP_MS = 100,
    ARGS_MAX = 24,
    DIR_MODE = 0755,
};

/* systemd ends by itself what we have given up. */
#define UNIT_LIMIT "--property=RuntimeMaxSec=40"

/* @argv: at most half of ARGS_MAX. */
static int run(const struct nfs *nfs, const char *const *argv, int limit_ms,
               struct exec_result *ret_result, struct err *err)
{
    static const char *const through[] = {
        "--quiet",  "--pipe", "--wait", "--collect", "--service-type=exec",
        UNIT_LIMIT, "--",
    };
    const struct exec_options options = { .deadline_ms =
                                              time_now_ms() + limit_ms };
    const char *args[ARGS_MAX] = { NULL };
    size_t n = 0;
    if (nfs->systemd_run[0]) {
        args[n++] = nfs->systemd_run;
        for (size_t i = 0; i < ARRAY_SIZE(through); i++)
            args[n++] = through[i];
    }
    for (size_t i = 0; argv[i]; i++)
        args[n++] = argv[i];
    return exec_run(args, &options, ret_result, err);
}

/* --- what is mounted --- */

/* 0, or DOMAIN_NONE: nothing is mounted there. */
static int find(const struct nfs *nfs, const char *path,
                struct mount_entry *ret_entry, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    struct mount_entry entry;
    size_t len = 0;
    int found = DOMAIN_NONE;
    int rc = file_read(nfs->table, MOUNTS_TEXT_MAX, &text, &len, err);
    if (rc < 0)
        return rc;
    for (const char *rest = text; mounts_next(&rest, &entry);) {
        if (!str_equal(entry.point, path))
            continue;
        *ret_entry = entry; /* the last one covers the others */
        found = 0;
    }
    return found;
}

/* 0, or DOMAIN_NONE: nothing is mounted there. */
static int check_mounted(const struct nfs *nfs, const char *remote,
                         const char *path, struct err *err)
{
    char source[DOMAIN_REMOTE_SIZE];
    struct mount_entry entry;
    int rc = find(nfs, path, &entry, err);
    if (rc != 0)
        return rc;
    if ((str_equal(entry.type, "nfs") || str_equal(entry.type, "nfs4")) &&
        nfs_export_read(entry.source, source, NULL) == 0 &&
        str_equal(source, remote))
        return 0;
    (void)err_set_code(err, ERR_MOUNT,
                       "%s cannot be mounted on %s: %.256s (%s) is there",
                       remote, path, entry.source, entry.type);
    return err_next(err, "umount %s", path);
}

/* --- mounting --- */

int nfs_mount_point(const struct nfs *nfs, const char *remote,
                    char ret_path[PATH_MAX], struct err *err)
{
    char name[NAME_MAX + 1], top[PATH_MAX];
    nfs_export_dir(remote, name);
    int rc = file_make_dir(nfs->dir, DIR_MODE, err);
    if (rc < 0)
        return err_default_code(err, ERR_MOUNT);
    /* VMs' disks are found by their names without links. */
    if (!realpath(nfs->dir, top))
        return err_set_code(err, ERR_MOUNT, "%s: %m", nfs->dir);
    if (!str_format(ret_path, PATH_MAX, "%s/%s", top, name))
        return err_set_code(err, ERR_MOUNT, "%s: the path is too long",
                            nfs->dir);
    return 0;
}

enum meaning {
    REFUSED,
    NO_EXPORT,
    UNKNOWN,
    SILENT,
    NO_SERVICE,
    UNREACHABLE,
    OTHER_VERSION,
    NO_STATD,
    BAD_OPTION,
    NO_KERNEL,
    NO_HELPER,
    NO_SYSTEMD,
};

static const struct {
    const char *text;
    const char *next;
} meanings[] = {
    [REFUSED] = {"the server refuses this host",
                 "let this host in: exportfs(8) on the server, and "
                  "mountOptions sec="                                   },
    [NO_EXPORT] = { "the server has no such export",
                 "showmount -e SERVER lists its exports; NFS 4 names them "
                    "below the one with fsid=0"                         },
    [UNKNOWN] = { "nobody knows the server",
                 "look at its name, /etc/hosts and DNS"                 },
    [SILENT] = { "the server does not answer",
                 "is it up, and nothing in between? It is TCP port 2049"},
    [NO_SERVICE] = { "the server has no NFS running",
                 "start it there: systemctl status nfs-server"          },
    [UNREACHABLE] = { "the server cannot be reached",
                 "is it up, and is there a route to it?"                },
    [OTHER_VERSION] = { "the server does not speak this version",
                 "mountOptions vers=3, or a newer server"               },
    [NO_STATD] = { "version 3 needs rpc.statd on this host",
                 "systemctl start rpc-statd, or leave out vers=3"       },
    [BAD_OPTION] = { "the kernel does not take the options",
                 "leave out some of mountOptions"                       },
    [NO_KERNEL] = { "this host cannot mount NFS",
                 "its kernel has none: modprobe nfs"                    },
    [NO_HELPER] = { "this host cannot mount NFS",
                 "install nfs-common (Debian) or nfs-utils"             },
    [NO_SYSTEMD] = { "systemd does not run it",
                 "systemctl status dbus; or mount it by hand, and use its "
                     "path"                                             },
};

/* What mount(8) and mount.nfs(8) say (LC_ALL=C). */
static const struct {
    const char *words;
    enum meaning meaning;
} answers[] = {
    {"Failed to connect to bus",          NO_SYSTEMD   },
    { "Failed to start transient",        NO_SYSTEMD   },
    { "rpc.statd is not running",         NO_STATD     }, /* and more */
    { "access denied",                    REFUSED      },
    { "Operation not permitted",          REFUSED      },
    { "Permission denied",                REFUSED      },
    { "reason given by server: No such",  NO_EXPORT    },
    { "Failed to resolve server",         UNKNOWN      },
    { "Resource temporarily unavailable", UNKNOWN      }, /* no DNS */
    { "Connection timed out",             SILENT       },
    { "Connection refused",               NO_SERVICE   },
    { "No route to host",                 UNREACHABLE  },
    { "Network is unreachable",           UNREACHABLE  },
    { "Host is down",                     UNREACHABLE  },
    { "rotocol not supported",            OTHER_VERSION},
    { "requested NFS version",            OTHER_VERSION},
    { "incorrect mount option",           BAD_OPTION   },
    { "No such device",                   NO_KERNEL    },
    { "unknown filesystem type",          NO_HELPER    },
    { "helper program",                   NO_HELPER    },
};

static int explain(const char *remote, const struct exec_result *result,
                   struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        if (!strstr(result->err, answers[i].words))
            continue;
        enum meaning meaning = answers[i].meaning;
        (void)err_set_code(err, ERR_MOUNT, "mount %s: %s (%s)", remote,
                           meanings[meaning].text, result->err);
        return err_next(err, "%s", meanings[meaning].next);
    }
    return err_set_code(err, ERR_MOUNT, "mount %s: exit status %d: %s", remote,
                        result->status, result->err);
}

static int mount_now(const struct nfs *nfs, const char *remote,
                     const char *options, const char *path, struct err *err)
{
    char all[NFS_OPTIONS_SIZE];
    struct exec_result result = { 0 };
    struct err why = ERR_INIT;
    nfs_options_complete(options, all);
    const char *argv[] = { nfs->mount, "-t",   "nfs", "-o", all,
                           "--",       remote, path,  NULL };
    int rc = run(nfs, argv, nfs->mount_ms, &result, &why);
    if (rc == -ETIMEDOUT) {
        (void)err_set_code(err, ERR_MOUNT,
                           "mount %s: the server does not answer within "
                           "%.1f s",
                           remote, nfs->mount_ms / 1000.0);
        return err_next(err, "is it up, and nothing in between? It is TCP port "
                             "2049");
    }
    if (rc < 0)
        return err_set_code(err, ERR_MOUNT, "mount %s: %s", remote,
                            why.message);
    rc = result.status == 0 ? 0 : explain(remote, &result, err);
    exec_result_deinit(&result);
    return rc;
}

int nfs_mount(const struct nfs *nfs, const char *remote, const char *options,
              const char *path, struct err *err)
{
    int rc = check_mounted(nfs, remote, path, err);
    if (rc != DOMAIN_NONE)
        return rc < 0 ? err_default_code(err, ERR_MOUNT) : 0;
    rc = file_make_dir(path, DIR_MODE, err);
    if (rc < 0)
        return err_default_code(err, ERR_MOUNT);
    rc = mount_now(nfs, remote, options, path, err);
    if (rc == 0)
        rc = check_mounted(nfs, remote, path, err);
    if (rc == DOMAIN_NONE)
        rc = err_set_code(err, ERR_MOUNT,
                          "mount %s: it is not on %s, though %s said so",
                          remote, path, nfs->mount);
    if (rc < 0)
        (void)rmdir(path); /* not when something is mounted there */
    return rc;
}

/* --- unmounting --- */

static int unmount_now(const struct nfs *nfs, const char *path, bool detach,
                       struct err *err)
{
    struct exec_result result = { .status = -1 };
    struct mount_entry entry;
    struct err why = ERR_INIT;
    const char *argv[] = { nfs->umount, "-i", "-c", "--", path, NULL };
    const char *detaching[] = { nfs->umount, "-i", "-c", "-f",
                                "-l",        "--", path, NULL };
    int rc = run(nfs, detach ? detaching : argv, UNMOUNT_MS, &result, &why);
    int found = find(nfs, path, &entry, err);
    if (found == 0)
        (void)err_set_code(err, ERR_MOUNT, "umount %s: %s", path,
                           rc < 0 ? why.message : result.err);
    exec_result_deinit(&result);
    return found == DOMAIN_NONE ? 0 : found < 0 ? found : -EBUSY;
}

/* What we ourselves just look at is open for a moment. */
static int unmount_idle(const struct nfs *nfs, const char *path,
                        struct err *err)
{
    const int64_t end_ms = time_now_ms() + BUSY_MS;
    struct err why = ERR_INIT;
    int rc = unmount_now(nfs, path, false, &why);
    while (rc == -EBUSY && time_now_ms() < end_ms) {
        (void)poll(NULL, 0, BUSY_STEP_MS);
        err_clear(&why);
        rc = unmount_now(nfs, path, false, &why);
    }
    return rc < 0 ? err_set(err, rc, "%s", why.message) : 0;
}

/* By another process than ours. */
static int check_closed(const char *path, struct err *err)
{
    struct domain_opener opener;
    int rc = domain_open_find(path, &opener);
    if (rc < 0)
        return err_set(err, rc, "/proc: %s", strerrordesc_np(-rc));
    return opener.pid == 0 ? 0
                           : err_set(err, -EBUSY, "%s has %s open", opener.name,
                                     opener.path);
}

int nfs_unmount(const struct nfs *nfs, const char *path, bool hangs,
                struct err *err)
{
    struct mount_entry entry;
    int rc = find(nfs, path, &entry, err);
    bool is_mounted = rc == 0;
    if (is_mounted && hangs)
        rc = check_closed(path, err);
    if (is_mounted && rc == 0)
        rc = hangs ? unmount_now(nfs, path, true, err)
                   : unmount_idle(nfs, path, err);
    if (rc < 0)
        return rc;
    (void)rmdir(path); /* what is not empty is not ours */
    return is_mounted && hangs ? NFS_DETACHED : 0;
}
