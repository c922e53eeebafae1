/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Domain metadata: the checksum against one computed by another program, every
 * key damaged, every byte cut off, pairs kept and replaced.
 */
#include <dray/format.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SUM "468f4a28172d2320ac15a6f4e000e1878fb9f9df"

/* The checksum is Python's hashlib's, over strings with xmlcharrefreplace. */
static const char golden[] = "ALIGNMENT=1048576\n"
                             "BLOCK_SIZE=512\n"
                             "CLASS=Data\n"
                             "DESCRIPTION=Z\xc3\xbcrich \xe2\x82\xac"
                             "\xf0\x9d\x84\x9e =1 \n"
                             "IOOPTIMEOUTSEC=10\n"
                             "LEASERETRIES=3\n"
                             "LEASETIMESEC=60\n"
                             "LOCKPOLICY=\n"
                             "LOCKRENEWALINTERVALSEC=5\n"
                             "POOL_DESCRIPTION=old\n"
                             "POOL_UUID=\n"
                             "REMOTE_PATH=srv:/exp_1/a\n"
                             "ROLE=Regular\n"
                             "SDUUID=b7427472-08dc-4059-822c-5db507ad80a9\n"
                             "TYPE=POSIXFS\n"
                             "VERSION=5\n"
                             "_SHA_CKSUM=" SUM "\n";

static void parse(const char *text, struct format_domain *ret_domain)
{
    struct err err = ERR_INIT;
    if (format_domain_parse(text, strlen(text), ret_domain, &err) < 0)
        fail_msg("%s", err.message);
}

static void expect_refusal(const char *text, size_t size, const char *word)
{
    struct format_domain domain = { 0 };
    struct err err = ERR_INIT;
    assert_true(format_domain_parse(text, size, &domain, &err) < 0);
    assert_int_equal(err.code, ERR_METADATA_VALIDATION);
    if (!strstr(err.message, word))
        fail_msg("\"%s\" does not name %s", err.message, word);
    assert_null(domain.pairs);
}

static void reads_what_another_program_wrote(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    struct format_domain_facts facts;
    parse(golden, &domain);
    assert_int_equal(domain.n, 16);
    assert_int_equal(format_domain_check(&domain, &facts, NULL), 0);
    assert_string_equal(facts.sd, "b7427472-08dc-4059-822c-5db507ad80a9");
    assert_string_equal(facts.name,
                        "Z\xc3\xbcrich \xe2\x82\xac\xf0\x9d\x84\x9e =1 ");
    assert_string_equal(facts.type, "POSIXFS");
    assert_string_equal(facts.class_name, "Data");
    assert_string_equal(facts.role, "Regular");
    assert_string_equal(facts.pools, "");
    assert_string_equal(facts.remote_path, "srv:/exp_1/a");
    assert_int_equal(facts.version, 5);
    assert_int_equal(facts.block_size, 512);
    assert_int_equal(facts.alignment, 1048576);
    assert_string_equal(format_domain_get(&domain, "POOL_DESCRIPTION"), "old");
    assert_null(format_domain_get(&domain, "POOL"));
    format_domain_deinit(&domain);
}

static void writes_the_same_bytes(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    parse(golden, &domain);
    assert_int_equal(format_domain_text(&domain, &text, &size, NULL), 0);
    assert_int_equal(size, strlen(golden));
    assert_string_equal(text, golden);
    format_domain_deinit(&domain);
}

static void sorts_what_is_set(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    static const char *const keys[] = { "B", "A", "_", "AA", "B" };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(format_domain_set(&domain, keys[i], keys[i], NULL), 0);
    assert_int_equal(format_domain_set(&domain, "A", "new", NULL), 0);
    assert_int_equal(domain.n, 4);
    assert_string_equal(domain.pairs[0].key, "A");
    assert_string_equal(domain.pairs[0].value, "new");
    assert_string_equal(domain.pairs[1].key, "AA");
    assert_string_equal(domain.pairs[2].key, "B");
    assert_string_equal(domain.pairs[3].key, "_");
    format_domain_deinit(&domain);
}

static void refuses_values_of_several_lines(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    struct err err = ERR_INIT;
    assert_true(format_domain_set(&domain, "DESCRIPTION",
                                  "a\xe2\x80\xa8"
                                  "b",
                                  &err) < 0);
    assert_int_equal(err.code, ERR_VALUE);
    assert_non_null(strstr(err.message, "DESCRIPTION"));
    assert_int_equal(domain.n, 0);
}

static void line_ends_are_pythons(void **state)
{
    (void)state;
    struct format_domain lf = { 0 };
    struct format_domain other = { 0 };
    static const char *const ends[] = { "\r",   "\r\n",         "\v",
                                        "\x1e", "\xe2\x80\xa9", "\n\n" };
    parse(golden, &lf);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        char text[2048] = "";
        for (const char *p = golden; *p; p++)
            strncat(text, *p == '\n' ? ends[i] : p,
                    *p == '\n' ? strlen(ends[i]) : 1);
        parse(text, &other);
        assert_int_equal(other.n, lf.n);
        for (size_t k = 0; k < lf.n; k++)
            assert_string_equal(other.pairs[k].value, lf.pairs[k].value);
        format_domain_deinit(&other);
    }
    format_domain_deinit(&lf);
}

static void passes_over_lines_that_are_no_pairs(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    char text[2048];
    (void)str_format(text, sizeof(text), "junk\n\n%s", golden);
    parse(text, &domain);
    assert_int_equal(domain.n, 16);
    format_domain_deinit(&domain);
}

static void every_changed_byte_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < strlen(golden); i++) {
        char text[sizeof(golden)];
        struct format_domain domain = { 0 };
        memcpy(text, golden, sizeof(golden));
        text[i] = text[i] == 'x' ? 'y' : 'x';
        if (i == strlen(golden) - 1)
            continue; /* the last line's end */
        int rc = format_domain_parse(text, strlen(golden), &domain, NULL);
        if (rc == 0)
            fail_msg("byte %zu changed and nobody saw it", i);
    }
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    for (size_t size = 0; size + 1 < strlen(golden); size++)
        expect_refusal(golden, size, "");
    expect_refusal(golden, 100, "_SHA_CKSUM is missing");
    expect_refusal(golden, strlen(golden) - 5, "_SHA_CKSUM is 468f");
}

static void refuses_what_is_no_text(void **state)
{
    (void)state;
    expect_refusal("A=1\0B=2\n", 8, "NUL");
    expect_refusal("A=\xff\n", 4, "UTF-8");
    expect_refusal("=1\n", 3, "no key");
    expect_refusal("A=1\nA=1\n", 8, "key A is there twice");
    _cleanup_free_ char *large = calloc(1, FORMAT_DOMAIN_TEXT_MAX + 1);
    assert_non_null(large);
    expect_refusal(large, FORMAT_DOMAIN_TEXT_MAX + 1, "too many");
}

/* The whole set with one key set to @value, or without it (NULL). */
static int check_with(const char *key, const char *value, struct err *err)
{
    struct format_domain all = { 0 };
    struct format_domain some = { 0 };
    struct format_domain_facts facts;
    parse(golden, &all);
    for (size_t i = 0; i < all.n; i++) {
        bool is_key = str_equal(all.pairs[i].key, key);
        if (is_key && !value)
            continue;
        assert_int_equal(format_domain_set(&some, all.pairs[i].key,
                                           is_key ? value : all.pairs[i].value,
                                           NULL),
                         0);
    }
    int rc = format_domain_check(&some, &facts, err);
    format_domain_deinit(&all);
    format_domain_deinit(&some);
    return rc;
}

static void every_missing_key_is_named(void **state)
{
    (void)state;
    struct format_domain domain = { 0 };
    parse(golden, &domain);
    for (size_t i = 0; i < domain.n; i++) {
        const char *key = domain.pairs[i].key;
        struct err err = ERR_INIT;
        int rc = check_with(key, NULL, &err);
        if (str_equal(key, "POOL_DESCRIPTION")) {
            assert_int_equal(rc, 0);
            continue;
        }
        assert_true(rc < 0);
        assert_int_equal(err.code, ERR_METADATA_VALIDATION);
        assert_non_null(strstr(err.message, key));
    }
    format_domain_deinit(&domain);
}

static void every_impossible_value_is_named(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"ALIGNMENT",   "2097152"                                          },
        { "ALIGNMENT",  "-1"                                               },
        { "BLOCK_SIZE", "1024"                                             },
        { "BLOCK_SIZE", "4294967808"                                       },
        { "CLASS",      "data"                                             },
        { "POOL_UUID",  "nonsense"                                         },
        { "POOL_UUID",  "b7427472-08dc-4059-822c-5db507ad80a9,x"           },
        { "POOL_UUID",  "b7427472-08dc-4059-822c-5db507ad80a9b7427472-08dc"},
        { "ROLE",       ""                                                 },
        { "SDUUID",     "B7427472-08DC-4059-822C-5DB507AD80A9"             },
        { "SDUUID",     "../../../etc/passwd"                              },
        { "TYPE",       "posixfs"                                          },
        { "VERSION",    "4"                                                },
        { "VERSION",    "6"                                                },
        { "VERSION",    ""                                                 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = ERR_INIT;
        assert_true(check_with(bad[i][0], bad[i][1], &err) < 0);
        if (!strstr(err.message, bad[i][0]))
            fail_msg("%s=%s: %s", bad[i][0], bad[i][1], err.message);
    }
}

static void knows_who_is_attached(void **state)
{
    (void)state;
    static const struct {
        const char *pools;
        bool attached;
    } cases[] = {
        {"",                                                  false},
        { UUID_BLANK,                                         false},
        { "b7427472-08dc-4059-822c-5db507ad80a9",             true },
        { UUID_BLANK ",b7427472-08dc-4059-822c-5db507ad80a9", true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct format_domain domain = { 0 };
        struct format_domain_facts facts;
        parse(golden, &domain);
        assert_int_equal(
            format_domain_set(&domain, "POOL_UUID", cases[i].pools, NULL), 0);
        assert_int_equal(format_domain_check(&domain, &facts, NULL), 0);
        assert_int_equal(facts.pools[0] != '\0', cases[i].attached);
        format_domain_deinit(&domain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_another_program_wrote),
        cmocka_unit_test(writes_the_same_bytes),
        cmocka_unit_test(sorts_what_is_set),
        cmocka_unit_test(refuses_values_of_several_lines),
        cmocka_unit_test(line_ends_are_pythons),
        cmocka_unit_test(passes_over_lines_that_are_no_pairs),
        cmocka_unit_test(every_changed_byte_is_found),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(every_missing_key_is_named),
        cmocka_unit_test(every_impossible_value_is_named),
        cmocka_unit_test(knows_who_is_attached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
