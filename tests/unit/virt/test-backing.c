/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../../../src/virt/backing.h"
#include <dray/base/file.h>
#include <dray/base/reach.h>
#include <dray/base/util.h>
#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char top[] = "/tmp/drayd-test-backing-XXXXXX";
static struct reach *reach;

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(top) && chdir(top) == 0 ? reach_new(60000, &reach) : -1;
}

static int drop_directory(void **state)
{
    (void)state;
    reach_free(reach);
    static const char *const names[] = { "leaf", "mid", "base", "pipe" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        (void)unlink(names[i]);
    return rmdir(top);
}

struct image {
    uint32_t magic, version;
    uint64_t offset;
    uint32_t len;
    char name[1100];
} __attribute__((packed));

static struct image image_of(const char *name, size_t len)
{
    struct image image = {
        .magic = htobe32(0x514649fb),
        .version = htobe32(3),
        .offset = htobe64(20),
        .len = htobe32((uint32_t)len),
    };
    memcpy(image.name, name, len < 1100 ? len : 1100);
    return image;
}

static void write_image(const char *file, struct image image)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, &image, sizeof(image)), 0);
    (void)close(fd);
}

static void write_backing(const char *file, const char *name)
{
    write_image(file, image_of(name, strlen(name)));
}

struct seen {
    char text[4096];
    const char *end_at;
    int n;
};

static bool note(void *arg, const char *path)
{
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    assert_true(str_format(seen->text + used, sizeof(seen->text) - used, "%s%s",
                           used ? " " : "", path));
    return ++seen->n == 4 || str_equal(path, seen->end_at);
}

/* @expected: names in the directory, or whole places */
static void expect(const char *expected)
{
    char path[PATH_MAX];
    struct seen seen = { 0 };
    assert_true(str_format(path, sizeof(path), "%s/leaf", top));
    (void)backing_walk(reach, path, note, &seen);
    assert_string_equal(seen.text, expected);
}

static void follows_relative_and_absolute_names(void **state)
{
    (void)state;
    char *base = str_printf("%s/base", top);
    write_backing("leaf", "mid");
    write_backing("mid", base);
    (void)unlink("base");
    char *both = str_printf("%s/mid %s/base", top, top);
    expect(both);
    write_backing("base", "../other");
    char *three = str_printf("%s %s/../other", both, top);
    expect(three);
    free(base);
    free(both);
    free(three);
}

static void names_of_other_protocols_are_places(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"nbd:unix:/s:exportname=e",                          "nbd+unix:///e?socket=/s"},
        { "file:/nonexistent/x",                              "/nonexistent/x"         },
        { "json:{\"driver\":\"file\",\"filename\":\"/n/x\"}", "/n/x"                   },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        write_backing("leaf", cases[i][0]);
        expect(cases[i][1]);
    }
    write_backing("leaf", "a/b:c");
    char *path = str_printf("%s/a/b:c", top);
    expect(path);
    free(path);
}

static void ends_when_told(void **state)
{
    (void)state;
    write_backing("leaf", "mid");
    write_backing("mid", "leaf");
    struct seen seen = { 0 };
    char path[PATH_MAX], mid[PATH_MAX];
    assert_true(str_format(path, sizeof(path), "%s/leaf", top));
    assert_true(str_format(mid, sizeof(mid), "%s/mid", top));
    seen.end_at = mid;
    assert_int_equal(backing_walk(reach, path, note, &seen), 1);
    assert_string_equal(seen.text, mid);
}

static bool count(void *arg, const char *path)
{
    (void)path;
    ++*(int *)arg;
    return false;
}

static void a_circle_ends(void **state)
{
    (void)state;
    int n = 0;
    char path[PATH_MAX];
    write_backing("leaf", "leaf");
    assert_true(str_format(path, sizeof(path), "%s/leaf", top));
    assert_int_equal(backing_walk(reach, path, count, &n), 0);
    assert_int_equal(n, 512);
}

static void expect_none(struct image image)
{
    write_image("leaf", image);
    expect("");
}

static void what_is_no_header_names_nothing(void **state)
{
    (void)state;
    struct image image = image_of("mid", 3);
    image.magic++;
    expect_none(image);
    image = image_of("mid", 3);
    image.version = htobe32(1);
    expect_none(image);
    image.version = htobe32(4);
    expect_none(image);
    image = image_of("mid", 3);
    image.offset = 0;
    expect_none(image);
    image.offset = htobe64(UINT64_MAX);
    expect_none(image);
    image.offset = htobe64(sizeof(image) - 2);
    expect_none(image);
    expect_none(image_of("mid", 0));
    expect_none(image_of("m\0d", 3));
    char longest[1024];
    memset(longest, 'x', sizeof(longest));
    expect_none(image_of(longest, 1024));
    write_image("leaf", image_of(longest, 1023));
    char *path = str_printf("%s/%.1023s", top, longest);
    expect(path);
    free(path);
    assert_int_equal(truncate("leaf", 19), 0);
    expect("");
    assert_int_equal(unlink("leaf"), 0);
    expect("");
}

/* It would wait for a writer for ever. */
static void a_pipe_is_not_read(void **state)
{
    (void)state;
    write_backing("leaf", "pipe");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    char *path = str_printf("%s/pipe", top);
    expect(path);
    free(path);
}

static uint64_t capacity(const char *name, const char *format)
{
    char *path = str_printf("%s/%s", top, name);
    uint64_t bytes = backing_capacity(reach, path, format);
    free(path);
    return bytes;
}

static void a_header_or_the_end_tells_the_size(void **state)
{
    (void)state;
    struct image image = image_of("mid", 3);
    image.offset = htobe64(40);
    memcpy(image.name, "\0\0\0\x10\0\0\0\x03\x40\0\0\0", 12);
    write_image("leaf", image);
    assert_int_equal(capacity("leaf", "qcow2"), 13958643712);
    assert_int_equal(capacity("leaf", "raw"), sizeof(image));
    image.magic++;
    write_image("leaf", image);
    assert_int_equal(capacity("leaf", "qcow2"), 0);
    assert_int_equal(capacity("none", "raw"), 0);
    assert_int_equal(capacity("none", "qcow2"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_relative_and_absolute_names),
        cmocka_unit_test(names_of_other_protocols_are_places),
        cmocka_unit_test(ends_when_told),
        cmocka_unit_test(a_circle_ends),
        cmocka_unit_test(what_is_no_header_names_nothing),
        cmocka_unit_test(a_pipe_is_not_read),
        cmocka_unit_test(a_header_or_the_end_tells_the_size),
    };
    return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
