/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's metadata as tags of its VG. LVM allows few characters in a tag:
 * all others are written as "&N&", N their code point; the checksum is over
 * what they mean, not over how they are written. Reading and checking go
 * through the text of a metadata file, whose parser knows all the rules.
 */
#include "text.h"
#include <dray/format/block.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static const char prefix[] = "MDT_";

enum {
    CODE_POINT_MAX = 0x10ffff,
    SURROGATE_FIRST = 0xd800,
    SURROGATE_LAST = 0xdfff,
    CODE_TEXT = 16,
};

void format_tags_deinit(struct format_tags *tags)
{
    for (size_t i = 0; i < tags->n; i++)
        free(tags->tags[i]);
    free(tags->tags);
    *tags = (struct format_tags){ .n = 0 };
}

static int out_of_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "tags: out of memory");
}

/* Room for one more; takes over @tag. */
static int append(struct format_tags *tags, char *tag, struct err *err)
{
    char **grown =
        tag ? realloc(tags->tags, (tags->n + 1) * sizeof(*grown)) : NULL;
    if (!grown) {
        free(tag);
        return out_of_memory(err);
    }
    grown[tags->n++] = tag;
    tags->tags = grown;
    return 0;
}

static bool is_plain(uint32_t c)
{
    return c < 0x80 && c != 0 &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789_+.-/=!:#",
                  (int)c);
}

/* The pair as a tag; NULL when it is longer than a tag may be. */
static bool encode(const char *key, const char *value,
                   char ret_tag[FORMAT_TAG_SIZE])
{
    size_t used =
        (size_t)snprintf(ret_tag, FORMAT_TAG_SIZE, "%s%s=", prefix, key);
    while (*value && used < FORMAT_TAG_SIZE) {
        char code[CODE_TEXT];
        size_t size = 0;
        uint32_t c = text_code_point(value, &size);
        if (is_plain(c))
            (void)str_format(code, sizeof(code), "%c", (char)c);
        else
            (void)str_format(code, sizeof(code), "&%u&", (unsigned)c);
        size_t len = strlen(code);
        if (used + len >= FORMAT_TAG_SIZE)
            return false;
        memcpy(ret_tag + used, code, len + 1);
        used += len;
        value += size;
    }
    return used < FORMAT_TAG_SIZE;
}

static int add_pair(struct format_tags *tags, const char *key,
                    const char *value, struct err *err)
{
    char tag[FORMAT_TAG_SIZE];
    if (!encode(key, value, tag))
        return err_set_code(err, ERR_METADATA_OVERFLOW,
                            "key %s: too long for a tag of LVM", key);
    return append(tags, strdup(tag), err);
}

int format_domain_tags(const struct format_domain *domain,
                       struct format_tags *ret_tags, struct err *err)
{
    char checksum[FORMAT_SHA1_HEX_SIZE];
    struct format_tags tags = { .n = 0 };
    int rc = format_domain_checksum(domain, checksum, err);
    for (size_t i = 0; rc == 0 && i < domain->n; i++)
        rc = add_pair(&tags, domain->pairs[i].key, domain->pairs[i].value, err);
    if (rc == 0)
        rc = add_pair(&tags, "_SHA_CKSUM", checksum, err);
    if (rc < 0) {
        format_tags_deinit(&tags);
        return rc;
    }
    *ret_tags = tags;
    return 0;
}

static size_t put_utf8(uint32_t c, char *dst)
{
    if (c < 0x80) {
        dst[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t i = size - 1; i > 0; i--) {
        dst[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    dst[0] = (char)(marks[size] | c);
    return size;
}

/* "&N&" at @text -> N and its length; 0 when it is something else. */
static size_t code_at(const char *text, uint32_t *ret_code)
{
    uint32_t code = 0;
    size_t i = 1;
    for (; text[i] >= '0' && text[i] <= '9' && code <= CODE_POINT_MAX; i++)
        code = code * 10 + (uint32_t)(text[i] - '0');
    if (text[0] != '&' || i == 1 || text[i] != '&' || code == 0 ||
        code > CODE_POINT_MAX ||
        (code >= SURROGATE_FIRST && code <= SURROGATE_LAST))
        return 0;
    *ret_code = code;
    return i + 1;
}

/* Decoded text is never longer. */
static void decode(const char *tag, char *dst)
{
    while (*tag) {
        uint32_t code = 0;
        size_t size = code_at(tag, &code);
        if (size > 0) {
            dst += put_utf8(code, dst);
            tag += size;
        } else {
            *dst++ = *tag++;
        }
    }
    *dst = '\0';
}

/* A decoded value may hold a line's end, which no domain has. */
static int add_line(FILE *file, const char *tag, struct err *err)
{
    _cleanup_free_ char *pair = calloc(1, strlen(tag) + 1);
    if (!pair)
        return out_of_memory(err);
    decode(tag, pair);
    if (!format_text_is_line(pair))
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "tag \"%.64s\" is not one line of text", tag);
    (void)fprintf(file, "%s\n", pair);
    return 0;
}

int format_domain_from_tags(const char *const *tags, size_t n,
                            struct format_domain *ret_domain, struct err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;
    int rc = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return out_of_memory(err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (str_starts_with(tags[i], prefix))
            rc = add_line(file, tags[i] + strlen(prefix), err);
    }
    if (fclose(file) != 0 && rc == 0)
        rc = out_of_memory(err);
    return rc < 0 ? rc : format_domain_parse(text, size, ret_domain, err);
}

static bool has_tag(const char *const *tags, size_t n, const char *tag)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(tags[i], tag))
            return true;
    }
    return false;
}

int format_tags_change(const char *const *old_tags, size_t n,
                       const struct format_tags *new_tags,
                       struct format_tags *ret_add,
                       struct format_tags *ret_remove, struct err *err)
{
    struct format_tags add = { .n = 0 }, remove = { .n = 0 };
    const char *const *wanted = (const char *const *)new_tags->tags;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < new_tags->n; i++) {
        if (!has_tag(old_tags, n, wanted[i]))
            rc = append(&add, strdup(wanted[i]), err);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (str_starts_with(old_tags[i], prefix) &&
            !has_tag(wanted, new_tags->n, old_tags[i]))
            rc = append(&remove, strdup(old_tags[i]), err);
    }
    if (rc < 0) {
        format_tags_deinit(&add);
        format_tags_deinit(&remove);
        return rc;
    }
    *ret_add = add;
    *ret_remove = remove;
    return 0;
}
