/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside the room: what the verb table says about a verb, and one call of it.
 *
 * A call passes through up to three functions: before (owner loop: jobs,
 * events), work (a worker: ports), after (owner loop again). Each returns 0 to
 * go on, or a negative errno with *err filled, which is the answer then.
 */
#ifndef DRAY_API_VERB_H
#define DRAY_API_VERB_H

#include "event-log.h"
#include <dray/api.h>
#include <dray/base/list.h>
#include <dray/base/util.h>
#include <stddef.h>
#include <stdint.h>

struct api_call;
struct json_object;
struct params;

enum param_type {
    PARAM_UUID,     /* 36 characters, lower case */
    PARAM_UUIDS,    /* array of them */
    PARAM_NAME,     /* of a VM or domain, or its UUID: found, never made */
    PARAM_NEW_NAME, /* for a domain that is made */
    PARAM_DISK,     /* target, image UUID, or source path */
    PARAM_TEXT,     /* one line */
    PARAM_XML,      /* lines, at most max bytes */
    PARAM_PATH,     /* absolute, without ".." */
    PARAM_PATHS,    /* array of min to max of them */
    PARAM_STORE,    /* absolute path, or an NFS export, SERVER:/PATH */
    PARAM_SIZE,     /* bytes: decimal digits in a string, or a number */
    PARAM_UINT,
    PARAM_BOOL,
    PARAM_WORD,    /* one of param_spec.words */
    PARAM_PLACE,   /* name or UUID of a domain, absolute path, or URI */
    PARAM_OBJECT,  /* with param_spec.members, each checked like a parameter */
    PARAM_OBJECTS, /* an array of min to max of them */
};

struct param_spec {
    const char *name;
    enum param_type type;
    const char *text;
    bool optional;
    const char *preset; /* value when absent, as text; NULL: stays absent */
    bool nullable;      /* null is the same as absent */
    bool blank;         /* the all-zero UUID is a value too */
    uint64_t min, max;  /* of numbers and sizes */
    const char *const *words;
    const struct param_spec *members; /* of objects */
    size_t n_members;
    bool open; /* objects may have members that we do not know: ignored */
    enum err_code code; /* of a wrong value of its type; 0: ERR_PARAMS */
};

/* Outcomes of verb.before; verb.after may come to VERB_LATER too. */
enum {
    VERB_ANSWERED = 1, /* call->result is the answer */
    VERB_LATER = 2,    /* somebody will call call_finish() */
};

struct verb {
    const char *name;
    const char *summary;
    enum rpc_role role;      /* least role that may call it; never NONE */
    bool early;              /* does not wait for api_set_ready() */
    bool changes_image;      /* excludes, and is excluded by, jobs on imageID */
    const char *result_type; /* JSON's word */
    const char *result;
    const struct param_spec *params;
    size_t n_params;
    int (*before)(struct api_call *call, struct err *err);
    int (*work)(struct api_call *call, struct err *err);
    int (*after)(struct api_call *call, struct err *err);
};

struct api_call {
    struct list link; /* in api->calls */
    struct api *api;
    struct rpc_call *rpc;
    const struct verb *verb;
    struct params *params;
    bool early; /* came before api_set_ready(), and waits for it */
    /* What the functions leave. */
    void *state; /* for the next one; freed with free() */
    int rc;
    struct json_object *result; /* NULL: true */
    struct json_object *extra;  /* more members of error.data */
    const char *phase;          /* of the error; NULL: the verb's name */
    struct err err;
};

/* Owner loop only, but for ports and options, which never change. */
struct api {
    struct work *work;
    const struct migrate_ports *ports;
    int64_t managed_retry_ms; /* until what could not be detached is tried */
    struct api_options options;
    struct migrate_jobs *jobs; /* NULL: not ready */
    struct list calls;
    struct list waits;       /* wait.c */
    struct list subscribers; /* events.c */
    struct event_log events; /* events.c */
    struct list meters;      /* events.c */
};

/* Answers and frees. */
void call_finish(struct api_call *call);

/* Puts a next step to an error that has none (advice.c). */
void call_advise(struct api_call *call);

#define API_PORT(call, name, op, ...)                                          \
    ((call)->api->ports->name.ops->op((call)->api->ports->name.ctx,            \
                                      __VA_ARGS__))

/* table.c */
extern const struct verb verb_table[];
extern const size_t verb_table_n;
const struct verb *verb_find(const char *name);

/* takeover.c */
int verb_job_takeover_before(struct api_call *call, struct err *err);
int verb_job_takeover(struct api_call *call, struct err *err);
int verb_job_takeover_after(struct api_call *call, struct err *err);
/* discover.c */
int verb_discover(struct api_call *call, struct err *err);
/* host.c */
int verb_host_ping(struct api_call *call, struct err *err);
int verb_host_capabilities(struct api_call *call, struct err *err);
int verb_host_get_jobs(struct api_call *call, struct err *err);
int verb_host_abort_jobs(struct api_call *call, struct err *err);
int verb_host_delete_jobs(struct api_call *call, struct err *err);
/* domain.c */
int verb_domain_create(struct api_call *call, struct err *err);
int verb_domain_join(struct api_call *call, struct err *err);
int verb_domain_extend(struct api_call *call, struct err *err);
int verb_domain_audit(struct api_call *call, struct err *err);
int verb_domain_leave_before(struct api_call *call, struct err *err);
int verb_domain_leave(struct api_call *call, struct err *err);
int verb_domain_list(struct api_call *call, struct err *err);
int verb_domain_get_info(struct api_call *call, struct err *err);
int verb_domain_get_stats(struct api_call *call, struct err *err);
int verb_domain_get_images(struct api_call *call, struct err *err);
int verb_domain_get_volumes(struct api_call *call, struct err *err);
/* image.c */
int verb_image_prepare(struct api_call *call, struct err *err);
int verb_image_teardown(struct api_call *call, struct err *err);
int verb_image_delete(struct api_call *call, struct err *err);
int verb_image_delete_volumes(struct api_call *call, struct err *err);
/* chain.c */
int verb_image_reconcile(struct api_call *call, struct err *err);
int verb_volume_qemu_info(struct api_call *call, struct err *err);
int verb_volume_measure(struct api_call *call, struct err *err);
int verb_volume_extend(struct api_call *call, struct err *err);
int verb_volume_set_legality_before(struct api_call *call, struct err *err);
int verb_volume_set_legality(struct api_call *call, struct err *err);
/* volume.c */
int verb_volume_create(struct api_call *call, struct err *err);
int verb_volume_delete(struct api_call *call, struct err *err);
int verb_volume_get_info(struct api_call *call, struct err *err);
int verb_volume_get_size(struct api_call *call, struct err *err);
/* lease.c */
int verb_lease_create(struct api_call *call, struct err *err);
int verb_lease_delete(struct api_call *call, struct err *err);
int verb_lease_info(struct api_call *call, struct err *err);
int verb_lease_status(struct api_call *call, struct err *err);
int verb_lease_fence(struct api_call *call, struct err *err);
int verb_lease_list(struct api_call *call, struct err *err);
int verb_lease_rebuild(struct api_call *call, struct err *err);
/* vm.c */
int verb_vm_list(struct api_call *call, struct err *err);
int verb_vm_get_disks(struct api_call *call, struct err *err);
int verb_vm_refresh_disk(struct api_call *call, struct err *err);
/* watermark.c */
int verb_vm_watermarks(struct api_call *call, struct err *err);
int verb_host_stats_before(struct api_call *call, struct err *err);
int verb_host_stats(struct api_call *call, struct err *err);
/* engine.c: each is a job; step.h has what they share */
int verb_vm_snapshot_before(struct api_call *call, struct err *err);
int verb_vm_merge_before(struct api_call *call, struct err *err);
int verb_image_clone_before(struct api_call *call, struct err *err);
int verb_image_sync_before(struct api_call *call, struct err *err);
int verb_image_copy_before(struct api_call *call, struct err *err);
int verb_image_move_before(struct api_call *call, struct err *err);
int step_work(struct api_call *call, struct err *err);
int step_after(struct api_call *call, struct err *err);
/* sdm.c */
int verb_sdm_copy_before(struct api_call *call, struct err *err);
int verb_sdm_move_before(struct api_call *call, struct err *err);
int verb_sdm_update_before(struct api_call *call, struct err *err);
/* managed.c */
/* Begins to try again what could not be detached. */
void managed_ready(struct api *api);
int verb_managed_attach(struct api_call *call, struct err *err);
int verb_managed_detach_before(struct api_call *call, struct err *err);
int verb_managed_detach(struct api_call *call, struct err *err);
int verb_managed_info(struct api_call *call, struct err *err);
/* replica.c */
int verb_replicate_start_before(struct api_call *call, struct err *err);
int verb_replicate_start_after(struct api_call *call, struct err *err);
int verb_replicate_finish_before(struct api_call *call, struct err *err);
int verb_replicate_finish(struct api_call *call, struct err *err);
int verb_replicate_finish_after(struct api_call *call, struct err *err);
/* disk.c */
int verb_disk_plan_before(struct api_call *call, struct err *err);
int verb_disk_plan(struct api_call *call, struct err *err);
int verb_disk_migrate_before(struct api_call *call, struct err *err);
int verb_disk_migrate(struct api_call *call, struct err *err);
int verb_disk_migrate_after(struct api_call *call, struct err *err);
/* The plan's obstacles as the answer. */
int plan_refuse(struct api_call *call, const struct migrate_plan *plan,
                struct err *err);
/* That no job and no verb works on what @wish is about. ERR_DISK_BUSY. */
int plan_check_free(const struct api_call *call, const struct job *wish,
                    struct err *err);
/* vm-move.c */
int verb_vm_plan_before(struct api_call *call, struct err *err);
int verb_vm_plan(struct api_call *call, struct err *err);
int verb_vm_migrate_before(struct api_call *call, struct err *err);
int verb_vm_migrate(struct api_call *call, struct err *err);
int verb_vm_migrate_after(struct api_call *call, struct err *err);
/* peer.c */
int verb_peer_offer_before(struct api_call *call, struct err *err);
int verb_peer_check(struct api_call *call, struct err *err);
int verb_peer_prepare(struct api_call *call, struct err *err);
int verb_peer_prepare_after(struct api_call *call, struct err *err);
int verb_peer_info_before(struct api_call *call, struct err *err);
int verb_peer_finish_before(struct api_call *call, struct err *err);
int verb_peer_undo_before(struct api_call *call, struct err *err);
int verb_peer_look(struct api_call *call, struct err *err);
int verb_peer_tell(struct api_call *call, struct err *err);
/* peer-layer.c */
int verb_peer_layer_before(struct api_call *call, struct err *err);
int verb_peer_layer(struct api_call *call, struct err *err);
int verb_peer_fill(struct api_call *call, struct err *err);
int verb_peer_end(struct api_call *call, struct err *err);
int verb_peer_digest(struct api_call *call, struct err *err);
int verb_peer_layer_after(struct api_call *call, struct err *err);
/* job.c */
int verb_job_list(struct api_call *call, struct err *err);
int verb_job_info_before(struct api_call *call, struct err *err);
int verb_job_info(struct api_call *call, struct err *err);
int verb_job_cancel(struct api_call *call, struct err *err);
int verb_job_limit(struct api_call *call, struct err *err);
/* migrate_jobs_cancel(), but for jobs that another host leads. */
int job_order_cancel(struct migrate_jobs *jobs, const char *id,
                     struct err *err);
/* wait.c */
int verb_job_wait(struct api_call *call, struct err *err);
/* What an answer waits for: looked at now and whenever a job changed. */
struct wait_kind {
    bool (*over)(const struct api_call *call, const char *job_id);
    int (*answer)(struct api_call *call, const char *job_id, struct err *err);
    int64_t patience_ms; /* 0: 5 s */
};
/* For what was promised to be in the journal: answers when @kind says so, or
 * when patience ends in any case, for storage may keep a job's step longer.
 * @job_id empty: looks at changes of all jobs. 0: answered already, or
 * VERB_LATER. */
int wait_until(struct api_call *call, const struct wait_kind *kind,
               const char *job_id, struct err *err);
bool wait_is_recorded(const struct api_call *call, const char *job_id);
int wait_answer_job(struct api_call *call, const char *job_id, struct err *err);
/* The answer is the job, as it is when the journal has it. */
int wait_for_start(struct api_call *call, const char *job_id, struct err *err);
void wait_job_changed(struct api *api, const struct job *job);
void wait_closed(struct api *api, const struct rpc_conn *conn);
void wait_drop_all(struct api *api);
/* events.c */
int verb_events_subscribe(struct api_call *call, struct err *err);
/* Numbered, to all subscribers, and to those who ask for it later; takes
 * @params over. */
void events_tell(struct api *api, const char *method,
                 struct json_object *params);
void events_job_changed(struct api *api, const struct job *job,
                        bool state_changed);
void events_closed(struct api *api, const struct rpc_conn *conn);
void events_drop_all(struct api *api);
/* guard.c: what keeps a structural change away from data in use */
int guard_image_before(struct api_call *call, struct err *err);
int guard_unused(struct api_call *call, const char *vol, struct err *err);
/* The two halves, loop and worker, of the question whether a job ended in doubt
 * about the image. call->state is theirs. */
int guard_doubt_before(struct api_call *call, struct err *err);
int guard_doubt(struct api_call *call, struct err *err);
/* Refuses postZero and discard. */
int guard_wiping(const struct api_call *call, struct err *err);
/* A call that changes image @img right now, NULL if none. Owner loop. */
const struct api_call *guard_changing(const struct api *api, const char *img);

#endif
