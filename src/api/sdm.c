/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SDM.*, as VDSM has it: the copying of what an engine has made, and changes of
 * a volume's record. Each answers when its job is in the journal.
 */
#include "params.h"
#include "step.h"

#include <dray/managed.h>
#include <json-c/json.h>
#include <string.h>

static int answer_true(struct api_call *call, const char *job_id,
                       struct err *err)
{
    (void)call; /* no result is true */
    (void)job_id;
    (void)err;
    return 0;
}

static const struct wait_kind gives_true = { .over = wait_is_recorded,
                                             .answer = answer_true };

/* --- volumes ----------------------------------------------------------- */

static void take_text(const struct params *params, const char *name, char *to,
                      size_t size)
{
    const char *text = params_text(params, name);

    (void)str_copy(to, size, text ? text : ""); /* checked: it fits */
}

static void take_generation(const struct params *params, struct job_end *end)
{
    end->checked = params_has(params, "generation");
    if (end->checked)
        end->generation = (unsigned)params_number(params, "generation");
}

static int take_volume(const struct params *params, const char *name,
                       struct volume_id *id, struct err *err)
{
    take_text(params, "sd_id", id->sd, UUID_SIZE);
    take_text(params, "img_id", id->img, UUID_SIZE);
    take_text(params, "vol_id", id->vol, UUID_SIZE);
    if (id->sd[0] && id->img[0] && id->vol[0])
        return 0;
    return err_set_code(err, ERR_PARAMS,
                        "%s: a volume (div) needs sd_id, img_id and vol_id",
                        name);
}

/* --- endpoints --------------------------------------------------------- */

/* What of a request one end is. */
struct end {
    const char *name;
    struct volume_id *id;
    char *path; /* JOB_PATH_SIZE */
    struct job_end *end;
};

static int take_format(const struct params *params, const struct end *to,
                       struct err *err)
{
    const char *format = params_text(params, "format");

    if (!format)
        return err_set_code(err, ERR_PARAMS,
                            "%s: what is outside of domains needs its format",
                            to->name);
    to->end->cow = str_equal(format, "qcow2");
    return 0;
}

static int take_outside(const struct params *params, const struct end *to,
                        struct err *err)
{
    const char *url = params_text(params, "url");
    const char *problem = url ? place_url_problem(url) : "is missing";
    char shown[SHOWN_SIZE];

    if (problem)
        return err_set_code(err, ERR_PARAMS, "%s.url: %s %s", to->name,
                            check_shown(url ? url : "", shown), problem);
    (void)str_copy(to->path, JOB_PATH_SIZE, url); /* checked: it fits */
    return take_format(params, to, err);
}

static int take_managed(struct api_call *call, const struct params *params,
                        const struct end *to, struct err *err)
{
    const char *vol = params_text(params, "vol_id");
    const char *sd = params_text(params, "sd_id");
    struct managed_volume volume;

    if (!vol)
        return err_set_code(err, ERR_PARAMS,
                            "%s: a managed volume needs vol_id", to->name);
    if (!call->api->options.managed)
        return err_set_code(err, ERR_MANAGED_NONE,
                            "this drayd has no table of managed volumes");
    int r = managed_find(call->api->options.managed, sd ? sd : UUID_BLANK, vol,
                         &volume, err);
    if (r < 0)
        return r;
    (void)str_copy(to->path, JOB_PATH_SIZE, volume.path); /* as long */
    return take_format(params, to, err);
}

static void take_lease(const struct params *params, struct job_end *end)
{
    const struct params *lease = NULL;

    if (params_count(params, "lease") == 0)
        return;
    lease = params_item(params, "lease", 0);
    take_text(lease, "sd_id", end->lease_sd, UUID_SIZE);
    take_text(lease, "lease_id", end->lease, UUID_SIZE);
}

static int take_end(struct api_call *call, const struct end *to,
                    struct err *err)
{
    const struct params *params = params_item(call->params, to->name, 0);
    const char *type = params_text(params, "endpoint_type");

    take_lease(params, to->end);
    take_generation(params, to->end);
    if (str_equal(type, "external"))
        return take_outside(params, to, err);
    if (str_equal(type, "managed"))
        return take_managed(call, params, to, err);
    to->end->prepared = params_flag(params, "prepared");
    return take_volume(params, to->name, to->id, err);
}

static int take_ends(struct api_call *call, struct migrate_ask *ask,
                     struct err *err)
{
    struct migrate_ask_disk *disk = &ask->disks[0];
    const struct end from = { "source", &disk->at, disk->src_path,
                              &ask->data.src };
    const struct end to = { "destination", &disk->to, disk->dst_path,
                            &ask->data.dst };
    const struct params *params = params_item(call->params, "destination", 0);
    int r = take_end(call, &from, err);

    if (r == 0)
        r = take_end(call, &to, err);
    if (r < 0 || disk->to.sd[0])
        return r;
    /* A managed volume is there. */
    ask->data.make =
        params_flag(params, "create") &&
        !str_equal(params_text(params, "endpoint_type"), "managed");
    ask->data.is_zero = params_flag(params, "is_zero");
    return 0;
}

static int begin_data(struct api_call *call, enum job_kind kind,
                      struct err *err)
{
    struct step *step = step_new(call, kind, "job_id", &gives_true, err);

    if (!step)
        return err->rc;
    step->ask.data.legality = step->ask.data.generation = -1;
    step->ask.data.bitmaps = params_flag(call->params, "copy_bitmaps");
    step->ask.limit = params_number(call->params, "limit");
    step->ask.verify =
        kind == JOB_MOVE_DATA || params_flag(call->params, "verify");
    int r = take_ends(call, &step->ask, err);
    return r < 0 ? r : step_before(call, err);
}

int verb_sdm_copy_before(struct api_call *call, struct err *err)
{
    return begin_data(call, JOB_COPY_DATA, err);
}

int verb_sdm_move_before(struct api_call *call, struct err *err)
{
    return begin_data(call, JOB_MOVE_DATA, err);
}

/* --- records ----------------------------------------------------------- */

/* As much of it as a record takes, in whole characters. */
static void take_description(struct job_data *data, const char *text)
{
    size_t n = strlen(text);

    data->describe = true;
    if (n >= sizeof(data->description)) {
        n = sizeof(data->description) - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(data->description, text, n);
    data->description[n] = '\0';
}

static int take_changes(const struct params *attr, struct job_data *data,
                        struct err *err)
{
    const char *legality = params_text(attr, "legality");
    const char *text = params_text(attr, "description");

    data->legality = data->generation = -1;
    if (legality)
        data->legality =
            str_equal(legality, "LEGAL") ? VOLUME_LEGAL : VOLUME_ILLEGAL;
    if (params_has(attr, "generation"))
        data->generation = (int)params_number(attr, "generation");
    if (text)
        take_description(data, text);
    data->share = params_text(attr, "type") != NULL;
    if (legality || data->generation >= 0 || data->describe || data->share)
        return 0;
    return err_set_code(err, ERR_PARAMS, "vol_attr: nothing is to be changed");
}

int verb_sdm_update_before(struct api_call *call, struct err *err)
{
    const struct params *volume = params_item(call->params, "vol_info", 0);
    const struct params *attr = params_item(call->params, "vol_attr", 0);
    struct step *step = step_new(call, JOB_UPDATE, "job_id", &gives_true, err);

    if (!step)
        return err->rc;
    step->ask.data.src.prepared = true; /* nothing is activated for it */
    take_generation(volume, &step->ask.data.src);
    int r = take_volume(volume, "vol_info", &step->ask.disks[0].at, err);
    if (r == 0)
        r = take_changes(attr, &step->ask.data, err);
    return r < 0 ? r : step_before(call, err);
}
