/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The front door: options in, the port out. sanlock's daemon keeps all state;
 * this room has none, so any worker may call it.
 */
#include "lease.h"

#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

int leases_new(const struct leases_options *options, struct leases **ret_leases,
               struct err *err)
{
    struct leases *leases = calloc(1, sizeof(*leases));
    if (!leases)
        goto fail;
    leases->sanlock = strdup(options->sanlock);
    leases->host_name = strdup(options->host_name ? options->host_name : "");
    if (!leases->sanlock || !leases->host_name)
        goto fail;
    leases->io_timeout_s = options->io_timeout_s;
    leases->require_watchdog = options->require_watchdog;
    *ret_leases = leases;
    return 0;
fail:
    leases_free(leases);
    return err_set(err, -ENOMEM, "leases: out of memory");
}

void leases_free(struct leases *leases)
{
    if (!leases)
        return;
    free(leases->sanlock);
    free(leases->host_name);
    free(leases);
}

struct lease_port leases_port(struct leases *leases)
{
    static const struct lease_ops ops = {
        .format_lockspace = lockspace_format,
        .format_resource = resource_format,
        .clear_resource = resource_clear,
        .join = lockspace_join,
        .leave = lockspace_leave,
        .acquire = resource_acquire,
        .is_held = resource_is_held,
        .release = resource_release,
        .acquire_lvb = resource_acquire_lvb,
        .release_lvb = resource_release_lvb,
        .read_lvb = lvb_read,
        .read_note = lease_read_note,
        .owner = resource_owner,
        .host_lives = lockspace_host_lives,
        .has_others = lockspace_has_others,
    };

    return (struct lease_port){ .ctx = leases, .ops = &ops };
}
