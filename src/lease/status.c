/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the daemon runs with. Its socket protocol for this is private to the
 * sanlock command, so we ask the command. Its answer is blocks of lines: a
 * title at the margin, then "    key=value"; the first block is the daemon's.
 */
#include "status.h"

#include "lease.h"

#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <string.h>

enum {
    STATUS_TIMEOUT_MS = 10 * 1000
};

/* The value of @key in the block of indented lines at @text, up to the end of
 * its line; its length or -1. */
static int find_value(const char *text, const char *key, const char **ret_value)
{
    size_t key_len = strlen(key);

    while (*text == ' ') {
        text += strspn(text, " ");
        size_t len = strcspn(text, "\n");
        if (len > key_len && strncmp(text, key, key_len) == 0 &&
            text[key_len] == '=') {
            *ret_value = text + key_len + 1;
            return (int)(len - key_len - 1);
        }
        text += len + (text[len] == '\n');
    }
    return -1;
}

int status_parse(const char *text, struct leases_status *ret_status,
                 struct err *err)
{
    struct leases_status status = { .use_watchdog = false };
    const char *value = NULL;

    if (!str_starts_with(text, "daemon "))
        return err_set(err, -EBADMSG, "sanlock's status is not understood");
    text += strcspn(text, "\n");
    text += *text == '\n';
    int len = find_value(text, "our_host_name", &value);
    if (len < 0)
        return err_set(err, -EBADMSG,
                       "sanlock's status does not name this host");
    /* Shortened at worst: sanlock's names have 48 bytes. */
    (void)str_format(status.host_name, sizeof(status.host_name), "%.*s", len,
                     value);
    len = find_value(text, "use_watchdog", &value);
    if (len != 1)
        return err_set(err, -EBADMSG,
                       "sanlock's status does not say use_watchdog");
    status.use_watchdog = *value != '0';
    *ret_status = status;
    return 0;
}

int leases_status(struct leases *leases, struct leases_status *ret_status,
                  struct err *err)
{
    const char *argv[] = { leases->sanlock, "client", "status", "-D", NULL };
    const struct exec_options options = { .deadline_ms = time_now_ms() +
                                                         STATUS_TIMEOUT_MS };
    struct exec_result result = { .status = 0 };

    int rc = exec_run(argv, &options, &result, err);
    if (rc < 0)
        return rc;
    if (result.status != 0 || result.out_len == 0) {
        rc = err_set(err, -ENOTCONN, "sanlock is not running");
        (void)err_next(err, "systemctl start sanlock");
    } else {
        rc = status_parse(result.out, ret_status, err);
    }
    exec_result_deinit(&result);
    return rc;
}
