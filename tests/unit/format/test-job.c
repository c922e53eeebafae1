/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The record of a job in the LVB of its lease: bytes, VDSM's own records, and
 * every damage.
 */
#include <dray/format.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define JOB  "f0b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define HOST "10b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

/* As Python's json.dumps() writes VDSM's dict. */
#define VDSM_HEAD "{\"type\": \"JOB\", \"generation\": "
#define VDSM_TAIL                                                              \
    ", \"job_id\": \"" JOB "\", \"job_status\": \"FENCED\", "                  \
    "\"created\": 1700000000, \"modified\": 1700000001, "                      \
    "\"host_hardware_id\": \"" HOST "\""
#define VDSM VDSM_HEAD "999" VDSM_TAIL "}"

static const struct format_job job = {
    .job_id = JOB,
    .status = FORMAT_JOB_SUCCEEDED,
    .generation = 7,
    .host = HOST,
    .created_s = 1700000000,
    .modified_s = 1700000001,
};

static void build(char ret_lvb[FORMAT_LVB_SIZE])
{
    struct err err = ERR_INIT;
    memset(ret_lvb, 'x', FORMAT_LVB_SIZE);
    if (format_job_build(&job, ret_lvb, &err) < 0)
        fail_msg("%s", err.message);
}

static int parse_text(const char *text, struct format_job *ret_job)
{
    char lvb[FORMAT_LVB_SIZE] = "";
    struct err err = ERR_INIT;
    assert_true(strlen(text) <= sizeof(lvb));
    memcpy(lvb, text, strlen(text));
    int rc = format_job_parse(lvb, sizeof(lvb), ret_job, &err);
    if (rc < 0)
        assert_int_equal(err.code, ERR_LVB);
    return rc;
}

static void is_vdsms_json_with_a_checksum(void **state)
{
    (void)state;
    static const char expected[FORMAT_LVB_SIZE] =
        "{\"type\":\"JOB\",\"generation\":7,\"job_id\":\"" JOB "\","
        "\"job_status\":\"SUCCEEDED\",\"created\":1700000000,"
        "\"modified\":1700000001,\"host_hardware_id\":\"" HOST "\","
        "\"crc\":\"ce8514ad\"}";
    char lvb[FORMAT_LVB_SIZE];
    build(lvb);
    assert_string_equal(lvb, expected);
    assert_memory_equal(lvb, expected, sizeof(lvb));
}

static void is_read_as_it_was_written(void **state)
{
    (void)state;
    char lvb[FORMAT_LVB_SIZE];
    struct format_job read = { 0 };
    build(lvb);
    assert_int_equal(format_job_parse(lvb, sizeof(lvb), &read, NULL), 0);
    assert_string_equal(read.job_id, job.job_id);
    assert_string_equal(read.host, job.host);
    assert_int_equal(read.status, job.status);
    assert_int_equal(read.generation, 7);
    assert_int_equal(read.created_s, job.created_s);
    assert_int_equal(read.modified_s, job.modified_s);
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < FORMAT_LVB_SIZE * 8; i++) {
        char lvb[FORMAT_LVB_SIZE];
        struct format_job read = { .generation = 4711 };
        struct err err = ERR_INIT;
        build(lvb);
        lvb[i / 8] ^= (char)(1 << i % 8);
        assert_true(format_job_parse(lvb, sizeof(lvb), &read, &err) < 0);
        assert_int_equal(err.code, ERR_LVB);
        assert_int_equal(read.generation, 4711);
    }
}

static void a_cut_record_is_refused_at_each_length(void **state)
{
    (void)state;
    char whole[FORMAT_LVB_SIZE];
    struct format_job read;
    build(whole);
    size_t size = strlen(whole);
    assert_int_equal(format_job_parse(whole, sizeof(whole) - 1, &read, NULL),
                     -EIO);
    for (size_t i = 1; i < size; i++) {
        char lvb[FORMAT_LVB_SIZE] = "";
        memcpy(lvb, whole, i);
        assert_true(format_job_parse(lvb, sizeof(lvb), &read, NULL) < 0);
        memcpy(lvb, VDSM, i < strlen(VDSM) ? i : 0);
        assert_true(format_job_parse(lvb, sizeof(lvb), &read, NULL) < 0);
    }
}

/* A short write leaves the end of the longer record that was there before. */
static void an_old_tail_is_refused(void **state)
{
    (void)state;
    char lvb[FORMAT_LVB_SIZE];
    struct format_job read;
    build(lvb);
    lvb[strlen(lvb)] = '}';
    assert_true(format_job_parse(lvb, sizeof(lvb), &read, NULL) < 0);
    build(lvb);
    lvb[FORMAT_LVB_SIZE - 1] = ' ';
    assert_true(format_job_parse(lvb, sizeof(lvb), &read, NULL) < 0);
    assert_true(parse_text(VDSM "}", &read) < 0);
    assert_true(parse_text(VDSM " ", &read) < 0);
}

static void nothing_written_is_no_record(void **state)
{
    (void)state;
    struct format_job read;
    assert_int_equal(parse_text("", &read), FORMAT_JOB_NONE);
}

static void vdsms_own_record_is_read(void **state)
{
    (void)state;
    struct format_job read = { 0 };
    assert_int_equal(parse_text(VDSM, &read), 0);
    assert_string_equal(read.job_id, JOB);
    assert_string_equal(read.host, HOST);
    assert_int_equal(read.status, FORMAT_JOB_FENCED);
    assert_int_equal(read.generation, 999);
    assert_int_equal(read.created_s, 1700000000);
    assert_int_equal(read.modified_s, 1700000001);
}

/* It keeps members that it does not know, and changes those that it does. */
static void ours_as_vdsm_rewrites_it_is_read(void **state)
{
    (void)state;
    struct format_job read = { 0 };
    assert_int_equal(
        parse_text(VDSM_HEAD "8" VDSM_TAIL ", \"crc\": \"00000000\"}", &read),
        0);
    assert_int_equal(read.generation, 8);
}

static void a_host_without_an_id_is_fine(void **state)
{
    (void)state;
    struct format_job read = { 0 };
    assert_int_equal(
        parse_text("{\"type\": \"JOB\", \"generation\": 0, \"job_id\": \"" JOB
                   "\", \"job_status\": \"PENDING\", \"created\": 1, "
                   "\"modified\": 2, \"host_hardware_id\": null}",
                   &read),
        0);
    assert_string_equal(read.host, "");
}

static void what_is_no_job_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "x",
        "{}",
        "[]",
        "{\"type\": \"JOB\"}",
        VDSM_HEAD "1000" VDSM_TAIL "}",
        VDSM_HEAD "-1" VDSM_TAIL "}",
        VDSM_HEAD "01" VDSM_TAIL "}",
        VDSM_HEAD "1.0" VDSM_TAIL "}",
        VDSM_HEAD "\"1\"" VDSM_TAIL "}",
        VDSM_HEAD "18446744073709551616" VDSM_TAIL "}",
        VDSM_HEAD "null" VDSM_TAIL "}",
        VDSM_HEAD "1" VDSM_TAIL ", \"generation\": 1}",
        VDSM_HEAD "1" VDSM_TAIL ", \"a\": [1]}",
        VDSM_HEAD "1" VDSM_TAIL ", \"a\": \"\\n\"}",
        VDSM_HEAD "1" VDSM_TAIL ",\"a\": 1}",
        VDSM_HEAD "1" VDSM_TAIL ", \"a\":1}",
        VDSM_HEAD "1" VDSM_TAIL ", }",
        " " VDSM,
    };
    struct format_job read;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (parse_text(wrong[i], &read) >= 0)
            fail_msg("%s", wrong[i]);
    }
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    char lvb[FORMAT_LVB_SIZE];
    struct format_job other = job;
    other.generation = 1000;
    assert_true(format_job_build(&other, lvb, NULL) < 0);
    other = job;
    other.job_id[0] = 'x';
    assert_true(format_job_build(&other, lvb, NULL) < 0);
    other = job;
    other.host[0] = '"';
    assert_true(format_job_build(&other, lvb, NULL) < 0);
    other = job;
    other.created_s = other.modified_s = UINT64_MAX;
    memset(other.host, 'h', sizeof(other.host) - 1);
    assert_int_equal(format_job_build(&other, lvb, NULL), 0);
}

static void generations_go_round(void **state)
{
    (void)state;
    assert_int_equal(format_generation_next(0), 1);
    assert_int_equal(format_generation_next(998), 999);
    assert_int_equal(format_generation_next(999), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_vdsms_json_with_a_checksum),
        cmocka_unit_test(is_read_as_it_was_written),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_cut_record_is_refused_at_each_length),
        cmocka_unit_test(an_old_tail_is_refused),
        cmocka_unit_test(nothing_written_is_no_record),
        cmocka_unit_test(vdsms_own_record_is_read),
        cmocka_unit_test(ours_as_vdsm_rewrites_it_is_read),
        cmocka_unit_test(a_host_without_an_id_is_fine),
        cmocka_unit_test(what_is_no_job_is_refused),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(generations_go_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
