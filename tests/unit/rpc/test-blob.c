/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes in JSON.
 */
#include <dray/rpc/blob.h>

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void comes_back_as_it_was(void **state)
{
    unsigned char data[1000];
    void *back = NULL;
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t n = 1; n <= sizeof(data); n += 333) {
        struct json_object *json = rpc_blob_new(data, n);

        assert_int_equal(
            rpc_blob_read(json_object_get_string(json), &back, &size), 0);
        assert_int_equal(size, n);
        assert_memory_equal(back, data, n);
        free(back);
        json_object_put(json);
    }
}

static void is_base64(void **state)
{
    struct json_object *json = rpc_blob_new("dray", 4);

    (void)state;
    assert_string_equal(json_object_get_string(json), "ZHJheQ==");
    json_object_put(json);
}

static void nothing_else_is_taken(void **state)
{
    static const char *const wrong[] = { "", "=", "Z", "ZHJ*eQ==", "\xff" };
    void *data = NULL;
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(rpc_blob_read(wrong[i], &data, &size), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(is_base64),
        cmocka_unit_test(nothing_else_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
