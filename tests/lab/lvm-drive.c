/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Drives a dray-lvm through the front door, for the lab's tests, which tell it
 * what to do on stdin:
 *
 *   extend LV BYTES          reduce LV BYTES         create LV BYTES [TAG...]
 *   remove|activate|deactivate|refresh LV...         tag LV +TAG|-TAG...
 *   lvs | vg | pvs           pid                     wait
 *   sleep MS                  vgcreate [TAG...]      vgremove
 *
 * Commands run side by side, one thread each; "wait" waits for all before it.
 * Each answers with one line: its number, its verb, milliseconds, then "ok ..."
 * or "error CODE TEXT".
 *
 * usage: lvm-drive PROGRAM RUN_DIR VG DEVICE[,DEVICE] [LEASE_PATH LOCKSPACE]
 */
#include <dray/base/util.h>
#include <dray/lvm.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

enum {
    WORDS_MAX = 64,
    THREADS_MAX = 512,
    DEADLINE_MS = 300 * 1000,
    LEASE_OFFSET = 1024 * 1024,
};

struct task {
    struct lvm *lvm;
    const struct lvm_options *options;
    unsigned number;
    char *line;
    const char *words[WORDS_MAX];
    size_t n;
    pthread_t thread;
};

struct result {
    int64_t started_ms;
    struct err err;
    char text[512 * 1024];
};

static void put(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct result *result, const char *format, ...)
{
    size_t used = strlen(result->text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(result->text + used, sizeof(result->text) - used, format,
                    args);
    va_end(args);
}

static uint64_t number(const char *word)
{
    uint64_t value = 0;
    return word && str_to_u64(word, &value) == 0 ? value : 0;
}

static void do_tag(struct task *task, int64_t deadline_ms,
                   struct result *result)
{
    const char *add[WORDS_MAX], *remove[WORDS_MAX];
    struct lvm_names adds = { .names = add }, removes = { .names = remove };
    struct lvm_names lvs = { .names = &task->words[1], .n = 1 };
    for (size_t i = 2; i < task->n; i++) {
        if (task->words[i][0] == '+')
            add[adds.n++] = task->words[i] + 1;
        else
            remove[removes.n++] = task->words[i] + 1;
    }
    if (str_equal(task->words[1], "."))
        lvs.n = 0;
    (void)lvm_tag(task->lvm, lvs, adds, removes, deadline_ms, &result->err);
}

static void do_size(struct task *task, int64_t deadline_ms,
                    struct result *result)
{
    uint64_t bytes = 0;
    uint64_t wanted = number(task->words[2]);
    if (task->words[0][0] == 'e')
        (void)lvm_extend(task->lvm, task->words[1], wanted, deadline_ms, &bytes,
                         &result->err);
    else
        (void)lvm_reduce(task->lvm, task->words[1], wanted, deadline_ms, &bytes,
                         &result->err);
    put(result, "%" PRIu64, bytes);
}

static void do_create(struct task *task, int64_t deadline_ms,
                      struct result *result)
{
    const struct lvm_create what = {
        .lv = task->words[1],
        .size_bytes = number(task->words[2]),
        .tags = &task->words[3],
        .n_tags = task->n - 3,
    };
    (void)lvm_create(task->lvm, &what, deadline_ms, &result->err);
}

/* V5's own numbers but for the size of the metadata areas. */
static void do_vg(struct task *task, int64_t deadline_ms, struct result *result)
{
    const struct lvm_options *options = task->options;
    const struct lvm_vg_create what = {
        .vg = options->vg,
        .devices = options->devices,
        .n_devices = options->n_devices,
        .tags = &task->words[1],
        .n_tags = task->n - 1,
        .extent_bytes = 128ULL * 1024 * 1024,
        .mda_bytes = 16ULL * 1024 * 1024,
    };
    if (str_equal(task->words[0], "vgcreate"))
        (void)lvm_vg_create(&what, deadline_ms, &result->err);
    else
        (void)lvm_vg_remove(options->vg, options->devices, options->n_devices,
                            deadline_ms, &result->err);
}

static void put_lvs(struct result *result, const struct lvm_report *report)
{
    for (size_t i = 0; i < report->n_lvs; i++) {
        const struct lvm_lv *lv = &report->lvs[i];
        put(result, " %s:%" PRIu64 ":%s%s%s%s", lv->name, lv->size_bytes,
            lv->writable ? "w" : "", lv->active ? "a" : "", lv->open ? "o" : "",
            lv->suspended ? "s" : "");
        for (size_t k = 0; k < lv->n_tags; k++)
            put(result, ":%s", lv->tags[k]);
    }
}

static void do_report(struct task *task, int64_t deadline_ms,
                      struct result *result)
{
    struct lvm_report report = { .n_lvs = 0 };
    const char *verb = task->words[0];
    unsigned what = verb[0] == 'l'   ? LVM_LVS
                    : verb[0] == 'v' ? LVM_VG
                                     : LVM_PVS;
    if (lvm_report(task->lvm, what, deadline_ms, &report, &result->err) < 0)
        return;
    put_lvs(result, &report);
    if (what == LVM_VG)
        put(result, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
            report.vg.name, report.vg.size_bytes, report.vg.free_bytes,
            report.vg.extent_bytes, report.vg.seqno);
    for (size_t i = 0; i < report.vg.n_tags; i++)
        put(result, " %s", report.vg.tags[i]);
    for (size_t i = 0; i < report.n_pvs; i++)
        put(result, " %s:%" PRIu64, report.pvs[i].name,
            report.pvs[i].size_bytes);
    lvm_report_deinit(&report);
}

static void do_names(struct task *task, int64_t deadline_ms,
                     struct result *result)
{
    static const struct {
        const char *verb;
        int (*call)(struct lvm *, struct lvm_names, int64_t, struct err *);
    } verbs[] = {
        {"remove",      lvm_remove    },
        { "activate",   lvm_activate  },
        { "deactivate", lvm_deactivate},
        { "refresh",    lvm_refresh   },
    };
    const struct lvm_names lvs = { .names = &task->words[1], .n = task->n - 1 };
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (str_equal(task->words[0], verbs[i].verb)) {
            (void)verbs[i].call(task->lvm, lvs, deadline_ms, &result->err);
            return;
        }
    }
    (void)err_set(&result->err, -EINVAL, "no such verb");
}

static void do_task(struct task *task, struct result *result)
{
    int64_t deadline_ms = time_now_ms() + DEADLINE_MS;
    const char *verb = task->words[0];
    if (str_equal(verb, "extend") || str_equal(verb, "reduce"))
        do_size(task, deadline_ms, result);
    else if (str_equal(verb, "create") && task->n >= 3)
        do_create(task, deadline_ms, result);
    else if (str_equal(verb, "tag") && task->n >= 3)
        do_tag(task, deadline_ms, result);
    else if (str_equal(verb, "lvs") || str_equal(verb, "vg") ||
             str_equal(verb, "pvs"))
        do_report(task, deadline_ms, result);
    else if (str_starts_with(verb, "vg") && !str_equal(verb, "vg"))
        do_vg(task, deadline_ms, result);
    else if (str_equal(verb, "sleep"))
        (void)usleep((useconds_t)number(task->words[1]) * 1000);
    else if (str_equal(verb, "pid"))
        put(result, "%d", lvm_pid(task->lvm));
    else
        do_names(task, deadline_ms, result);
}

static void *run_task(void *arg)
{
    struct task *task = arg;
    struct result *result = calloc(1, sizeof(*result));
    if (!result)
        abort();
    result->err = (struct err)ERR_INIT;
    result->started_ms = time_now_ms();
    do_task(task, result);
    int64_t ms = time_now_ms() - result->started_ms;
    if (result->err.rc < 0)
        printf("%u %s %" PRId64 " error %d %s\n", task->number, task->words[0],
               ms, (int)result->err.code, result->err.message);
    else
        printf("%u %s %" PRId64 " ok %s\n", task->number, task->words[0], ms,
               result->text);
    (void)fflush(stdout);
    free(result);
    return NULL;
}

static size_t split(char *text, const char *separators, const char **words,
                    size_t max)
{
    char *rest = NULL;
    size_t n = 0;
    for (char *word = strtok_r(text, separators, &rest); word && n < max;
         word = strtok_r(NULL, separators, &rest))
        words[n++] = word;
    return n;
}

static struct task *start_task(struct lvm *lvm,
                               const struct lvm_options *options,
                               const char *line, unsigned number_of_task)
{
    struct task *task = calloc(1, sizeof(*task));
    if (!task)
        abort();
    task->lvm = lvm;
    task->options = options;
    task->number = number_of_task;
    task->line = strdup(line);
    task->n = split(task->line, " \n", task->words, WORDS_MAX);
    if (task->n == 0 || pthread_create(&task->thread, NULL, run_task, task))
        abort();
    return task;
}

static void join_tasks(struct task **tasks, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        (void)pthread_join(tasks[i]->thread, NULL);
        free(tasks[i]->line);
        free(tasks[i]);
    }
    *n = 0;
}

static void run_lines(struct lvm *lvm, const struct lvm_options *options)
{
    static struct task *tasks[THREADS_MAX];
    char line[8192];
    unsigned count = 0;
    size_t n = 0;
    while (fgets(line, sizeof(line), stdin)) {
        if (str_equal(line, "wait\n") || n == THREADS_MAX)
            join_tasks(tasks, &n);
        if (!str_equal(line, "wait\n"))
            tasks[n++] = start_task(lvm, options, line, ++count);
    }
    join_tasks(tasks, &n);
}

int main(int argc, char **argv)
{
    const char *devices[WORDS_MAX];
    struct lease_place lease = {
        .resource = "SDM",
        .offset = LEASE_OFFSET,
        .block_size = 512,
        .alignment = LEASE_OFFSET,
    };
    struct err err = ERR_INIT;
    struct lvm *lvm = NULL;
    if (argc < 5)
        return 2;
    struct lvm_options options = {
        .program = argv[1],
        .run_dir = argv[2],
        .vg = argv[3],
        .devices = devices,
        .n_devices = split(argv[4], ",", devices, WORDS_MAX),
    };
    if (argc == 7) {
        (void)str_copy(lease.path, sizeof(lease.path), argv[5]);
        (void)str_copy(lease.lockspace, sizeof(lease.lockspace), argv[6]);
        options.lease = &lease;
    }
    if (lvm_open(&options, &lvm, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    run_lines(lvm, &options);
    lvm_close(lvm);
    return 0;
}
