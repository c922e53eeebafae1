/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch's thread and workers, on ports that block: many at once, storage
 * that hangs, callers from several threads, the end.
 */
#include <dray/base/lock.h>
#include <dray/base/util.h>
#include <dray/monitor.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

enum {
    VMS = 16,
    DISKS = 4,
    N = VMS * DISKS,
    GROW_MS = 100,
    SLOW_MS = 20 * 1000, /* a test that waits longer has failed */
};

/* VM i / DISKS, disk i % DISKS; of the odd VMs on VG 2. */
struct lv {
    uint64_t size, allocation, threshold;
};

struct world {
    pthread_mutex_t lock; /* protects all */
    pthread_cond_t changed;
    struct lv lvs[N];
    unsigned n_vms;
    bool dead; /* VG 2: volume_grow() does not come back */
    unsigned growing, stuck;
    hypervisor_alarm_fn alarm;
    void *alarm_arg;
    unsigned extended, failed;
    struct monitor *monitor;
};

static struct world world;

static void name_vm(unsigned vm, char ret_uuid[UUID_SIZE])
{
    (void)str_format(ret_uuid, UUID_SIZE, "%08x-0000-4000-8000-000000000000",
                     vm);
}

static void name_sd(unsigned i, char ret_uuid[UUID_SIZE])
{
    name_vm(i / DISKS % 2 + 1, ret_uuid);
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 16);
}

/* --- hypervisor --- */

static int vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err)
{
    (void)ctx;
    (void)err;
    SCOPED_LOCK(&world.lock);
    struct vm_info *vms = calloc(world.n_vms + 1, sizeof(*vms));
    assert_non_null(vms);
    for (unsigned i = 0; i < world.n_vms; i++) {
        name_vm(i, vms[i].uuid);
        vms[i].state = VM_RUNNING;
    }
    *ret_vms = vms;
    *ret_n = world.n_vms;
    return 0;
}

static int layer_stats(void *ctx, const char *vm, struct vm_layer **ret_layers,
                       size_t *ret_n, struct err *err)
{
    (void)ctx;
    SCOPED_LOCK(&world.lock);
    unsigned first = number(vm) * DISKS;
    if (number(vm) >= world.n_vms)
        return err_set_code(err, ERR_NO_VM, "no such VM");
    struct vm_layer *layers = calloc(DISKS, sizeof(*layers));
    assert_non_null(layers);
    for (unsigned i = 0; i < DISKS; i++) {
        struct lv *lv = &world.lvs[first + i];
        struct vm_layer *layer = &layers[i];
        layer->physical = lv->size;
        layer->allocation = lv->allocation;
        layer->threshold = lv->threshold;
        layer->capacity = 100 * GIB;
        (void)str_format(layer->target, sizeof(layer->target), "vd%c",
                         (int)('a' + i));
        (void)str_format(layer->node, sizeof(layer->node), "vd%c[1]",
                         (int)('a' + i));
        (void)str_format(layer->path, sizeof(layer->path), "/dev/vg/%08x",
                         first + i);
        (void)str_copy(layer->format, sizeof(layer->format), "qcow2");
    }
    *ret_layers = layers;
    *ret_n = DISKS;
    return 0;
}

static int threshold_set(void *ctx, const char *vm, const char *node,
                         uint64_t bytes, struct err *err)
{
    (void)ctx;
    (void)err;
    SCOPED_LOCK(&world.lock);
    world.lvs[number(vm) * DISKS + (unsigned)(node[2] - 'a')].threshold = bytes;
    (void)pthread_cond_broadcast(&world.changed);
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
    SCOPED_LOCK(&world.lock);
    world.alarm = fn;
    world.alarm_arg = arg;
}

/* --- storage --- */

static int locate(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err)
{
    (void)ctx;
    (void)err;
    unsigned i = number(path + strlen("/dev/vg/"));
    name_sd(i, ret_id->sd);
    name_vm(i, ret_id->img);
    name_vm(i, ret_id->vol);
    return 0;
}

static int domain_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                       struct err *err)
{
    (void)ctx;
    (void)err;
    struct domain_info *infos = calloc(2, sizeof(*infos));
    assert_non_null(infos);
    for (unsigned i = 0; i < 2; i++) {
        name_vm(i + 1, infos[i].sd);
        infos[i].block = true;
        infos[i].extent_bytes = 128 * MIB;
    }
    *ret_infos = infos;
    *ret_n = 2;
    return 0;
}

/* As dray-lvm: who waits meanwhile goes with the next one. */
static int volume_grow(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err)
{
    (void)ctx;
    (void)deadline_ms;
    unsigned i = number(id->vol);
    struct timespec until = time_after_ms(GROW_MS);
    SCOPED_LOCK(&world.lock);
    bool stuck = world.dead && number(id->sd) == 2;
    world.growing++;
    world.stuck += stuck;
    (void)pthread_cond_broadcast(&world.changed);
    while (stuck && world.dead)
        (void)pthread_cond_wait(&world.changed, &world.lock);
    if (stuck)
        return err_set(err, -ETIMEDOUT, "storage hangs");
    while (pthread_cond_clockwait(&world.changed, &world.lock, CLOCK_MONOTONIC,
                                  &until) != ETIMEDOUT)
        ;
    if (bytes > world.lvs[i].size)
        world.lvs[i].size = bytes;
    *ret_bytes = world.lvs[i].size;
    return 0;
}

/* --- the rest --- */

static int64_t now_ms(void *ctx)
{
    (void)ctx;
    return time_now_ms();
}

static void on_event(void *arg, const struct monitor_event *event)
{
    (void)arg;
    SCOPED_LOCK(&world.lock);
    world.extended += event->kind == MONITOR_EXTENDED;
    world.failed += event->kind == MONITOR_FAILED;
    (void)pthread_cond_broadcast(&world.changed);
}

static void start(void)
{
    static const struct hypervisor_ops virt = {
        .vm_list = vm_list,
        .layer_stats = layer_stats,
        .threshold_set = threshold_set,
        .paused_for_space = paused_for_space,
        .set_alarm = set_alarm,
    };
    static const struct storage_ops storage = {
        .locate = locate,
        .domain_list = domain_list,
        .volume_grow = volume_grow,
    };
    static const struct clock_ops clock = { .now_ms = now_ms };
    const struct monitor_ports ports = {
        .storage = { .ops = &storage },
        .hypervisor = { .ops = &virt },
        .clock = { .ops = &clock },
    };
    const struct monitor_options options = { .policy = watermark_defaults(),
                                             .poll_ms = 500 };
    struct err err = ERR_INIT;
    assert_int_equal(
        monitor_new(&options, &ports, on_event, NULL, &world.monitor, &err), 0);
}

static int setup(void **state)
{
    (void)state;
    world = (struct world){ .n_vms = VMS };
    (void)pthread_mutex_init(&world.lock, NULL);
    (void)pthread_cond_init(&world.changed, NULL);
    for (unsigned i = 0; i < N; i++)
        world.lvs[i].size = 2560 * MIB;
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    monitor_free(world.monitor);
    (void)pthread_cond_destroy(&world.changed);
    (void)pthread_mutex_destroy(&world.lock);
    return 0;
}

static void wait_for(bool (*is_so)(void))
{
    struct timespec until = time_after_ms(SLOW_MS);
    SCOPED_LOCK(&world.lock);
    while (!is_so()) {
        if (pthread_cond_clockwait(&world.changed, &world.lock, CLOCK_MONOTONIC,
                                   &until) == ETIMEDOUT)
            fail_msg("%u extended, %u growing", world.extended, world.growing);
    }
}

static bool all_are_armed(void)
{
    for (unsigned i = 0; i < N; i++) {
        if (world.lvs[i].threshold == 0)
            return false;
    }
    return true;
}

static bool all_are_extended(void)
{
    return world.extended == N;
}

static bool half_are_extended(void)
{
    return world.extended == N / 2 && world.stuck == N / 2;
}

static bool stuck_ones_failed(void)
{
    return world.failed > 0;
}

/* The guest crosses its threshold. */
static void cross(unsigned i)
{
    struct vm_alarm alarm = { .kind = VM_ALARM_THRESHOLD };
    name_vm(i / DISKS, alarm.vm);
    (void)str_format(alarm.node, sizeof(alarm.node), "vd%c[1]",
                     (int)('a' + i % DISKS));
    SCOPED_LOCK(&world.lock);
    world.lvs[i].allocation = 600 * MIB;
    world.lvs[i].threshold = 0;
    world.alarm(world.alarm_arg, &alarm);
}

/* --- tests --- */

static void extends_64_lvs_that_cross_at_once(void **state)
{
    (void)state;
    wait_for(all_are_armed);
    for (unsigned i = 0; i < N; i++)
        cross(i);
    wait_for(all_are_extended);
    wait_for(all_are_armed);
    struct monitor_stats stats;
    monitor_stats(world.monitor, &stats);
    assert_int_equal(stats.extensions, N);
    assert_int_equal(stats.failures, 0);
    assert_in_range(stats.max_ms, GROW_MS, 10 * GROW_MS);
    SCOPED_LOCK(&world.lock);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(world.lvs[i].size, 5120 * MIB);
}

static void storage_that_hangs_keeps_nobody_else(void **state)
{
    (void)state;
    wait_for(all_are_armed);
    {
        SCOPED_LOCK(&world.lock);
        world.dead = true;
    }
    for (unsigned i = N; i > 0; i--)
        cross(i - 1);
    wait_for(half_are_extended);
    {
        SCOPED_LOCK(&world.lock);
        world.dead = false;
        (void)pthread_cond_broadcast(&world.changed);
    }
    wait_for(stuck_ones_failed);
    wait_for(all_are_extended);
}

static void *begin_and_end(void *arg)
{
    const struct watch_port port = monitor_port(world.monitor);
    char vm[UUID_SIZE];
    struct err err = ERR_INIT;
    name_vm(*(const unsigned *)arg, vm);
    for (unsigned i = 0; i < DISKS; i++) {
        char target[DISK_TARGET_SIZE], base[PATH_MAX];
        (void)str_format(target, sizeof(target), "vd%c", (int)('a' + i));
        (void)str_format(base, sizeof(base), "/dev/vg/%08x", 100 + i);
        assert_int_equal(port.ops->job_begins(port.ctx, vm, target, base, &err),
                         0);
        assert_int_equal(port.ops->vm_hold(port.ctx, vm, vm, &err), 0);
        port.ops->vm_release(port.ctx, vm, vm);
        port.ops->job_ended(port.ctx, vm, target);
    }
    return NULL;
}

/* Each disk has 2.5 GiB free: a job doubles what must be, so each grows. */
static void jobs_begin_and_marks_are_read_from_many_threads(void **state)
{
    (void)state;
    pthread_t threads[VMS];
    unsigned vms[VMS];
    for (unsigned i = 0; i < VMS; i++) {
        vms[i] = i;
        assert_int_equal(
            pthread_create(&threads[i], NULL, begin_and_end, &vms[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        struct monitor_mark *marks = NULL;
        struct monitor_stats stats;
        size_t n = 0;
        assert_int_equal(monitor_marks(world.monitor, NULL, &marks, &n, NULL),
                         0);
        assert_true(n <= N);
        free(marks);
        monitor_stats(world.monitor, &stats);
    }
    for (unsigned i = 0; i < VMS; i++)
        (void)pthread_join(threads[i], NULL);
    SCOPED_LOCK(&world.lock);
    for (unsigned i = 0; i < N; i++)
        assert_true(world.lvs[i].size >= 5120 * MIB);
}

static void marks_are_of_one_vm_or_of_all(void **state)
{
    (void)state;
    struct monitor_mark *marks = NULL;
    char vm[UUID_SIZE];
    size_t n = 0;
    wait_for(all_are_armed);
    name_vm(3, vm);
    assert_int_equal(monitor_marks(world.monitor, vm, &marks, &n, NULL), 0);
    assert_int_equal(n, DISKS);
    assert_string_equal(marks[0].vm, vm);
    assert_int_equal(marks[0].size_bytes, 2560 * MIB);
    free(marks);
    assert_int_equal(monitor_marks(world.monitor, NULL, &marks, &n, NULL), 0);
    assert_int_equal(n, N);
    free(marks);
}

static void ends_while_it_works(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N; i++)
        cross(i);
}

#define WITH_WATCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WATCH(extends_64_lvs_that_cross_at_once),
        WITH_WATCH(storage_that_hangs_keeps_nobody_else),
        WITH_WATCH(jobs_begin_and_marks_are_read_from_many_threads),
        WITH_WATCH(marks_are_of_one_vm_or_of_all),
        WITH_WATCH(ends_while_it_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
