/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tags of LVs and VGs, one per line of the input: what parses can be written
 * and reads back the same. The checksum would stop nearly every domain, so the
 * lines' texts are also set as values.
 */
#include "fuzz.h"

#include <dray/format/block.h>

enum {
    LINES_MAX = 64
};

static size_t split(char *text, const char **lines)
{
    char *rest = NULL;
    size_t n = 0;
    for (char *line = strtok_r(text, "\n", &rest); line && n < LINES_MAX;
         line = strtok_r(NULL, "\n", &rest))
        lines[n++] = line;
    return n;
}

static void check_volume(const char *const *lines, size_t n)
{
    struct format_volume_tags tags, again;
    struct format_volume_tag_texts texts;
    struct err err = ERR_INIT;
    if (format_volume_tags_parse(lines, n, &tags, &err) < 0) {
        MUST(err.message[0]);
        return;
    }
    if (tags.initializing)
        return;
    format_volume_tags_text(&tags, &texts);
    const char *own[] = { texts.parent, texts.image, texts.slot };
    MUST(format_volume_tags_parse(own, 3, &again, &err) == 0);
    MUST(again.slot == tags.slot && again.removal == tags.removal);
    MUST(format_slot_is_valid(tags.slot));
    MUST(strcmp(again.image, tags.image) == 0);
}

static void check_value(const char *value)
{
    struct format_domain domain = { 0 }, again = { 0 };
    struct format_tags tags = { 0 };
    struct err err = ERR_INIT;
    if (format_domain_set(&domain, "KEY", value, &err) == 0 &&
        format_domain_tags(&domain, &tags, &err) == 0) {
        MUST(format_domain_from_tags((const char *const *)tags.tags, tags.n,
                                     &again, &err) == 0);
        MUST(strcmp(format_domain_get(&again, "KEY"), value) == 0);
    }
    format_domain_deinit(&domain);
    format_domain_deinit(&again);
    format_tags_deinit(&tags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *lines[LINES_MAX];
    struct format_domain domain = { 0 };
    struct format_pv pv;
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size);
    size_t n = split(text, lines);
    check_volume(lines, n);
    if (format_domain_from_tags(lines, n, &domain, &err) == 0)
        format_domain_deinit(&domain);
    for (size_t i = 0; i < n; i++) {
        check_value(lines[i]);
        (void)format_pv_parse(lines[i], &pv, NULL);
    }
    free(text);
    return 0;
}
