/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Copies through qemu-img, for a change of the format. Only what this one
 * layer holds is written: with -B qemu-img asks for the layer's own
 * allocation, and zeros over data of a parent stay zeros.
 *
 * Formats come from our records (-f, -O), never from the data; headers were
 * checked before. The destination's backing name is a bare volume id: it is
 * looked up in the destination's directory.
 *
 * qemu-img cannot go on with a conversion that was cut off. When something
 * else kills it, it is started again from the beginning, a few times: what it
 * then finds in the destination is of the same data. Clusters that the first
 * one lost track of are given back before, so that the copy grows no larger.
 */
#include "convert.h"
#include "compare.h"
#include "fresh.h"
#include "side.h"
#include "tool.h"
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    TRIES = 3,
    CHECK_LEAKS = 3, /* exit status of qemu-img check: only leaks left */
    COMPARE_DIFFERS = 1,
};

static int tool_error(struct err *err, const struct copy *copy,
                      const char *verb, const struct tool_result *result)
{
    const struct copy_spec *spec = &copy->spec;
    const char *text = result->error;
    /* qemu-img has one exit status for all failures. LC_ALL=C. */
    if (strstr(text, "No space left") || strstr(text, "quota exceeded"))
        return copy_error(err, -ENOSPC, "write", spec->dst_path);
    if (tool_was_killed(result))
        text = "qemu-img was killed";
    return err_set(err, -EIO, "%s %s to %s: %s", verb, spec->src_path,
                   spec->dst_path, text[0] ? text : "qemu-img failed");
}

static int sync_file(const char *path, struct err *err)
{
    if (!copy_is_path(path))
        return 0; /* qemu-img flushes what it closes */
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) < 0)
        return copy_error(err, -errno, "sync", path);
    return 0;
}

/* Bytes that reading all of the source means, about. */
static int measure(const struct copy_spec *spec, uint64_t *ret_total,
                   struct err *err)
{
    struct side side = { .fd = -1 };
    *ret_total = spec->src_bytes;
    if (!copy_is_path(spec->src_path))
        return 0;
    int rc = side_open_to_read(&side, spec->src_path, err);
    if (rc == 0)
        *ret_total =
            side.is_block ? side.size : (uint64_t)side.st.st_blocks * 512;
    util_closep(&side.fd);
    return rc;
}

static void add_convert(struct copy *copy, struct tool_args *args)
{
    const struct copy_spec *spec = &copy->spec;
    TOOL_ADD(args, copy->qemu_img, "convert", "-n", "-p");
    TOOL_ADD(args, "-t", tool_cache(spec->dst_path, "writeback"));
    TOOL_ADD(args, "-T", tool_cache(spec->src_path, "writeback"));
    if (copy_limit(copy) == 0)
        TOOL_ADD(args, "-W", "-m", "16");
    else
        TOOL_ADD(args, "-m", "1"); /* fewer in flight are easier to hold */
    if (fresh_make(spec) || (spec->is_zero && !spec->dst_backing[0]))
        TOOL_ADD(args, "--target-is-zero");
    if (spec->bitmaps)
        TOOL_ADD(args, "--bitmaps", "--skip-broken-bitmaps");
    TOOL_ADD(args, "-f", tool_format(spec->src_format), "-O",
             tool_format(spec->dst_format));
    if (spec->dst_backing[0])
        TOOL_ADD(args, "-B", spec->dst_backing, "-F",
                 tool_format(spec->dst_backing_format));
    TOOL_ADD(args, spec->src_path, spec->dst_path);
}

static int give_back_leaks(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    struct tool_args args = { 0 };
    struct tool_result result = { 0 };
    if (spec->dst_format == VOLUME_RAW)
        return 0;
    TOOL_ADD(&args, copy->qemu_img, "check", "-q", "-r", "all", "-f", "qcow2",
             spec->dst_path);
    int rc = tool_run(copy, &args, 0, TOOL_WRITES, &result, err);
    if (rc || result.status == 0 || result.status == CHECK_LEAKS)
        return rc;
    return tool_error(err, copy, "repair after", &result);
}

static int convert_once(struct copy *copy, uint64_t total,
                        struct tool_result *ret, struct err *err)
{
    struct tool_args args = { 0 };
    copy_report(copy, 0, total);
    add_convert(copy, &args);
    /* What goes to a socket is not counted as written. */
    enum tool_measure measure =
        copy_is_path(copy->spec.dst_path) ? TOOL_WRITES : TOOL_READS;
    return tool_run(copy, &args, total, measure, ret, err);
}

int convert_copy(struct copy *copy, struct err *err)
{
    struct tool_result result = { 0 };
    uint64_t total = 0;
    copy_set_mover(copy, COPY_BY_CONVERT);
    int rc = measure(&copy->spec, &total, err);
    if (rc == 0)
        rc = convert_once(copy, total, &result, err);
    for (int n = 1; n < TRIES && rc == 0 && tool_was_killed(&result); n++) {
        rc = give_back_leaks(copy, err);
        if (rc == 0)
            rc = convert_once(copy, total, &result, err);
    }
    if (rc == 0 && result.status != 0)
        rc = tool_error(err, copy, "convert", &result);
    return rc ? rc : sync_file(copy->spec.dst_path, err);
}

int convert_rebase(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    struct tool_args args = { 0 };
    struct tool_result result = { 0 };
    TOOL_ADD(&args, copy->qemu_img, "rebase", "-u", "-f", "qcow2", "-F",
             tool_format(spec->dst_backing_format), "-b", spec->dst_backing,
             spec->dst_path);
    int rc = tool_run(copy, &args, 0, TOOL_WRITES, &result, err);
    if (rc == 0 && result.status != 0)
        rc = tool_error(err, copy, "rebase the copy of", &result);
    return rc ? rc : sync_file(spec->dst_path, err);
}

static int differs(const struct copy *copy, char *text, struct err *err)
{
    str_make_line(text);
    return compare_differs(err, &copy->spec,
                           text[0] ? text : "contents are not identical");
}

int convert_compare(struct copy *copy, struct err *err)
{
    const struct copy_spec *spec = &copy->spec;
    struct tool_args args = { 0 };
    struct tool_result result = { 0 };
    uint64_t total = 0;
    TOOL_ADD(&args, copy->qemu_img, "compare", "-p", "-U");
    TOOL_ADD(&args, "-T", tool_cache(spec->dst_path, "writeback"));
    TOOL_ADD(&args, "-f", tool_format(spec->src_format), "-F",
             tool_format(spec->dst_format));
    TOOL_ADD(&args, spec->src_path, spec->dst_path);
    int rc = measure(spec, &total, err);
    if (rc)
        return rc;
    copy_set_mover(copy, COPY_BY_CONVERT);
    copy_report(copy, 0, total);
    for (int n = 0; n < TRIES; n++) {
        rc = tool_run(copy, &args, total, TOOL_READS, &result, err);
        if (rc || !tool_was_killed(&result))
            break;
    }
    if (rc || result.status == 0)
        return rc;
    return result.status == COMPARE_DIFFERS
               ? differs(copy, result.text, err)
               : tool_error(err, copy, "compare", &result);
}
