/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Records of the journal. What one says decides which copy of a disk is kept,
 * so nothing in it is guessed: a record is understood as a whole or not at all.
 * A change of the table below is a new version of the format.
 */
#include "record.h"
#include "field.h"
#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#define PLACE(member)                                                          \
    offsetof(struct job, member), sizeof(((struct job *)NULL)->member)

enum {
    MAX_ERRNO = 4095, /* as the kernel has it */
    MAX_DEPTH = 3,    /* a record has no objects inside */
};

static const char version_name[] = "version";

/* The formatter would make of it lines of 120 columns. */
/* clang-format off */
static const struct field fields[] = {
    { "id", &field_uuid, PLACE(id), 0, 0 },
    { "kind", &field_kind, PLACE(kind), 0, 0 },
    { "state", &field_state, PLACE(state), 0, 0 },
    { "vm", &field_uuid, PLACE(move.vm), 0, 0 },
    { "vm_name", &field_text, PLACE(move.vm_name), 0, 0 },
    { "target", &field_text, PLACE(move.target), 0, 0 },
    { "src_sd", &field_uuid, PLACE(move.src_sd), 0, 0 },
    { "dst_sd", &field_uuid, PLACE(move.dst_sd), 0, 0 },
    { "img", &field_uuid, PLACE(move.img), 0, 0 },
    { "leaf", &field_uuid, PLACE(move.leaf), 0, 0 },
    { "convert", &field_bool, PLACE(move.convert), 0, 0 },
    { "base_cow", &field_bool, PLACE(move.base_cow), 0, 0 },
    { "keep_source", &field_bool, PLACE(move.keep_source), 0, 0 },
    { "src_path", &field_text, PLACE(move.src_path), 0, 0 },
    { "dst_path", &field_text, PLACE(move.dst_path), 0, 0 },
    { "limit", &field_uint64, PLACE(limit), 0, 0 },
    { "cancel_requested", &field_bool, PLACE(cancel_requested), 0, 0 },
    { "suspended", &field_bool, PLACE(suspended), 0, 0 },
    { "bytes_done", &field_uint64, PLACE(progress.done), 0, 0 },
    { "bytes_total", &field_uint64, PLACE(progress.total), 0, 0 },
    { "rate", &field_uint64, PLACE(progress.rate), 0, 0 },
    { "eta_s", &field_int64, PLACE(progress.eta_s), -1, INT64_MAX },
    { "pause_us", &field_int64, PLACE(progress.pause_us), -1, INT64_MAX },
    { "failed_in", &field_state, PLACE(failed_in), 0, 0 },
    { "error_rc", &field_int, PLACE(error.rc), -MAX_ERRNO, 0 },
    { "error_code", &field_int, PLACE(error.code), INT_MIN, INT_MAX },
    { "error_message", &field_text, PLACE(error.message), 0, 0 },
    { "error_next", &field_text, PLACE(error.next), 0, 0 },
    { "warning", &field_text, PLACE(warning), 0, 0 },
    { "created_ms", &field_int64, PLACE(created_ms), 0, INT64_MAX },
    { "modified_ms", &field_int64, PLACE(modified_ms), 0, INT64_MAX },
    { "ended_ms", &field_int64, PLACE(ended_ms), 0, INT64_MAX },
};
/* clang-format on */

#define _cleanup_json_ _cleanup_(json_putp)

static void json_putp(struct json_object **json)
{
    (void)json_object_put(*json); /* how many others hold it: none */
}

static void tokener_freep(struct json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

/* Takes @value, also when it fails. */
static int add(struct json_object *record, const char *name,
               struct json_object *value)
{
    if (value && json_object_object_add(record, name, value) == 0)
        return 0;
    (void)json_object_put(value); /* NULL is fine */
    return -ENOMEM;
}

static int add_fields(struct json_object *record, const struct job *job)
{
    int rc = add(record, version_name, json_object_new_int(RECORD_VERSION));
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(fields); i++) {
        const struct field *field = &fields[i];
        const void *value = (const char *)job + field->offset;
        rc = add(record, field->name, field->type->encode(field, value));
    }
    return rc;
}

/* The text with a newline at its end, as editors and cat want it. */
static char *to_text(struct json_object *record)
{
    const char *text = json_object_to_json_string_ext(
        record, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    return text ? str_printf("%s\n", text) : NULL;
}

int record_encode(const struct job *job, char **ret_text, size_t *ret_len,
                  struct err *err)
{
    _cleanup_json_ struct json_object *record = json_object_new_object();
    _cleanup_free_ char *text = NULL;
    if (record && add_fields(record, job) == 0)
        text = to_text(record);
    if (!text)
        return err_set(err, -ENOMEM, "record of job %s: out of memory",
                       job->id);
    /* What cannot be read back must not be relied on as durable. */
    struct job again;
    struct err cause = ERR_INIT;
    size_t len = strlen(text);
    if (record_decode(text, len, &again, &cause) < 0)
        return err_set(err, -EINVAL, "record of job %s: %s", job->id,
                       cause.message);
    *ret_text = TAKE(text);
    *ret_len = len;
    return 0;
}

static int parse(const char *text, size_t len, struct json_object **ret_record,
                 struct err *err)
{
    _cleanup_(tokener_freep) struct json_tokener *tokener =
        json_tokener_new_ex(MAX_DEPTH);
    if (!tokener)
        return err_set(err, -ENOMEM, "out of memory");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    if (len > RECORD_MAX || !str_is_utf8(text, len))
        return err_set(err, -EBADMSG, "no text in UTF-8, or too long");
    _cleanup_json_ struct json_object *record =
        json_tokener_parse_ex(tokener, text, (int)len);
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    if (problem == json_tokener_continue)
        return err_set(err, -EBADMSG, "is cut off");
    if (problem != json_tokener_success)
        return err_set(err, -EBADMSG, "no JSON: %s",
                       json_tokener_error_desc(problem));
    if (!json_object_is_type(record, json_type_object))
        return err_set(err, -EBADMSG, "no JSON object");
    *ret_record = TAKE(record);
    return 0;
}

static int check_version(struct json_object *record, struct err *err)
{
    struct json_object *version = NULL;
    if (!json_object_object_get_ex(record, version_name, &version) ||
        !json_object_is_type(version, json_type_int))
        return err_set(err, -EBADMSG, "no version");
    int64_t number = json_object_get_int64(version);
    if (number != RECORD_VERSION)
        return err_set(err, -EBADMSG,
                       "version %lld: this drayd knows version %d only",
                       (long long)number, RECORD_VERSION);
    return 0;
}

static int get_fields(struct json_object *record, struct job *job,
                      struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *field = &fields[i];
        struct json_object *json = NULL;
        if (!json_object_object_get_ex(record, field->name, &json))
            return err_set(err, -EBADMSG, "no field %s", field->name);
        void *value = (char *)job + field->offset;
        if (field->type->decode(field, json, value) < 0)
            return err_set(err, -EBADMSG, "field %s is not %s", field->name,
                           field->type->what);
    }
    if ((size_t)json_object_object_length(record) > ARRAY_SIZE(fields) + 1)
        return err_set(err, -EBADMSG, "has fields that are not known");
    return 0;
}

int record_decode(const char *text, size_t len, struct job *ret_job,
                  struct err *err)
{
    _cleanup_json_ struct json_object *record = NULL;
    int rc = parse(text, len, &record, err);
    if (rc == 0)
        rc = check_version(record, err);
    if (rc < 0)
        return rc;
    struct job job = { 0 };
    rc = get_fields(record, &job, err);
    if (rc == 0)
        *ret_job = job;
    return rc;
}
