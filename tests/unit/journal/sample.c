/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A job in which no two fields have the same value, so that a mix-up shows.
 */
#include "sample.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct job_disk first_disk = {
    .target = "vda",
    .src_sd = "33333333-3333-4333-8333-333333333333",
    .dst_sd = "44444444-4444-4444-8444-444444444444",
    .img = "55555555-5555-4555-8555-555555555555",
    .leaf = "66666666-6666-4666-8666-666666666666",
    .overlay = "77777777-7777-4777-8777-777777777777",
    .dst_img = "88888888-8888-4888-8888-888888888888",
    .dst_vol = "99999999-9999-4999-8999-999999999999",
    .template_img = "66666666-6666-4666-8666-666666666666",
    .template_absent = true,
    .template_made = true,
    .convert = true,
    .base_cow = false,
    .dst_made = true,
    .overlay_stays = true,
    .in_doubt = true,
    .src_cow = true,
    .beside = "/srv/plain/drayd-over",
    .capacity = UINT64_MAX - 2,
    .src_path = "/run/drayd/storage/a/b",
    .dst_path = "/mnt/two/c",
};

/* To a place outside. */
static const struct job_disk second_disk = {
    .target = "vdb",
    .src_sd = "33333333-3333-4333-8333-333333333334",
    .img = "55555555-5555-4555-8555-555555555556",
    .leaf = "66666666-6666-4666-8666-666666666667",
    .base_cow = true,
    .fold_begun = true,
    .capacity = 4096,
    .src_path = "/run/drayd/storage/a/d",
    .dst_path = "nbd+unix:///?socket=/run/nbd",
};

void sample_job(struct job *ret_job)
{
    *ret_job = (struct job){
        .id = SAMPLE_ID,
        .kind = JOB_COPY,
        .state = JOB_CONVERGING,
        .strategy = JOB_BY_SNAPSHOT,
        .vm = "22222222-2222-4222-8222-222222222222",
        .vm_name = "web \"1\" \\ \xc3\xa4\n",
        .n_disks = 2,
        .disks = { first_disk, second_disk },
        .keep_source = true,
        .fast = true,
        .delete_top = true,
        .scope = JOB_LEAF,
        .data = {
            .src = { .cow = true, .generation = 7,
                     .lease_sd = "44444444-4444-4444-8444-444444444441",
                     .lease = "44444444-4444-4444-8444-444444444442" },
            .dst = { .prepared = true, .checked = true, .generation = 999,
                     .lease_sd = "44444444-4444-4444-8444-444444444443",
                     .lease = "44444444-4444-4444-8444-444444444444" },
            .make = true,
            .bitmaps = true,
            .legality = -1,
            .generation = 8,
            .describe = true,
            .description = "a disk",
            .record = true,
            .lease_generation = 998,
            .taken_over = true,
            .left_in = JOB_SYNCING,
            .lease_made = true,
            .host_id = 1999,
        },
        .limit = UINT64_MAX,
        .cancel_requested = true,
        .undo = true,
        .progress = {
            .done = 1001,
            .total = UINT64_MAX - 1,
            .rate = 1003,
            .eta_s = -1,
            .pause_us = INT64_MAX,
            .quiet_write_us = 1004,
            .write_us = 1005,
        },
        .failed_in = JOB_SYNCING,
        .error = {
            .rc = -ENOSPC,
            .code = ERR_PARSE,
            .message = "no space left",
            .next = "make room",
        },
        .warning = "look at this",
        .created_ms = 1700000000001,
        .modified_ms = 1700000000002,
        .ended_ms = 1700000000003,
    };
}

char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static void assert_disks_equal(const struct job_disk *a,
                               const struct job_disk *b)
{
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->src_sd, b->src_sd);
    assert_string_equal(a->dst_sd, b->dst_sd);
    assert_string_equal(a->img, b->img);
    assert_string_equal(a->leaf, b->leaf);
    assert_string_equal(a->overlay, b->overlay);
    assert_string_equal(a->template_img, b->template_img);
    assert_int_equal(a->template_absent, b->template_absent);
    assert_int_equal(a->template_made, b->template_made);
    assert_int_equal(a->convert, b->convert);
    assert_int_equal(a->base_cow, b->base_cow);
    assert_int_equal(a->dst_made, b->dst_made);
    assert_int_equal(a->fold_begun, b->fold_begun);
    assert_int_equal(a->overlay_stays, b->overlay_stays);
    assert_int_equal(a->in_doubt, b->in_doubt);
    assert_int_equal(a->src_cow, b->src_cow);
    assert_string_equal(a->beside, b->beside);
    assert_true(a->capacity == b->capacity);
    assert_string_equal(a->src_path, b->src_path);
    assert_string_equal(a->dst_path, b->dst_path);
}

static void assert_progress_equal(const struct job_progress *a,
                                  const struct job_progress *b)
{
    assert_true(a->done == b->done);
    assert_true(a->total == b->total);
    assert_true(a->rate == b->rate);
    assert_true(a->eta_s == b->eta_s);
    assert_true(a->pause_us == b->pause_us);
    assert_true(a->quiet_write_us == b->quiet_write_us);
    assert_true(a->write_us == b->write_us);
}

static void assert_wishes_equal(const struct job *a, const struct job *b)
{
    assert_int_equal(a->keep_source, b->keep_source);
    assert_int_equal(a->verify, b->verify);
    assert_int_equal(a->fast, b->fast);
    assert_int_equal(a->quiesce, b->quiesce);
    assert_int_equal(a->delete_top, b->delete_top);
    assert_int_equal(a->scope, b->scope);
    assert_true(a->limit == b->limit);
    assert_int_equal(a->cancel_requested, b->cancel_requested);
    assert_int_equal(a->finish_requested, b->finish_requested);
}

void assert_jobs_equal(const struct job *a, const struct job *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->strategy, b->strategy);
    assert_string_equal(a->vm, b->vm);
    assert_string_equal(a->vm_name, b->vm_name);
    assert_int_equal(a->n_disks, b->n_disks);
    for (size_t i = 0; i < a->n_disks; i++)
        assert_disks_equal(&a->disks[i], &b->disks[i]);
    assert_wishes_equal(a, b);
    assert_int_equal(a->undo, b->undo);
    assert_int_equal(a->suspended, b->suspended);
    assert_progress_equal(&a->progress, &b->progress);
    assert_int_equal(a->failed_in, b->failed_in);
    assert_int_equal(a->error.rc, b->error.rc);
    assert_int_equal(a->error.code, b->error.code);
    assert_string_equal(a->error.message, b->error.message);
    assert_string_equal(a->error.next, b->error.next);
    assert_string_equal(a->warning, b->warning);
    assert_true(a->created_ms == b->created_ms);
    assert_true(a->modified_ms == b->modified_ms);
    assert_true(a->ended_ms == b->ended_ms);
}
