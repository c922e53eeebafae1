/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file itself: whose it must be, and that the one we ship says the truth.
 */
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/config.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* From this file, whose name is relative to the build directory, in which meson
 * runs tests. */
#define SHIPPED "/../../../conf/drayd.conf"

static char dir[64];
static char path[128];
static struct config config;
static struct err err;

static void write_file(const char *text, mode_t mode)
{
    assert_int_equal(file_replace(path, text, strlen(text), mode, NULL), 0);
}

static int load(void)
{
    err_clear(&err);
    return config_load(path, &config, &err);
}

static int set_up(void **state)
{
    (void)state;
    assert_true(str_copy(dir, sizeof(dir), "/tmp/drayd-test-XXXXXX"));
    assert_non_null(mkdtemp(dir));
    assert_true(str_format(path, sizeof(path), "%s/drayd.conf", dir));
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return file_remove(path, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir);
}

static void loads_over_the_defaults(void **state)
{
    (void)state;
    write_file("[host]\nid = 7\nname = a\n", 0644);
    assert_int_equal(load(), 0);
    assert_int_equal(config.host_id, 7);
    assert_int_equal(config.workers, 16);
}

static void refuses_a_file_that_others_may_write(void **state)
{
    (void)state;
    static const mode_t modes[] = { 0664, 0646, 0666 };
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        write_file("[host]\nname = a\n", modes[i]);
        assert_int_equal(load(), -EPERM);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.next, "chmod go-w"));
    }
}

static void refuses_a_file_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: a file of another user\n");
        skip();
    }
    write_file("[host]\nname = a\n", 0644);
    assert_int_equal(chown(path, 1, 1), 0);
    assert_int_equal(load(), -EPERM);
}

static void tells_a_missing_file_apart(void **state)
{
    (void)state;
    assert_int_equal(load(), -ENOENT);
    assert_non_null(strstr(err.message, path));
}

static void refuses_a_directory_and_a_huge_file(void **state)
{
    (void)state;
    assert_int_equal(config_load(dir, &config, NULL), -EINVAL);
    write_file("", 0644);
    assert_int_equal(truncate(path, 65537), 0);
    assert_int_equal(load(), -EFBIG);
}

static void leaves_the_result_alone_after_an_error(void **state)
{
    (void)state;
    memset(&config, 0x5a, sizeof(config));
    struct config before = config;
    write_file("[host]\nid = 7\nid = 8\n", 0644);
    assert_int_equal(load(), -EINVAL);
    assert_memory_equal(&before, &config, sizeof(config));
}

static char *read_shipped(void)
{
    char shipped[PATH_MAX];
    char *text = NULL;
    size_t len = 0;
    assert_true(str_copy(shipped, sizeof(shipped), __FILE__));
    char *slash = strrchr(shipped, '/');
    assert_non_null(slash);
    assert_true(
        str_copy(slash, sizeof(shipped) - (size_t)(slash - shipped), SHIPPED));
    assert_int_equal(file_read(shipped, 65536, &text, &len, NULL), 0);
    return text;
}

/* "#key = value" is a default; prose has a blank after the "#". A key without
 * a value stands for what a host decides. */
static void uncomment(char *text)
{
    char *out = text;
    for (char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        size_t skip = line[0] == '#' && line[1] != ' ' ? 1 : 0;
        bool keep = len > 0 && line[len - 1] != '=' &&
                    memchr(line, '#', skip ? 0 : 1) == NULL &&
                    !str_starts_with(line + skip, "full_group");
        size_t next = len + (line[len] == '\n' ? 1 : 0);
        if (keep) {
            memmove(out, line + skip, next - skip);
            out += next - skip;
        }
        line += next;
    }
    *out = '\0';
}

static void ships_a_file_that_says_the_defaults(void **state)
{
    (void)state;
    struct config defaults;
    _cleanup_free_ char *text = read_shipped();
    config_defaults(&defaults);
    uncomment(text);
    assert_non_null(strstr(text, "\nio_timeout = 10\n"));
    char named[32 * 1024];
    assert_true(
        str_format(named, sizeof(named), "%s\n[host]\nname = a\n", text));
    write_file(named, 0644);
    assert_int_equal(load(), 0);
    assert_string_equal(config.socket_path, defaults.socket_path);
    assert_string_equal(config.state_dir, defaults.state_dir);
    assert_string_equal(config.run_dir, defaults.run_dir);
    assert_string_equal(config.libvirt_uri, defaults.libvirt_uri);
    assert_string_equal(config.qemu_img, defaults.qemu_img);
    assert_string_equal(config.sanlock, defaults.sanlock);
    assert_string_equal(config.dray_lvm, defaults.dray_lvm);
    assert_int_equal(config.lvm_timeout_s, defaults.lvm_timeout_s);
    assert_string_equal(config.tls_listen, defaults.tls_listen);
    assert_int_equal(config.tls_port, defaults.tls_port);
    assert_string_equal(config.tls_ca, defaults.tls_ca);
    assert_string_equal(config.tls_cert, defaults.tls_cert);
    assert_string_equal(config.tls_key, defaults.tls_key);
    assert_string_equal(config.tls_crl, defaults.tls_crl);
    assert_string_equal(config.tls_roles, defaults.tls_roles);
    assert_int_equal(config.workers, defaults.workers);
    assert_int_equal(config.log_level, defaults.log_level);
    assert_int_equal(config.full_gid, defaults.full_gid);
    assert_int_equal(config.read_gid, defaults.read_gid);
    assert_int_equal(config.host_id, defaults.host_id);
    assert_int_equal(config.owner_uid, defaults.owner_uid);
    assert_int_equal(config.owner_gid, defaults.owner_gid);
    assert_int_equal(config.io_timeout_s, defaults.io_timeout_s);
    assert_int_equal(config.require_watchdog, defaults.require_watchdog);
    assert_int_equal(config.buffer_bytes, defaults.buffer_bytes);
    assert_int_equal(config.converge_limit_s, defaults.converge_limit_s);
    assert_int_equal(config.migration_wait_s, defaults.migration_wait_s);
    assert_int_equal(config.job_leases, defaults.job_leases);
    assert_string_equal(config.peers, defaults.peers);
}

static void allows_the_default_group_to_be_missing(void **state)
{
    (void)state;
    config_defaults(&config);
    if (access("/etc/group", R_OK) == 0) {
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        assert_int_equal(file_read("/etc/group", 1 << 20, &text, &len, NULL),
                         0);
        if (!strstr(text, "\ndray:"))
            assert_int_equal(config.full_gid, (gid_t)-1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(loads_over_the_defaults, remove_file),
        cmocka_unit_test_teardown(refuses_a_file_that_others_may_write,
                                  remove_file),
        cmocka_unit_test_teardown(refuses_a_file_of_another_user, remove_file),
        cmocka_unit_test_teardown(tells_a_missing_file_apart, remove_file),
        cmocka_unit_test_teardown(refuses_a_directory_and_a_huge_file,
                                  remove_file),
        cmocka_unit_test_teardown(leaves_the_result_alone_after_an_error,
                                  remove_file),
        cmocka_unit_test_teardown(ships_a_file_that_says_the_defaults,
                                  remove_file),
        cmocka_unit_test_teardown(allows_the_default_group_to_be_missing,
                                  remove_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
