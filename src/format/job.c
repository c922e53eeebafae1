/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The record of a job in the LVB of its lease.
 *
 * An LVB has no checksum, and a short write leaves the end of what was there
 * before. So ours are written in exactly one way, with a checksum, and a record
 * that begins like ours is taken only when writing it again gives the same 512
 * bytes. VDSM writes ": " and ", " where we write ":" and ","; what it wrote,
 * or wrote anew from ours (with our checksum of before in it), is read as the
 * JSON object that it is.
 */
#include "text.h"
#include <dray/format.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char *const statuses[] = { "PENDING", "SUCCEEDED", "FAILED",
                                        "FENCED" };
static const char ours[] = "{\"type\":\"JOB\",";

const char *format_job_status_name(enum format_job_status status)
{
    return statuses[status];
}

int format_job_status_parse(const char *name,
                            enum format_job_status *ret_status)
{
    int i = text_index(name, statuses, ARRAY_SIZE(statuses));
    if (i < 0)
        return -EINVAL;
    *ret_status = (enum format_job_status)i;
    return 0;
}

unsigned format_generation_next(unsigned generation)
{
    return (generation + 1) % (FORMAT_GENERATION_MAX + 1);
}

/* CRC-32C, as everybody computes it. */
static uint32_t checksum(const char *p, size_t size)
{
    uint32_t crc = 0xffffffffU;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    return ~crc;
}

static int damaged(const char *what, struct err *err)
{
    return err_set_code(err, ERR_LVB, "the job record is damaged: %s", what);
}

/* Printable ASCII without what JSON would have to escape. */
static bool is_plain(const char *s)
{
    for (; *s; s++) {
        if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\')
            return false;
    }
    return true;
}

int format_job_build(const struct format_job *job,
                     char ret_lvb[FORMAT_LVB_SIZE], struct err *err)
{
    char text[FORMAT_LVB_SIZE] = "";
    if (!uuid_is_valid(job->job_id) || !is_plain(job->host) ||
        job->generation > FORMAT_GENERATION_MAX)
        return err_set_code(err, ERR_LVB, "this is no job record");
    bool fits = str_format(
        text, sizeof(text),
        "%s\"generation\":%u,\"job_id\":\"%s\",\"job_status\":\"%s\","
        "\"created\":%" PRIu64 ",\"modified\":%" PRIu64
        ",\"host_hardware_id\":\"%s\"",
        ours, job->generation, job->job_id, statuses[job->status],
        job->created_s, job->modified_s, job->host);
    size_t size = strlen(text);
    fits =
        fits && str_format(text + size, sizeof(text) - size,
                           ",\"crc\":\"%08" PRIx32 "\"}", checksum(text, size));
    if (!fits)
        return err_set_code(err, ERR_LVB,
                            "the job record has no room in %d "
                            "bytes",
                            FORMAT_LVB_SIZE);
    memcpy(ret_lvb, text, sizeof(text));
    return 0;
}

/* --- reading --- */

/* The rest of the text; a step that does not fit moves nothing. */
struct reader {
    const char *at, *end;
};

static bool take(struct reader *r, const char *expected)
{
    size_t size = strlen(expected);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, expected, size) != 0)
        return false;
    r->at += size;
    return true;
}

/* Up to the next quote; nothing in it is escaped. */
static bool take_string(struct reader *r, char *ret, size_t size)
{
    struct reader rest = *r;
    if (!take(&rest, "\""))
        return false;
    const char *quote = memchr(rest.at, '"', (size_t)(rest.end - rest.at));
    size_t len = quote ? (size_t)(quote - rest.at) : size;
    if (len >= size)
        return false;
    memcpy(ret, rest.at, len);
    ret[len] = '\0';
    if (strlen(ret) != len || !is_plain(ret))
        return false;
    r->at = quote + 1;
    return true;
}

static bool take_number(struct reader *r, uint64_t *ret)
{
    char digits[24] = "";
    size_t n = 0;
    while (r->at + n < r->end && r->at[n] >= '0' && r->at[n] <= '9')
        n++;
    if (n == 0 || n >= sizeof(digits) || (n > 1 && *r->at == '0'))
        return false;
    memcpy(digits, r->at, n);
    if (str_to_u64(digits, ret) < 0)
        return false;
    r->at += n;
    return true;
}

/* A value as it is in the record, for what we know and what we do not. */
struct value {
    enum {
        VALUE_STRING,
        VALUE_NUMBER,
        VALUE_NULL
    } kind;
    char text[FORMAT_JOB_HOST_SIZE];
    uint64_t number;
};

static bool take_value(struct reader *r, struct value *value)
{
    *value = (struct value){ .kind = VALUE_NULL };
    if (take(r, "null"))
        return true;
    value->kind = VALUE_STRING;
    if (take_string(r, value->text, sizeof(value->text)))
        return true;
    value->kind = VALUE_NUMBER;
    return take_number(r, &value->number);
}

enum field {
    FIELD_TYPE,
    FIELD_GENERATION,
    FIELD_JOB_ID,
    FIELD_STATUS,
    FIELD_CREATED,
    FIELD_MODIFIED,
    FIELD_HOST,
    FIELDS,
};
static const char *const names[FIELDS] = {
    "type",    "generation", "job_id",          "job_status",
    "created", "modified",   "host_hardware_id"
};

static bool put_string(enum field field, const struct value *value,
                       struct format_job *job)
{
    switch (field) {
    case FIELD_TYPE:
        return str_equal(value->text, "JOB");
    case FIELD_JOB_ID:
        return uuid_is_valid(value->text) &&
               str_copy(job->job_id, sizeof(job->job_id), value->text);
    case FIELD_STATUS:
        return format_job_status_parse(value->text, &job->status) == 0;
    case FIELD_HOST:
        return str_copy(job->host, sizeof(job->host), value->text);
    default:
        return false;
    }
}

static bool put_number(enum field field, uint64_t number,
                       struct format_job *job)
{
    switch (field) {
    case FIELD_GENERATION:
        job->generation = (unsigned)number;
        return number <= FORMAT_GENERATION_MAX;
    case FIELD_CREATED:
        job->created_s = number;
        return true;
    case FIELD_MODIFIED:
        job->modified_s = number;
        return true;
    default:
        return false;
    }
}

static bool put(enum field field, const struct value *value,
                struct format_job *job)
{
    if (value->kind == VALUE_STRING)
        return put_string(field, value, job);
    if (value->kind == VALUE_NUMBER)
        return put_number(field, value->number, job);
    return field == FIELD_HOST; /* VDSM does not always know its host's id */
}

/* One member; *seen has a bit for each field that was there. */
static bool take_member(struct reader *r, struct format_job *job,
                        unsigned *seen)
{
    char name[FORMAT_JOB_HOST_SIZE];
    struct value value;
    if (!take_string(r, name, sizeof(name)) || !take(r, ": ") ||
        !take_value(r, &value))
        return false;
    int field = text_index(name, names, FIELDS);
    if (field < 0)
        return true;
    unsigned bit = 1U << field;
    if (*seen & bit)
        return false;
    *seen |= bit;
    return put((enum field)field, &value, job);
}

static int parse_foreign(struct reader r, struct format_job *job,
                         struct err *err)
{
    unsigned seen = 0;
    if (!take(&r, "{"))
        return damaged("it does not begin as one", err);
    do {
        if (!take_member(&r, job, &seen))
            return damaged("a member is not as it should be", err);
    } while (take(&r, ", "));
    if (!take(&r, "}") || r.at != r.end)
        return damaged("it does not end where it should", err);
    if (seen != (1U << FIELDS) - 1)
        return damaged("a member is missing", err);
    return 0;
}

/* Only what format_job_build() makes of it passes, so the order is fixed and
 * each member is looked for where it must be. */
static bool scan_ours(struct reader r, struct format_job *job)
{
    char status[16] = "";
    uint64_t generation = 0;
    bool all = take(&r, ours) && take(&r, "\"generation\":") &&
               take_number(&r, &generation) && take(&r, ",\"job_id\":") &&
               take_string(&r, job->job_id, sizeof(job->job_id)) &&
               take(&r, ",\"job_status\":") &&
               take_string(&r, status, sizeof(status)) &&
               take(&r, ",\"created\":") && take_number(&r, &job->created_s) &&
               take(&r, ",\"modified\":") &&
               take_number(&r, &job->modified_s) &&
               take(&r, ",\"host_hardware_id\":") &&
               take_string(&r, job->host, sizeof(job->host));
    if (!all || generation > FORMAT_GENERATION_MAX)
        return false;
    job->generation = (unsigned)generation;
    return format_job_status_parse(status, &job->status) == 0;
}

static int parse_ours(const char *lvb, struct reader r, struct format_job *job,
                      struct err *err)
{
    char again[FORMAT_LVB_SIZE];
    if (!scan_ours(r, job) || format_job_build(job, again, NULL) < 0 ||
        memcmp(again, lvb, sizeof(again)) != 0)
        return damaged("its checksum does not match", err);
    return 0;
}

int format_job_parse(const void *data, size_t size, struct format_job *ret_job,
                     struct err *err)
{
    const char *lvb = data;
    struct format_job job = { .status = FORMAT_JOB_PENDING };
    if (size < FORMAT_LVB_SIZE)
        return damaged("it is cut off", err);
    struct reader r = { .at = lvb, .end = lvb + FORMAT_LVB_SIZE };
    while (r.end > r.at && r.end[-1] == '\0')
        r.end--;
    if (r.end == r.at)
        return FORMAT_JOB_NONE;
    struct reader start = r;
    int rc = take(&start, ours) ? parse_ours(lvb, r, &job, err)
                                : parse_foreign(r, &job, err);
    if (rc == 0)
        *ret_job = job;
    return rc;
}
