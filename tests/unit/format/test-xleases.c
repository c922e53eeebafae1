/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index of external leases: its bytes by the table of the format, lookups,
 * and every damaged field of the header.
 */
#include <dray/format.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SD    "b7427472-08dc-4059-822c-5db507ad80a9"
#define LEASE "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

enum {
    MIB = 1024 * 1024
};

static char index_bytes[FORMAT_XLEASES_SIZE];

static int build(void **state)
{
    (void)state;
    const struct format_xleases header = { .lockspace = SD,
                                           .mtime_s = 1795247813 };
    format_xleases_build(&header, index_bytes);
    return 0;
}

static void put_record(size_t n, const char *id, char flag)
{
    char *record = index_bytes + 512 + 64 * n;
    memcpy(record, id, 36);
    record[61] = flag;
}

static void has_the_bytes_of_the_format(void **state)
{
    (void)state;
    char header[512] = "\x12\x15\x20\x16\0"
                       "0001";
    memcpy(header + 10, SD, 36);
    memcpy(header + 59, "1795247813", 10);
    header[70] = '-';
    header[511] = '\n';
    assert_memory_equal(index_bytes, header, sizeof(header));
    char record[64] = "";
    memcpy(record + 49, "00000000000", 11);
    memcpy(record + 60, "\0--\n", 4);
    for (size_t i = 0; i < FORMAT_XLEASES_RECORDS; i++)
        assert_memory_equal(index_bytes + 512 + 64 * i, record, 64);
    assert_int_equal(512 + 64 * FORMAT_XLEASES_RECORDS, FORMAT_XLEASES_SIZE);
}

static void reads_its_header(void **state)
{
    (void)state;
    struct format_xleases header;
    assert_int_equal(
        format_xleases_parse(index_bytes, FORMAT_XLEASES_SIZE, &header, NULL),
        0);
    assert_string_equal(header.lockspace, SD);
    assert_int_equal(header.mtime_s, 1795247813);
    assert_false(header.updating);
}

static void finds_a_lease_by_its_record(void **state)
{
    (void)state;
    uint64_t offset = 0;
    put_record(0, SD, '-');
    put_record(3959, LEASE, '-');
    assert_int_equal(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE, SD,
                                           MIB, &offset, NULL),
                     0);
    assert_int_equal(offset, 3 * MIB);
    assert_int_equal(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE,
                                           LEASE, 8 * MIB, &offset, NULL),
                     0);
    assert_int_equal(offset, UINT64_C(3962) * 8 * MIB);
}

static void does_not_find_what_is_not_there(void **state)
{
    (void)state;
    uint64_t offset = 1;
    assert_int_equal(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE,
                                           LEASE, MIB, &offset, NULL),
                     -ENOENT);
    put_record(5, LEASE, 'u');
    assert_int_equal(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE,
                                           LEASE, MIB, &offset, NULL),
                     -ENOENT);
    struct err err = ERR_INIT;
    assert_true(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE, "x",
                                      MIB, &offset, &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    assert_int_equal(offset, 1);
}

static void every_damage_of_the_header_is_found(void **state)
{
    static const size_t places[] = { 0,  3,  4,  5,  8,  9,  10,
                                     45, 46, 59, 68, 70, 511 };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct format_xleases header;
        struct err err = ERR_INIT;
        (void)build(state);
        index_bytes[places[i]] ^= 0x41;
        assert_true(format_xleases_parse(index_bytes, FORMAT_XLEASES_SIZE,
                                         &header, &err) < 0);
        assert_int_equal(err.code, ERR_METADATA_VALIDATION);
    }
}

static void an_index_cut_short_is_refused(void **state)
{
    (void)state;
    struct format_xleases header;
    static const size_t sizes[] = { 0, 511, 512, FORMAT_XLEASES_SIZE - 1 };
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        assert_true(format_xleases_parse(index_bytes, sizes[i], &header, NULL) <
                    0);
}

static void an_index_being_changed_is_refused(void **state)
{
    (void)state;
    struct format_xleases header;
    uint64_t offset = 0;
    index_bytes[70] = 'u';
    put_record(0, LEASE, '-');
    assert_int_equal(
        format_xleases_parse(index_bytes, FORMAT_XLEASES_SIZE, &header, NULL),
        0);
    assert_true(header.updating);
    assert_true(format_xleases_lookup(index_bytes, FORMAT_XLEASES_SIZE, LEASE,
                                      MIB, &offset, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_the_bytes_of_the_format, build),
        cmocka_unit_test_setup(reads_its_header, build),
        cmocka_unit_test_setup(finds_a_lease_by_its_record, build),
        cmocka_unit_test_setup(does_not_find_what_is_not_there, build),
        cmocka_unit_test_setup(every_damage_of_the_header_is_found, build),
        cmocka_unit_test_setup(an_index_cut_short_is_refused, build),
        cmocka_unit_test_setup(an_index_being_changed_is_refused, build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
