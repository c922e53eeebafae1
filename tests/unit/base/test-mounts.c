/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lines of /proc/PID/mountinfo.
 */
#include <dray/base/mounts.h>
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_next(const char **text, const char *point, const char *type,
                        const char *source)
{
    struct mount_entry entry;
    assert_true(mounts_next(text, &entry));
    assert_string_equal(entry.point, point);
    assert_string_equal(entry.type, type);
    assert_string_equal(entry.source, source);
}

static void reads_each_line(void **state)
{
    (void)state;
    const char *text =
        "25 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "31 25 0:52 / /mnt/a rw - nfs4 [fd00::1]:/a rw,vers=4.2\n"
        "32 25 0:53 /x /mnt/b\\040c\\134d rw shared:2 master:1 propagate_from:3"
        " - nfs srv:/my\\040disks rw\n"
        "33 25 0:54 / /last rw - tmpfs none rw";
    struct mount_entry entry;
    assert_next(&text, "/", "ext4", "/dev/vda");
    assert_next(&text, "/mnt/a", "nfs4", "[fd00::1]:/a");
    assert_next(&text, "/mnt/b c\\d", "nfs", "srv:/my disks");
    assert_next(&text, "/last", "tmpfs", "none");
    assert_false(mounts_next(&text, &entry));
}

static void what_is_missing_is_empty(void **state)
{
    (void)state;
    const char *text = "\n1 2\n31 25 0:52 / /mnt/a rw shared:1\n"
                       "25 1 254:0 / / rw - ext4 /dev/vda rw\n";
    assert_next(&text, "", "", "");
    assert_next(&text, "", "", "");
    assert_next(&text, "/mnt/a", "", "");
    assert_next(&text, "/", "ext4", "/dev/vda");
    assert_string_equal(text, "");
}

static void the_kernels_own_list_is_read_to_its_end(void **state)
{
    (void)state;
    char line[2 * PATH_MAX];
    bool root = false;
    size_t lines = 0, entries = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    assert_non_null(file);
    for (; fgets(line, sizeof(line), file); lines++) {
        const char *text = line;
        struct mount_entry entry;
        for (; mounts_next(&text, &entry); entries++) {
            assert_int_equal(entry.point[0], '/');
            assert_true(entry.type[0] != '\0');
            root = root || str_equal(entry.point, "/");
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(root);
    assert_int_equal(entries, lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_line),
        cmocka_unit_test(what_is_missing_is_empty),
        cmocka_unit_test(the_kernels_own_list_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
