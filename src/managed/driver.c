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

/* Also when there was nothing to do: @fine. */
static int iscsi(const struct driver_tools *tools,
                 const struct managed_connection *connection,
                 const char *const *words, int fine, struct err *err)
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

    if (rc == 0 && result.status != 0 && result.status != fine)
        rc = err_set(&own, -EIO, "status %d: %s", result.status, result.err);
    exec_result_deinit(&result);
    if (rc == 0)
        return 0;
    return err_set_code(err, ERR_MANAGED_HELPER, "iscsiadm %s of %s at %s: %s",
                        argv[7], connection->iqn, connection->portal,
                        own.message);
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

static int log_in(const struct driver_tools *tools,
                  const struct managed_connection *connection,
                  char ret_path[MANAGED_PATH_SIZE], struct err *err)
{
    static const char *const make[] = { "-o", "new", NULL };
    static const char *const login[] = { "--login", NULL };
    int rc = iscsi(tools, connection, make, 0, err);

    if (rc == 0)
        rc = iscsi(tools, connection, login, SESSION_EXISTS, err);
    if (rc)
        return rc;
    (void)str_format(ret_path, MANAGED_PATH_SIZE, /* it is large enough */
                     "/dev/disk/by-path/ip-%s-iscsi-%s-lun-%u",
                     connection->portal, connection->iqn, connection->lun);
    return await(ret_path, err);
}

static int log_out(const struct driver_tools *tools,
                   const struct managed_connection *connection, struct err *err)
{
    static const char *const logout[] = { "--logout", NULL };
    static const char *const forget[] = { "-o", "delete", NULL };
    int rc = iscsi(tools, connection, logout, NOTHING_FOUND, err);

    return rc ? rc : iscsi(tools, connection, forget, NOTHING_FOUND, err);
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
                  const struct managed_connection *connection,
                  char ret_path[MANAGED_PATH_SIZE], struct err *err)
{
    bool fits = true;

    switch (connection->driver) {
    case MANAGED_ISCSI:
        return log_in(tools, connection, ret_path, err);
    case MANAGED_RBD:
        fits = str_format(ret_path, MANAGED_PATH_SIZE, "rbd:%s",
                          connection->place);
        break;
    default:
        fits = str_copy(ret_path, MANAGED_PATH_SIZE, connection->place);
        break;
    }
    if (!fits)
        return err_set_code(err, ERR_VALUE, "%s: too long", connection->place);
    return connection->driver == MANAGED_LOCAL ? look_at_path(ret_path, err)
                                               : ask(tools, ret_path, err);
}

int driver_detach(const struct driver_tools *tools,
                  const struct managed_connection *connection, struct err *err)
{
    return connection->driver == MANAGED_ISCSI
               ? log_out(tools, connection, err)
               : 0; /* nothing of it is on this host */
}
