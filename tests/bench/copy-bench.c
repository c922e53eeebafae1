/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies or compares two files through the copier port, as a job does, and
 * says what came of it: seconds, mover, bytes. For measurements and for the
 * integration tests of copies.
 *
 * usage: copy-bench [OPTION...] SRC DST [SRC_FORMAT [DST_FORMAT]]
 *   --compare  --probe (DST is a directory)  --resumable  --forget
 *   --limit BYTES_PER_S  --state DIR --key KEY  --qemu-img PATH
 *   --parent NAME  --src-parent-format FORMAT  --dst-parent-format FORMAT
 * A DST that is missing is made as an empty file. Exit status 1: it failed.
 */
#include <dray/copy.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <time.h>

enum mode {
    MODE_RUN,
    MODE_PROBE,
    MODE_RESUMABLE,
    MODE_FORGET,
};

enum option_code {
    OPTION_COMPARE = 256,
    OPTION_PROBE,
    OPTION_RESUMABLE,
    OPTION_FORGET,
    OPTION_LIMIT,
    OPTION_STATE,
    OPTION_KEY,
    OPTION_QEMU_IMG,
    OPTION_PARENT,
    OPTION_SRC_PARENT_FORMAT,
    OPTION_DST_PARENT_FORMAT,
};

struct bench {
    enum mode mode;
    const char *qemu_img;
    const char *state_dir;
    struct copier_port port;
    struct copy_spec spec;
};

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int complain(const struct err *err)
{
    (void)fprintf(stderr, "copy-bench: %d %s%s%s\n", (int)err->code,
                  err->message, err->next[0] ? "; " : "", err->next);
    return 1;
}

static enum volume_format format_of(const char *name)
{
    return strcmp(name, "raw") == 0 ? VOLUME_RAW : VOLUME_COW;
}

static int await(const struct bench *bench, struct copy *copy)
{
    struct copy_progress progress = { 0 };
    struct err err = ERR_INIT;
    double since_s = now_s();
    for (;;) {
        bench->port.ops->poll(bench->port.ctx, copy, &progress, &err);
        if (progress.finished)
            break;
        (void)poll(NULL, 0, 1); /* the port has no event */
    }
    double seconds = now_s() - since_s;
    bench->port.ops->close(bench->port.ctx, copy);
    if (progress.result)
        return complain(&err);
    (void)printf("%.4f %s %llu\n", seconds, copy_mover_name(progress.mover),
                 (unsigned long long)progress.total);
    return 0;
}

static int make_if_missing(const char *path)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0)
        return 0;
    (void)fprintf(stderr, "copy-bench: %s: %m\n", path);
    return 1;
}

static int run(const struct bench *bench)
{
    struct copy *copy = NULL;
    struct err err = ERR_INIT;
    if (make_if_missing(bench->spec.dst_path))
        return 1;
    int rc = bench->port.ops->start(bench->port.ctx, &bench->spec, &copy, &err);
    return rc ? complain(&err) : await(bench, copy);
}

static int probe(const struct bench *bench)
{
    enum copy_mover mover = COPY_BY_DIRECT;
    struct err err = ERR_INIT;
    int rc = bench->port.ops->probe(bench->port.ctx, bench->spec.src_path,
                                    bench->spec.dst_path, &mover, &err);
    if (rc)
        return complain(&err);
    (void)puts(copy_mover_name(mover));
    return 0;
}

static int act(const struct bench *bench)
{
    switch (bench->mode) {
    case MODE_PROBE:
        return probe(bench);
    case MODE_RESUMABLE:
        (void)puts(bench->port.ops->resumable(bench->port.ctx, &bench->spec)
                       ? "yes"
                       : "no");
        return 0;
    case MODE_FORGET:
        bench->port.ops->forget(bench->port.ctx, bench->spec.resume_key);
        return 0;
    case MODE_RUN:
        return run(bench);
    }
    return 2;
}

static int set_option(struct bench *bench, int code)
{
    struct copy_spec *spec = &bench->spec;
    switch (code) {
    case OPTION_COMPARE:
        spec->task = COPY_COMPARE;
        return 0;
    case OPTION_PROBE:
    case OPTION_RESUMABLE:
    case OPTION_FORGET:
        bench->mode = (enum mode)(code - OPTION_PROBE + MODE_PROBE);
        return 0;
    case OPTION_LIMIT:
        return str_to_u64(optarg, &spec->bytes_per_s);
    case OPTION_STATE:
        bench->state_dir = optarg;
        return 0;
    case OPTION_KEY:
        return !str_copy(spec->resume_key, COPY_KEY_SIZE, optarg);
    case OPTION_QEMU_IMG:
        bench->qemu_img = optarg;
        return 0;
    case OPTION_PARENT:
        return !str_copy(spec->dst_backing, UUID_SIZE, optarg);
    case OPTION_SRC_PARENT_FORMAT:
        spec->src_backing_format = format_of(optarg);
        return 0;
    case OPTION_DST_PARENT_FORMAT:
        spec->dst_backing_format = format_of(optarg);
        return 0;
    default:
        return 1;
    }
}

static int parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"compare",      no_argument, NULL, OPTION_COMPARE },
        { "probe",          no_argument, NULL, OPTION_PROBE },
        { "resumable",             no_argument, NULL, OPTION_RESUMABLE },
        { "forget",no_argument, NULL, OPTION_FORGET },
        { "limit",  required_argument, NULL, OPTION_LIMIT },
        { "state",   required_argument, NULL, OPTION_STATE },
        { "key",          required_argument, NULL, OPTION_KEY },
        { "qemu-img",             required_argument, NULL, OPTION_QEMU_IMG },
        { "parent",          required_argument, NULL, OPTION_PARENT },
        { "src-parent-format", required_argument, NULL,
         OPTION_SRC_PARENT_FORMAT },
        { "dst-parent-format",       required_argument, NULL,
         OPTION_DST_PARENT_FORMAT },
        { 0         },
    };
    struct copy_spec *spec = &bench->spec;
    int code = 0;
    while ((code = getopt_long(argc, argv, "", options, NULL)) >= 0)
        if (set_option(bench, code))
            return 1;
    if (argc - optind < 2 || argc - optind > 4)
        return 1;
    const char *src_format = argc - optind > 2 ? argv[optind + 2] : "raw";
    const char *dst_format = argc - optind > 3 ? argv[optind + 3] : src_format;
    spec->src_format = format_of(src_format);
    spec->dst_format = format_of(dst_format);
    return !str_copy(spec->src_path, PATH_MAX, argv[optind]) ||
           !str_copy(spec->dst_path, PATH_MAX, argv[optind + 1]);
}

int main(int argc, char **argv)
{
    struct bench bench = { .qemu_img = "/usr/bin/qemu-img" };
    struct copier *copier = NULL;
    struct err err = ERR_INIT;
    if (parse(&bench, argc, argv)) {
        (void)fputs("usage: copy-bench [OPTION...] SRC DST [SRC_FORMAT "
                    "[DST_FORMAT]]\n",
                    stderr);
        return 2;
    }
    if (copier_new(bench.qemu_img, bench.state_dir, &copier, &err))
        return complain(&err);
    bench.port = copier_port(copier);
    int rc = act(&bench);
    copier_free(copier);
    return rc;
}
