/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guest's latency, from counters that only grow.
 */
#include "../../../src/migrate/migration.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What qemu has counted for vda and vdb; vdb may not answer. */
struct counters {
    struct vm_disk_io io[2];
    bool second_is_gone;
};

static int disk_io(void *ctx, const char *vm, const char *target,
                   struct vm_disk_io *ret_io, struct err *err)
{
    const struct counters *counters = ctx;
    size_t i = strcmp(target, "vdb") == 0;

    assert_string_equal(vm, "web1");
    if (i == 1 && counters->second_is_gone)
        return err_set(err, -EIO, "gone");
    *ret_io = counters->io[i];
    return 0;
}

static void begin(struct migration *m, struct counters *counters)
{
    static const struct hypervisor_ops ops = { .disk_io = disk_io };

    memset(counters, 0, sizeof(*counters));
    memset(m, 0, sizeof(*m));
    job_init(&m->job, "66666666-6666-4666-8666-666666666666", JOB_DISK_MIGRATE,
             0);
    (void)str_copy(m->job.vm, UUID_SIZE, "web1");
    m->job.n_disks = 2;
    (void)str_copy(m->job.disks[0].target, 4, "vda");
    (void)str_copy(m->job.disks[1].target, 4, "vdb");
    m->ports.hypervisor =
        (struct hypervisor_port){ .ctx = counters, .ops = &ops };
}

static void count(struct counters *counters, size_t disk, uint64_t writes,
                  uint64_t us_each)
{
    counters->io[disk].writes += writes;
    counters->io[disk].write_us += writes * us_each;
}

static void quiet_is_what_it_wrote_before_the_mirror(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    count(&counters, 0, 1000, 9000); /* long ago */
    guest_watch_quiet(&m);
    count(&counters, 0, 10, 100);
    count(&counters, 1, 30, 200);
    guest_watch_begin(&m);
    assert_int_equal(m.job.progress.quiet_write_us, 175); /* of all disks */
    assert_int_equal(m.job.progress.write_us, -1);
}

/* Of a guest that hardly wrote then, all its life counts. */
static void else_it_is_the_average_of_its_life(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    count(&counters, 0, 91, 100);
    guest_watch_quiet(&m);
    count(&counters, 0, 9, 200);
    guest_watch_begin(&m);
    assert_int_equal(m.job.progress.quiet_write_us, 109);
}

static void few_writes_say_nothing(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    count(&counters, 0, 9, 100);
    guest_watch_quiet(&m);
    guest_watch_begin(&m);
    assert_int_equal(m.job.progress.quiet_write_us, -1);
    count(&counters, 0, 9, 100);
    guest_watch(&m);
    assert_int_equal(m.job.progress.write_us, -1);
    count(&counters, 0, 1, 100);
    guest_watch(&m);
    assert_int_equal(m.job.progress.write_us, 100);
}

static void during_counts_from_the_mirrors_begin(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    guest_watch_quiet(&m);
    count(&counters, 0, 100, 100);
    guest_watch_begin(&m);
    count(&counters, 1, 50, 300);
    guest_watch(&m);
    assert_int_equal(m.job.progress.write_us, 300);
    count(&counters, 0, 50, 500); /* all of it, not the last poll's */
    guest_watch(&m);
    assert_int_equal(m.job.progress.write_us, 400);
    assert_int_equal(m.job.progress.quiet_write_us, 100);
}

/* A VM that was started anew counts from zero. */
static void counters_that_fell_change_nothing(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    count(&counters, 0, 100, 100);
    guest_watch_quiet(&m);
    guest_watch_begin(&m);
    count(&counters, 0, 20, 300);
    guest_watch(&m);
    memset(&counters, 0, sizeof(counters));
    guest_watch(&m);
    assert_int_equal(m.job.progress.write_us, 300);
}

static void a_disk_that_does_not_answer_is_not_counted(void **state)
{
    static struct migration m;
    struct counters counters;

    (void)state;
    begin(&m, &counters);
    counters.second_is_gone = true;
    guest_watch_quiet(&m);
    count(&counters, 0, 10, 100);
    count(&counters, 1, 10, 900);
    guest_watch_begin(&m);
    assert_int_equal(m.job.progress.quiet_write_us, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_is_what_it_wrote_before_the_mirror),
        cmocka_unit_test(else_it_is_the_average_of_its_life),
        cmocka_unit_test(few_writes_say_nothing),
        cmocka_unit_test(during_counts_from_the_mirrors_begin),
        cmocka_unit_test(counters_that_fell_change_nothing),
        cmocka_unit_test(a_disk_that_does_not_answer_is_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
