/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verbs. One table (src/api/table.c) gives name, parameters, types, role
 * and function of each; dispatch, validation and rpc.discover follow from it.
 */
#ifndef DRAY_API_H
#define DRAY_API_H

#include <dray/migrate.h>
#include <dray/monitor.h>
#include <dray/ports/hypervisor.h>
#include <dray/ports/storage.h>
#include <dray/rpc/server.h>
#include <stdbool.h>

struct api;
struct managed;
struct work;

struct api_options {
    const char *version;
    unsigned host_id;
    const char *host_name;
    int64_t migration_wait_s; /* of VM.migrate; 0: for ever */
    struct monitor *monitor;  /* NULL: nobody watches */
    struct managed *managed;  /* NULL: no table of managed volumes */
};

/* On the owner loop. Borrows all it is given until api_free(), which comes
 * after rpc_server_free() and work_free(): workers have its requests until
 * then. */
int api_new(struct work *work, const struct migrate_ports *ports,
            const struct api_options *options, struct api **ret_api,
            struct err *err);
void api_free(struct api *api);

/* For rpc_server_new(). */
struct rpc_handler api_handler(struct api *api);

/* Until this is called with the job table every verb but Host.ping and
 * rpc.discover waits. */
void api_set_ready(struct api *api, struct migrate_jobs *jobs);

/* A job changed: wakes Job.wait, notifies subscribers. A migrate_job_fn. */
void api_job_changed(void *arg, const struct job *job, bool state_changed);

/* The watch over thin disks did something: notifies subscribers. On the owner
 * loop. */
void api_watermark(struct api *api, const struct monitor_event *event);

#endif
