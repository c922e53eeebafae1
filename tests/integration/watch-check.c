/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watermark monitor by hand, for test_watermark.py: the real virt room
 * under it, and a storage of loop devices that grow as a thin LV does, out of
 * one pool. Reads a request per line, words with tabs between; writes a line of
 * JSON for each. usage: watch-check CHUNK_MIB POLL_MS
 */
#include <dray/base/lock.h>
#include <dray/monitor.h>
#include <dray/virt.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

enum {
    ARGS_MAX = 5,
    LINE_SIZE = 8192,
    LVS_MAX = 16
};

static const char domain[] = "11111111-1111-4111-8111-111111111111";

struct lv {
    char device[PATH_MAX];
    char file[PATH_MAX];
};

/* Any thread. */
static struct {
    pthread_mutex_t lock; /* protects what follows */
    struct lv lvs[LVS_MAX];
    unsigned n;
    uint64_t free_bytes;
    struct json_object *events;
    struct json_object *grown; /* devices, in their order */
} world = { .lock = PTHREAD_MUTEX_INITIALIZER, .free_bytes = UINT64_MAX };

static void add_text(struct json_object *object, const char *name,
                     const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *name,
                       uint64_t value)
{
    json_object_object_add(object, name, json_object_new_uint64(value));
}

/* --- storage --- */

static int locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    (void)ctx;
    SCOPED_LOCK(&world.lock);
    for (unsigned i = 0; i < world.n; i++) {
        if (!str_equal(world.lvs[i].device, path))
            continue;
        (void)str_copy(ret_id->sd, UUID_SIZE, domain);
        (void)str_copy(ret_id->img, UUID_SIZE, domain);
        (void)str_format(ret_id->vol, UUID_SIZE,
                         "%08x-1111-4111-8111-111111111111", i);
        return 0;
    }
    return err_set_code(err, ERR_NO_DISK, "%s is none of ours", path);
}

static int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                       struct err *err)
{
    struct domain_info *info = calloc(1, sizeof(*info));
    (void)ctx;
    if (!info)
        return err_set(err, -ENOMEM, "out of memory");
    (void)str_copy(info->sd, UUID_SIZE, domain);
    info->block = true;
    info->extent_bytes = MIB;
    *ret_infos = info;
    *ret_n = 1;
    return 0;
}

static int extend(const struct lv *lv, uint64_t bytes, struct err *err)
{
    _cleanup_close_ int fd = open(lv->device, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || truncate(lv->file, (off_t)bytes) < 0 ||
        ioctl(fd, LOOP_SET_CAPACITY) < 0)
        return err_set(err, -errno, "extend %s: %m", lv->device);
    json_object_array_add(world.grown, json_object_new_string(lv->device));
    return 0;
}

static int volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err)
{
    const struct lv *lv = &world.lvs[strtoul(id->vol, NULL, 16)];
    struct stat st;
    (void)ctx;
    (void)deadline_ms;
    SCOPED_LOCK(&world.lock);
    if (stat(lv->file, &st) < 0)
        return err_set(err, -errno, "stat %s: %m", lv->file);
    uint64_t size = (uint64_t)st.st_size;
    *ret_bytes = bytes > size ? bytes : size;
    if (bytes <= size)
        return 0;
    if (bytes - size > world.free_bytes)
        return err_set_code(err, ERR_NO_SPACE, "the pool has %llu bytes left",
                            (unsigned long long)world.free_bytes);
    world.free_bytes -= bytes - size;
    return extend(lv, bytes, err);
}

/* --- requests --- */

static void on_event(void *arg, const struct monitor_event *event)
{
    static const char *const kinds[] = { "extended", "failed", "paused",
                                         "resumed" };
    struct json_object *object = json_object_new_object();
    (void)arg;
    add_text(object, "kind", kinds[event->kind]);
    add_text(object, "vm", event->vm);
    add_text(object, "target", event->target);
    add_text(object, "text", event->text);
    add_number(object, "size", event->size_bytes);
    add_number(object, "free", event->free_bytes);
    add_number(object, "took_ms", (uint64_t)event->took_ms);
    SCOPED_LOCK(&world.lock);
    json_object_array_add(world.events, object);
}

static void put_events(struct json_object *out)
{
    SCOPED_LOCK(&world.lock);
    json_object_object_add(out, "events", world.events);
    json_object_object_add(out, "grown", json_object_get(world.grown));
    world.events = json_object_new_array();
}

static int put_marks(struct monitor *monitor, struct json_object *out,
                     struct err *err)
{
    static const char *const roles[] = { "replica", "source", "base" };
    _cleanup_free_ struct monitor_mark *marks = NULL;
    struct json_object *array = json_object_new_array();
    size_t n = 0;
    int rc = monitor_marks(monitor, NULL, &marks, &n, err);
    json_object_object_add(out, "marks", array);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct json_object *mark = json_object_new_object();
        add_text(mark, "vm", marks[i].vm);
        add_text(mark, "target", marks[i].target);
        add_text(mark, "role", roles[marks[i].role]);
        add_text(mark, "problem", marks[i].problem);
        add_number(mark, "size", marks[i].size_bytes);
        add_number(mark, "allocation", marks[i].allocation_bytes);
        add_number(mark, "threshold", marks[i].threshold_bytes);
        json_object_array_add(array, mark);
    }
    return rc;
}

static void put_stats(struct monitor *monitor, struct json_object *out)
{
    struct monitor_stats stats;
    monitor_stats(monitor, &stats);
    add_number(out, "extensions", stats.extensions);
    add_number(out, "failures", stats.failures);
    add_number(out, "pauses", stats.pauses);
    add_number(out, "alarms", stats.alarms);
    add_number(out, "polled", stats.polled);
    add_number(out, "max_ms", (uint64_t)stats.max_ms);
}

static void add_lv(const char *device, const char *file)
{
    SCOPED_LOCK(&world.lock);
    struct lv *lv = &world.lvs[world.n++ % LVS_MAX];
    (void)str_copy(lv->device, sizeof(lv->device), device);
    (void)str_copy(lv->file, sizeof(lv->file), file);
}

static void set_free(const char *mib)
{
    SCOPED_LOCK(&world.lock);
    world.free_bytes = strtoul(mib, NULL, 10) * MIB;
}

static int answer(struct monitor *monitor, const char *const *args,
                  struct json_object *out, struct err *err)
{
    const struct watch_port port = monitor_port(monitor);
    if (str_equal(args[0], "lv"))
        add_lv(args[1], args[2]);
    else if (str_equal(args[0], "free"))
        set_free(args[1]);
    else if (str_equal(args[0], "events"))
        put_events(out);
    else if (str_equal(args[0], "stats"))
        put_stats(monitor, out);
    else if (str_equal(args[0], "marks"))
        return put_marks(monitor, out, err);
    else if (str_equal(args[0], "begin"))
        return port.ops->job_begins(port.ctx, args[1], args[2],
                                    args[3][0] ? args[3] : NULL, err);
    else if (str_equal(args[0], "end"))
        port.ops->job_ended(port.ctx, args[1], args[2]);
    else
        return err_set(err, -EINVAL, "no such request: %s", args[0]);
    return 0;
}

static void serve(struct monitor *monitor, char *line)
{
    const char *args[ARGS_MAX] = { "", "", "", "", "" };
    struct json_object *out = json_object_new_object();
    struct err err = ERR_INIT;
    line[strcspn(line, "\n")] = '\0';
    for (unsigned i = 0; i < ARGS_MAX && line; i++)
        args[i] = strsep(&line, "\t");
    int rc = answer(monitor, args, out, &err);
    json_object_object_add(out, "rc", json_object_new_int(rc));
    json_object_object_add(out, "code", json_object_new_int((int)err.code));
    add_text(out, "message", err.message);
    add_text(out, "next", err.next);
    puts(json_object_to_json_string_ext(out, JSON_C_TO_STRING_PLAIN));
    (void)fflush(stdout);
    json_object_put(out);
}

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return time_now_ms();
}

static int start(const struct monitor_options *options, struct virt *virt,
                 struct monitor **ret_monitor, struct err *err)
{
    static const struct storage_ops storage = { .locate = locate,
                                                .domain_list = domain_list,
                                                .volume_grow = volume_grow };
    static const struct clock_ops clock = { .now_ms = now_ms };
    const struct monitor_ports ports = {
        .storage = { .ops = &storage },
        .hypervisor = virt_port(virt),
        .clock = { .ops = &clock },
    };
    return monitor_new(options, &ports, on_event, NULL, ret_monitor, err);
}

int main(int argc, char **argv)
{
    struct monitor_options options = { .policy = watermark_defaults() };
    struct monitor *monitor = NULL;
    struct virt *virt = NULL;
    struct err err = ERR_INIT;
    char line[LINE_SIZE];

    if (argc != 3)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN);
    options.policy.chunk_bytes = strtoul(argv[1], NULL, 10) * MIB;
    options.poll_ms = (int)strtoul(argv[2], NULL, 10);
    world.events = json_object_new_array();
    world.grown = json_object_new_array();
    if (virt_new("qemu:///system", &virt, &err) < 0 ||
        start(&options, virt, &monitor, &err) < 0) {
        (void)fprintf(stderr, "watch-check: %s\n", err.message);
        return 1;
    }
    while (fgets(line, sizeof(line), stdin))
        serve(monitor, line);
    monitor_free(monitor);
    virt_free(virt);
    json_object_put(world.events);
    json_object_put(world.grown);
    return 0;
}
