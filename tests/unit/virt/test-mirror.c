/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The mirror against a libvirt whose block jobs answer by a script: what the
 * real one says only in rare moments. The connection and the VM are those of
 * libvirt's test driver, which has no block jobs. (tests/integration/ has
 * qemu.)
 */
#include "samples.h"

#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/virt.h>
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libvirt.so\nrace:libglib-2.0.so\n";
}

static char destination[] = "/tmp/drayd-test-disk-XXXXXX";

static struct library {
    const char *xml, *blocks;
    virError error; /* what the failing call leaves */
    int copy, speed, abort, info;
    virDomainBlockJobInfo job;
    /* what was asked for */
    unsigned copy_flags, abort_flags, granularity;
    unsigned long long first_speed, buffer;
    unsigned long new_speed;
    int aborts, speeds;
    bool ends_by_itself; /* the job, while it is being ended */
} library;

/* --- the library ------------------------------------------------------- */

virErrorPtr virGetLastError(void)
{
    return library.error.code ? &library.error : NULL;
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    (void)domain;
    (void)flags;
    return strdup(library.xml);
}

int virDomainQemuMonitorCommand(virDomainPtr domain, const char *cmd,
                                char **result, unsigned int flags)
{
    (void)domain;
    (void)flags;
    assert_non_null(strstr(cmd, "query-block"));
    *result = strdup(library.blocks);
    return 0;
}

int virDomainBlockCopy(virDomainPtr dom, const char *disk, const char *destxml,
                       virTypedParameterPtr params, int nparams,
                       unsigned int flags)
{
    (void)dom;
    assert_string_equal(disk, "vda");
    assert_non_null(strstr(destxml, destination));
    library.copy_flags = flags;
    for (int i = 0; i < nparams; i++) {
        if (str_equal(params[i].field, VIR_DOMAIN_BLOCK_COPY_BANDWIDTH))
            library.first_speed = params[i].value.ul;
        else if (str_equal(params[i].field, VIR_DOMAIN_BLOCK_COPY_BUF_SIZE))
            library.buffer = params[i].value.ul;
        else if (str_equal(params[i].field, VIR_DOMAIN_BLOCK_COPY_GRANULARITY))
            library.granularity = params[i].value.ui;
    }
    return library.copy;
}

int virDomainBlockJobSetSpeed(virDomainPtr dom, const char *disk,
                              unsigned long bandwidth, unsigned int flags)
{
    (void)dom;
    (void)disk;
    assert_int_equal(flags, VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES);
    library.new_speed = bandwidth;
    library.speeds++;
    return library.speed;
}

int virDomainBlockJobAbort(virDomainPtr dom, const char *disk,
                           unsigned int flags)
{
    (void)dom;
    (void)disk;
    library.abort_flags = flags;
    library.aborts++;
    if (library.ends_by_itself)
        library.info = 0;
    return library.abort;
}

int virDomainGetBlockJobInfo(virDomainPtr dom, const char *disk,
                             virDomainBlockJobInfoPtr info, unsigned int flags)
{
    (void)dom;
    (void)disk;
    (void)flags;
    *info = library.job;
    return library.info;
}

/* --- the tests --------------------------------------------------------- */

static char node_file[] = "/tmp/drayd-test-node-XXXXXX";
static struct virt *virt;
static struct hypervisor_port port;

#define VM "6695eb01-f6a4-4304-79aa-97f2502e193f"

static const char NODE[] =
    "<node><domain type='test'><name>test</name>"
    "<uuid>" VM "</uuid>"
    "<memory>65536</memory><os><type>hvm</type></os></domain></node>";

static int connect_once(void **state)
{
    char uri[64];
    (void)state;
    int fd = mkostemp(node_file, O_CLOEXEC);
    int disk = mkostemp(destination, O_CLOEXEC);
    if (fd < 0 || disk < 0 || file_write_all(fd, NODE, sizeof(NODE) - 1) < 0)
        return -1;
    (void)close(fd);
    (void)close(disk);
    (void)str_format(uri, sizeof(uri), "test://%s", node_file);
    if (virt_new(uri, &virt, NULL) < 0)
        return -1;
    port = virt_port(virt);
    int64_t deadline_ms = time_now_ms() + 20000;
    while (port.ops->connected(port.ctx) < 0 && time_now_ms() < deadline_ms)
        (void)sched_yield();
    return port.ops->connected(port.ctx);
}

static int disconnect(void **state)
{
    (void)state;
    virt_free(virt);
    (void)unlink(node_file);
    return unlink(destination);
}

static int setup(void **state)
{
    (void)state;
    library = (struct library){ .xml = LIVE_BEFORE, .blocks = BLOCKS_BEFORE };
    return 0;
}

static void fails_with(int number)
{
    static char text[] = "scripted";
    library.error = (virError){ .code = number, .message = text };
}

static int start(const char *format, bool shallow, struct err *err)
{
    struct vm_mirror_spec spec = {
        .vm = VM,
        .target = "vda",
        .format = format,
        .shallow = shallow,
        .buffer_bytes = 65536,
        .bytes_per_s = 1000,
    };
    (void)str_copy(spec.path, sizeof(spec.path), destination);
    return port.ops->mirror_start(port.ctx, &spec, err);
}

static void starts_held_and_is_let_go(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(start("raw", true, &err), 0);
    assert_int_equal(library.first_speed, 1);
    assert_int_equal(library.new_speed, 1000);
    assert_int_equal(library.buffer, 65536);
    assert_int_equal(library.granularity, 4096);
    assert_int_equal(library.copy_flags,
                     VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
                         VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB |
                         VIR_DOMAIN_BLOCK_COPY_SHALLOW);
    assert_int_equal(library.aborts, 0);
    library.granularity = 0;
    assert_int_equal(start("qcow2", false, &err), 0);
    assert_int_equal(library.granularity, 0);
    assert_int_equal(library.copy_flags,
                     VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
                         VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB);
}

static void a_start_that_fails_says_of_what_kind(void **state)
{
    struct err busy = ERR_INIT, other = ERR_INIT;
    (void)state;
    library.copy = -1;
    fails_with(VIR_ERR_BLOCK_COPY_ACTIVE);
    assert_true(start("raw", true, &busy) < 0);
    assert_int_equal(busy.code, ERR_DISK_BUSY);
    assert_true(busy.next[0]);
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(start("raw", true, &other) < 0);
    assert_int_equal(other.code, ERR_REPLICA);
    assert_int_equal(library.speeds, 0);
}

/* libvirt would copy a stale file. */
static void nothing_starts_when_qemu_writes_elsewhere(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    library.blocks = BLOCKS_AFTER;
    assert_true(start("raw", true, &err) < 0);
    assert_int_equal(err.code, ERR_REPLICA);
    assert_non_null(strstr(err.message, "/srv/img/a.raw"));
    assert_non_null(strstr(err.message, "/srv/img/n-a.raw"));
    assert_int_equal(library.first_speed, 0);
}

/* It would crawl on at a byte per second. */
static void a_mirror_that_cannot_be_let_go_is_taken_back(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    library.speed = -1;
    library.info = 1;
    library.job.type = VIR_DOMAIN_BLOCK_JOB_TYPE_COPY;
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(start("raw", true, &err) < 0);
    assert_int_equal(err.code, ERR_REPLICA);
    assert_int_equal(library.aborts, 1);
    assert_int_equal(library.abort_flags, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
}

static void a_mirror_that_died_at_once_is_an_error(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    library.speed = -1;
    fails_with(VIR_ERR_OPERATION_INVALID);
    assert_true(start("raw", true, &err) < 0);
    assert_non_null(strstr(err.message, "ended at once"));
    assert_int_equal(library.aborts, 0);
}

static struct vm_mirror_info info_of(const char *xml, int rc, int type)
{
    struct vm_mirror_info info;
    struct err err = ERR_INIT;
    library.xml = xml;
    library.info = rc;
    library.job = (virDomainBlockJobInfo){ .type = type, .cur = 5, .end = 9 };
    assert_int_equal(port.ops->mirror_info(port.ctx, VM, "vda", &info, &err),
                     0);
    return info;
}

static void a_mirror_is_there_when_the_job_or_the_xml_says_so(void **state)
{
    const int copy = VIR_DOMAIN_BLOCK_JOB_TYPE_COPY;
    (void)state;
    struct vm_mirror_info info = info_of(LIVE_COPYING, 1, copy);
    assert_true(info.job && !info.ready && info.done == 5 && info.total == 9);
    assert_string_equal(info.disk_path, "/srv/img/a.raw");
    assert_string_equal(info.mirror_path, "/srv/img/n-a.raw");
    info = info_of(LIVE_READY, 1, copy);
    assert_true(info.job && info.ready);
    info = info_of(LIVE_READY, 0, 0);
    assert_true(info.job && info.total == 0);
    info = info_of(LIVE_BEFORE, 1, copy);
    assert_true(info.job && !info.ready);
    assert_int_equal(info.kind, VM_JOB_COPY);
    info = info_of(LIVE_BEFORE, 0, 0);
    assert_false(info.job);
    assert_int_equal(info.kind, VM_JOB_NONE);
}

static void other_jobs_are_told_by_their_kind(void **state)
{
    (void)state;
    struct vm_mirror_info info =
        info_of(LIVE_COMMIT, 1, VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT);
    assert_int_equal(info.kind, VM_JOB_ACTIVE_COMMIT);
    assert_true(!info.job && !info.ready && info.total == 9);
    assert_string_equal(info.disk_path, "/srv/img/a.snap");
    assert_string_equal(info.mirror_path, "/srv/img/n-a.raw");
    info = info_of(LIVE_COMMIT, 0, 0); /* the last step of its pivot */
    assert_int_equal(info.kind, VM_JOB_ACTIVE_COMMIT);
    info = info_of(LIVE_BEFORE, 1, VIR_DOMAIN_BLOCK_JOB_TYPE_PULL);
    assert_int_equal(info.kind, VM_JOB_OTHER);
    assert_false(info.job);
}

/* Not knowing is not the same as "no mirror". */
static void a_failed_question_is_no_answer(void **state)
{
    struct vm_mirror_info info;
    struct err err = ERR_INIT;
    (void)state;
    library.info = -1;
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(port.ops->mirror_info(port.ctx, VM, "vda", &info, &err) < 0);
    err_clear(&err);
    assert_true(port.ops->mirror_abort(port.ctx, VM, "vda", &err) < 0);
    assert_int_equal(library.aborts, 0);
}

static int abort_with(const char *xml, int rc, int type, struct err *err)
{
    library.xml = xml;
    library.info = rc;
    library.job.type = type;
    library.aborts = 0;
    return port.ops->mirror_abort(port.ctx, VM, "vda", err);
}

static void only_our_kind_of_job_is_ended(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(abort_with(LIVE_COPYING, 1, 0, &err), 0);
    assert_int_equal(library.aborts, 1);
    assert_int_equal(library.abort_flags, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
    assert_int_equal(abort_with(LIVE_BEFORE, 0, 0, &err), 0);
    assert_int_equal(library.aborts, 0);
    static const int foreign[] = { VIR_DOMAIN_BLOCK_JOB_TYPE_PULL,
                                   VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP,
                                   VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN, 99 };
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        assert_int_equal(abort_with(LIVE_BEFORE, 1, foreign[i], &err), 0);
        assert_int_equal(library.aborts, 0);
    }
    static const int ours[] = { VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
                                VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT,
                                VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT };
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        assert_int_equal(abort_with(LIVE_BEFORE, 1, ours[i], &err), 0);
        assert_int_equal(library.aborts, 1);
    }
    assert_int_equal(abort_with(LIVE_COMMIT, 0, 0, &err), 0);
    assert_int_equal(library.aborts, 1);
}

static void an_end_that_fails_is_an_error_while_the_mirror_is_there(void **s)
{
    struct err err = ERR_INIT;
    (void)s;
    library.abort = -1;
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(abort_with(LIVE_COPYING, 1, 0, &err) < 0);
    assert_int_equal(err.code, ERR_REPLICA);
    err_clear(&err);
    const int commit = VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT;
    assert_true(abort_with(LIVE_BEFORE, 1, commit, &err) < 0);
    assert_int_equal(err.code, ERR_MERGE);
    err_clear(&err);
    library.ends_by_itself = true;
    assert_int_equal(
        abort_with(LIVE_BEFORE, 1, VIR_DOMAIN_BLOCK_JOB_TYPE_COPY, &err), 0);
    assert_int_equal(err.rc, 0);
}

static int pivot_with(const char *xml, struct err *err)
{
    library.xml = xml;
    library.aborts = 0;
    err_clear(err);
    return port.ops->mirror_pivot(port.ctx, VM, "vda", err);
}

static void only_a_ready_mirror_is_pivoted(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(pivot_with(LIVE_READY, &err), 0);
    assert_int_equal(library.aborts, 1);
    assert_int_equal(library.abort_flags, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT |
                                              VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC);
    assert_true(pivot_with(LIVE_COPYING, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY);
    assert_true(pivot_with(LIVE_BEFORE, &err) < 0);
    assert_int_equal(err.code, ERR_CHANGE_DISK);
    assert_int_equal(library.aborts, 0);
    library.abort = -1;
    fails_with(VIR_ERR_BLOCK_COPY_ACTIVE);
    assert_true(pivot_with(LIVE_READY, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_READY);
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(pivot_with(LIVE_READY, &err) < 0);
    assert_int_equal(err.code, ERR_CHANGE_DISK);
}

static void a_limit_is_in_bytes_and_may_be_refused(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->mirror_limit(port.ctx, VM, "vda", 12345, &err),
                     0);
    assert_int_equal(library.new_speed, 12345);
    assert_int_equal(
        port.ops->mirror_limit(port.ctx, VM, "vda", UINT64_MAX, &err), 0);
    assert_true(library.new_speed == INT64_MAX);
    library.speed = -1;
    fails_with(VIR_ERR_INTERNAL_ERROR);
    assert_true(port.ops->mirror_limit(port.ctx, VM, "vda", 1, &err) < 0);
    assert_int_equal(err.code, ERR_REPLICA);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(starts_held_and_is_let_go),
        TEST(a_start_that_fails_says_of_what_kind),
        TEST(nothing_starts_when_qemu_writes_elsewhere),
        TEST(a_mirror_that_cannot_be_let_go_is_taken_back),
        TEST(a_mirror_that_died_at_once_is_an_error),
        TEST(a_mirror_is_there_when_the_job_or_the_xml_says_so),
        TEST(other_jobs_are_told_by_their_kind),
        TEST(a_failed_question_is_no_answer),
        TEST(only_our_kind_of_job_is_ended),
        TEST(an_end_that_fails_is_an_error_while_the_mirror_is_there),
        TEST(only_a_ready_mirror_is_pivoted),
        TEST(a_limit_is_in_bytes_and_may_be_refused),
    };
    return cmocka_run_group_tests(tests, connect_once, disconnect);
}
