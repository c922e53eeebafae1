/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Doubly linked list with embedded links, as in the Linux kernel's: a head is
 * a link that points to itself when the list is empty.
 */
#ifndef DRAY_BASE_LIST_H
#define DRAY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(head)                                                        \
    {                                                                          \
        .prev = &(head), .next = &(head)                                       \
    }

#define container_of(pointer, type, member)                                    \
    ((type *)((char *)(pointer)-offsetof(type, member)))

/* A name that is declared cannot stand in parentheses:
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define list_for_each(item, head)                                              \
    for (struct list *item = (head)->next; item != (head); item = item->next)

/* The current item may be removed. */
#define list_for_each_safe(item, tmp, head)                                    \
    for (struct list *item = (head)->next, *tmp = item->next; item != (head);  \
         item = tmp, tmp = item->next)

/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#endif
