/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Job.info says, for people.
 */
#include "jobview.h"
#include "json.h"
#include "units.h"
#include <dray/base/util.h>
#include <string.h>

/* What people call it. A VM that goes to another host sends its disks, then
 * its memory. */
static const char *phase_of(struct json_object *job)
{
    const char *state = json_text(job, "state");
    bool sends = str_equal(json_text(job, "kind"), "vm_migrate") &&
                 str_equal(state, "converging");
    if (sends)
        return json_member(json_member(job, "progress"), "memory")
                   ? "memory"
                   : "disks";
    if (str_equal(state, "syncing"))
        return "copying";
    if (str_equal(state, "converging"))
        return "mirroring";
    return state;
}

static struct progress read_progress(struct json_object *job)
{
    struct json_object *progress = json_member(job, "progress");
    return (struct progress){
        .phase = phase_of(job),
        .done = json_u64(progress, "done"),
        .total = json_u64(progress, "total"),
        .rate = json_u64(progress, "rate"),
        .eta_s = json_i64(progress, "eta", -1),
    };
}

/* Where a disk was that came from outside of all domains; "" when it did not.
 */
static const char *outside_of(struct json_object *job)
{
    struct json_object *source = json_member(job, "source");
    return json_text(source, "domainID")[0] ? "" : json_text(source, "path");
}

struct jobview jobview_read(struct json_object *job)
{
    struct json_object *progress = json_member(job, "progress");
    int64_t ended_ms = json_i64(job, "ended", 0);
    struct jobview view = {
        .id = json_text(job, "id"),
        .kind = json_text(job, "kind"),
        .state = json_text(job, "state"),
        .vm = json_text(json_member(job, "vm"), "vmName"),
        .outside = outside_of(job),
        .warning = json_text(job, "warning"),
        .progress = read_progress(job),
        .pause_ms = json_double(progress, "pauseMs", -1),
        .duration_ms = -1,
        .ended = ended_ms > 0,
        .keep_source = json_flag(job, "keepSource"),
    };
    if (view.ended)
        view.duration_ms = ended_ms - json_i64(job, "created", ended_ms);
    return view;
}

static const char *disk_name(struct json_object *disk)
{
    const char *target = json_text(disk, "disk");
    const char *image = json_text(json_member(disk, "source"), "imageID");
    return target[0] ? target : image;
}

void jobview_disks(struct json_object *job, char ret_text[JOBVIEW_TEXT_SIZE])
{
    struct json_object *disks = json_member(job, "disks");
    size_t n = disks ? json_object_array_length(disks) : 0;
    (void)str_copy(ret_text, JOBVIEW_TEXT_SIZE, disk_name(job));
    for (size_t i = 1; i < n; i++) {
        size_t used = strlen(ret_text);
        (void)str_format(ret_text + used, JOBVIEW_TEXT_SIZE - used, ",%s",
                         disk_name(json_object_array_get_idx(disks, i)));
    }
}

static const char *latency(double ms, char text[UNITS_TEXT_SIZE])
{
    if (ms < 0)
        return "-";
    (void)str_format(text, UNITS_TEXT_SIZE, "%.2f ms", ms);
    return text;
}

bool jobview_latency(struct json_object *job, char ret_text[JOBVIEW_TEXT_SIZE])
{
    struct json_object *progress = json_member(job, "progress");
    double before = json_double(progress, "quietWriteMs", -1);
    double during = json_double(progress, "writeMs", -1);
    char quiet[UNITS_TEXT_SIZE];
    char busy[UNITS_TEXT_SIZE];
    (void)str_format(ret_text, JOBVIEW_TEXT_SIZE, "%s before, %s during",
                     latency(before, quiet), latency(during, busy));
    return before >= 0 || during >= 0;
}

static void append(char *text, const char *more)
{
    size_t n = strlen(text);
    (void)str_format(text + n, JOBVIEW_TEXT_SIZE - n, "%s", more);
}

static void append_size_and_time(const struct jobview *view, char *text)
{
    char part[UNITS_TEXT_SIZE];
    append(text, units_size(view->progress.total, part));
    if (view->duration_ms < 0)
        return;
    append(text, " in ");
    append(text, units_time((view->duration_ms + 500) / 1000, part));
}

static void append_source(const struct jobview *view, char *text)
{
    if (view->outside[0]) {
        append(text, ", the source is left: ");
        append(text, view->outside);
        return;
    }
    append(text, view->keep_source || view->warning[0] ? ", source kept"
                                                       : ", source deleted");
}

static bool is_move(const struct jobview *view)
{
    return !view->kind[0] || str_equal(view->kind, "disk_migrate");
}

static void summarize_move(const struct jobview *view, char *text)
{
    char pause[UNITS_TEXT_SIZE];
    (void)str_copy(text, JOBVIEW_TEXT_SIZE, "moved ");
    append_size_and_time(view, text);
    if (view->pause_ms >= 0) {
        (void)str_format(pause, sizeof(pause), ", guest paused %.*f ms",
                         view->pause_ms < 10 ? 1 : 0, view->pause_ms);
        append(text, pause);
    }
    append_source(view, text);
}

void jobview_summary(const struct jobview *view,
                     char ret_text[JOBVIEW_TEXT_SIZE])
{
    bool move = is_move(view);
    bool done = str_equal(view->state, "done");
    if (done && move) {
        summarize_move(view, ret_text);
    } else if (done) {
        (void)str_format(ret_text, JOBVIEW_TEXT_SIZE, "%s done: ", view->kind);
        append_size_and_time(view, ret_text);
    } else {
        (void)str_format(ret_text, JOBVIEW_TEXT_SIZE, "job %s: %s%s", view->id,
                         view->state,
                         move ? "; the disk stays where it was" : "");
    }
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
