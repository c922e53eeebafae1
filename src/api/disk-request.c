/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See disk-request.h.
 */
#include "disk-request.h"

#include "params.h"

static void copy_text(const struct params *params, const char *name, char *dst,
                      size_t size)
{
    const char *text = params_text_if_any(params, name);
    (void)str_copy(dst, size, text ? text : "");
}

static int refuse(struct api_call *call, struct err *err)
{
    call->phase = "params";
    return err_next(err, "rpc.discover describes the parameters of %s",
                    call->verb->name);
}

/* What the table cannot say: either one disk or several. */
static int check_form(struct api_call *call, struct err *err)
{
    const struct params *params = call->params;
    const char *verb = call->verb->name;
    bool one = params_has(params, "disk");
    bool several = params_count(params, "disks") > 0;

    if (one && several)
        (void)err_set_code(err, ERR_PARAMS, "disk: there are disks already");
    else if (!one && !several)
        (void)err_set_code(err, ERR_PARAMS,
                           "disk is missing; %s needs it, or disks", verb);
    else if (one && !params_has(params, "domain"))
        (void)err_set_code(err, ERR_PARAMS, "domain is missing; %s needs it",
                           verb);
    else
        return 0;
    return refuse(call, err);
}

/* @from: the parameters, or one of disks. What it does not say is said for all
 * disks, or by default. */
static void fill_wish(const struct params *params, const struct params *from,
                      struct migrate_wish *wish)
{
    const char *format = params_text(from, "format");

    if (!format)
        format = params_text(params, "format");
    copy_text(from, "disk", wish->disk, sizeof(wish->disk));
    copy_text(params_has(from, "domain") ? from : params, "domain", wish->to,
              sizeof(wish->to));
    wish->convert = format;
    wish->base_cow = str_equal(format, "COW");
}

static int fill_wishes(struct api_call *call, struct migrate_request *request,
                       struct err *err)
{
    const struct params *params = call->params;
    size_t n = params_count(params, "disks");

    request->n_wishes = n ? n : 1;
    if (n == 0)
        fill_wish(params, params, &request->wishes[0]);
    for (size_t i = 0; i < n; i++) {
        fill_wish(params, params_item(params, "disks", i), &request->wishes[i]);
        if (request->wishes[i].to[0])
            continue;
        (void)err_set_code(err, ERR_PARAMS,
                           "disks[%zu].domain is missing; give it there, or "
                           "domain for all",
                           i);
        return refuse(call, err);
    }
    return 0;
}

/* Places outside in the one spelling that jobs have, too. */
static int spell_places(const struct api_call *call,
                        struct migrate_request *request, struct err *err)
{
    for (size_t i = 0; i < request->n_wishes; i++) {
        struct migrate_wish *wish = &request->wishes[i];
        char place[PATH_MAX];

        if (!place_is_outside(wish->to))
            continue;
        int r = API_PORT(call, hypervisor, place, wish->to, place, err);
        if (r < 0)
            return r;
        if (!str_copy(wish->to, sizeof(wish->to), place))
            return err_set_code(err, ERR_PARAMS, "domain: too long");
    }
    return 0;
}

int request_read(struct api_call *call, struct migrate_request *ret_request,
                 struct err *err)
{
    const struct params *params = call->params;
    const char *strategy = params_text(params, "strategy");

    int r = check_form(call, err);
    if (r == 0)
        r = fill_wishes(call, ret_request, err);
    if (r == 0)
        r = spell_places(call, ret_request, err);
    copy_text(params, "vmID", ret_request->vm, sizeof(ret_request->vm));
    copy_text(params, "jobID", ret_request->job_id,
              sizeof(ret_request->job_id));
    ret_request->choose = strategy;
    ret_request->strategy =
        str_equal(strategy, "snapshot") ? JOB_BY_SNAPSHOT : JOB_MIRROR;
    ret_request->keep_source = params_flag(params, "keepSource");
    ret_request->verify = params_flag(params, "verify");
    ret_request->fast = params_flag(params, "fast");
    ret_request->limit = params_number(params, "limit");
    return r;
}

int request_find_places(const struct api_call *call,
                        const struct migrate_request *request,
                        struct request_places *ret_places, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < request->n_wishes && r == 0; i++) {
        const char *to = request->wishes[i].to;

        if (uuid_is_valid(to))
            (void)str_copy(ret_places->sd[i], UUID_SIZE, to);
        else if (place_is_outside(to))
            ret_places->sd[i][0] = '\0';
        else
            r = API_PORT(call, storage, domain_find, to, ret_places->sd[i],
                         err);
    }
    return r;
}

/* A disk from or to outside always has a format: the plan's choice when none
 * was asked for. */
static bool same_format(const struct migrate_wish *wish,
                        const struct job_disk *disk)
{
    if (!wish->convert)
        return !disk->convert || disk->base_cow || job_disk_is_flat(disk);
    return disk->convert && wish->base_cow == disk->base_cow;
}

static bool is_wish(const struct migrate_wish *wish, const char *sd,
                    const struct job_disk *disk)
{
    return (str_equal(wish->disk, disk->target) ||
            str_equal(wish->disk, disk->img) ||
            str_equal(wish->disk, disk->src_path) ||
            str_equal(wish->disk, disk->dst_path)) &&
           str_equal(sd, disk->dst_sd) &&
           (sd[0] || str_equal(wish->to, disk->dst_path)) &&
           same_format(wish, disk);
}

bool request_is(const struct migrate_request *request,
                const struct request_places *places, const struct job *job)
{
    bool same = job->kind == JOB_DISK_MIGRATE &&
                (str_equal(request->vm, job->vm) ||
                 str_equal(request->vm, job->vm_name)) &&
                request->n_wishes == job->n_disks &&
                (!request->choose || request->strategy == job->strategy) &&
                request->keep_source == job->keep_source &&
                request->verify == job->verify && request->fast == job->fast;

    for (size_t i = 0; same && i < job->n_disks; i++)
        same = is_wish(&request->wishes[i], places->sd[i], &job->disks[i]);
    return same;
}
