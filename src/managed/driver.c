/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kinds of connections. A device or file is there already; what qemu
 * reaches by a URI is only asked for once, so that a wrong one is refused now
 * and not by the first copy; iSCSI is open-iscsi's: a node record, a session,
 * and udev's link to the LUN's device.
 */
#include "driver.h"

#include <dray/exec.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ASK_MS = 10 * 1000,
    ISCSI_MS = 60 * 1000,
    DEVICE_MS = 20 * 1000, /* for the LUN's device to appear */
    LOOK_MS = 100,
    MAX_CPU_S = 10,
    SESSION_EXISTS = 15, /* iscsiadm's exit statuses */
    NOTHING_FOUND = 21,
};

/* --- what is there ----------------------------------------------------- */

static int look_at_path(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_set_code(err, ERR_MANAGED_DEVICE, "%s: %m", path);
    if (S_ISBLK(st.st_mode) || S_ISREG(st.st_mode))
        return 0;
    return err_set_code(err, ERR_MANAGED_DEVICE,
                        "%s is neither a block device nor a file", path);
}

static int ask(const struct driver_tools *tools, const char *url,
               struct err *err)
{
    const char *argv[] = { tools->qemu_img, "info", "-U", "--output=json", "-f",
                           "raw",           url,    NULL };
    const struct exec_options options = { .deadline_ms = time_now_ms() + ASK_MS,
                                          .max_cpu_s = MAX_CPU_S };
    struct exec_result result = { 0 };
    struct err own = ERR_INIT;
    int rc = exec_check(argv, &options, &result, &own);

    exec_result_deinit(&result);
    if (rc == 0)
        return 0;
    (void)err_set_code(err, ERR_MANAGED_HELPER, "%s: %s", url, own.message);
    return err_next(err, "does its server run, and does it know that name?");
}

/* --- iSCSI ------------------------------------------------------------- */

/* Ends with 0, or with @fine: *@ret_fine. */
static int iscsi(const struct driver_tools *tools,
                 const struct managed_connection *connection,
                 const char *const *words, int fine, bool *ret_fine,
                 struct err *err)
{
    const char *argv[12] = {
        tools->iscsiadm,   "-m", "node", "-T", connection->iqn, "-p",
        connection->portal
    };
    const struct exec_options options = { .deadline_ms =
                                              time_now_ms() + ISCSI_MS };
    struct exec_result result = { 0 };
    struct err own = ERR_INIT;
    size_t n = 7;

    for (; *words; words++)
        argv[n++] = *words;
    int rc = exec_run(argv, &options, &result, &own);

    *ret_fine = rc == 0 && result.status == fine;
    if (rc == 0 && result.status != 0 && !*ret_fine)
        rc = err_set(&own, -EIO, "status %d: %s", result.status, result.err);
    exec_result_deinit(&result);
    if (rc == 0)
        return 0;
    return err_set_code(err, ERR_MANAGED_HELPER, "iscsiadm%s%s of %s at %s: %s",
                        argv[7] ? " " : "", argv[7] ? argv[7] : "",
                        connection->iqn, connection->portal, own.message);
}

static int await(const char *path, struct err *err)
{
    int64_t end_ms = time_now_ms() + DEVICE_MS;

    while (access(path, F_OK) < 0) {
        if (time_now_ms() >= end_ms)
            return err_set_code(err, ERR_MANAGED_DEVICE,
                                "%s did not appear within %d s", path,
                                DEVICE_MS / 1000);
        (void)poll(NULL, 0, LOOK_MS);
    }
    return look_at_path(path, err);
}

/* "-o new" would write over a record with its secrets. */
static int make_node(const struct driver_tools *tools,
                     struct managed_volume *volume, struct err *err)
{
    static const char *const show[] = { NULL };
    static const char *const make[] = { "-o", "new", NULL };
    bool none = false;
    bool ignored;
    int rc = iscsi(tools, &volume->connection, show, NOTHING_FOUND, &none, err);

    if (rc || !none)
        return rc;
    rc = iscsi(tools, &volume->connection, make, 0, &ignored, err);
    volume->own_node = volume->own_node || rc == 0;
    return rc;
}

static int log_in(const struct driver_tools *tools,
                  struct managed_volume *volume, struct err *err)
{
    static const char *const login[] = { "--login", NULL };
    const struct managed_connection *to = &volume->connection;
    bool existed = false;
    int rc = make_node(tools, volume, err);

    if (rc == 0)
        rc = iscsi(tools, to, login, SESSION_EXISTS, &existed, err);
    if (rc)
        return rc;
    volume->own_session = volume->own_session || !existed;
    (void)str_format(volume->path, MANAGED_PATH_SIZE, /* it is large enough */
                     "/dev/disk/by-path/ip-%s-iscsi-%s-lun-%u", to->portal,
                     to->iqn, to->lun);
    return await(volume->path, err);
}

static int log_out(const struct driver_tools *tools,
                   const struct managed_volume *volume, struct err *err)
{
    static const char *const logout[] = { "--logout", NULL };
    static const char *const forget[] = { "-o", "delete", NULL };
    bool ignored;
    int rc = 0;

    if (volume->own_session)
        rc = iscsi(tools, &volume->connection, logout, NOTHING_FOUND, &ignored,
                   err);
    if (rc == 0 && volume->own_node)
        rc = iscsi(tools, &volume->connection, forget, NOTHING_FOUND, &ignored,
                   err);
    return rc;
}

/* --- all --------------------------------------------------------------- */

int driver_check(const struct driver_tools *tools,
                 const struct managed_connection *connection, struct err *err)
{
    if (connection->driver != MANAGED_ISCSI ||
        access(tools->iscsiadm, X_OK) == 0)
        return 0;
    (void)err_set_code(err, ERR_MANAGED_NONE, "%s: %m", tools->iscsiadm);
    return err_next(err, "install open-iscsi on this host");
}

int driver_attach(const struct driver_tools *tools,
                  struct managed_volume *volume, struct err *err)
{
    const struct managed_connection *to = &volume->connection;
    bool fits = true;

    switch (to->driver) {
    case MANAGED_ISCSI:
        return log_in(tools, volume, err);
    case MANAGED_RBD:
        fits = str_format(volume->path, MANAGED_PATH_SIZE, "rbd:%s", to->place);
        break;
    default:
        fits = str_copy(volume->path, MANAGED_PATH_SIZE, to->place);
        break;
    }
    if (!fits)
        return err_set_code(err, ERR_VALUE, "%s: too long", to->place);
    return to->driver == MANAGED_LOCAL ? look_at_path(volume->path, err)
                                       : ask(tools, volume->path, err);
}

int driver_detach(const struct driver_tools *tools,
                  const struct managed_volume *volume, struct err *err)
{
    return volume->connection.driver == MANAGED_ISCSI
               ? log_out(tools, volume, err)
               : 0; /* nothing of it is on this host */
}
