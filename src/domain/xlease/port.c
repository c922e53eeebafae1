/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The table by which others call what is in this directory.
 */
#include "change.h"
#include "hosts.h"
#include "look.h"
#include "lvb.h"
#include <dray/domain.h>

struct xlease_port domains_xlease_port(struct domains *domains)
{
    static const struct xlease_ops ops = {
        .create = xlease_create,
        .remove = xlease_remove,
        .info = xlease_info,
        .place = xlease_place,
        .note = xlease_note,
        .status = xlease_status,
        .fence = xlease_fence,
        .list = xlease_list,
        .find_job = xlease_find_job,
        .is_shared = xlease_is_shared,
        .host_lives = xlease_host_lives,
        .rebuild = xlease_rebuild,
    };
    return (struct xlease_port){ .ctx = domains, .ops = &ops };
}

const char *xlease_job_status_name(enum xlease_job_status status)
{
    return format_job_status_name((enum format_job_status)status);
}

int xlease_job_status_parse(const char *name,
                            enum xlease_job_status *ret_status)
{
    enum format_job_status status = FORMAT_JOB_PENDING;
    int rc = format_job_status_parse(name, &status);
    if (rc == 0)
        *ret_status = (enum xlease_job_status)status;
    return rc;
}
