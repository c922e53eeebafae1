/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages as text and back, by a table of members. What does not fit is
 * refused as a whole; what is not known is left aside: it comes from a newer
 * drayd or dray-job.
 */
#include "message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

enum type {
    TEXT,   /* char[size] */
    FLAG,   /* bool */
    SIGNED, /* int */
    NUMBER, /* unsigned, uint64_t */
};

struct member {
    const char *name;
    enum type type;
    size_t offset, size;
};

#define M(type, of, member, name)                                              \
    {                                                                          \
        name, type, offsetof(struct of, member),                               \
            sizeof(((struct of *)NULL)->member)                                \
    }
/* The formatter would make of it lines of 120 columns. */
/* clang-format off */
static const struct member request_members[] = {
    M(SIGNED, hold_request, verb, "verb"),
    M(TEXT, hold_request, job_id, "job_id"),
    M(TEXT, hold_request, lease.lockspace, "lease_lockspace"),
    M(TEXT, hold_request, lease.resource, "lease_resource"),
    M(TEXT, hold_request, lease.path, "lease_path"),
    M(NUMBER, hold_request, lease.offset, "lease_offset"),
    M(NUMBER, hold_request, lease.block_size, "lease_block_size"),
    M(NUMBER, hold_request, lease.alignment, "lease_alignment"),
    M(TEXT, hold_request, also.lockspace, "also_lockspace"),
    M(TEXT, hold_request, also.resource, "also_resource"),
    M(TEXT, hold_request, also.path, "also_path"),
    M(NUMBER, hold_request, also.offset, "also_offset"),
    M(NUMBER, hold_request, also.block_size, "also_block_size"),
    M(NUMBER, hold_request, also.alignment, "also_alignment"),
    M(FLAG, hold_request, record, "record"),
    M(NUMBER, hold_request, generation, "generation"),
    M(FLAG, hold_request, fenced, "fenced"),
    M(TEXT, hold_request, note, "note"),
    M(TEXT, hold_request, hardware_id, "hardware_id"),
    M(TEXT, hold_request, qemu_img, "qemu_img"),
    M(TEXT, hold_request, state_dir, "state_dir"),
    M(TEXT, hold_request, copy.src_path, "src_path"),
    M(TEXT, hold_request, copy.dst_path, "dst_path"),
    M(NUMBER, hold_request, copy.src_bytes, "src_bytes"),
    M(FLAG, hold_request, copy.compact, "compact"),
    M(FLAG, hold_request, copy.is_zero, "is_zero"),
    M(FLAG, hold_request, copy.bitmaps, "bitmaps"),
    M(SIGNED, hold_request, copy.src_format, "src_format"),
    M(SIGNED, hold_request, copy.dst_format, "dst_format"),
    M(TEXT, hold_request, copy.dst_backing, "dst_backing"),
    M(SIGNED, hold_request, copy.src_backing_format, "src_backing_format"),
    M(SIGNED, hold_request, copy.dst_backing_format, "dst_backing_format"),
    M(NUMBER, hold_request, copy.bytes_per_s, "copy_bytes_per_s"),
    M(SIGNED, hold_request, copy.task, "task"),
    M(TEXT, hold_request, copy.resume_key, "resume_key"),
    M(NUMBER, hold_request, bytes_per_s, "bytes_per_s"),
    M(SIGNED, hold_request, status, "status"),
};

static const struct member answer_members[] = {
    M(SIGNED, hold_answer, rc, "rc"),
    M(SIGNED, hold_answer, err.rc, "error"),
    M(SIGNED, hold_answer, err.code, "code"),
    M(TEXT, hold_answer, err.message, "message"),
    M(TEXT, hold_answer, err.next, "next"),
    M(SIGNED, hold_answer, status, "status"),
    M(NUMBER, hold_answer, generation, "generation"),
    M(FLAG, hold_answer, progress.finished, "finished"),
    M(SIGNED, hold_answer, progress.result, "result"),
    M(NUMBER, hold_answer, progress.done, "done"),
    M(NUMBER, hold_answer, progress.total, "total"),
    M(SIGNED, hold_answer, progress.mover, "mover"),
};
/* clang-format on */

/* --- text ---------------------------------------------------------------- */

static struct json_object *encode(const struct member *member, const void *at)
{
    uint64_t number = 0;
    unsigned small = 0;
    int value = 0;

    switch (member->type) {
    case TEXT:
        return json_object_new_string(at);
    case FLAG:
        return json_object_new_boolean(*(const bool *)at);
    case SIGNED:
        memcpy(&value, at, sizeof(value));
        return json_object_new_int(value);
    case NUMBER:
        break;
    }
    if (member->size == sizeof(small)) {
        memcpy(&small, at, sizeof(small));
        number = small;
    } else {
        memcpy(&number, at, sizeof(number));
    }
    return json_object_new_uint64(number);
}

static bool is_blank(const struct member *member, const char *at)
{
    if (member->type == TEXT)
        return at[0] == '\0';
    for (size_t i = 0; i < member->size; i++) {
        if (at[i])
            return false;
    }
    return true;
}

static bool add(struct json_object *json, const struct member *member,
                const char *at)
{
    if (is_blank(member, at))
        return true;
    struct json_object *value = encode(member, at);
    if (value && json_object_object_add(json, member->name, value) == 0)
        return true;
    (void)json_object_put(value);
    return false;
}

static char *make_text(const struct member *members, size_t n, const void *from)
{
    struct json_object *json = json_object_new_object();
    bool ok = json;
    for (size_t i = 0; ok && i < n; i++)
        ok = add(json, &members[i], (const char *)from + members[i].offset);
    const char *text =
        ok ? json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)
           : NULL;
    char *copy = text ? strdup(text) : NULL;
    (void)json_object_put(json);
    return copy;
}

struct hold_request *hold_request_new(enum hold_verb verb)
{
    struct hold_request *request = calloc(1, sizeof(*request));
    if (request)
        request->verb = verb;
    return request;
}

char *hold_request_text(const struct hold_request *request)
{
    return make_text(request_members, ARRAY_SIZE(request_members), request);
}

char *hold_answer_text(const struct hold_answer *answer)
{
    return make_text(answer_members, ARRAY_SIZE(answer_members), answer);
}

/* --- back ---------------------------------------------------------------- */

static bool decode_number(const struct member *member,
                          struct json_object *value, void *to)
{
    int64_t sign = json_object_get_int64(value);
    uint64_t number = json_object_get_uint64(value);
    unsigned small = (unsigned)number;

    if (!json_object_is_type(value, json_type_int) || sign < 0 ||
        (member->size == sizeof(small) && number > UINT_MAX))
        return false;
    if (member->size == sizeof(small))
        memcpy(to, &small, sizeof(small));
    else
        memcpy(to, &number, sizeof(number));
    return true;
}

static bool decode_signed(struct json_object *value, void *to)
{
    int64_t number = json_object_get_int64(value);
    int small = (int)number;

    if (!json_object_is_type(value, json_type_int) || number != small)
        return false;
    memcpy(to, &small, sizeof(small));
    return true;
}

static bool decode_text(const struct member *member, struct json_object *value,
                        char *to)
{
    const char *text = json_object_get_string(value);

    return json_object_is_type(value, json_type_string) &&
           strlen(text) == (size_t)json_object_get_string_len(value) &&
           str_copy(to, member->size, text);
}

static bool decode(const struct member *member, struct json_object *value,
                   void *to)
{
    switch (member->type) {
    case TEXT:
        return decode_text(member, value, to);
    case FLAG:
        *(bool *)to = json_object_get_boolean(value);
        return json_object_is_type(value, json_type_boolean);
    case SIGNED:
        return decode_signed(value, to);
    case NUMBER:
        break;
    }
    return decode_number(member, value, to);
}

static struct json_object *parse_object(const char *text, size_t size)
{
    struct json_tokener *tokener =
        size > MESSAGE_SIZE ? NULL : json_tokener_new_ex(4);
    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *json = json_tokener_parse_ex(tokener, text, (int)size);
    bool complete = json_tokener_get_error(tokener) == json_tokener_success &&
                    json_object_is_type(json, json_type_object) &&
                    json_tokener_get_parse_end(tokener) == size;
    json_tokener_free(tokener);
    if (complete)
        return json;
    (void)json_object_put(json);
    return NULL;
}

static int parse(const char *text, size_t size, const struct member *members,
                 size_t n, void *to)
{
    struct json_object *json = parse_object(text, size);
    bool ok = json;
    for (size_t i = 0; ok && i < n; i++) {
        struct json_object *value = NULL;
        if (json_object_object_get_ex(json, members[i].name, &value))
            ok = decode(&members[i], value, (char *)to + members[i].offset);
    }
    (void)json_object_put(json);
    return ok ? 0 : -EBADMSG;
}

int hold_request_parse(const char *text, size_t size,
                       struct hold_request *ret_request)
{
    memset(ret_request, 0, sizeof(*ret_request));
    int rc = parse(text, size, request_members, ARRAY_SIZE(request_members),
                   ret_request);
    bool known = (unsigned)ret_request->verb < HOLD_VERB_COUNT &&
                 ret_request->status >= HOLD_SET_NOTHING &&
                 ret_request->status <= XLEASE_FENCED;
    return rc == 0 && !known ? -EBADMSG : rc;
}

int hold_answer_parse(const char *text, size_t size,
                      struct hold_answer *ret_answer)
{
    memset(ret_answer, 0, sizeof(*ret_answer));
    return parse(text, size, answer_members, ARRAY_SIZE(answer_members),
                 ret_answer);
}
