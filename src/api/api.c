/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The way of a request: found in the table, allowed, its params valid; only
 * then its functions run, blocking ones on a worker. What comes before we are
 * ready waits: a client that meets a restart notices a pause of some seconds.
 */
#include "params.h"
#include "verb.h"

#include <dray/work.h>
#include <errno.h>
#include <json-c/json.h>

static void call_free(struct api_call *call)
{
    list_remove(&call->link);
    params_free(call->params);
    json_object_put(call->result);
    json_object_put(call->extra);
    free(call->state);
    free(call);
}

void call_finish(struct api_call *call)
{
    call_advise(call);
    if (call->rc == 0)
        rpc_reply(call->rpc, TAKE(call->result));
    else
        rpc_fail(call->rpc, &call->err,
                 call->phase ? call->phase : call->verb->name,
                 TAKE(call->extra));
    call_free(call);
}

static void run_work(void *arg)
{
    struct api_call *call = arg;
    call->rc = call->verb->work(call, &call->err);
}

static void work_done(void *arg)
{
    struct api_call *call = arg;
    if (call->rc == 0 && call->verb->after)
        call->rc = call->verb->after(call, &call->err);
    if (call->rc == VERB_LATER)
        call->rc = 0; /* others will finish it */
    else
        call_finish(call);
}

static const char *domain_in(const struct params *params)
{
    static const char *const names[] = { "storagedomainID", "domain",
                                         "typeArgs", "domainID", "sd_id" };
    const char *sd = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names) && !sd; i++)
        sd = params_text_if_any(params, names[i]);
    return sd;
}

/* Requests that may wait for the same thing: a hung domain, VM, or libvirtd,
 * must not take every worker. Of several domains the first has to do. */
static const char *work_key(const struct api_call *call)
{
    const char *key = domain_in(call->params);
    for (size_t i = 0; i < call->verb->n_params && !key; i++) {
        const struct param_spec *spec = &call->verb->params[i];
        if (spec->members && params_count(call->params, spec->name) > 0)
            key = domain_in(params_item(call->params, spec->name, 0));
    }
    if (!key)
        key = params_text_if_any(call->params, "vmID");
    if (!key && params_text_if_any(call->params, "jobID"))
        key = "jobs"; /* of other hosts: any domain's leases */
    return key ? key : "hypervisor";
}

/* True: others will finish it. */
static bool hand_over(struct api_call *call)
{
    const struct verb *verb = call->verb;

    call->rc = verb->before ? verb->before(call, &call->err) : 0;
    if (call->rc == VERB_LATER) {
        call->rc = 0;
        return true;
    }
    if (call->rc == VERB_ANSWERED) {
        call->rc = 0;
        return false;
    }
    if (call->rc < 0 || !verb->work)
        return false;
    /* From here on the call is the worker's. */
    int r =
        work_submit(call->api->work, work_key(call), run_work, work_done, call);
    if (r < 0)
        call->rc = err_set(&call->err, r, "no memory for the request");
    return r == 0;
}

static int refuse_method(const char *method, struct err *err)
{
    char shown[SHOWN_SIZE];
    (void)err_set_code(err, ERR_METHOD, "there is no method \"%s\"",
                       check_shown(method, shown));
    return err_next(err, "rpc.discover lists all methods");
}

static int check_allowed(const struct verb *verb, const struct rpc_call *rpc,
                         struct err *err)
{
    struct rpc_conn *conn = rpc_call_conn(rpc);
    if (!conn || rpc_conn_role(conn) < verb->role) {
        if (conn)
            rpc_conn_denied(conn, verb->name);
        int r = err_set_code(err, ERR_ACCESS,
                             "this user may look, but not call %s", verb->name);
        (void)err_next(err, "use root, or a member of the group in drayd.conf "
                            "(full_group); over TLS a name with the role full");
        return r;
    }
    return 0;
}

static struct api_call *call_new(struct api *api, struct rpc_call *rpc,
                                 const struct verb *verb, struct params *params)
{
    struct api_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    *call = (struct api_call){
        .api = api, .rpc = rpc, .verb = verb, .params = params, .err = ERR_INIT
    };
    list_append(&api->calls, &call->link);
    return call;
}

/* 0: the call runs, and will be answered. */
static int begin(struct api *api, struct rpc_call *rpc, const struct verb *verb,
                 struct json_object *json, struct err *err)
{
    struct params *params = NULL;
    int r = params_read(verb, json, &params, err);
    if (r < 0)
        return r;
    struct api_call *call = call_new(api, rpc, verb, params);
    if (!call) {
        params_free(params);
        return err_set(err, -ENOMEM, "no memory for the request");
    }
    call->early = !api->jobs && !verb->early;
    if (!call->early && !hand_over(call))
        call_finish(call);
    return 0;
}

static void on_request(void *arg, struct rpc_call *rpc, const char *method,
                       struct json_object *json)
{
    struct api *api = arg;
    struct err err = ERR_INIT;
    const struct verb *verb = verb_find(method);

    if (!verb) {
        (void)refuse_method(method, &err);
        rpc_fail(rpc, &err, "dispatch", NULL);
    } else if (check_allowed(verb, rpc, &err) < 0) {
        rpc_fail(rpc, &err, "access", NULL);
    } else if (begin(api, rpc, verb, json, &err) < 0) {
        rpc_fail(rpc, &err, "params", NULL);
    }
}

static void on_closed(void *arg, struct rpc_conn *conn)
{
    struct api *api = arg;
    wait_closed(api, conn);
    events_closed(api, conn);
}

int api_new(struct work *work, const struct migrate_ports *ports,
            const struct api_options *options, struct api **ret_api,
            struct err *err)
{
    struct api *api = calloc(1, sizeof(*api));
    if (!api)
        return err_set(err, -ENOMEM, "no memory for the API");
    api->work = work;
    api->ports = ports;
    api->options = *options;
    list_init(&api->calls);
    list_init(&api->waits);
    list_init(&api->subscribers);
    list_init(&api->meters);
    /* Below 2^53, which is as far as a JSON number reaches. */
    event_log_init(&api->events,
                   (uint64_t)ports->clock.ops->wall_ms(ports->clock.ctx) *
                       1000);
    *ret_api = api;
    return 0;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    wait_drop_all(api);
    events_drop_all(api);
    event_log_deinit(&api->events);
    list_for_each_safe (item, next, &api->calls) {
        struct api_call *call = container_of(item, struct api_call, link);
        call->rc = err_set(&call->err, -ECANCELED, "drayd is stopping");
        call_finish(call);
    }
    free(api);
}

struct rpc_handler api_handler(struct api *api)
{
    return (struct rpc_handler){ api, on_request, on_closed };
}

/* Handing one over may end calls that were handed over before it, never the
 * next. */
void api_set_ready(struct api *api, struct migrate_jobs *jobs)
{
    api->jobs = jobs;
    managed_ready(api);
    list_for_each_safe (item, next, &api->calls) {
        struct api_call *call = container_of(item, struct api_call, link);
        if (!call->early)
            continue;
        call->early = false;
        if (!hand_over(call))
            call_finish(call);
    }
}

void api_job_changed(void *arg, const struct job *job, bool state_changed)
{
    struct api *api = arg;
    wait_job_changed(api, job);
    events_job_changed(api, job, state_changed);
}
