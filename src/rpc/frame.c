/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Collects the bytes of one value while scan.c looks for its end, then has
 * json-c build the tree. Relies on scan.c having refused everything that is
 * not JSON, so that json-c can only fail for want of memory.
 *
 * After an error the rest of the line is skipped. A '{' or '[' in the first
 * column where the value before it should have gone on starts anew instead: the
 * client was cut off and begins its next request.
 */
#include "frame.h"

#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

enum {
    FRAME_KEEP = 16 * 1024
}; /* a larger buffer is given back */

void frame_init(struct frame *frame)
{
    *frame = (struct frame){ .last = '\n' };
    scan_reset(&frame->scan);
}

void frame_deinit(struct frame *frame)
{
    free(frame->value);
    frame_init(frame);
}

static void start_over(struct frame *frame)
{
    scan_reset(&frame->scan);
    frame->len = 0;
    if (frame->size > FRAME_KEEP) {
        free(frame->value);
        frame->value = NULL;
        frame->size = 0;
    }
}

/* Room for @n more bytes and a NUL. */
static int make_room(struct frame *frame, size_t n)
{
    size_t needed = frame->len + n + 1;
    if (needed <= frame->size)
        return 0;
    size_t size = frame->size ? frame->size : 1024;
    while (size < needed)
        size *= 2;
    char *value = realloc(frame->value, size);
    if (!value)
        return -ENOMEM;
    frame->value = value;
    frame->size = size;
    return 0;
}

static enum frame_result fatal(struct err *err, const char *why)
{
    (void)err_set_code(err, ERR_REQUEST, "%s", why);
    (void)err_next(err,
                   "send requests of at most %d bytes, each ended by a "
                   "line break",
                   RPC_REQUEST_MAX);
    return FRAME_FATAL;
}

static enum frame_result keep(struct frame *frame, const char *bytes, size_t n,
                              struct err *err)
{
    if (frame->len + n > RPC_REQUEST_MAX)
        return fatal(err, "the request is larger than 262144 bytes (256 KiB)");
    if (make_room(frame, n) < 0)
        return fatal(err, "no memory to hold the request");
    memcpy(frame->value + frame->len, bytes, n);
    frame->len += n;
    return FRAME_MORE;
}

/* Members of all objects in the tree. Depth is bounded by the scanner. */
static size_t count_members(struct json_object *value);

static size_t count_in_object(struct json_object *object)
{
    struct json_object_iterator i = json_object_iter_begin(object);
    struct json_object_iterator end = json_object_iter_end(object);
    size_t n = 0;
    for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
        n += 1 + count_members(json_object_iter_peek_value(&i));
    return n;
}

static size_t count_members(struct json_object *value)
{
    size_t n = 0;
    if (json_object_is_type(value, json_type_object))
        return count_in_object(value);
    if (!json_object_is_type(value, json_type_array))
        return 0;
    size_t length = json_object_array_length(value);
    for (size_t i = 0; i < length; i++)
        n += count_members(json_object_array_get_idx(value, i));
    return n;
}

static int build_tree(struct frame *frame, struct json_object **ret_value)
{
    struct json_tokener *tokener = json_tokener_new_ex(RPC_DEPTH_MAX + 2);
    if (!tokener)
        return -ENOMEM;
    frame->value[frame->len] = '\0';
    /* The NUL ends a number. */
    struct json_object *value =
        json_tokener_parse_ex(tokener, frame->value, (int)frame->len + 1);
    bool built = json_tokener_get_error(tokener) == json_tokener_success;
    json_tokener_free(tokener);
    if (!built) {
        json_object_put(value);
        return -ENOMEM;
    }
    *ret_value = value;
    return 0;
}

static enum frame_result complete(struct frame *frame,
                                  struct json_object **ret_value,
                                  struct err *err)
{
    bool nul_in_key = frame->scan.nul_in_key;
    size_t members = frame->scan.members;
    struct json_object *value = NULL;

    int r = build_tree(frame, &value);
    start_over(frame);
    if (r < 0)
        return fatal(err, "no memory to read the request");
    /* json-c cuts a name at its NUL and keeps the last of equal names. */
    if (nul_in_key || count_members(value) != members) {
        json_object_put(value);
        (void)err_set_code(err, ERR_REQUEST, "%s",
                           nul_in_key ? "a member name contains NUL"
                                      : "an object has the same member twice");
        (void)err_next(err, "name each member once");
        return FRAME_ERROR;
    }
    *ret_value = value;
    return FRAME_VALUE;
}

static enum frame_result broken(struct frame *frame, struct err *err)
{
    (void)err_set_code(err, ERR_PARSE, "cannot read this as JSON: %s",
                       frame->scan.problem);
    (void)err_next(err, "the rest of the line was skipped; send the request "
                        "again, correct");
    start_over(frame);
    return FRAME_ERROR;
}

/* Reading goes on at the byte at @used: in a new value or at the line's end. */
static void resync(struct frame *frame, char at, bool was_inside)
{
    bool new_line = frame->last == '\n';
    frame->skipping = !(was_inside && new_line && (at == '{' || at == '['));
    frame->skipped = 0;
}

static enum frame_result skip(struct frame *frame, const char *bytes, size_t n,
                              size_t *ret_used, struct err *err)
{
    const char *end = memchr(bytes, '\n', n);
    *ret_used = end ? (size_t)(end - bytes) + 1 : n;
    frame->last = bytes[*ret_used - 1];
    frame->skipped += *ret_used;
    frame->skipping = !end;
    if (frame->skipping && frame->skipped > RPC_REQUEST_MAX)
        return fatal(err, "no line break in 256 KiB after what was not JSON");
    return FRAME_MORE;
}

static size_t count_space(const struct frame *frame, const char *bytes,
                          size_t n)
{
    size_t i = 0;
    if (!scan_is_inside(&frame->scan))
        while (i < n && bytes[i] != '\0' && strchr(" \t\r\n", bytes[i]))
            i++;
    return i;
}

/* One value, or a part of one; @bytes does not start with white space that
 * stands between values. */
static enum frame_result feed_value(struct frame *frame, const char *bytes,
                                    size_t n, size_t *ret_used,
                                    struct json_object **ret_value,
                                    struct err *err)
{
    bool was_inside = scan_is_inside(&frame->scan);
    enum scan_result scanned = scan_bytes(&frame->scan, bytes, n, ret_used);
    size_t used = *ret_used;

    if (used > 0)
        frame->last = bytes[used - 1];
    if (scanned == SCAN_BAD || scanned == SCAN_DEEP) {
        resync(frame, bytes[used], was_inside || used > 0);
        return broken(frame, err);
    }
    enum frame_result kept = keep(frame, bytes, used, err);
    if (kept != FRAME_MORE)
        return kept;
    return scanned == SCAN_DONE ? complete(frame, ret_value, err) : FRAME_MORE;
}

enum frame_result frame_feed(struct frame *frame, const char *bytes, size_t n,
                             size_t *ret_used, struct json_object **ret_value,
                             struct err *err)
{
    size_t done = 0;

    while (done < n) {
        size_t used = 0;
        enum frame_result result;
        if (frame->skipping) {
            result = skip(frame, bytes + done, n - done, &used, err);
        } else {
            size_t space = count_space(frame, bytes + done, n - done);
            if (space > 0)
                frame->last = bytes[done + space - 1];
            done += space;
            if (done == n)
                break;
            result = feed_value(frame, bytes + done, n - done, &used, ret_value,
                                err);
        }
        done += used;
        if (result != FRAME_MORE) {
            *ret_used = done;
            return result;
        }
    }
    *ret_used = n;
    return FRAME_MORE;
}

enum frame_result frame_end(struct frame *frame, struct json_object **ret_value,
                            struct err *err)
{
    switch (scan_end(&frame->scan)) {
    case SCAN_MORE:
        return FRAME_MORE;
    case SCAN_DONE:
        return complete(frame, ret_value, err);
    default:
        return broken(frame, err);
    }
}
