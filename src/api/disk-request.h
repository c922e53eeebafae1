/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Disk.plan and Disk.migrate ask for: out of their parameters, and held
 * against a job that is there already.
 */
#ifndef DRAY_API_DISK_REQUEST_H
#define DRAY_API_DISK_REQUEST_H

#include "verb.h"

/* One disk (disk, domain), or several (disks). ERR_PARAMS. */
int request_read(struct api_call *call, struct migrate_request *ret_request,
                 struct err *err);

/* The domain each disk is to go to; empty: outside of all. Worker. */
struct request_places {
    char sd[JOB_DISKS_MAX][UUID_SIZE];
};
int request_find_places(const struct api_call *call,
                        const struct migrate_request *request,
                        struct request_places *ret_places, struct err *err);

/* Whether @job is what @request asks for. The request names things as people
 * do, the job by what they are; the limit may have been changed since and does
 * not count. */
bool request_is(const struct migrate_request *request,
                const struct request_places *places, const struct job *job);

#endif
