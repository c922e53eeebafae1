/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Job.info says, for people.
 */
#include "jobview.h"
#include "json.h"
#include "units.h"
#include <dray/base/util.h>
#include <string.h>

/* In both states the mirror runs; what differs matters only to drayd. */
static const char *phase_of(const char *state)
{
    if (str_equal(state, "syncing") || str_equal(state, "converging"))
        return "mirroring";
    return state;
}

static struct progress read_progress(struct json_object *job)
{
    struct json_object *progress = json_member(job, "progress");
    return (struct progress){
        .phase = phase_of(json_text(job, "state")),
        .done = json_u64(progress, "done"),
        .total = json_u64(progress, "total"),
        .rate = json_u64(progress, "rate"),
        .eta_s = json_i64(progress, "eta", -1),
    };
}

struct jobview jobview_read(struct json_object *job)
{
    int64_t ended_ms = json_i64(job, "ended", 0);
    struct jobview view = {
        .id = json_text(job, "id"),
        .state = json_text(job, "state"),
        .vm = json_text(json_member(job, "vm"), "vmName"),
        .disk = json_text(job, "disk"),
        .warning = json_text(job, "warning"),
        .progress = read_progress(job),
        .pause_ms = json_double(json_member(job, "progress"), "pauseMs", -1),
        .duration_ms = -1,
        .ended = ended_ms > 0,
        .keep_source = json_flag(job, "keepSource"),
    };
    if (view.ended)
        view.duration_ms = ended_ms - json_i64(job, "created", ended_ms);
    return view;
}

static void summarize_move(const struct jobview *view, char *text)
{
    char size[UNITS_TEXT_SIZE];
    char time[UNITS_TEXT_SIZE];
    size_t n = 0;
    (void)str_format(text, JOBVIEW_TEXT_SIZE, "moved %s",
                     units_size(view->progress.total, size));
    n = strlen(text);
    if (view->duration_ms >= 0)
        (void)str_format(text + n, JOBVIEW_TEXT_SIZE - n, " in %s",
                         units_time((view->duration_ms + 500) / 1000, time));
    n = strlen(text);
    if (view->pause_ms >= 0)
        (void)str_format(text + n, JOBVIEW_TEXT_SIZE - n,
                         ", guest paused %.*f ms", view->pause_ms < 10 ? 1 : 0,
                         view->pause_ms);
    n = strlen(text);
    (void)str_format(text + n, JOBVIEW_TEXT_SIZE - n, ", source %s",
                     view->keep_source || view->warning[0] ? "kept"
                                                           : "deleted");
}

void jobview_summary(const struct jobview *view,
                     char ret_text[JOBVIEW_TEXT_SIZE])
{
    if (str_equal(view->state, "done"))
        summarize_move(view, ret_text);
    else
        (void)str_format(ret_text, JOBVIEW_TEXT_SIZE,
                         "job %s: %s; the disk stays where it was", view->id,
                         view->state);
}

int jobview_exit(const struct jobview *view)
{
    if (str_equal(view->state, "done"))
        return CLI_OK;
    return str_equal(view->state, "cancelled") ? CLI_CANCELLED : CLI_FAILED;
}

bool jobview_error(struct json_object *job, struct err *ret_err)
{
    struct json_object *error = json_member(job, "error");
    const char *message = json_text(error, "message");
    const char *phase = json_text(error, "phase");
    const char *next = json_text(error, "next");
    if (!message[0])
        return false;
    (void)err_set(ret_err, -1, "%s", message);
    if (phase[0])
        (void)err_wrap(ret_err, "%s", phase);
    if (next[0])
        (void)err_next(ret_err, "%s", next);
    return true;
}
