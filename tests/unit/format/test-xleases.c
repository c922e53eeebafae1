/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The index of external leases: its bytes by the table of the format, lookups,
 * and every damaged field of the header.
 */
#include <dray/format.h>
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

static int find(const char *id, unsigned alignment, size_t *ret_n,
                struct err *err)
{
    return format_xleases_find(index_bytes, FORMAT_XLEASES_SIZE, id, alignment,
                               ret_n, err);
}

static void assert_refused(const char *id, enum err_code code)
{
    struct err err = ERR_INIT;
    size_t n = 4711;
    assert_true(find(id, MIB, &n, &err) < 0);
    assert_int_equal(err.code, code);
    assert_int_equal(n, 4711);
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
    size_t n = 0;
    format_xlease_set(index_bytes, 0, MIB, SD);
    format_xlease_set(index_bytes, 3959, MIB, LEASE);
    assert_int_equal(find(SD, MIB, &n, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(find(LEASE, MIB, &n, NULL), 0);
    assert_int_equal(n, 3959);
    assert_int_equal(format_xlease_offset(0, MIB), 3 * MIB);
    assert_int_equal(format_xlease_offset(3959, 8 * MIB),
                     UINT64_C(3962) * 8 * MIB);
}

static void a_record_has_the_bytes_of_the_format(void **state)
{
    (void)state;
    char record[64] = LEASE;
    memcpy(record + 49, "00005242880", 11);
    memcpy(record + 60, "\0--\n", 4);
    format_xlease_set(index_bytes, 2, MIB, LEASE);
    assert_memory_equal(index_bytes + 512 + 128, record, 64);
    struct format_xlease lease = format_xlease_get(index_bytes, 2, MIB);
    assert_int_equal(lease.state, FORMAT_XLEASE_USED);
    assert_string_equal(lease.id, LEASE);
    record[61] = 'u';
    memcpy(index_bytes + 512 + 128, record, 64);
    lease = format_xlease_get(index_bytes, 2, MIB);
    assert_int_equal(lease.state, FORMAT_XLEASE_UPDATING);
    format_xlease_set(index_bytes, 2, MIB, NULL);
    assert_memory_equal(index_bytes + 512 + 128, index_bytes + 512, 64);
    assert_int_equal(format_xlease_get(index_bytes, 2, MIB).state,
                     FORMAT_XLEASE_FREE);
}

static void does_not_find_what_is_not_there(void **state)
{
    (void)state;
    size_t n = 0;
    assert_int_equal(find(LEASE, MIB, &n, NULL), FORMAT_XLEASE_NONE);
    format_xlease_set(index_bytes, 5, MIB, LEASE);
    index_bytes[512 + 64 * 5 + 61] = 'u';
    assert_int_equal(find(LEASE, MIB, &n, NULL), FORMAT_XLEASE_NONE);
    assert_refused("x", ERR_VALUE);
}

/* A bit of each byte, one after another: never another lease, never none. */
static void every_damage_of_a_record_is_found(void **state)
{
    for (size_t i = 0; i < FORMAT_XLEASE_SIZE; i++) {
        (void)build(state);
        format_xlease_set(index_bytes, 7, MIB, LEASE);
        format_xlease_set(index_bytes, 9, MIB, SD);
        index_bytes[format_xlease_position(7) + i] ^= 0x80;
        assert_int_equal(format_xlease_get(index_bytes, 7, MIB).state,
                         FORMAT_XLEASE_DAMAGED);
        assert_refused(LEASE, ERR_METADATA_VALIDATION);
        size_t n = 0;
        assert_int_equal(find(SD, MIB, &n, NULL), 0);
        assert_int_equal(n, 9);
    }
}

static void a_record_of_another_place_is_damaged(void **state)
{
    (void)state;
    format_xlease_set(index_bytes, 7, MIB, LEASE);
    memmove(index_bytes + format_xlease_position(8),
            index_bytes + format_xlease_position(7), FORMAT_XLEASE_SIZE);
    format_xlease_set(index_bytes, 7, MIB, NULL);
    assert_refused(LEASE, ERR_METADATA_VALIDATION);
}

static void zeros_are_no_free_record(void **state)
{
    (void)state;
    memset(index_bytes + format_xlease_position(3), 0, FORMAT_XLEASE_SIZE);
    assert_refused(LEASE, ERR_METADATA_VALIDATION);
}

static void a_lease_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    format_xlease_set(index_bytes, 3, MIB, LEASE);
    format_xlease_set(index_bytes, 4, MIB, LEASE);
    assert_refused(LEASE, ERR_METADATA_VALIDATION);
}

static size_t room(size_t limit)
{
    struct err err = ERR_INIT;
    size_t n = 4711;
    if (format_xleases_room(index_bytes, limit, MIB, LEASE, &n, &err) < 0)
        assert_int_equal(err.code, ERR_NO_SPACE);
    return n;
}

static void a_new_lease_gets_the_first_free_record(void **state)
{
    (void)state;
    assert_int_equal(room(1), 0);
    assert_int_equal(room(0), 4711);
    format_xlease_set(index_bytes, 0, MIB, SD);
    assert_int_equal(room(1), 4711);
    assert_int_equal(room(10), 1);
    memset(index_bytes + format_xlease_position(1), 0, FORMAT_XLEASE_SIZE);
    assert_int_equal(room(10), 2);
    format_xlease_set(index_bytes, 6, MIB, LEASE); /* an old VDSM began it */
    index_bytes[format_xlease_position(6) + 61] = 'u';
    assert_int_equal(room(10), 6);
    assert_int_equal(room(6), 2);
}

static void every_damage_of_the_header_is_found(void **state)
{
    for (size_t i = 0; i < FORMAT_XLEASES_HEADER_SIZE; i++) {
        struct format_xleases header;
        struct err err = ERR_INIT;
        (void)build(state);
        index_bytes[i] ^= 0x41;
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
    index_bytes[70] = 'u';
    format_xlease_set(index_bytes, 0, MIB, LEASE);
    assert_int_equal(
        format_xleases_parse(index_bytes, FORMAT_XLEASES_SIZE, &header, NULL),
        0);
    assert_true(header.updating);
    assert_refused(LEASE, ERR_METADATA_VALIDATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(has_the_bytes_of_the_format, build),
        cmocka_unit_test_setup(reads_its_header, build),
        cmocka_unit_test_setup(finds_a_lease_by_its_record, build),
        cmocka_unit_test_setup(a_record_has_the_bytes_of_the_format, build),
        cmocka_unit_test_setup(does_not_find_what_is_not_there, build),
        cmocka_unit_test(every_damage_of_a_record_is_found),
        cmocka_unit_test_setup(a_record_of_another_place_is_damaged, build),
        cmocka_unit_test_setup(zeros_are_no_free_record, build),
        cmocka_unit_test_setup(a_lease_that_is_there_twice_is_refused, build),
        cmocka_unit_test_setup(a_new_lease_gets_the_first_free_record, build),
        cmocka_unit_test_setup(every_damage_of_the_header_is_found, build),
        cmocka_unit_test_setup(an_index_cut_short_is_refused, build),
        cmocka_unit_test_setup(an_index_being_changed_is_refused, build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
