/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VM.getDiskWatermarks, Host.getStats, and what subscribers hear of thin
 * disks. The watch is the real one; its ports show a VM with one disk, and
 * never change.
 */
#include "../../../src/api/event-log.h"
#include "harness.h"

#include <dray/base/util.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define GIB (UINT64_C(1) << 30)

static struct monitor *monitor;
static struct storage_ops world_storage; /* the fake world has no list */

static int vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err)
{
    struct vm_info *vms = calloc(1, sizeof(*vms));
    (void)ctx;
    (void)err;
    assert_non_null(vms);
    (void)str_copy(vms->uuid, sizeof(vms->uuid), WORLD_VM);
    vms->state = VM_RUNNING;
    *ret_vms = vms;
    *ret_n = 1;
    return 0;
}

static int layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
                       size_t *ret_n, struct err *err)
{
    struct vm_layer *layer = calloc(1, sizeof(*layer));
    (void)ctx;
    (void)vm;
    (void)err;
    assert_non_null(layer);
    *layer = (struct vm_layer){ .target = "vda",
                                .node = "vda[1]",
                                .path = "/dev/vg/lv",
                                .format = "qcow2",
                                .capacity = 20 * GIB,
                                .allocation = 3 * GIB,
                                .physical = 10 * GIB,
                                .threshold = 8 * GIB };
    *ret_layers = layer;
    *ret_n = 1;
    return 0;
}

static int paused_for_space(void *ctx, const char *vm, bool *ret_paused,
                            char ret_target[DISK_TARGET_SIZE], struct err *err)
{
    (void)ctx;
    (void)vm;
    (void)err;
    *ret_paused = false;
    ret_target[0] = '\0';
    return 0;
}

static void set_alarm(void *ctx, hypervisor_alarm_fn fn, void *arg)
{
    (void)ctx;
    (void)fn;
    (void)arg;
}

static int locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    (void)ctx;
    (void)path;
    (void)err;
    *ret_id = (struct volume_id){ WORLD_SRC, WORLD_IMG, WORLD_VOL };
    return 0;
}

static int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                       struct err *err)
{
    struct domain_info *info = calloc(1, sizeof(*info));
    (void)ctx;
    (void)err;
    assert_non_null(info);
    (void)str_copy(info->sd, sizeof(info->sd), WORLD_SRC);
    info->status = DOMAIN_JOINED;
    info->block = true;
    info->extent_bytes = GIB / 8;
    *ret_infos = info;
    *ret_n = 1;
    return 0;
}

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return time_now_ms();
}

static void start_watch(void)
{
    static const struct hypervisor_ops virt = {
        .vm_list = vm_list,
        .layer_stats = layer_stats,
        .paused_for_space = paused_for_space,
        .set_alarm = set_alarm,
    };
    static const struct storage_ops storage = { .locate = locate,
                                                .domain_list = domain_list };
    static const struct clock_ops clock = { .now_ms = now_ms };
    const struct monitor_ports ports = {
        .storage = { .ops = &storage },
        .hypervisor = { .ops = &virt },
        .clock = { .ops = &clock },
    };
    const struct monitor_options options = { .policy = watermark_defaults(),
                                             .poll_ms = 10 };
    assert_int_equal(monitor_new(&options, &ports, NULL, NULL, &monitor, NULL),
                     0);
}

static int setup(void **state)
{
    start_watch();
    struct harness *h = harness_new_watched(monitor);
    world_storage = *h->world.ports.storage.ops;
    world_storage.domain_list = domain_list;
    h->world.ports.storage.ops = &world_storage;
    api_set_ready(h->api, h->jobs);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    monitor_free(monitor);
    return 0;
}

/* The first look comes some time after the start. */
static struct json_object *first_marks(struct harness *h, const char *params)
{
    for (;;) {
        struct json_object *answer =
            harness_call(h, "VM.getDiskWatermarks", params);
        if (harness_at(answer, "error") ||
            json_object_array_length(harness_at(answer, "result")) > 0)
            return answer;
        json_object_put(answer);
    }
}

static void check_mark(struct harness *h, const char *params)
{
    struct json_object *answer = first_marks(h, params);
    struct json_object *mark =
        json_object_array_get_idx(harness_at(answer, "result"), 0);
    harness_check(mark, "vmId", WORLD_VM);
    harness_check(mark, "name", "vda");
    harness_check(mark, "role", "source");
    harness_check(mark, "domainID", WORLD_SRC);
    harness_check(mark, "imageID", WORLD_IMG);
    harness_check(mark, "volumeID", WORLD_VOL);
    harness_check(mark, "size", "10737418240");
    harness_check(mark, "allocation", "3221225472");
    harness_check(mark, "free", "7516192768");
    harness_check(mark, "threshold", "8589934592");
    harness_check(mark, "max", "21609054208");
    harness_check(mark, "rate", "0");
    assert_null(harness_at(mark, "problem"));
    json_object_put(answer);
}

static void watermarks_of_a_vm_or_of_all(void **state)
{
    check_mark(*state, "{\"vmID\":\"" WORLD_VM "\"}");
    check_mark(*state, "{}");
    harness_expect(*state, "VM.getDiskWatermarks", "{\"vmID\":\"nobody\"}",
                   "error.code", "1");
}

static void stats_count_what_there_is(void **state)
{
    struct harness *h = *state;
    json_object_put(first_marks(h, "{}"));
    struct json_object *answer = harness_call(h, "Host.getStats", NULL);
    harness_check(answer, "result.clients", "1");
    harness_check(answer, "result.jobs.total", "0");
    harness_check(answer, "result.jobs.running", "0");
    harness_check(answer, "result.domains.known", "1");
    harness_check(answer, "result.domains.joined", "1");
    harness_check(answer, "result.domains.missing", "0");
    harness_check(answer, "result.extensions.count", "0");
    harness_check(answer, "result.extensions.p99Ms", "0");
    harness_check(answer, "result.pauses", "0");
    harness_check(answer, "result.watched", "1");
    json_object_put(answer);
}

static void subscribers_hear_of_thin_disks(void **state)
{
    struct harness *h = *state;
    const struct monitor_event event = {
        .kind = MONITOR_FAILED,
        .vm = WORLD_VM,
        .target = "vda",
        .volume = {WORLD_SRC, WORLD_IMG, WORLD_VOL},
        .size_bytes = 5 * GIB,
        .wanted_bytes = 6 * GIB,
        .free_bytes = GIB,
        .took_ms = 17,
        .text = "the VG is full",
    };
    harness_expect(h, "Events.subscribe", NULL, "result.subscribed", "true");
    api_watermark(h->api, &event);
    struct json_object *heard = harness_next(h, h->fd, 5000);
    assert_non_null(heard);
    harness_check(heard, "method", "|watermark|failed|" WORLD_VM);
    harness_check(heard, "params.vmId", WORLD_VM);
    harness_check(heard, "params.name", "vda");
    harness_check(heard, "params.domainID", WORLD_SRC);
    harness_check(heard, "params.volumeID", WORLD_VOL);
    harness_check(heard, "params.size", "5368709120");
    harness_check(heard, "params.wanted", "6442450944");
    harness_check(heard, "params.free", "1073741824");
    harness_check(heard, "params.tookMs", "17");
    harness_check(heard, "params.problem", "the VG is full");
    assert_non_null(harness_at(heard, "params.notify_time"));
    json_object_put(heard);
}

/* --- numbered events --- */

static void extend(struct harness *h, int64_t took_ms)
{
    const struct monitor_event event = {
        .kind = MONITOR_EXTENDED,
        .vm = WORLD_VM,
        .target = "vda",
        .volume = {WORLD_SRC, WORLD_IMG, WORLD_VOL},
        .took_ms = took_ms,
    };
    api_watermark(h->api, &event);
}

/* The next thing on @fd is the event that took so long; its number. */
static int64_t expect_event(struct harness *h, int fd, const char *took_ms)
{
    struct json_object *heard = harness_next(h, fd, 5000);
    assert_non_null(heard);
    harness_check(heard, "params.tookMs", took_ms);
    int64_t seq = json_object_get_int64(harness_at(heard, "params.seq"));
    json_object_put(heard);
    return seq;
}

/* The answer to a subscription on @fd. */
static void expect_subscribed(struct harness *h, int fd, int64_t since,
                              const char *missed)
{
    char text[128];
    (void)str_format(text, sizeof(text),
                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
                     "\"Events.subscribe\",\"params\":{\"since\":%lld}}\n",
                     (long long)since);
    harness_send(h, fd, text);
    struct json_object *answer = harness_next(h, fd, 5000);
    assert_non_null(answer);
    harness_check(answer, "result.subscribed", "true");
    harness_check(answer, "result.missed", missed);
    json_object_put(answer);
}

static void who_comes_back_misses_nothing(void **state)
{
    struct harness *h = *state;
    harness_expect(h, "Events.subscribe", NULL, "result.missed", "false");
    extend(h, 1);
    int64_t first = expect_event(h, h->fd, "1");
    extend(h, 2);
    assert_int_equal(expect_event(h, h->fd, "2"), first + 1);
    extend(h, 3);
    int fd = harness_connect(h);
    expect_subscribed(h, fd, first, "false");
    extend(h, 4);
    assert_int_equal(expect_event(h, fd, "2"), first + 1);
    assert_int_equal(expect_event(h, fd, "3"), first + 2);
    assert_int_equal(expect_event(h, fd, "4"), first + 3);
    extend(h, 5);
    assert_int_equal(expect_event(h, fd, "5"), first + 4);
    assert_null(harness_next(h, fd, 20));
}

static void who_was_away_for_long_is_told(void **state)
{
    struct harness *h = *state;
    harness_expect(h, "Events.subscribe", NULL, "result.missed", "false");
    extend(h, 1);
    int64_t first = expect_event(h, h->fd, "1");
    int fd = harness_connect(h);
    expect_subscribed(h, fd, first, "false");
    assert_null(harness_next(h, fd, 20));
    expect_subscribed(h, fd, first - 1, "false");
    (void)expect_event(h, fd, "1");
    expect_subscribed(h, fd, first - 2, "true"); /* of an earlier life */
    (void)expect_event(h, fd, "1");
    expect_subscribed(h, fd, first + 1, "true"); /* the clock went back */
    (void)expect_event(h, fd, "1");
}

static void old_events_go(void **state)
{
    struct event_log log;
    const struct event *event = NULL;

    (void)state;
    event_log_init(&log, 7);
    assert_int_equal(event_log_oldest(&log), 8);
    for (int i = 0; i < 10000; i++) {
        struct json_object *params = json_object_new_object();
        json_object_object_add(params, "x", json_object_new_string(WORLD_SRC));
        event = event_log_add(&log, "|x|y|z", params);
        assert_non_null(event);
        assert_int_equal(event->seq, 8 + i);
    }
    assert_in_range(log.bytes, 256 * 1024, 512 * 1024);
    uint64_t oldest = event_log_oldest(&log);
    assert_in_range(oldest, 5000, 9000);
    list_for_each (item, &log.events)
        assert_int_equal(container_of(item, struct event, link)->seq, oldest++);
    assert_int_equal(oldest, log.last + 1);
    event_log_deinit(&log);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(watermarks_of_a_vm_or_of_all),
        TEST(stats_count_what_there_is),
        TEST(subscribers_hear_of_thin_disks),
        TEST(who_comes_back_misses_nothing),
        TEST(who_was_away_for_long_is_told),
        cmocka_unit_test(old_events_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
