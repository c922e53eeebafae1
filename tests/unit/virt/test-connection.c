/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The room with libvirt's own in-process test driver, which gets one running
 * VM "test" with a disk vda. What needs qemu is in tests/integration/.
 */
#include <dray/base/file.h>
#include <dray/virt.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

/* libvirt and glib are not built for the thread sanitizer, which cannot see
 * what orders their threads. Ours it does see. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:libvirt.so\nrace:libglib-2.0.so\n";
}

static char node_file[] = "/tmp/drayd-test-node-XXXXXX";
static char URI[64];
static const char NODE[] =
    "<node><domain type='test'><name>test</name>"
    "<uuid>6695eb01-f6a4-4304-79aa-97f2502e193f</uuid>"
    "<memory>65536</memory><os><type>hvm</type></os><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
    "<source file='/nonexistent/img/leaf'/><target dev='vda' bus='virtio'/>"
    "<serial>S1</serial></disk></devices></domain></node>";

static int write_node(void **state)
{
    (void)state;
    int fd = mkostemp(node_file, O_CLOEXEC);
    if (fd < 0 || file_write_all(fd, NODE, sizeof(NODE) - 1) < 0)
        return -1;
    (void)close(fd);
    return str_format(URI, sizeof(URI), "test://%s", node_file) ? 0 : -1;
}

static int remove_node(void **state)
{
    (void)state;
    return unlink(node_file);
}

static const char NOWHERE[] = "qemu+unix:///system?socket=/nonexistent/sock";

/* Hints, with what is needed to wait for one. */
struct hints {
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    int reconnects;
    char vm[UUID_SIZE];
};

static void on_hint(void *arg, const char *vm)
{
    struct hints *hints = arg;
    assert_int_equal(pthread_mutex_lock(&hints->lock), 0);
    if (vm)
        (void)str_copy(hints->vm, sizeof(hints->vm), vm);
    else
        hints->reconnects++;
    assert_int_equal(pthread_cond_broadcast(&hints->changed), 0);
    assert_int_equal(pthread_mutex_unlock(&hints->lock), 0);
}

static struct hints hints = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

static struct virt *connect_to(const char *uri)
{
    struct virt *virt = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(virt_new(uri, &virt, &err), 0);
    struct hypervisor_port port = virt_port(virt);
    port.ops->set_hint(port.ctx, on_hint, &hints);
    return virt;
}

/* The connection may have been there before the hint was set: then nobody
 * tells, and it is up. */
static struct virt *connected(void)
{
    struct virt *virt = connect_to(URI);
    struct hypervisor_port port = virt_port(virt);
    int64_t deadline = time_now_ms() + 20000;
    while (port.ops->connected(port.ctx) < 0) {
        assert_true(time_now_ms() < deadline);
        (void)sched_yield();
    }
    return virt;
}

static void lists_and_finds_vms(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct vm_info *vms = NULL, vm;
    size_t n = 0;
    struct err err = ERR_INIT;
    assert_int_equal(port.ops->vm_list(port.ctx, &vms, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(vms[0].name, "test");
    assert_int_equal(vms[0].state, VM_RUNNING);
    assert_true(vms[0].persistent);
    assert_true(uuid_is_valid(vms[0].uuid));
    assert_int_equal(port.ops->vm_find(port.ctx, "test", &vm, &err), 0);
    assert_string_equal(vm.uuid, vms[0].uuid);
    assert_int_equal(port.ops->vm_find(port.ctx, vms[0].uuid, &vm, &err), 0);
    assert_string_equal(vm.name, "test");
    free(vms);
    virt_free(virt);
}

static void names_the_vm_that_is_not_there(void **state)
{
    (void)state;
    static const char *const names[] = { "nope", "",     "../x",
                                         "a\nb", "\xff", UUID_BLANK };
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct err err = ERR_INIT;
        struct vm_info vm;
        assert_true(port.ops->vm_find(port.ctx, names[i], &vm, &err) < 0);
        assert_int_equal(err.code, ERR_NO_VM);
        assert_true(err.next[0]);
    }
    virt_free(virt);
}

static void assert_suspends(const struct hypervisor_port *port, const char *vm,
                            bool was_paused)
{
    struct err err = ERR_INIT;
    bool paused = !was_paused;
    assert_int_equal(port->ops->vm_suspend(port->ctx, vm, &paused, &err), 0);
    assert_int_equal(paused, was_paused);
}

static void suspends_and_resumes_repeatedly(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct err err = ERR_INIT;
    struct vm_info vm;
    for (int i = 0; i < 2; i++)
        assert_suspends(&port, "test", i > 0);
    assert_int_equal(port.ops->vm_find(port.ctx, "test", &vm, &err), 0);
    assert_int_equal(vm.state, VM_PAUSED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(port.ops->vm_resume(port.ctx, "test", &err), 0);
    assert_int_equal(port.ops->vm_find(port.ctx, "test", &vm, &err), 0);
    assert_int_equal(vm.state, VM_RUNNING);
    virt_free(virt);
}

static void hints_at_vms_that_change(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct err err = ERR_INIT;
    struct vm_info vm;
    assert_int_equal(port.ops->vm_find(port.ctx, "test", &vm, &err), 0);
    hints.vm[0] = '\0';
    assert_suspends(&port, vm.uuid, false);
    assert_int_equal(pthread_mutex_lock(&hints.lock), 0);
    while (!hints.vm[0])
        assert_int_equal(pthread_cond_wait(&hints.changed, &hints.lock), 0);
    assert_string_equal(hints.vm, vm.uuid);
    assert_int_equal(pthread_mutex_unlock(&hints.lock), 0);
    assert_int_equal(port.ops->vm_resume(port.ctx, vm.uuid, &err), 0);
    virt_free(virt);
}

static void says_that_a_disk_is_not_there(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct vm_disk_truth truth;
    struct err err = ERR_INIT;
    assert_true(
        port.ops->disk_truth(port.ctx, "test", "vdb", true, &truth, &err) < 0);
    assert_int_equal(err.code, ERR_NO_DISK);
    err_clear(&err);
    assert_true(port.ops->mirror_abort(port.ctx, "test", "vdb", &err) < 0);
    assert_int_equal(err.code, ERR_NO_DISK);
    virt_free(virt);
}

static void lists_disks(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct vm_disk *disks = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;
    assert_int_equal(port.ops->vm_disks(port.ctx, "test", &disks, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(disks[0].target, "vda");
    assert_string_equal(disks[0].path, "/nonexistent/img/leaf");
    assert_string_equal(disks[0].serial, "S1");
    assert_false(disks[0].job);
    free(disks);
    virt_free(virt);
}

static void finds_the_user_of_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool used;
    } cases[] = {
        {"/nonexistent/img/leaf",    true },
        { "/nonexistent/img",        true },
        { "/nonexistent/img/",       true },
        { "/",                       true },
        { "/nonexistent/img/lea",    false},
        { "/nonexistent/img/leaf2",  false},
        { "/nonexistent/im",         false},
        { "/nonexistent/img/leaf/x", false},
        { "",                        false},
        { "nonexistent",             false},
    };
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        struct vm_info vm;
        memset(&vm, 0xff, sizeof(vm));
        assert_int_equal(
            port.ops->path_user(port.ctx, cases[i].path, &vm, &err), 0);
        assert_string_equal(vm.name, cases[i].used ? "test" : "");
    }
    virt_free(virt);
}

static void defines_another_source(void **state)
{
    (void)state;
    struct virt *virt = connected();
    struct hypervisor_port port = virt_port(virt);
    struct err err = ERR_INIT;
    struct vm_info vm;
    /* twice: the second time there is nothing to do */
    for (int i = 0; i < 2; i++)
        assert_int_equal(port.ops->disk_set_persistent(port.ctx, "test", "vda",
                                                       node_file, "raw", &err),
                         0);
    assert_int_equal(port.ops->path_user(port.ctx, node_file, &vm, &err), 0);
    assert_string_equal(vm.name, "test");
    assert_true(port.ops->disk_set_persistent(port.ctx, "test", "vda",
                                              "/nonexistent/x", "raw",
                                              &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent/x"));
    virt_free(virt);
}

static void every_call_fails_while_libvirtd_is_away(void **state)
{
    (void)state;
    struct virt *virt = connect_to(NOWHERE);
    struct hypervisor_port port = virt_port(virt);
    struct vm_info *vms = NULL, vm;
    struct vm_mirror_spec spec = { .format = "raw" };
    struct vm_disk_truth truth;
    size_t n;
    bool paused;
    struct err err = ERR_INIT;
    assert_int_equal(port.ops->connected(port.ctx), -ENOTCONN);
    assert_int_equal(port.ops->vm_list(port.ctx, &vms, &n, &err), -ENOTCONN);
    assert_int_equal(err.code, ERR_NOT_RESPONDING);
    assert_int_equal(err.rc, -ENOTCONN);
    assert_true(err.next[0]);
    assert_int_equal(port.ops->vm_find(port.ctx, "x", &vm, NULL), -ENOTCONN);
    assert_int_equal(port.ops->vm_suspend(port.ctx, "x", &paused, NULL),
                     -ENOTCONN);
    assert_int_equal(port.ops->path_user(port.ctx, "/", &vm, NULL), -ENOTCONN);
    assert_int_equal(port.ops->mirror_start(port.ctx, &spec, NULL), -ENOTCONN);
    assert_int_equal(
        port.ops->disk_truth(port.ctx, "x", "vda", true, &truth, NULL),
        -ENOTCONN);
    assert_int_equal(
        port.ops->disk_set_persistent(port.ctx, "x", "vda", "/", "raw", NULL),
        -ENOTCONN);
    virt_free(virt);
}

static void ends_at_any_moment(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        virt_free(connect_to(i % 2 ? URI : NOWHERE));
    virt_free(NULL);
}

static void *hammer(void *arg)
{
    struct hypervisor_port port = virt_port(arg);
    for (int i = 0; i < 200; i++) {
        struct vm_info vm;
        struct err err = ERR_INIT;
        (void)port.ops->connected(port.ctx);
        if (port.ops->vm_find(port.ctx, "test", &vm, &err) < 0)
            assert_int_equal(err.rc, -ENOTCONN);
    }
    return NULL;
}

static void many_threads_ask_at_once(void **state)
{
    (void)state;
    struct virt *virt = connect_to(URI);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, virt), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    virt_free(virt);
}

static void names_states(void **state)
{
    (void)state;
    assert_string_equal(vm_state_name(VM_RUNNING), "running");
    assert_string_equal(vm_state_name(VM_SHUTOFF), "shutoff");
    assert_string_equal(vm_state_name(VM_PAUSED), "paused");
    assert_string_equal(vm_state_name(VM_OTHER), "other");
    assert_string_equal(vm_state_name((enum vm_state)99), "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_finds_vms),
        cmocka_unit_test(names_the_vm_that_is_not_there),
        cmocka_unit_test(suspends_and_resumes_repeatedly),
        cmocka_unit_test(hints_at_vms_that_change),
        cmocka_unit_test(says_that_a_disk_is_not_there),
        cmocka_unit_test(lists_disks),
        cmocka_unit_test(finds_the_user_of_a_path),
        cmocka_unit_test(defines_another_source),
        cmocka_unit_test(every_call_fails_while_libvirtd_is_away),
        cmocka_unit_test(ends_at_any_moment),
        cmocka_unit_test(many_threads_ask_at_once),
        cmocka_unit_test(names_states),
    };
    return cmocka_run_group_tests(tests, write_node, remove_node);
}
