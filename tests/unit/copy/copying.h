/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of copies share: a directory on a real file system, files
 * with holes, and a copier.
 */
#ifndef TEST_COPYING_H
#define TEST_COPYING_H

#include <dray/copy.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

struct copying {
    char dir[64];
    struct copier *copier;
    struct copier_port port;
    struct copy_spec spec; /* dir/src to dir/dst, raw to raw */
};

/* cmocka's set-up and tear-down of each test; *state is a struct copying. */
int copying_setup(void **state);
int copying_teardown(void **state);

/* Its own directory, so that other tests may run at once. */
void copying_init(struct copying *t, const char *parent);
void copying_deinit(struct copying *t);

/* A file of @size bytes, one hole. An existing one is replaced. */
void make_file(const char *path, uint64_t size);
/* Bytes that do not compress and differ by offset and seed. */
void put_data(const char *path, uint64_t at, uint64_t len, unsigned seed);
/* Zeros that take up space. */
void put_zeros(const char *path, uint64_t at, uint64_t len);
uint64_t allocated_bytes(const char *path);

/* Same size and same content; holes are read as zeros. */
void assert_same_content(const char *a, const char *b);

struct copy *start_copy(struct copying *t);
struct copy_progress look(struct copying *t, struct copy *copy);
/* Waits for the end; closes. Returns the result. */
int finish_copy(struct copying *t, struct copy *copy, struct err *err);
/* start and finish, which must succeed. */
void copy_all(struct copying *t);
/* Until @ms after @since_ms (time_now_ms()), or the end of the copy. */
void run_until(struct copying *t, struct copy *copy, int64_t since_ms,
               int64_t ms);

/* Runs @body in a child; skips the test when that returns SKIP_STATUS. */
enum {
    SKIP_STATUS = 77
};
void in_a_child(int (*body)(void));

/* Copies src, of 32 MiB or more, to dst with a resume key up to a checkpoint
 * over 0, and stops. */
void interrupt_copy(struct copying *t);
/* Where a copy would go on; 0 for from the beginning. */
uint64_t checkpoint_position(const struct copying *t);
/* Starts the copy at almost no speed. What it was spared, in whole MiB. */
uint64_t start_held(struct copying *t, struct copy **ret_copy);
void flip_bit(const char *path, uint64_t at);

#endif
