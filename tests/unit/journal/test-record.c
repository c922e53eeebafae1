/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records: every field comes back, and nothing is taken for a record that is
 * not exactly one.
 */
#include "../../../src/journal/record.h"
#include "sample.h"
#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct err err;

static char *encode(const struct job *job)
{
    char *text = NULL;
    size_t len = 0;
    err_clear(&err);
    assert_int_equal(record_encode(job, &text, &len, &err), 0);
    assert_int_equal(strlen(text), len);
    return text;
}

static int decode(const char *text, struct job *ret_job)
{
    err_clear(&err);
    return record_decode(text, strlen(text), ret_job, &err);
}

static void brings_back_every_field(void **state)
{
    (void)state;
    struct job job;
    struct job again;
    sample_job(&job);
    memset(&again, 0xa5, sizeof(again));
    _cleanup_free_ char *text = encode(&job);
    assert_int_equal(decode(text, &again), 0);
    assert_jobs_equal(&job, &again);
}

/* What a young job has: nothing copied, no limit, no error, not ended. */
static void brings_back_zeros(void **state)
{
    (void)state;
    struct job job;
    struct job again;
    sample_job(&job);
    job.limit = 0;
    job.cancel_requested = false;
    job.undo = false;
    job.progress = (struct job_progress){ .eta_s = 0, .pause_us = 0 };
    job.error = (struct err)ERR_INIT;
    job.warning[0] = '\0';
    job.ended_ms = 0;
    memset(&again, 0xa5, sizeof(again));
    _cleanup_free_ char *text = encode(&job);
    assert_int_equal(decode(text, &again), 0);
    assert_jobs_equal(&job, &again);
}

/* Those that the sample does not have, each on its own. */
static void brings_back_every_flag(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct job job;
        struct job again;
        sample_job(&job);
        bool *const flags[] = { &job.verify,           &job.quiesce,
                                &job.finish_requested, &job.suspended,
                                &job.keep_source,      &job.fast,
                                &job.delete_top,       &job.undo };
        *flags[i] = !*flags[i];
        _cleanup_free_ char *text = encode(&job);
        assert_int_equal(decode(text, &again), 0);
        assert_jobs_equal(&job, &again);
    }
}

static void brings_back_every_word(void **state)
{
    (void)state;
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        struct job job;
        struct job again;
        sample_job(&job);
        job.state = (enum job_state)i;
        job.failed_in = (enum job_state)(JOB_STATE_COUNT - 1 - i);
        job.kind = (enum job_kind)(i % JOB_KIND_COUNT);
        job.scope = (enum job_scope)(i % 3);
        job.strategy = (enum job_strategy)(i % 2);
        _cleanup_free_ char *text = encode(&job);
        assert_int_equal(decode(text, &again), 0);
        assert_jobs_equal(&job, &again);
    }
}

static void brings_back_any_number_of_disks(void **state)
{
    (void)state;
    for (size_t n = 1; n <= JOB_DISKS_MAX; n++) {
        struct job job;
        struct job again;
        sample_job(&job);
        job.n_disks = n;
        for (size_t i = 2; i < n; i++) {
            job.disks[i] = job.disks[i % 2];
            job.disks[i].capacity = i;
        }
        _cleanup_free_ char *text = encode(&job);
        assert_int_equal(decode(text, &again), 0);
        assert_jobs_equal(&job, &again);
    }
}

static void brings_back_the_longest_texts(void **state)
{
    (void)state;
    struct job job;
    struct job again;
    sample_job(&job);
    job.n_disks = JOB_DISKS_MAX;
    for (size_t i = 0; i < JOB_DISKS_MAX; i++) {
        job.disks[i] = job.disks[0];
        memset(job.disks[i].src_path, '\x01', JOB_PATH_SIZE - 1);
        memset(job.disks[i].dst_path, '"', JOB_PATH_SIZE - 1);
    }
    memset(job.error.message, '\\', sizeof(job.error.message) - 1);
    _cleanup_free_ char *text = encode(&job);
    assert_true(strlen(text) < RECORD_MAX);
    assert_int_equal(decode(text, &again), 0);
    assert_jobs_equal(&job, &again);
}

static void refuses_a_record_cut_off_anywhere(void **state)
{
    (void)state;
    struct job job;
    struct job again;
    sample_job(&job);
    _cleanup_free_ char *text = encode(&job);
    size_t whole = strlen(text) - 1; /* without the newline */
    for (size_t len = 0; len < whole; len++) {
        _cleanup_free_ char *part = exact_copy(text, len);
        assert_int_equal(record_decode(part, len, &again, NULL), -EBADMSG);
    }
    assert_int_equal(record_decode(text, whole, &again, NULL), 0);
}

static void leaves_the_result_alone_after_an_error(void **state)
{
    (void)state;
    struct job job;
    struct job before;
    memset(&job, 0x5a, sizeof(job));
    before = job;
    assert_int_equal(decode("{\"version\": 5}", &job), -EBADMSG);
    assert_memory_equal(&job, &before, sizeof(job));
}

/* The member's object: the record, or (@name "disk.x") its first disk. */
static struct json_object *object_of(struct json_object *record,
                                     const char **name)
{
    if (strncmp(*name, "disk.", 5) != 0)
        return record;
    *name += 5;
    return json_object_array_get_idx(json_object_object_get(record, "disks"),
                                     0);
}

/* The sample's record with one member replaced (@json) or removed (NULL). */
static char *change(const char *name, const char *json)
{
    struct job job;
    sample_job(&job);
    _cleanup_free_ char *text = encode(&job);
    struct json_object *record = json_tokener_parse(text);
    assert_non_null(record);
    struct json_object *object = object_of(record, &name);
    json_object_object_del(object, name);
    if (json)
        json_object_object_add(object, name, json_tokener_parse(json));
    char *changed = str_printf("%s", json_object_to_json_string(record));
    assert_non_null(changed);
    json_object_put(record);
    return changed;
}

static void assert_refused(const char *name, const char *json)
{
    struct job job;
    _cleanup_free_ char *text = change(name, json);
    if (decode(text, &job) != -EBADMSG)
        fail_msg("%s = %s was taken", name, json ? json : "nothing");
}

static unsigned refuse_less(struct json_object *object, const char *prefix)
{
    unsigned n = 0;
    json_object_object_foreach(object, name, value)
    {
        (void)value;
        _cleanup_free_ char *path = str_printf("%s%s", prefix, name);
        assert_refused(path, NULL);
        assert_non_null(strstr(err.message, name));
        n++;
    }
    return n;
}

static struct json_object *parsed_sample(void)
{
    struct job job;
    sample_job(&job);
    _cleanup_free_ char *text = encode(&job);
    return json_tokener_parse(text);
}

static struct json_object *first_disk(struct json_object *record)
{
    return json_object_array_get_idx(json_object_object_get(record, "disks"),
                                     0);
}

static void refuses_a_record_that_lacks_any_field(void **state)
{
    (void)state;
    struct json_object *record = parsed_sample();
    assert_int_equal(refuse_less(record, ""), 66);
    assert_int_equal(refuse_less(first_disk(record), "disk."), 24);
    json_object_put(record);
}

static void refuse_types(struct json_object *object, const char *prefix)
{
    json_object_object_foreach(object, name, value)
    {
        bool is_text = json_object_is_type(value, json_type_string);
        _cleanup_free_ char *path = str_printf("%s%s", prefix, name);
        assert_refused(path, is_text ? "7" : "\"7\"");
        assert_refused(path, "null");
        assert_refused(path, "[]");
        assert_refused(path, "{}");
        assert_refused(path, "1.5");
    }
}

/* A string where none belongs, no string where one does. */
static void refuses_a_wrong_type_in_any_field(void **state)
{
    (void)state;
    struct json_object *record = parsed_sample();
    refuse_types(record, "");
    refuse_types(first_disk(record), "disk.");
    json_object_put(record);
}

static const char long_target[] = "\"12345678901234567890123456789012\"";

static void refuses_values_out_of_their_range(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"version",           "1"                                       },
        { "version",          "6"                                       },
        { "version",          "18446744073709551615"                    },
        { "kind",             "\"disk_copy\""                           },
        { "state",            "\"\""                                    },
        { "state",            "\"Planned\""                             },
        { "failed_in",        "\"nowhere\""                             },
        { "strategy",         "2"                                       },
        { "strategy",         "-1"                                      },
        { "scope",            "3"                                       },
        { "id",               "\"\""                                    },
        { "id",               "\"11111111-1111-4111-8111-11111111111\"" },
        { "vm",               "\"22222222-2222-4222-8222-22222222222G\""},
        { "disks",            "[7]"                                     },
        { "disks",            "[[]]"                                    },
        { "disks",            "[{}]"                                    },
        { "disk.img",         "\"../555-5555-4555-8555-555555555555xx\""},
        { "disk.overlay",     "\"x\""                                   },
        { "disk.target",      long_target                               },
        { "disk.target",      "\"vd\\u0000a\""                          },
        { "disk.convert",     "1"                                       },
        { "disk.capacity",    "-1"                                      },
        { "disk.from_future", "true"                                    },
        { "limit",            "-1"                                      },
        { "bytes_done",       "-1"                                      },
        { "eta_s",            "-2"                                      },
        { "pause_us",         "-2"                                      },
        { "write_us",         "-2"                                      },
        { "quiet_write_us",   "-2"                                      },
        { "pause_us",         "9223372036854775808"                     },
        { "created_ms",       "-1"                                      },
        { "error_rc",         "1"                                       },
        { "error_rc",         "-4096"                                   },
        { "error_code",       "2147483648"                              },
        { "error_code",       "-2147483649"                             },
        { "from_future",      "true"                                    },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void refuses_more_disks_than_a_job_has(void **state)
{
    (void)state;
    struct json_object *record = parsed_sample();
    struct json_object *disks = json_object_object_get(record, "disks");
    for (int i = 2; i <= JOB_DISKS_MAX; i++)
        json_object_array_add(disks, json_object_get(first_disk(record)));
    struct job job;
    assert_int_equal(decode(json_object_to_json_string(record), &job),
                     -EBADMSG);
    assert_non_null(strstr(err.message, "9 disks"));
    json_object_put(record);
}

static void refuses_what_is_no_record(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "[]",
        "7",
        "{}",
        "{\"version\": 5} x",
        "{\"version\": 5}{\"version\": 5}",
        "{'version': 1}",
        "\xff",
        "{\"version\": {\"a\": {\"b\": {\"c\": 1}}}}",
    };
    struct job job;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_int_equal(decode(texts[i], &job), -EBADMSG);
}

static void refuses_text_behind_the_record(void **state)
{
    (void)state;
    struct job job;
    struct job again;
    sample_job(&job);
    _cleanup_free_ char *text = encode(&job);
    _cleanup_free_ char *twice = str_printf("%s%s", text, text);
    assert_int_equal(decode(twice, &again), -EBADMSG);
    size_t len = strlen(text) + 1; /* with its NUL */
    assert_int_equal(record_decode(text, len, &again, NULL), -EBADMSG);
}

static void does_not_write_what_it_could_not_read(void **state)
{
    (void)state;
    struct job job;
    char *text = NULL;
    size_t len = 0;
    sample_job(&job);
    job.disks[0].leaf[0] = 'x';
    err_clear(&err);
    assert_int_equal(record_encode(&job, &text, &len, &err), -EINVAL);
    assert_non_null(strstr(err.message, "leaf"));
    sample_job(&job);
    job.n_disks = 0;
    assert_int_equal(record_encode(&job, &text, &len, NULL), -EINVAL);
    job.n_disks = JOB_DISKS_MAX + 1;
    assert_true(record_encode(&job, &text, &len, NULL) < 0);
    sample_job(&job);
    job.vm_name[0] = '\xff';
    assert_int_equal(record_encode(&job, &text, &len, NULL), -EINVAL);
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_back_every_field),
        cmocka_unit_test(brings_back_zeros),
        cmocka_unit_test(brings_back_every_flag),
        cmocka_unit_test(brings_back_every_word),
        cmocka_unit_test(brings_back_any_number_of_disks),
        cmocka_unit_test(brings_back_the_longest_texts),
        cmocka_unit_test(refuses_a_record_cut_off_anywhere),
        cmocka_unit_test(leaves_the_result_alone_after_an_error),
        cmocka_unit_test(refuses_a_record_that_lacks_any_field),
        cmocka_unit_test(refuses_a_wrong_type_in_any_field),
        cmocka_unit_test(refuses_values_out_of_their_range),
        cmocka_unit_test(refuses_more_disks_than_a_job_has),
        cmocka_unit_test(refuses_what_is_no_record),
        cmocka_unit_test(refuses_text_behind_the_record),
        cmocka_unit_test(does_not_write_what_it_could_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
