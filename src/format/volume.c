/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads a volume's record. One table says which keys there are, which struct
 * member each fills and how; a record is good when each key came exactly once
 * (some have a default) and parsed. Unknown keys are passed over, as VDSM does.
 */
#include "volume.h"
#include "text.h"
#include <dray/format.h>
#include <limits.h>
#include <string.h>

/* A value, as a string of its own. */
struct value {
    const char *key;
    char text[FORMAT_VOLUME_SIZE + 1];
};

typedef int parse_fn(const struct value *value, struct format_volume *volume,
                     struct err *err);

static int wrong(const struct value *value, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "key %s has the value \"%.64s\"", value->key,
                        value->text);
}

static int parse_number(const struct value *value, uint64_t max,
                        uint64_t *ret_number, struct err *err)
{
    uint64_t number = 0;
    if (str_to_u64(value->text, &number) < 0 || number > max)
        return wrong(value, err);
    *ret_number = number;
    return 0;
}

static int parse_uuid(const struct value *value, char ret_uuid[UUID_SIZE],
                      struct err *err)
{
    if (!uuid_is_valid(value->text))
        return wrong(value, err);
    (void)str_copy(ret_uuid, UUID_SIZE, value->text);
    return 0;
}

static int parse_word(const struct value *value, const char *const *words,
                      size_t n, int *ret_index, struct err *err)
{
    int index = text_index(value->text, words, n);
    if (index < 0)
        return wrong(value, err);
    *ret_index = index;
    return 0;
}

static int parse_cap(const struct value *value, struct format_volume *volume,
                     struct err *err)
{
    return parse_number(value, INT64_MAX, &volume->capacity, err);
}

/* The name of CAP before version 5, in blocks of 512 bytes. */
static int parse_size(const struct value *value, struct format_volume *volume,
                      struct err *err)
{
    uint64_t blocks = 0;
    int rc = parse_number(value, INT64_MAX / 512, &blocks, err);
    if (rc < 0)
        return rc;
    volume->capacity = blocks * 512;
    return 0;
}

static int parse_ctime(const struct value *value, struct format_volume *volume,
                       struct err *err)
{
    return parse_number(value, INT64_MAX, &volume->ctime_s, err);
}

static int parse_description(const struct value *value,
                             struct format_volume *volume, struct err *err)
{
    (void)err;
    (void)str_copy(volume->description, sizeof(volume->description),
                   value->text);
    return 0;
}

static int parse_disk_type(const struct value *value,
                           struct format_volume *volume, struct err *err)
{
    if (!format_disk_type_is_valid(value->text))
        return wrong(value, err);
    (void)str_copy(volume->disk_type, sizeof(volume->disk_type), value->text);
    return 0;
}

static int parse_domain(const struct value *value, struct format_volume *volume,
                        struct err *err)
{
    return parse_uuid(value, volume->domain, err);
}

static int parse_image(const struct value *value, struct format_volume *volume,
                       struct err *err)
{
    return parse_uuid(value, volume->image, err);
}

static int parse_parent(const struct value *value, struct format_volume *volume,
                        struct err *err)
{
    return parse_uuid(value, volume->parent, err);
}

static int parse_kind(const struct value *value, struct format_volume *volume,
                      struct err *err)
{
    int index = 0;
    int rc =
        parse_word(value, volume_kinds, ARRAY_SIZE(volume_kinds), &index, err);
    if (rc == 0)
        volume->kind = (enum format_kind)index;
    return rc;
}

static int parse_allocation(const struct value *value,
                            struct format_volume *volume, struct err *err)
{
    int index = 0;
    int rc = parse_word(value, volume_allocations,
                        ARRAY_SIZE(volume_allocations), &index, err);
    if (rc == 0)
        volume->allocation = (enum format_allocation)index;
    return rc;
}

static int parse_role(const struct value *value, struct format_volume *volume,
                      struct err *err)
{
    int index = 0;
    int rc =
        parse_word(value, volume_roles, ARRAY_SIZE(volume_roles), &index, err);
    if (rc == 0)
        volume->role = (enum format_role)index;
    return rc;
}

static int parse_legality(const struct value *value,
                          struct format_volume *volume, struct err *err)
{
    int index = 0;
    int rc = parse_word(value, volume_legalities, ARRAY_SIZE(volume_legalities),
                        &index, err);
    if (rc == 0)
        volume->legality = (enum format_legality)index;
    return rc;
}

static int parse_generation(const struct value *value,
                            struct format_volume *volume, struct err *err)
{
    uint64_t number = 0;
    int rc = parse_number(value, FORMAT_GENERATION_MAX, &number, err);
    if (rc == 0)
        volume->generation = (unsigned)number;
    return rc;
}

static int parse_sequence(const struct value *value,
                          struct format_volume *volume, struct err *err)
{
    uint64_t number = 0;
    int rc = parse_number(value, UINT32_MAX, &number, err);
    if (rc == 0)
        volume->sequence = (uint32_t)number;
    return rc;
}

static int parse_cleared(const struct value *value,
                         struct format_volume *volume, struct err *err)
{
    (void)volume;
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "key %s: the volume's metadata was wiped", value->key);
}

enum {
    KEY_REQUIRED = 1, /* the record is bad without it */
    KEY_CAP = 0,      /* its place in the table */
    KEY_SIZE = 1,
};

static const struct {
    const char *name;
    parse_fn *parse;
    unsigned flags;
} keys[] = {
    [KEY_CAP] = {"CAP",          parse_cap,         KEY_REQUIRED},
    [KEY_SIZE] = { "SIZE",        parse_size,        0           },
    { "CTIME",       parse_ctime,       KEY_REQUIRED},
    { "DESCRIPTION", parse_description, KEY_REQUIRED},
    { "DISKTYPE",    parse_disk_type,   KEY_REQUIRED},
    { "DOMAIN",      parse_domain,      KEY_REQUIRED},
    { "FORMAT",      parse_kind,        KEY_REQUIRED},
    { "GEN",         parse_generation,  0           },
    { "IMAGE",       parse_image,       KEY_REQUIRED},
    { "LEGALITY",    parse_legality,    KEY_REQUIRED},
    { "PUUID",       parse_parent,      KEY_REQUIRED},
    { "SEQ",         parse_sequence,    0           },
    { "TYPE",        parse_allocation,  KEY_REQUIRED},
    { "VOLTYPE",     parse_role,        KEY_REQUIRED},
    { "NONE",        parse_cleared,     0           },
};

/* The pieces of one record, by key. start is NULL where there is none. */
struct record {
    struct text_span values[ARRAY_SIZE(keys)];
};

static int collect_pair(struct text_span key, struct text_span value,
                        struct record *record, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (!text_equals(key, keys[i].name))
            continue;
        if (record->values[i].start)
            return err_set_code(err, ERR_METADATA_VALIDATION,
                                "key %s is there twice", keys[i].name);
        record->values[i] = text_strip(value);
    }
    return 0;
}

static int collect(struct text_span text, struct record *record,
                   struct err *err)
{
    struct text_span line = { 0 };
    while (text_next_line(&text, TEXT_BREAKS_BYTES, &line)) {
        struct text_span key = { 0 };
        struct text_span value = { 0 };
        if (line.size >= 3 && memcmp(line.start, "EOF", 3) == 0)
            return 0;
        if (!text_split_pair(line, &key, &value))
            continue;
        int rc = collect_pair(key, value, record, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int parse_key(size_t i, struct text_span span,
                     struct format_volume *volume, struct err *err)
{
    struct value value = { .key = keys[i].name };
    memcpy(value.text, span.start, span.size);
    value.text[span.size] = '\0';
    return keys[i].parse(&value, volume, err);
}

static bool is_required(size_t i, const struct record *record)
{
    if (i == KEY_CAP && record->values[KEY_SIZE].start)
        return false;
    return keys[i].flags & KEY_REQUIRED;
}

static int parse_record(struct record *record, struct format_volume *volume,
                        struct err *err)
{
    if (record->values[KEY_CAP].start)
        record->values[KEY_SIZE].start = NULL; /* left by a conversion */
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        int rc = 0;
        if (record->values[i].start)
            rc = parse_key(i, record->values[i], volume, err);
        else if (is_required(i, record))
            rc = err_set_code(err, ERR_METADATA_VALIDATION, "key %s is missing",
                              keys[i].name);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int format_volume_parse(const void *data, size_t size,
                        struct format_volume *ret_volume, struct err *err)
{
    if (size > FORMAT_VOLUME_SIZE)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "the record has %zu bytes, more than %d", size,
                            FORMAT_VOLUME_SIZE);
    struct text_span text = { 0 };
    struct record record = { 0 };
    struct format_volume volume = { 0 };
    int rc = text_from_bytes(data, size, &text, err);
    if (rc == 0)
        rc = collect(text, &record, err);
    if (rc == 0)
        rc = parse_record(&record, &volume, err);
    if (rc < 0)
        return rc;
    *ret_volume = volume;
    return 0;
}
