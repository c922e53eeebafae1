/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-lvm: all LVM work of one host in one VG. Started by drayd with a stream
 * socket as stdin; ends when that ends, or when something is so wrong that a
 * fresh process is safer. Says why on stderr.
 *
 * Registered with sanlock while it holds the VG's lease: when this host loses
 * its lockspace, sanlock's SIGTERM ends exactly the one who writes. It is not
 * caught. LVM runs in this very process, so when the lease becomes free no
 * write of it is under way.
 */
#include "../command.h"
#include "../input.h"
#include "../report.h"
#include "../serve.h"
#include "../settings.h"
#include "../watch.h"
#include "library.h"
#include "recover.h"

#include <assert.h>
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/lease.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct process {
    struct lvm_setup setup;
    struct library library;
    struct watch watch;
    struct leases *leases;
    struct lease_held *held;
};

static int run(void *ctx, const char *command, char **ret_out, struct err *err)
{
    struct process *process = ctx;
    watch_set(&process->watch, time_now_ms() + process->setup.command_ms);
    int rc = library_run(&process->library, command, ret_out, err);
    watch_set(&process->watch, 0);
    return rc;
}

static int acquire(void *ctx, int64_t deadline_ms, struct err *err)
{
    struct process *process = ctx;
    if (!process->setup.has_lease)
        return 0;
    const struct lease_port port = leases_port(process->leases);
    int rc = port.ops->acquire(port.ctx, &process->setup.lease, deadline_ms,
                               &process->held, err);
    if (rc == LEASE_NONE)
        return err_set_code(err, ERR_ACQUIRE_LOCK, "%s: there is no lease %s",
                            process->setup.lease.path,
                            process->setup.lease.resource);
    return rc;
}

static int release(void *ctx, struct err *err)
{
    struct process *process = ctx;
    if (!process->setup.has_lease)
        return 0;
    const struct lease_port port = leases_port(process->leases);
    return port.ops->release(port.ctx, TAKE(process->held), err);
}

/* The first line, byte by byte: what follows is for serve(). */
static int read_setup(int fd, struct lvm_setup *setup, struct err *err)
{
    static char line[64 * 1024];
    size_t len = 0;
    while (len < sizeof(line)) {
        ssize_t n = read(fd, line + len, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, -EPIPE, "dray-lvm is started by drayd only");
        if (line[len] == '\n')
            return setup_parse(line, len, setup, err);
        len++;
    }
    return err_set(err, -EMSGSIZE, "dray-lvm: its setup is too long");
}

static int write_settings(const struct lvm_setup *setup, struct err *err)
{
    char path[PATH_MAX];
    assert(setup->dir);
    _cleanup_free_ char *text = settings_text(setup->devices);
    if (!text || !str_format(path, sizeof(path), "%s/lvm.conf", setup->dir))
        return err_set(err, -ENOMEM, "dray-lvm: out of memory");
    if (mkdir(setup->dir, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "%s: %m", setup->dir);
    return file_replace(path, text, strlen(text), 0600, err);
}

/* Also finds out whether LVM can see the VG at all. */
static int recover_vg(struct process *process, uint64_t *ret_extent_bytes,
                      struct err *err)
{
    const char *vg = process->setup.vg;
    _cleanup_free_ char *command =
        command_of_report(LVM_VG, vg, (struct lvm_names){ .n = 0 });
    _cleanup_free_ char *out = NULL;
    struct lvm_report report = { .n_lvs = 0 };
    unsigned count = 0;
    if (!command)
        return err_set(err, -ENOMEM, "dray-lvm: out of memory");
    int rc = run(process, command, &out, err);
    if (rc == 0)
        rc = report_add_text(&report, out ? out : "", out ? strlen(out) : 0,
                             err);
    if (rc == 0)
        rc = recover(vg, report.vg.uuid, &count, err);
    if (rc == 0 && count > 0)
        (void)dprintf(process->library.told_fd,
                      "resumed %u LVs that a killed LVM had left suspended\n",
                      count);
    *ret_extent_bytes = report.vg.extent_bytes;
    lvm_report_deinit(&report);
    return rc;
}

static int open_leases(struct process *process, struct err *err)
{
    const struct leases_options options = {
        .sanlock = "/usr/sbin/sanlock",
        .io_timeout_s = 10, /* neither is used for acquiring */
        .host_name = "",
    };
    return process->setup.has_lease
               ? leases_new(&options, &process->leases, err)
               : 0;
}

static int work(struct process *process, int fd, struct err *err)
{
    struct serve_backend backend = {
        .ctx = process,
        .run = run,
        .acquire = acquire,
        .release = release,
    };
    int rc = write_settings(&process->setup, err);
    if (rc == 0)
        rc = library_init(&process->library, process->setup.dir, err);
    if (rc == 0)
        rc = open_leases(process, err);
    if (rc == 0)
        rc = watch_start(&process->watch, err);
    if (rc < 0)
        return rc;
    rc = recover_vg(process, &backend.extent_bytes, err);
    if (rc == 0)
        rc = serve(fd, process->setup.vg, &backend, err);
    watch_stop(&process->watch);
    return rc;
}

int main(void)
{
    struct process process = {
        .library = {.told_fd = -1, .out_fd = -1, .err_fd = -1}
    };
    struct err err = ERR_INIT;
    (void)signal(SIGPIPE, SIG_IGN);
    /* LVM reads its commands' answers from stdin when it asks. */
    _cleanup_close_ int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
        return 1;
    int rc = read_setup(fd, &process.setup, &err);
    if (rc == 0)
        rc = work(&process, fd, &err);
    library_deinit(&process.library);
    leases_free(process.leases);
    if (rc < 0)
        (void)fprintf(stderr, "%s\n", err.message);
    setup_deinit(&process.setup);
    return rc < 0;
}
