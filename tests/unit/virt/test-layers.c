/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Snapshots, commits and counters against a libvirt that answers by a script.
 * The connection and the VM are those of libvirt's test driver. The VM has the
 * disks of LIVE_NETWORK, where the commit of mid (5) into base (6) runs.
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

#define LEAF "nbd+unix:///over?socket=/run/vm%20over.s"

static char overlay[] = "/tmp/drayd-test-over-XXXXXX";

static struct library {
    const char *xml, *blocks;
    virError error;    /* what the failing call leaves */
    virError relative; /* the same of a commit with RELATIVE; then */
    int commit, snapshot, info;
    virDomainBlockJobInfo job;
    /* what was asked for */
    int commits, snapshots, questions;
    char base[32], top[32], snapshot_xml[4096];
    unsigned long speed;
    unsigned commit_flags, snapshot_flags;
} library;

static virError *last_error;

/* --- the library ------------------------------------------------------- */

virErrorPtr virGetLastError(void)
{
    return last_error;
}

static int answer(int rc, virError *error)
{
    last_error = rc < 0 ? error : NULL;
    return rc;
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
    const char *reply = library.blocks;
    library.questions++;
    if (strstr(cmd, "query-block-jobs"))
        reply = JOBS_NETWORK;
    else if (strstr(cmd, "query-named-block-nodes"))
        reply = NODES_NETWORK;
    *result = strdup(reply);
    return 0;
}

int virDomainBlockCommit(virDomainPtr dom, const char *disk, const char *base,
                         const char *top, unsigned long bandwidth,
                         unsigned int flags)
{
    (void)dom;
    assert_string_equal(disk, "vdb");
    library.commits++;
    library.speed = bandwidth;
    library.commit_flags = flags;
    (void)str_copy(library.base, sizeof(library.base), base);
    (void)str_copy(library.top, sizeof(library.top), top);
    if (library.relative.code && (flags & VIR_DOMAIN_BLOCK_COMMIT_RELATIVE))
        return answer(-1, &library.relative);
    return answer(library.commit, &library.error);
}

virDomainSnapshotPtr virDomainSnapshotCreateXML(virDomainPtr domain,
                                                const char *xml,
                                                unsigned int flags)
{
    (void)domain;
    library.snapshots++;
    library.snapshot_flags = flags;
    assert_true(
        str_copy(library.snapshot_xml, sizeof(library.snapshot_xml), xml));
    (void)answer(library.snapshot, &library.error);
    /* never looked into */
    return library.snapshot < 0 ? NULL : (virDomainSnapshotPtr)&library;
}

int virDomainSnapshotFree(virDomainSnapshotPtr snapshot)
{
    assert_ptr_equal(snapshot, &library);
    return 0;
}

int virDomainGetBlockJobInfo(virDomainPtr dom, const char *disk,
                             virDomainBlockJobInfoPtr info, unsigned int flags)
{
    (void)dom;
    (void)disk;
    (void)flags;
    last_error = NULL; /* as any call does */
    *info = library.job;
    return library.info;
}

int virDomainBlockStatsFlags(virDomainPtr dom, const char *disk,
                             virTypedParameterPtr params, int *nparams,
                             unsigned int flags)
{
    static const struct {
        const char *name;
        long long value;
    } counters[] = {
        {VIR_DOMAIN_BLOCK_STATS_READ_REQ,           3    },
        { VIR_DOMAIN_BLOCK_STATS_READ_BYTES,        4    },
        { VIR_DOMAIN_BLOCK_STATS_READ_TOTAL_TIMES,  5999 },
        { VIR_DOMAIN_BLOCK_STATS_WRITE_REQ,         6    },
        { VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES,       7    },
        { VIR_DOMAIN_BLOCK_STATS_WRITE_TOTAL_TIMES, 80000},
        { VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ,         9    },
        { VIR_DOMAIN_BLOCK_STATS_ERRS,              -1   },
    };
    (void)dom;
    (void)flags;
    if (str_equal(disk, "vdz"))
        return answer(-1, &library.error);
    assert_in_range(*nparams, ARRAY_SIZE(counters), 16);
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        (void)str_copy(params[i].field, sizeof(params[i].field),
                       counters[i].name);
        params[i].type = VIR_TYPED_PARAM_LLONG;
        params[i].value.l = counters[i].value;
    }
    *nparams = ARRAY_SIZE(counters);
    return 0;
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
    int disk = mkostemp(overlay, O_CLOEXEC);
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
    return unlink(overlay);
}

static int setup(void **state)
{
    (void)state;
    library = (struct library){ .xml = LIVE_NETWORK, .blocks = BLOCKS_NETWORK };
    last_error = NULL;
    return 0;
}

static virError error_of(int number, char *text)
{
    return (virError){ .code = number, .message = text };
}

static char scripted[] = "scripted";

static int commit(const char *base, const char *top, struct err *err)
{
    struct vm_commit_spec spec = { .vm = VM,
                                   .target = "vdb",
                                   .bytes_per_s = 1000 };
    (void)str_copy(spec.base_path, sizeof(spec.base_path), base);
    (void)str_copy(spec.top_path, sizeof(spec.top_path), top);
    return port.ops->commit_start(port.ctx, &spec, err);
}

static void a_commit_names_layers_by_number(void **state)
{
    const unsigned flags = VIR_DOMAIN_BLOCK_COMMIT_RELATIVE |
                           VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(commit("/srv/base", "/srv/mid", &err), 0);
    assert_string_equal(library.base, "vdb[6]");
    assert_string_equal(library.top, "vdb[5]");
    assert_int_equal(library.speed, 1000);
    assert_int_equal(library.commit_flags, flags);
    /* of the leaf; its place in another spelling */
    assert_int_equal(
        commit("/srv/leaf", "nbd:unix:/run/vm over.s:exportname=over", &err),
        0);
    assert_string_equal(library.base, "vdb[3]");
    assert_string_equal(library.top, "vdb[7]");
    assert_int_equal(library.commit_flags,
                     flags | VIR_DOMAIN_BLOCK_COMMIT_ACTIVE);
    assert_int_equal(library.commits, 2);
}

static void a_commit_of_no_layer_is_refused(void **state)
{
    static const struct {
        const char *base, *top;
        enum err_code code;
    } cases[] = {
        {"/srv/base",  "/srv/mi",   ERR_NOT_IN_CHAIN},
        { "/srv/x",    "/srv/mid",  ERR_NOT_IN_CHAIN},
        { "/srv/mid",  "/srv/base", ERR_MERGE       },
        { "/srv/base", "/srv/base", ERR_MERGE       },
        { "gopher:x",  "/srv/mid",  ERR_MERGE       },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        assert_true(commit(cases[i].base, cases[i].top, &err) < 0);
        assert_int_equal(err.code, cases[i].code);
    }
    assert_int_equal(library.commits, 0);
}

/* libvirt would commit a stale layer. */
static void nothing_starts_when_qemu_writes_elsewhere(void **state)
{
    struct err err = ERR_INIT, again = ERR_INIT;
    const struct vm_overlay over = { .target = "vdb", .path = "/tmp" };
    (void)state;
    library.blocks = BLOCKS_AFTER; /* its virtio-disk1 is another file */
    assert_true(commit("/srv/base", "/srv/mid", &err) < 0);
    assert_int_equal(err.code, ERR_MERGE);
    library.xml = LIVE_BEFORE;
    assert_true(port.ops->snapshot(port.ctx, VM, &over, 1, false, &again) < 0);
    assert_int_equal(again.code, ERR_SNAPSHOT);
    assert_non_null(strstr(again.message, "n-leaf.qcow2"));
    assert_int_equal(library.commits + library.snapshots, 0);
}

static void names_become_absolute_only_if_they_must(void **state)
{
    static char refusal[] = "can't keep relative backing relationship";
    struct err err = ERR_INIT;
    (void)state;
    library.relative = error_of(VIR_ERR_CONFIG_UNSUPPORTED, refusal);
    assert_int_equal(commit("/srv/base", "/srv/mid", &err), 0);
    assert_int_equal(library.commits, 2);
    assert_int_equal(library.commit_flags,
                     VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES);
    library.commits = 0;
    library.relative = error_of(VIR_ERR_CONFIG_UNSUPPORTED, scripted);
    assert_true(commit("/srv/base", "/srv/mid", &err) < 0);
    assert_int_equal(err.code, ERR_MERGE);
    assert_non_null(strstr(err.message, "scripted"));
    assert_int_equal(library.commits, 1);
}

static void job_is_in_the_way(int number)
{
    library.commit = -1;
    library.error = error_of(number, scripted);
    library.info = 1;
    library.job.type = VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT;
}

static void only_the_commit_that_runs_is_started_again(void **state)
{
    static const char *const others[][2] = {
        {"/srv/base",  "/srv/leaf"},
        { "/srv/mid",  "/srv/leaf"},
        { "/srv/base", LEAF       },
    };
    struct err err = ERR_INIT;
    (void)state;
    job_is_in_the_way(VIR_ERR_OPERATION_UNSUPPORTED);
    assert_int_equal(commit("/srv/base", "/srv/mid", &err), 0);
    assert_int_equal(err.rc, 0);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct err busy = ERR_INIT;
        assert_true(commit(others[i][0], others[i][1], &busy) < 0);
        assert_int_equal(busy.code, ERR_DISK_BUSY);
        assert_non_null(strstr(busy.message, "scripted"));
        assert_true(busy.next[0]);
    }
    library.info = 0; /* no job: then it was not that */
    assert_true(commit("/srv/base", "/srv/mid", &err) < 0);
    assert_int_equal(err.code, ERR_MERGE);
}

static char *with_mirror(const char *mirror)
{
    const char *at = strstr(LIVE_NETWORK, "<target dev='vdb'");
    assert_non_null(at);
    return str_printf("%.*s%s%s", (int)(at - LIVE_NETWORK), LIVE_NETWORK,
                      mirror, at);
}

static void the_active_commit_is_known_by_its_mirror(void **state)
{
    static const struct {
        const char *mirror, *base, *top;
        bool same;
    } cases[] = {
        {"job='active-commit'><source file='/srv/leaf'/>",                "/srv/leaf", LEAF,
         true                                                                                     },
        { "job='active-commit' ready='yes'><source file='/srv/leaf'/>",
         "/srv/leaf",                                                                  LEAF, true },
        { "job='active-commit' ready='abort'><source file='/srv/leaf'/>",
         "/srv/leaf",                                                                  LEAF, false},
        { "job='active-commit'><source file='/srv/mid'/>",                "/srv/leaf", LEAF,
         false                                                                                    },
        { "job='active-commit'><source file='/srv/mid'/>",                "/srv/mid",
         "/srv/leaf",                                                                        false},
        { "job='copy'><source file='/srv/leaf'/>",                        "/srv/leaf", LEAF, false},
    };
    (void)state;
    job_is_in_the_way(VIR_ERR_BLOCK_COPY_ACTIVE);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        char *mirror =
            str_printf("<mirror type='file' %s</mirror>", cases[i].mirror);
        char *xml = with_mirror(mirror);
        library.xml = xml;
        int rc = commit(cases[i].base, cases[i].top, &err);
        assert_int_equal(rc == 0, cases[i].same);
        if (rc)
            assert_int_equal(err.code, ERR_DISK_BUSY);
        free(xml);
        free(mirror);
    }
}

static void a_commit_that_runs_tells_its_base(void **state)
{
    struct vm_mirror_info info;
    struct err err = ERR_INIT;
    (void)state;
    library.info = 1;
    library.job = (virDomainBlockJobInfo){
        .type = VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT, .cur = 5, .end = 9
    };
    assert_int_equal(port.ops->mirror_info(port.ctx, VM, "vdb", &info, &err),
                     0);
    assert_int_equal(info.kind, VM_JOB_COMMIT);
    assert_true(!info.job && !info.ready && info.done == 5 && info.total == 9);
    assert_string_equal(info.disk_path, LEAF);
    assert_string_equal(info.mirror_path, "/srv/base");
}

static struct vm_overlay over_vdb(void)
{
    struct vm_overlay over = { .target = "vdb" };
    (void)str_copy(over.path, sizeof(over.path), overlay);
    return over;
}

static void a_snapshot_is_atomic_and_leaves_no_record(void **state)
{
    const unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                           VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
                           VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
                           VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;
    const struct vm_overlay over = over_vdb();
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->snapshot(port.ctx, VM, &over, 1, false, &err),
                     0);
    assert_int_equal(library.snapshot_flags, flags);
    assert_non_null(
        strstr(library.snapshot_xml, "<disk name=\"vda\" snapshot=\"no\"/>"));
    assert_non_null(strstr(library.snapshot_xml, overlay));
    assert_int_equal(port.ops->snapshot(port.ctx, VM, &over, 1, true, &err), 0);
    assert_int_equal(library.snapshot_flags,
                     flags | VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE);
}

static void disks_on_their_overlay_are_left_out(void **state)
{
    struct vm_overlay overs[2] = {
        over_vdb(), {.target = "sda", .path = "/dev/loop7"}
    };
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->snapshot(port.ctx, VM, &overs[1], 1, 0, &err),
                     0);
    assert_int_equal(port.ops->snapshot(port.ctx, VM, NULL, 0, 0, &err), 0);
    assert_int_equal(library.snapshots, 0);
    assert_int_equal(port.ops->snapshot(port.ctx, VM, overs, 2, 0, &err), 0);
    assert_int_equal(library.snapshots, 1);
    assert_non_null(
        strstr(library.snapshot_xml, "<disk name=\"sda\" snapshot=\"no\"/>"));
}

static void a_snapshot_that_fails_tells_the_cause(void **state)
{
    struct vm_overlay overs[2] = {
        over_vdb(), {.target = "vdz", .path = "/tmp"}
    };
    struct err err = ERR_INIT, other = ERR_INIT, third = ERR_INIT;
    (void)state;
    assert_true(port.ops->snapshot(port.ctx, VM, overs, 2, false, &err) < 0);
    assert_int_equal(err.code, ERR_SNAPSHOT);
    assert_non_null(strstr(err.message, "vdz"));
    (void)str_copy(overs[1].target, DISK_TARGET_SIZE, "vda");
    (void)str_copy(overs[1].path, PATH_MAX, "/nonexistent/x");
    assert_true(port.ops->snapshot(port.ctx, VM, overs, 2, false, &other) < 0);
    assert_int_equal(other.code, ERR_SNAPSHOT);
    assert_non_null(strstr(other.message, "/nonexistent/x"));
    assert_int_equal(library.snapshots, 0);
    library.snapshot = -1;
    library.error = error_of(VIR_ERR_INTERNAL_ERROR, scripted);
    assert_true(port.ops->snapshot(port.ctx, VM, overs, 1, true, &third) < 0);
    assert_int_equal(third.code, ERR_SNAPSHOT);
    assert_non_null(strstr(third.message, "scripted"));
    assert_non_null(strstr(third.next, "agent"));
}

static void counters_are_in_microseconds(void **state)
{
    struct vm_disk_io io;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->disk_io(port.ctx, VM, "vda", &io, &err), 0);
    assert_int_equal(io.reads, 3);
    assert_int_equal(io.read_us, 5);
    assert_int_equal(io.writes, 6);
    assert_int_equal(io.write_bytes, 7);
    assert_int_equal(io.write_us, 80);
    library.error = error_of(VIR_ERR_INVALID_ARG, scripted);
    assert_true(port.ops->disk_io(port.ctx, VM, "vdz", &io, &err) < 0);
    assert_int_equal(err.code, ERR_NO_DISK);
}

static void layers_are_qemus(void **state)
{
    struct vm_layers layers = { 0 };
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->disk_layers(port.ctx, VM, "vdb", &layers, &err),
                     0);
    assert_int_equal(layers.n, 4);
    assert_string_equal(layers.paths[0], LEAF);
    assert_string_equal(layers.paths[3], "/srv/base");
    vm_layers_deinit(&layers);
    assert_int_equal(library.questions, 1);
    assert_true(port.ops->disk_layers(port.ctx, VM, "vdz", &layers, &err) < 0);
    assert_int_equal(err.code, ERR_NO_DISK);
}

static void a_place_that_is_none_is_a_wrong_parameter(void **state)
{
    char place[PATH_MAX];
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(port.ops->place(port.ctx, "nbd:h:10809", place, &err), 0);
    assert_string_equal(place, "nbd://h:10809/");
    assert_true(port.ops->place(port.ctx, "h:10809", place, &err) < 0);
    assert_int_equal(err.code, ERR_PARAMETER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_commit_names_layers_by_number),
        TEST(a_commit_of_no_layer_is_refused),
        TEST(nothing_starts_when_qemu_writes_elsewhere),
        TEST(names_become_absolute_only_if_they_must),
        TEST(only_the_commit_that_runs_is_started_again),
        TEST(the_active_commit_is_known_by_its_mirror),
        TEST(a_commit_that_runs_tells_its_base),
        TEST(a_snapshot_is_atomic_and_leaves_no_record),
        TEST(disks_on_their_overlay_are_left_out),
        TEST(a_snapshot_that_fails_tells_the_cause),
        TEST(counters_are_in_microseconds),
        TEST(layers_are_qemus),
        TEST(a_place_that_is_none_is_a_wrong_parameter),
    };
    return cmocka_run_group_tests(tests, connect_once, disconnect);
}
