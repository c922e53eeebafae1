/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list: order, removal, removal while walking.
 */
#include <dray/base/list.h>
#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct item {
    int value;
    struct list link;
};

static int value_of(struct list *link)
{
    return container_of(link, struct item, link)->value;
}

static int sum(struct list *head)
{
    int digits = 0;
    list_for_each (link, head) {
        digits = digits * 10 + value_of(link);
    }
    return digits;
}

static void keeps_order(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
    assert_true(list_is_empty(&head));
    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        list_append(&head, &items[i].link);
    assert_false(list_is_empty(&head));
    assert_int_equal(sum(&head), 123);
    list_remove(&items[1].link);
    assert_int_equal(sum(&head), 13);
    list_remove(&items[1].link); /* once more is harmless */
    list_append(&head, &items[1].link);
    assert_int_equal(sum(&head), 132);
}

static void lets_items_go_while_walking(void **state)
{
    (void)state;
    struct list head = LIST_INIT(head);
    struct item items[] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        list_append(&head, &items[i].link);
    list_for_each_safe (link, next, &head) {
        if (value_of(link) != 2)
            list_remove(link);
    }
    assert_int_equal(sum(&head), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order),
        cmocka_unit_test(lets_items_go_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
