/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Thresholds, pauses and alarms against a libvirt that answers by a script and
 * sends the events that the test wants. The connection and the VM are those of
 * libvirt's test driver.
 */
#include "samples.h"

#include <dray/base/file.h>
#include <dray/base/lock.h>
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
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libvirt.so\nrace:libglib-2.0.so\n";
}

enum {
    EVENT_IDS = 64
};

static struct library {
    const char *xml;
    int state, reason;
    int threshold; /* what the call gives */
    virError error;
    virDomainDiskError errors[2];
    int n_errors;
    int silent; /* so many statistics come without qemu's part */
    /* what was asked for */
    char node[32];
    unsigned long long bytes;
    int questions;
    unsigned stats_flags;
} library;

static virConnectDomainEventGenericCallback callbacks[EVENT_IDS];
static void *callback_arg;
static virConnectDomainQemuMonitorEventCallback monitor_callback;
static virError *last_error;

/* As libvirt would call it. */
#define CALLBACK(type, id) ((type)(void (*)(void))callbacks[id])

/* --- the library ------------------------------------------------------- */

virErrorPtr virGetLastError(void)
{
    return last_error;
}

static int answer(int rc)
{
    last_error = rc < 0 ? &library.error : NULL;
    return rc;
}

int virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr dom,
                                     int eventID,
                                     virConnectDomainEventGenericCallback cb,
                                     void *opaque, virFreeCallback freecb)
{
    (void)conn;
    assert_null(dom);
    assert_null(freecb);
    assert_in_range(eventID, 0, EVENT_IDS - 1);
    callbacks[eventID] = cb;
    callback_arg = opaque;
    return eventID;
}

int virConnectDomainEventDeregisterAny(virConnectPtr conn, int callbackID)
{
    (void)conn;
    assert_non_null(callbacks[callbackID]);
    return 0;
}

int virConnectDomainQemuMonitorEventRegister(
    virConnectPtr conn, virDomainPtr dom, const char *event,
    virConnectDomainQemuMonitorEventCallback cb, void *opaque,
    virFreeCallback freecb, unsigned int flags)
{
    (void)conn;
    (void)dom;
    (void)opaque;
    (void)freecb;
    (void)flags;
    assert_string_equal(event, "BLOCK_JOB_COMPLETED");
    monitor_callback = cb;
    return 0;
}

int virConnectDomainQemuMonitorEventDeregister(virConnectPtr conn,
                                               int callbackID)
{
    (void)conn;
    (void)callbackID;
    return 0;
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
    (void)domain;
    (void)flags;
    return strdup(library.xml);
}

int virDomainIsActive(virDomainPtr dom)
{
    (void)dom;
    return library.state != VIR_DOMAIN_SHUTOFF;
}

int virDomainGetState(virDomainPtr domain, int *state, int *reason,
                      unsigned int flags)
{
    (void)domain;
    (void)flags;
    *state = library.state;
    if (reason)
        *reason = library.reason;
    return 0;
}

int virDomainSetBlockThreshold(virDomainPtr domain, const char *dev,
                               unsigned long long threshold, unsigned int flags)
{
    (void)domain;
    assert_int_equal(flags, 0);
    (void)str_copy(library.node, sizeof(library.node), dev);
    library.bytes = threshold;
    return answer(library.threshold);
}

int virDomainGetDiskErrors(virDomainPtr dom, virDomainDiskErrorPtr errors,
                           unsigned int maxerrors, unsigned int flags)
{
    (void)dom;
    assert_int_equal(flags, 0);
    library.questions++;
    if (!errors || library.n_errors < 0)
        return answer(library.n_errors);
    assert_int_equal(maxerrors, library.n_errors);
    for (int i = 0; i < library.n_errors; i++) {
        errors[i] = library.errors[i];
        errors[i].disk = strdup(library.errors[i].disk);
    }
    return answer(library.n_errors);
}

int virDomainListGetStats(virDomainPtr *doms, unsigned int stats,
                          virDomainStatsRecordPtr **retStats,
                          unsigned int flags)
{
    int room = 0;
    assert_null(doms[1]); /* of one VM only */
    assert_int_equal(stats, VIR_DOMAIN_STATS_BLOCK);
    library.questions++;
    library.stats_flags = flags;
    virDomainStatsRecordPtr *records = calloc(2, sizeof(*records));
    assert_non_null(records);
    records[0] = calloc(1, sizeof(**records));
    assert_non_null(records[0]);
    virTypedParameterPtr *params = &records[0]->params;
    int *n = &records[0]->nparams;
    records[0]->dom = doms[0];
    (void)virDomainRef(doms[0]);
    (void)virTypedParamsAddUInt(params, n, &room, "block.count", 1);
    (void)virTypedParamsAddString(params, n, &room, "block.0.name", "vda");
    (void)virTypedParamsAddUInt(params, n, &room, "block.0.backingIndex", 4);
    if (library.silent-- <= 0) {
        (void)virTypedParamsAddULLong(params, n, &room, "block.0.rd.reqs", 1);
        (void)virTypedParamsAddULLong(params, n, &room, "block.0.capacity", 9);
        (void)virTypedParamsAddULLong(params, n, &room, "block.0.physical", 8);
    }
    *retStats = records;
    return 1;
}

/* --- the tests --------------------------------------------------------- */

static char node_file[] = "/tmp/drayd-test-node-XXXXXX";
static struct virt *virt;
static struct hypervisor_port port;
static virConnectPtr driver;
static virDomainPtr domain;

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
    if (fd < 0 || file_write_all(fd, NODE, sizeof(NODE) - 1) < 0)
        return -1;
    (void)close(fd);
    (void)str_format(uri, sizeof(uri), "test://%s", node_file);
    if (virt_new(uri, &virt, NULL) < 0)
        return -1;
    port = virt_port(virt);
    int64_t deadline_ms = time_now_ms() + 20000;
    while (port.ops->connected(port.ctx) < 0 && time_now_ms() < deadline_ms)
        (void)sched_yield();
    driver = virConnectOpen(uri);
    domain = driver ? virDomainLookupByUUIDString(driver, VM) : NULL;
    return domain ? port.ops->connected(port.ctx) : -1;
}

static int disconnect(void **state)
{
    (void)state;
    virt_free(virt);
    (void)virDomainFree(domain);
    (void)virConnectClose(driver);
    return unlink(node_file);
}

static char scripted[] = "scripted";

static int setup(void **state)
{
    (void)state;
    library = (struct library){
        .xml = "<domain><devices><disk type='block'><driver type='qcow2'/>"
               "<source dev='/dev/x' index='4'/><target dev='vda'/></disk>"
               "</devices></domain>",
        .state = VIR_DOMAIN_RUNNING,
        .error = { .message = scripted },
    };
    last_error = NULL;
    return 0;
}

static int ask_layers(struct vm_layer **ret_layers, struct err *err)
{
    size_t n = 0;
    int rc = port.ops->layer_stats(port.ctx, VM, ret_layers, &n, err);
    return rc < 0 ? rc : (int)n;
}

static void statistics_never_wait_for_another_call(void **state)
{
    struct vm_layer *layers = NULL;
    (void)state;
    library.silent = 2; /* another call has the VM, for an instant */
    assert_int_equal(ask_layers(&layers, NULL), 1);
    assert_int_equal(library.stats_flags,
                     VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING |
                         VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    assert_string_equal(layers[0].node, "vda[4]");
    assert_string_equal(layers[0].path, "/dev/x");
    assert_int_equal(layers[0].capacity, 9);
    assert_int_equal(layers[0].physical, 8);
    free(layers);
}

static void statistics_do_not_lie_when_qemu_hangs(void **state)
{
    struct vm_layer *layers = NULL;
    struct err err = ERR_INIT;
    (void)state;
    library.silent = 1000000;
    assert_true(ask_layers(&layers, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_RESPONDING);
    assert_true(err.next[0]);
    assert_null(layers);
}

/* @xml with its first disk on a block device; the caller frees it. */
static char *on_a_device(const char *xml)
{
    const char file[] = "<disk type='file' device='disk'>";
    const char *at = strstr(xml, file);
    char *made = NULL;
    assert_non_null(at);
    assert_true(asprintf(&made, "%.*s<disk type='block' device='disk'>%s",
                         (int)(at - xml), xml, at + strlen(file)) > 0);
    return made;
}

static void a_chain_that_changes_is_looked_at_again(void **state)
{
    struct vm_layer *layers = NULL;
    (void)state;
    char *xml = on_a_device(LIVE_BEFORE);
    library.xml = xml; /* for ever: what there is, is told */
    assert_int_equal(ask_layers(&layers, NULL), 5);
    assert_in_range(library.questions, 2, 10);
    assert_int_equal(layers[0].physical, 8);
    free(layers);
    free(xml);
}

static void only_files_are_not_asked_about(void **state)
{
    struct vm_layer *layers = NULL;
    (void)state;
    library.xml = LIVE_BEFORE;
    assert_int_equal(ask_layers(&layers, NULL), 0);
    assert_int_equal(library.questions, 0);
    free(layers);
}

static void a_stopped_vm_has_no_layers(void **state)
{
    struct vm_layer *layers = NULL;
    (void)state;
    library.state = VIR_DOMAIN_SHUTOFF;
    assert_int_equal(ask_layers(&layers, NULL), 0);
    assert_int_equal(library.questions, 0);
    free(layers);
}

static int arm(const char *node, uint64_t bytes, struct err *err)
{
    return port.ops->threshold_set(port.ctx, VM, node, bytes, err);
}

static void a_threshold_is_set_by_the_layers_number(void **state)
{
    (void)state;
    assert_int_equal(arm("vda[3]", 12345, NULL), 0);
    assert_string_equal(library.node, "vda[3]");
    assert_int_equal(library.bytes, 12345);
    assert_int_equal(arm("vda[3]", 0, NULL), 0);
    assert_int_equal(library.bytes, 0);
}

static void only_a_layer_has_a_threshold(void **state)
{
    static const char *const nodes[] = { "",       "vda",   "vda[",
                                         "vda[]",  "[3]",   "vda[3",
                                         "vda[x]", "vda3]", "vda[3]x" };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
        struct err err = ERR_INIT;
        assert_true(arm(nodes[i], 1, &err) < 0);
        assert_int_equal(err.code, ERR_NO_DISK);
    }
    assert_string_equal(library.node, ""); /* never asked for */
}

static void a_layer_that_is_gone_has_no_threshold(void **state)
{
    static const struct {
        int number, vm_state;
        enum err_code code;
    } cases[] = {
        {VIR_ERR_INVALID_ARG,        VIR_DOMAIN_RUNNING, ERR_NO_DISK       },
        { VIR_ERR_OPERATION_INVALID, VIR_DOMAIN_SHUTOFF, ERR_NO_DISK       },
        { VIR_ERR_OPERATION_INVALID, VIR_DOMAIN_RUNNING, ERR_GENERAL       },
        { VIR_ERR_INTERNAL_ERROR,    VIR_DOMAIN_RUNNING, ERR_GENERAL       },
        { VIR_ERR_OPERATION_TIMEOUT, VIR_DOMAIN_RUNNING, ERR_NOT_RESPONDING},
        { VIR_ERR_NO_DOMAIN,         VIR_DOMAIN_RUNNING, ERR_NO_VM         },
    };
    (void)state;
    library.threshold = -1;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        library.error.code = cases[i].number;
        library.state = cases[i].vm_state;
        assert_true(arm("vda[3]", 1, &err) < 0);
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, "vda[3]"));
    }
}

static void expect_pause(bool paused, const char *target)
{
    bool is_paused = !paused;
    char found[DISK_TARGET_SIZE] = "unset";
    assert_int_equal(
        port.ops->paused_for_space(port.ctx, VM, &is_paused, found, NULL), 0);
    assert_int_equal(is_paused, paused);
    assert_string_equal(found, target);
}

static char vda[] = "vda", vdb[] = "vdb";

static void a_pause_for_space_is_none_for_another_reason(void **state)
{
    (void)state;
    library.errors[0] =
        (virDomainDiskError){ vda, VIR_DOMAIN_DISK_ERROR_UNSPEC };
    library.errors[1] =
        (virDomainDiskError){ vdb, VIR_DOMAIN_DISK_ERROR_NO_SPACE };
    library.n_errors = 2;
    expect_pause(false, ""); /* it runs */
    library.state = VIR_DOMAIN_SHUTOFF;
    expect_pause(false, "");
    library.state = VIR_DOMAIN_PAUSED;
    library.reason = VIR_DOMAIN_PAUSED_USER;
    expect_pause(false, "");
    assert_int_equal(library.questions, 0); /* these need no qemu */
    library.reason = VIR_DOMAIN_PAUSED_IOERROR;
    expect_pause(true, "vdb");
    library.n_errors = 1;
    expect_pause(false, "");
    library.n_errors = 0;
    expect_pause(false, "");
}

static void disk_errors_that_cannot_be_read_are_no_answer(void **state)
{
    struct err err = ERR_INIT;
    bool paused = true;
    char target[DISK_TARGET_SIZE] = "unset";
    (void)state;
    library.state = VIR_DOMAIN_PAUSED;
    library.reason = VIR_DOMAIN_PAUSED_IOERROR;
    library.n_errors = -1;
    library.error.code = VIR_ERR_OPERATION_TIMEOUT;
    assert_true(
        port.ops->paused_for_space(port.ctx, VM, &paused, target, &err) < 0);
    assert_int_equal(err.code, ERR_NOT_RESPONDING);
    assert_true(paused);
    assert_string_equal(target, "unset");
}

/* --- alarms -------------------------------------------------------------- */

static struct {
    int n;
    struct vm_alarm last;
} alarms;
static int hints;

static void on_alarm(void *arg, const struct vm_alarm *alarm)
{
    assert_ptr_equal(arg, &alarms);
    alarms.n++;
    alarms.last = *alarm;
}

static void on_hint(void *arg, const char *vm)
{
    assert_ptr_equal(arg, &hints);
    assert_string_equal(vm, VM);
    hints++;
}

static void expect_alarm(enum vm_alarm_kind kind, const char *node, int is_hint)
{
    assert_int_equal(alarms.n, 1);
    assert_int_equal(hints, is_hint);
    assert_int_equal(alarms.last.kind, kind);
    assert_string_equal(alarms.last.vm, VM);
    assert_string_equal(alarms.last.node, node);
    alarms.n = hints = 0;
}

static int listen(void **state)
{
    alarms.n = hints = 0;
    port.ops->set_alarm(port.ctx, on_alarm, &alarms);
    port.ops->set_hint(port.ctx, on_hint, &hints);
    return setup(state);
}

static int hush(void **state)
{
    (void)state;
    port.ops->set_alarm(port.ctx, NULL, NULL);
    port.ops->set_hint(port.ctx, NULL, NULL);
    return 0;
}

static void send_threshold(const char *node)
{
    CALLBACK(virConnectDomainEventBlockThresholdCallback,
             VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD)
    (driver, domain, node, "/dev/x", 1000, 77, callback_arg);
}

static void a_threshold_is_told_once(void **state)
{
    (void)state;
    send_threshold("vda[3]");
    assert_int_equal(alarms.last.excess, 77);
    expect_alarm(VM_ALARM_THRESHOLD, "vda[3]", 0);
    send_threshold("vda"); /* its twin */
    assert_int_equal(alarms.n, 0);
}

static void send_io_error(const char *reason)
{
    CALLBACK(virConnectDomainEventIOErrorReasonCallback,
             VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON)
    (driver, domain, "/dev/x", "virtio-disk0", VIR_DOMAIN_EVENT_IO_ERROR_PAUSE,
     reason, callback_arg);
}

static void no_space_is_another_thing_than_a_broken_disk(void **state)
{
    (void)state;
    send_io_error("enospc");
    expect_alarm(VM_ALARM_NO_SPACE, "", 1);
    send_io_error("");
    expect_alarm(VM_ALARM_CHANGED, "", 1);
    send_io_error("eother");
    expect_alarm(VM_ALARM_CHANGED, "", 1);
}

static void a_job_that_has_no_space_left_says_its_disk(void **state)
{
    (void)state;
    monitor_callback(driver, domain, "BLOCK_JOB_COMPLETED", 1, 2,
                     "{\"device\":\"copy-vdb-libvirt-8-format\",\"error\":"
                     "\"No space left on device\"}",
                     callback_arg);
    expect_alarm(VM_ALARM_NO_SPACE, "vdb", 1);
    monitor_callback(driver, domain, "BLOCK_JOB_COMPLETED", 1, 2,
                     "{\"device\":\"copy-vdb-libvirt-8-format\",\"error\":"
                     "\"Input/output error\"}",
                     callback_arg);
    expect_alarm(VM_ALARM_CHANGED, "vdb", 1);
    monitor_callback(driver, domain, "BLOCK_JOB_COMPLETED", 1, 2, NULL,
                     callback_arg);
    assert_int_equal(alarms.n, 0);
}

static void changes_are_told(void **state)
{
    (void)state;
    CALLBACK(virConnectDomainEventBlockJobCallback,
             VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2)
    (driver, domain, "vda", VIR_DOMAIN_BLOCK_JOB_TYPE_COPY,
     VIR_DOMAIN_BLOCK_JOB_READY, callback_arg);
    expect_alarm(VM_ALARM_CHANGED, "vda", 1);
    CALLBACK(virConnectDomainEventCallback, VIR_DOMAIN_EVENT_ID_LIFECYCLE)
    (driver, domain, VIR_DOMAIN_EVENT_SUSPENDED,
     VIR_DOMAIN_EVENT_SUSPENDED_IOERROR, callback_arg);
    expect_alarm(VM_ALARM_CHANGED, "", 1);
}

static void nobody_is_told_who_does_not_want_to(void **state)
{
    (void)hush(state);
    send_threshold("vda[3]");
    send_io_error("enospc");
    assert_int_equal(alarms.n + hints, 0);
}

/* One alarm after the other from another thread, until stopped. */
static struct {
    atomic_bool stop;
    atomic_int inside, sent;
} flood;

static void slow_alarm(void *arg, const struct vm_alarm *alarm)
{
    (void)arg;
    (void)alarm;
    atomic_fetch_add(&flood.inside, 1);
    (void)sched_yield();
    atomic_fetch_sub(&flood.inside, 1);
}

static void *send_flood(void *arg)
{
    (void)arg;
    while (!atomic_load(&flood.stop)) {
        send_threshold("vda[3]");
        atomic_fetch_add(&flood.sent, 1);
    }
    return NULL;
}

static void none_is_under_way_after_the_end(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, send_flood, NULL), 0);
    for (int i = 0; i < 200; i++) {
        port.ops->set_alarm(port.ctx, slow_alarm, NULL);
        for (int sent = atomic_load(&flood.sent);
             atomic_load(&flood.sent) == sent;)
            (void)sched_yield();
        port.ops->set_alarm(port.ctx, NULL, NULL);
        assert_int_equal(atomic_load(&flood.inside), 0);
    }
    atomic_store(&flood.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
#define TEST(f)  cmocka_unit_test_setup(f, setup)
#define ALARM(f) cmocka_unit_test_setup_teardown(f, listen, hush)
    const struct CMUnitTest tests[] = {
        TEST(statistics_never_wait_for_another_call),
        TEST(statistics_do_not_lie_when_qemu_hangs),
        TEST(a_chain_that_changes_is_looked_at_again),
        TEST(only_files_are_not_asked_about),
        TEST(a_stopped_vm_has_no_layers),
        TEST(a_threshold_is_set_by_the_layers_number),
        TEST(only_a_layer_has_a_threshold),
        TEST(a_layer_that_is_gone_has_no_threshold),
        TEST(a_pause_for_space_is_none_for_another_reason),
        TEST(disk_errors_that_cannot_be_read_are_no_answer),
        ALARM(a_threshold_is_told_once),
        ALARM(no_space_is_another_thing_than_a_broken_disk),
        ALARM(a_job_that_has_no_space_left_says_its_disk),
        ALARM(changes_are_told),
        ALARM(nobody_is_told_who_does_not_want_to),
        ALARM(none_is_under_way_after_the_end),
    };
    return cmocka_run_group_tests(tests, connect_once, disconnect);
}
