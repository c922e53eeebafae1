/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's metadata as a set of KEY=VALUE pairs under one checksum. Keys that
 * nobody here knows are kept and count: an old pool may have left some, and
 * dropping them would break what its owner reads.
 */
#include "sha1.h"
#include "text.h"
#include <dray/format.h>
#include <errno.h>
#include <string.h>

static const char checksum_key[] = "_SHA_CKSUM";

static char *span_dup(struct text_span span)
{
    char *s = malloc(span.size + 1);
    if (!s)
        return NULL;
    if (span.size > 0)
        memcpy(s, span.start, span.size);
    s[span.size] = '\0';
    return s;
}

static int out_of_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "domain metadata: out of memory");
}

void format_domain_deinit(struct format_domain *domain)
{
    for (size_t i = 0; i < domain->n; i++) {
        free(domain->pairs[i].key);
        free(domain->pairs[i].value);
    }
    free(domain->pairs);
    domain->pairs = NULL;
    domain->n = 0;
}

/* Where @key is, or belongs. */
static size_t position(const struct format_domain *domain, const char *key,
                       bool *ret_found)
{
    size_t i = 0;
    int order = 1;
    while (i < domain->n) {
        /* Bytes of UTF-8 sort as their code points do. */
        order = strcmp(domain->pairs[i].key, key);
        if (order >= 0)
            break;
        i++;
    }
    *ret_found = order == 0;
    return i;
}

/* Takes over both strings, also when it fails. */
static int insert(struct format_domain *domain, size_t at, char *key,
                  char *value)
{
    struct format_pair *pairs = NULL;
    if (key && value)
        pairs = realloc(domain->pairs, (domain->n + 1) * sizeof(*pairs));
    if (!pairs) {
        free(key);
        free(value);
        return -ENOMEM;
    }
    memmove(pairs + at + 1, pairs + at, (domain->n - at) * sizeof(*pairs));
    pairs[at] = (struct format_pair){ .key = key, .value = value };
    domain->pairs = pairs;
    domain->n++;
    return 0;
}

const char *format_domain_get(const struct format_domain *domain,
                              const char *key)
{
    bool found = false;
    size_t at = position(domain, key, &found);
    return found ? domain->pairs[at].value : NULL;
}

int format_domain_set(struct format_domain *domain, const char *key,
                      const char *value, struct err *err)
{
    if (!format_text_is_line(value))
        return err_set_code(err, ERR_VALUE,
                            "key %s: the value is not one line of UTF-8", key);
    bool found = false;
    size_t at = position(domain, key, &found);
    if (!found) {
        if (insert(domain, at, strdup(key), strdup(value)) < 0)
            return out_of_memory(err);
        return 0;
    }
    char *copy = strdup(value);
    if (!copy)
        return out_of_memory(err);
    free(domain->pairs[at].value);
    domain->pairs[at].value = copy;
    return 0;
}

/* What is hashed is ASCII: other characters as "&#N;". */
static void hash_text(struct sha1 *sha1, const char *text)
{
    while (*text) {
        size_t size = 0;
        uint32_t c = text_code_point(text, &size);
        char reference[16];
        if (c < 0x80) {
            sha1_update(sha1, text, 1);
        } else {
            (void)str_format(reference, sizeof(reference), "&#%u;", c);
            sha1_update(sha1, reference, strlen(reference));
        }
        text += size;
    }
}

int format_domain_checksum(const struct format_domain *domain,
                           char ret_hex[FORMAT_SHA1_HEX_SIZE], struct err *err)
{
    struct sha1 sha1;
    sha1_init(&sha1);
    for (size_t i = 0; i < domain->n; i++) {
        const struct format_pair *pair = &domain->pairs[i];
        if (!format_text_is_line(pair->key) ||
            !format_text_is_line(pair->value))
            return err_set_code(err, ERR_METADATA_VALIDATION,
                                "key %s: not one line of UTF-8", pair->key);
        hash_text(&sha1, pair->key);
        sha1_update(&sha1, "=", 1);
        hash_text(&sha1, pair->value);
    }
    sha1_finish_hex(&sha1, ret_hex);
    return 0;
}

static int parse_line(struct text_span line, struct format_domain *domain,
                      struct err *err)
{
    struct text_span key = { 0 };
    struct text_span value = { 0 };
    if (!text_split_pair(line, &key, &value))
        return 0; /* not a pair: VDSM passes over it, too */
    if (key.size == 0)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "a line has no key before its \"=\"");
    _cleanup_free_ char *name = span_dup(key);
    if (!name)
        return out_of_memory(err);
    bool found = false;
    size_t at = position(domain, name, &found);
    if (found)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "key %s is there twice", name);
    if (insert(domain, at, TAKE(name), span_dup(value)) < 0)
        return out_of_memory(err);
    return 0;
}

/* Compares the checksum and takes it out of the pairs. */
static int verify_checksum(struct format_domain *domain, struct err *err)
{
    bool found = false;
    size_t at = position(domain, checksum_key, &found);
    if (!found)
        return err_set_code(err, ERR_METADATA_VALIDATION, "key %s is missing",
                            checksum_key);
    struct format_pair declared = domain->pairs[at];
    domain->n--;
    memmove(domain->pairs + at, domain->pairs + at + 1,
            (domain->n - at) * sizeof(*domain->pairs));
    char computed[FORMAT_SHA1_HEX_SIZE];
    int rc = format_domain_checksum(domain, computed, err);
    if (rc == 0 && !str_equal(declared.value, computed))
        rc = err_set_code(err, ERR_METADATA_VALIDATION,
                          "key %s is %s, but the other keys give %s",
                          checksum_key, declared.value, computed);
    free(declared.key);
    free(declared.value);
    return rc;
}

static int parse_text(struct text_span text, struct format_domain *domain,
                      struct err *err)
{
    struct text_span line = { 0 };
    while (text_next_line(&text, TEXT_BREAKS_UNICODE, &line)) {
        int rc = parse_line(line, domain, err);
        if (rc < 0)
            return rc;
    }
    return verify_checksum(domain, err);
}

int format_domain_parse(const void *data, size_t size,
                        struct format_domain *ret_domain, struct err *err)
{
    if (size > FORMAT_DOMAIN_TEXT_MAX)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "%zu bytes are too many for domain metadata", size);
    struct text_span text = { 0 };
    int rc = text_from_bytes(data, size, &text, err);
    if (rc < 0)
        return rc;
    struct format_domain domain = { 0 };
    rc = parse_text(text, &domain, err);
    if (rc < 0) {
        format_domain_deinit(&domain);
        return rc;
    }
    *ret_domain = domain;
    return 0;
}

int format_domain_text(const struct format_domain *domain, char **ret_text,
                       size_t *ret_size, struct err *err)
{
    char checksum[FORMAT_SHA1_HEX_SIZE];
    int rc = format_domain_checksum(domain, checksum, err);
    if (rc < 0)
        return rc;
    size_t size = sizeof(checksum_key) + FORMAT_SHA1_HEX_SIZE + 1;
    for (size_t i = 0; i < domain->n; i++)
        size +=
            strlen(domain->pairs[i].key) + strlen(domain->pairs[i].value) + 2;
    _cleanup_free_ char *text = malloc(size);
    if (!text)
        return out_of_memory(err);
    size_t used = 0;
    for (size_t i = 0; i < domain->n; i++)
        used += (size_t)snprintf(text + used, size - used, "%s=%s\n",
                                 domain->pairs[i].key, domain->pairs[i].value);
    used += (size_t)snprintf(text + used, size - used, "%s=%s\n", checksum_key,
                             checksum);
    *ret_text = TAKE(text);
    *ret_size = used;
    return 0;
}
