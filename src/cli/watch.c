/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Follows a job by asking four times a second: no event is replayed after a
 * reconnect, an answer always tells all. Before that it waits a second for the
 * end: some jobs are over in a blink, and to ask for that again and again would
 * take time from them.
 *
 * drayd may be restarted while a migration runs: the mirror goes on in qemu,
 * and drayd finds its job again. So a lost connection is no end of a watch; it
 * is made again for half a minute.
 */
#include "watch.h"
#include "jobview.h"
#include "json.h"
#include <dray/base/util.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    POLL_MS = 250,
    BLINK_S = 1,
    RECONNECT_MS = 30000,
    DEFAULT_WIDTH = 80,
};

/* Only a signal handler's flag has to be global. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void watch_catch_interrupt(void)
{
    /* Once: a second Ctrl-C ends drayctl whatever it waits for. No
     * SA_RESTART, so that a call in progress is left. */
    struct sigaction action = { .sa_handler = on_interrupt,
                                .sa_flags = (int)SA_RESETHAND };
    interrupted = 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL); /* cannot fail: valid */
}

bool watch_is_interrupted(void)
{
    return interrupted;
}

int watch_left(const char *job_id)
{
    (void)fprintf(stderr,
                  "drayctl: job %s goes on; watch it with 'drayctl job watch "
                  "%.8s', stop it with 'drayctl job cancel %.8s'\n",
                  job_id, job_id, job_id);
    return CLI_INTERRUPTED;
}

struct watch {
    struct cli *cli;
    const char *job_id;
    bool tty;
    bool line_open; /* a line that is being redrawn */
    struct progress_pace pace;
    int64_t lost_ms; /* no answer since then; 0: answered */
};

static size_t terminal_width(void)
{
    struct winsize size = { 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return DEFAULT_WIDTH;
    return size.ws_col;
}

static void redraw(struct watch *watch, const struct progress *progress)
{
    char line[PROGRESS_LINE_SIZE];
    /* The last column stays free: some terminals wrap there at once. */
    progress_bar_line(progress, terminal_width() - 1, line);
    (void)printf("\r%s\033[K", line); /* and clear what stood behind it */
    (void)fflush(stdout);
    watch->line_open = true;
}

static void draw(struct watch *watch, const struct progress *progress)
{
    char line[PROGRESS_LINE_SIZE];
    if (watch->cli->json)
        return;
    if (watch->tty) {
        redraw(watch, progress);
        return;
    }
    if (!progress_is_due(&watch->pace, progress->phase, time_now_ms()))
        return;
    progress_plain_line(progress, line);
    (void)puts(line);
    (void)fflush(stdout);
}

static void end_line(struct watch *watch)
{
    if (watch->line_open)
        (void)putchar('\n');
    watch->line_open = false;
    (void)fflush(stdout); /* before anything on stderr */
}

static int finish(struct watch *watch, struct json_object *job,
                  const struct jobview *view)
{
    char text[JOBVIEW_TEXT_SIZE];
    struct err err = ERR_INIT;
    int rc = jobview_exit(view);
    end_line(watch);
    if (watch->cli->json) {
        show_json(job);
    } else if (rc == CLI_FAILED && jobview_error(job, &err)) {
        cli_complain(&err);
    } else {
        jobview_summary(view, text);
        (void)puts(text);
    }
    if (view->warning[0])
        (void)fprintf(stderr, "drayctl: warning: %s\n", view->warning);
    return rc;
}

/* A daemon that is away. True: try again. */
static bool may_come_back(struct watch *watch, int rc)
{
    int64_t now_ms = time_now_ms();
    if (rc != CLI_UNREACHABLE)
        return false;
    if (watch->lost_ms == 0)
        watch->lost_ms = now_ms;
    if (now_ms - watch->lost_ms > RECONNECT_MS)
        return false;
    const struct progress waiting = { .phase = "waiting for drayd",
                                      .eta_s = -1 };
    draw(watch, &waiting);
    return true;
}

static int ask(struct watch *watch, bool wait, struct json_object **ret_job,
               struct err *err)
{
    struct json_object *params = JSON_STRINGS("jobID", watch->job_id);
    if (wait)
        json_add_u64(params, "timeout", BLINK_S);
    return cli_try(watch->cli, wait ? "Job.wait" : "Job.info", params, ret_job,
                   err);
}

/* One look at the job. -1: go on. @wait: it may end first. */
static int look(struct watch *watch, bool wait)
{
    _cleanup_json_ struct json_object *job = NULL;
    struct err err = ERR_INIT;
    int rc = ask(watch, wait, &job, &err);
    if (rc == CLI_INTERRUPTED || may_come_back(watch, rc))
        return -1;
    if (rc) {
        end_line(watch);
        cli_complain(&err);
        return rc;
    }
    watch->lost_ms = 0;
    struct jobview view = jobview_read(job);
    if (view.ended)
        return finish(watch, job, &view);
    draw(watch, &view.progress);
    return ferror(stdout) ? CLI_FAILED : -1;
}

int watch_job(struct cli *cli, const char *job_id)
{
    struct watch watch = {
        .cli = cli,
        .job_id = job_id,
        .tty = isatty(STDOUT_FILENO),
    };
    for (unsigned looks = 0;; looks++) {
        int rc = interrupted ? CLI_INTERRUPTED : look(&watch, looks == 1);
        if (rc == CLI_INTERRUPTED) {
            end_line(&watch);
            return watch_left(job_id);
        }
        if (rc >= 0)
            return rc;
        if (looks > 0)
            (void)poll(NULL, 0, POLL_MS); /* a signal ends it early */
    }
}
