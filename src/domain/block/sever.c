/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Cutting an LV off: the kernel gets a table for it that fails everything. What
 * waits in the LV itself (it is suspended) fails at once. What waits below, in
 * a path that is gone, cannot be called back from above; then this times out,
 * and the LV is as it was.
 *
 * dmsetup does it, in a process of its own, which can be killed while it waits.
 * The LV's own table comes back with its next activation or refresh.
 */
#include "../kind.h"
#include "../known.h"
#include "lv.h"
#include "name.h"
#include <dray/exec.h>

enum {
    SEVER_MS = 10 * 1000,
};

int block_volume_sever(void *ctx, const struct volume_id *id, struct err *err)
{
    struct domain_info info;
    char name[BLOCK_NAME_SIZE];
    char path[PATH_MAX];
    int rc = domain_known_get(ctx, id->sd, &info, err);
    if (rc < 0)
        return rc;
    block_lv_path(&info, id->vol, path);
    if (access(path, F_OK) < 0)
        return 0; /* not active: nobody waits for it */
    block_name_make(id, name);
    const char *argv[] = {
        "/usr/sbin/dmsetup", "wipe_table", "--noflush", "--nolockfs",
        "--noudevsync",      name,         NULL
    };
    const struct exec_options options = { .deadline_ms =
                                              time_now_ms() + SEVER_MS };
    struct exec_result result = { 0 };
    rc = exec_check(argv, &options, &result, err);
    exec_result_deinit(&result);
    return rc < 0 ? err_wrap(err, "volume %s cannot be cut off", id->vol) : 0;
}
