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
#include <stdlib.h>
#include <string.h>

#define AT(type, member)                                                       \
    offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define JOB(member)  AT(job, member)
#define DISK(member) AT(job_disk, member)

enum {
    MAX_ERRNO = 4095, /* as the kernel has it */
    MAX_DEPTH = 4,    /* a record, its disks, one disk, a value */
};

static const char version_name[] = "version";

static const char disks_name[] = "disks";

/* The formatter would make of it lines of 120 columns. */
/* clang-format off */
static const struct field job_fields[] = {
    { "id", &field_uuid, JOB(id), 0, 0 },
    { "kind", &field_kind, JOB(kind), 0, 0 },
    { "state", &field_state, JOB(state), 0, 0 },
    { "strategy", &field_int, JOB(strategy), JOB_MIRROR, JOB_BY_SNAPSHOT },
    { "vm", &field_place, JOB(vm), 0, 0 },
    { "vm_name", &field_text, JOB(vm_name), 0, 0 },
    { "peer", &field_text, JOB(peer), 0, 0 },
    { "wait_s", &field_int64, JOB(wait_s), 0, INT64_MAX },
    { "keep_source", &field_bool, JOB(keep_source), 0, 0 },
    { "verify", &field_bool, JOB(verify), 0, 0 },
    { "fast", &field_bool, JOB(fast), 0, 0 },
    { "quiesce", &field_bool, JOB(quiesce), 0, 0 },
    { "delete_top", &field_bool, JOB(delete_top), 0, 0 },
    { "scope", &field_int, JOB(scope), JOB_ALL, JOB_LEAF },
    { "src_cow", &field_bool, JOB(data.src.cow), 0, 0 },
    { "src_prepared", &field_bool, JOB(data.src.prepared), 0, 0 },
    { "src_checked", &field_bool, JOB(data.src.checked), 0, 0 },
    { "src_generation", &field_int, JOB(data.src.generation), 0, INT_MAX },
    { "dst_cow", &field_bool, JOB(data.dst.cow), 0, 0 },
    { "dst_prepared", &field_bool, JOB(data.dst.prepared), 0, 0 },
    { "dst_checked", &field_bool, JOB(data.dst.checked), 0, 0 },
    { "dst_generation", &field_int, JOB(data.dst.generation), 0, INT_MAX },
    { "make", &field_bool, JOB(data.make), 0, 0 },
    { "is_zero", &field_bool, JOB(data.is_zero), 0, 0 },
    { "bitmaps", &field_bool, JOB(data.bitmaps), 0, 0 },
    { "new_legality", &field_int, JOB(data.legality), -1, INT_MAX },
    { "new_generation", &field_int, JOB(data.generation), -1, INT_MAX },
    { "share", &field_bool, JOB(data.share), 0, 0 },
    { "describe", &field_bool, JOB(data.describe), 0, 0 },
    { "description", &field_text, JOB(data.description), 0, 0 },
    { "src_lease_sd", &field_place, JOB(data.src.lease_sd), 0, 0 },
    { "src_lease", &field_place, JOB(data.src.lease), 0, 0 },
    { "dst_lease_sd", &field_place, JOB(data.dst.lease_sd), 0, 0 },
    { "dst_lease", &field_place, JOB(data.dst.lease), 0, 0 },
    { "lease_record", &field_bool, JOB(data.record), 0, 0 },
    { "lease_generation", &field_int, JOB(data.lease_generation), 0, INT_MAX },
    { "owned", &field_bool, JOB(data.owned), 0, 0 },
    { "taken_over", &field_bool, JOB(data.taken_over), 0, 0 },
    { "fenced", &field_bool, JOB(data.fenced), 0, 0 },
    { "left_in", &field_state, JOB(data.left_in), 0, 0 },
    { "lost", &field_bool, JOB(data.lost), 0, 0 },
    { "lease_made", &field_bool, JOB(data.lease_made), 0, 0 },
    { "lease_host", &field_int, JOB(data.host_id), 0, INT_MAX },
    { "limit", &field_uint64, JOB(limit), 0, 0 },
    { "cancel_requested", &field_bool, JOB(cancel_requested), 0, 0 },
    { "finish_requested", &field_bool, JOB(finish_requested), 0, 0 },
    { "undo", &field_bool, JOB(undo), 0, 0 },
    { "suspended", &field_bool, JOB(suspended), 0, 0 },
    { "bytes_done", &field_uint64, JOB(progress.done), 0, 0 },
    { "bytes_total", &field_uint64, JOB(progress.total), 0, 0 },
    { "rate", &field_uint64, JOB(progress.rate), 0, 0 },
    { "eta_s", &field_int64, JOB(progress.eta_s), -1, INT64_MAX },
    { "pause_us", &field_int64, JOB(progress.pause_us), -1, INT64_MAX },
    { "quiet_write_us", &field_int64, JOB(progress.quiet_write_us),
      -1, INT64_MAX },
    { "write_us", &field_int64, JOB(progress.write_us), -1, INT64_MAX },
    { "failed_in", &field_state, JOB(failed_in), 0, 0 },
    { "error_rc", &field_int, JOB(error.rc), -MAX_ERRNO, 0 },
    { "error_code", &field_int, JOB(error.code), INT_MIN, INT_MAX },
    { "error_message", &field_text, JOB(error.message), 0, 0 },
    { "error_next", &field_text, JOB(error.next), 0, 0 },
    { "warning", &field_text, JOB(warning), 0, 0 },
    { "created_ms", &field_int64, JOB(created_ms), 0, INT64_MAX },
    { "modified_ms", &field_int64, JOB(modified_ms), 0, INT64_MAX },
    { "ended_ms", &field_int64, JOB(ended_ms), 0, INT64_MAX },
};

static const struct field disk_fields[] = {
    { "target", &field_text, DISK(target), 0, 0 },
    { "src_sd", &field_place, DISK(src_sd), 0, 0 },
    { "dst_sd", &field_place, DISK(dst_sd), 0, 0 },
    { "img", &field_place, DISK(img), 0, 0 },
    { "leaf", &field_place, DISK(leaf), 0, 0 },
    { "overlay", &field_place, DISK(overlay), 0, 0 },
    { "dst_img", &field_place, DISK(dst_img), 0, 0 },
    { "dst_vol", &field_place, DISK(dst_vol), 0, 0 },
    { "parent", &field_place, DISK(parent), 0, 0 },
    { "template_img", &field_place, DISK(template_img), 0, 0 },
    { "template_vol", &field_place, DISK(template_vol), 0, 0 },
    { "template_absent", &field_bool, DISK(template_absent), 0, 0 },
    { "template_made", &field_bool, DISK(template_made), 0, 0 },
    { "convert", &field_bool, DISK(convert), 0, 0 },
    { "base_cow", &field_bool, DISK(base_cow), 0, 0 },
    { "dst_made", &field_bool, DISK(dst_made), 0, 0 },
    { "fold_begun", &field_bool, DISK(fold_begun), 0, 0 },
    { "overlay_stays", &field_bool, DISK(overlay_stays), 0, 0 },
    { "in_doubt", &field_bool, DISK(in_doubt), 0, 0 },
    { "src_cow", &field_bool, DISK(src_cow), 0, 0 },
    { "beside", &field_text, DISK(beside), 0, 0 },
    { "capacity", &field_uint64, DISK(capacity), 0, 0 },
    { "src_path", &field_text, DISK(src_path), 0, 0 },
    { "dst_path", &field_text, DISK(dst_path), 0, 0 },
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

/* Members of @object from what is at @from. */
static int add_fields(struct json_object *object, const struct field *fields,
                      size_t n, const void *from)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const void *value = (const char *)from + fields[i].offset;
        rc = add(object, fields[i].name,
                 fields[i].type->encode(&fields[i], value));
    }
    return rc;
}

/* Takes @item, also when it fails. */
static int append(struct json_object *array, struct json_object *item)
{
    if (item && json_object_array_add(array, item) == 0)
        return 0;
    (void)json_object_put(item); /* NULL is fine */
    return -ENOMEM;
}

static int add_disks(struct json_object *record, const struct job *job)
{
    struct json_object *disks = json_object_new_array();
    int rc = add(record, disks_name, disks);
    for (size_t i = 0; rc == 0 && i < job->n_disks; i++) {
        struct json_object *disk = json_object_new_object();
        rc = append(disks, disk);
        if (rc == 0)
            rc = add_fields(disk, disk_fields, ARRAY_SIZE(disk_fields),
                            &job->disks[i]);
    }
    return rc;
}

static int fill(struct json_object *record, const struct job *job)
{
    int rc = add(record, version_name, json_object_new_int(RECORD_VERSION));
    if (rc == 0)
        rc = add_fields(record, job_fields, ARRAY_SIZE(job_fields), job);
    return rc < 0 ? rc : add_disks(record, job);
}

/* The text with a newline at its end, as editors and cat want it. */
static char *to_text(struct json_object *record)
{
    const char *text = json_object_to_json_string_ext(
        record, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    return text ? str_printf("%s\n", text) : NULL;
}

/* What cannot be read back must not be relied on as durable. */
static int read_back(const char *text, size_t len, struct err *err)
{
    struct job *again = malloc(sizeof(*again));
    int rc = again ? record_decode(text, len, again, err)
                   : err_set(err, -ENOMEM, "out of memory");
    free(again);
    return rc;
}

int record_encode(const struct job *job, char **ret_text, size_t *ret_len,
                  struct err *err)
{
    _cleanup_json_ struct json_object *record = json_object_new_object();
    _cleanup_free_ char *text = NULL;
    if (record && job->n_disks <= JOB_DISKS_MAX && fill(record, job) == 0)
        text = to_text(record);
    if (!text)
        return err_set(err, -ENOMEM, "record of job %s: out of memory",
                       job->id);
    struct err cause = ERR_INIT;
    size_t len = strlen(text);
    if (read_back(text, len, &cause) < 0)
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

/* @object has these members and @others more. */
static int get_fields(struct json_object *object, const struct field *fields,
                      size_t n, int others, void *to, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct field *field = &fields[i];
        struct json_object *json = NULL;
        if (!json_object_object_get_ex(object, field->name, &json))
            return err_set(err, -EBADMSG, "no field %s", field->name);
        void *value = (char *)to + field->offset;
        if (field->type->decode(field, json, value) < 0)
            return err_set(err, -EBADMSG, "field %s is not %s", field->name,
                           field->type->what);
    }
    if (json_object_object_length(object) > (int)n + others)
        return err_set(err, -EBADMSG, "has fields that are not known");
    return 0;
}

static int get_disks(struct json_object *record, struct job *job,
                     struct err *err)
{
    struct json_object *disks = NULL;
    if (!json_object_object_get_ex(record, disks_name, &disks) ||
        !json_object_is_type(disks, json_type_array))
        return err_set(err, -EBADMSG, "no array %s", disks_name);
    size_t n = json_object_array_length(disks);
    if (n == 0 || n > JOB_DISKS_MAX)
        return err_set(err, -EBADMSG, "has %zu disks", n);
    for (size_t i = 0; i < n; i++) {
        struct json_object *disk = json_object_array_get_idx(disks, i);
        if (!json_object_is_type(disk, json_type_object))
            return err_set(err, -EBADMSG, "disk %zu is no object", i);
        int rc = get_fields(disk, disk_fields, ARRAY_SIZE(disk_fields), 0,
                            &job->disks[i], err);
        if (rc < 0)
            return rc;
    }
    job->n_disks = n;
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
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return err_set(err, -ENOMEM, "out of memory");
    rc = get_fields(record, job_fields, ARRAY_SIZE(job_fields), 2, job, err);
    if (rc == 0)
        rc = get_disks(record, job, err);
    if (rc == 0)
        *ret_job = *job;
    free(job);
    return rc;
}
