/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Changes that are cut off at every call that changes a file. The calls are
 * counted by ours in their place (--wrap, see meson.build).
 */
#ifndef DRAY_TEST_DOMAIN_CUT_H
#define DRAY_TEST_DOMAIN_CUT_H

#include "fixture.h"

enum {
    CUT = 77,
    DONE = 0,
    FAILED = 1
};

extern long calls_left;  /* -1: nobody counts */
extern bool only_fails;  /* the call, instead of dying in it */
extern int struck_errno; /* with this: EIO unless said otherwise */

typedef int change_fn(struct fixture *f, struct err *err);

/* What became of a child that dies at call @n. */
int run_cut(struct fixture *f, change_fn *change, long n);
void succeed(struct fixture *f, change_fn *change);

/* Every volume has its three files, and every file is a volume's. */
void check_image_files(const struct fixture *f, const char *img);
/* The domain is in order. */
void check_domain(struct fixture *f);

/* After each death: @change must succeed, and @back undoes it for the next. It
 * is repeated twice: after a scan, and at once, as another host would. */
void cut_everywhere(struct fixture *f, change_fn *change, change_fn *back,
                    long at_least);
/* The n-th call fails instead: the change must fail or cope, give back what it
 * held, and succeed when it is repeated. */
void fail_everywhere(struct fixture *f, change_fn *change, change_fn *back);

#endif
