/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The tags of a volume's LV: its slot, image and parent. They commit a volume:
 * an LV without them, or marked as half-made, is none.
 */
#include <dray/format/block.h>
#include <limits.h>
#include <string.h>

static const char slot_prefix[] = "MD_";
static const char image_prefix[] = "IU_";
static const char parent_prefix[] = "PU_";
static const char remove_prefix[] = "_remove_me_";
static const char zero_prefix[] = "ZERO_";

static int wrong(const char *tag, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "tag \"%.64s\" is not what it can be", tag);
}

static int twice(const char *tag, const char *kind, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION,
                        "tag \"%.64s\": there is another %s", tag, kind);
}

/* The rest of @text behind @prefix, NULL when it begins otherwise. */
static const char *after(const char *text, const char *prefix)
{
    return str_starts_with(text, prefix) ? text + strlen(prefix) : NULL;
}

static int parse_slot(const char *tag, const char *text,
                      struct format_volume_tags *tags, struct err *err)
{
    uint64_t slot = 0;
    if (tags->slot != 0)
        return twice(tag, slot_prefix, err);
    /* One spelling only, or two LVs could name one slot unnoticed. */
    if (str_to_u64(text, &slot) < 0 || slot > UINT_MAX || text[0] == '0' ||
        !format_slot_is_valid((unsigned)slot))
        return wrong(tag, err);
    tags->slot = (unsigned)slot;
    return 0;
}

static int parse_uuid(const char *tag, const char *text, const char *kind,
                      char ret_uuid[UUID_SIZE], struct err *err)
{
    if (ret_uuid[0])
        return twice(tag, kind, err);
    if (!uuid_is_valid(text))
        return wrong(tag, err);
    (void)str_copy(ret_uuid, UUID_SIZE, text);
    return 0;
}

static int parse_image(const char *tag, const char *text,
                       struct format_volume_tags *tags, struct err *err)
{
    const char *removed = after(text, remove_prefix);
    const char *zero = removed ? after(removed, zero_prefix) : NULL;
    int rc = parse_uuid(tag,
                        zero      ? zero
                        : removed ? removed
                                  : text,
                        image_prefix, tags->image, err);
    if (rc == 0 && removed)
        tags->removal = zero ? FORMAT_REMOVED_ZERO : FORMAT_REMOVED;
    return rc;
}

static int parse_tag(const char *tag, struct format_volume_tags *tags,
                     struct err *err)
{
    const char *text = after(tag, slot_prefix);
    if (text)
        return parse_slot(tag, text, tags, err);
    text = after(tag, image_prefix);
    if (text)
        return parse_image(tag, text, tags, err);
    text = after(tag, parent_prefix);
    if (text)
        return parse_uuid(tag, text, parent_prefix, tags->parent, err);
    return 0;
}

static int missing(const char *kind, struct err *err)
{
    return err_set_code(err, ERR_METADATA_VALIDATION, "there is no tag %s",
                        kind);
}

int format_volume_tags_parse(const char *const *tags, size_t n,
                             struct format_volume_tags *ret_tags,
                             struct err *err)
{
    struct format_volume_tags found = { .slot = 0 };
    for (size_t i = 0; i < n; i++) {
        if (str_equal(tags[i], FORMAT_LV_TAG_UNREADY)) {
            *ret_tags = (struct format_volume_tags){ .initializing = true };
            return 0;
        }
    }
    for (size_t i = 0; i < n; i++) {
        int rc = parse_tag(tags[i], &found, err);
        if (rc < 0)
            return rc;
    }
    if (found.slot == 0)
        return missing(slot_prefix, err);
    if (!found.image[0])
        return missing(image_prefix, err);
    if (!found.parent[0])
        return missing(parent_prefix, err);
    *ret_tags = found;
    return 0;
}

void format_volume_tags_text(const struct format_volume_tags *tags,
                             struct format_volume_tag_texts *ret_texts)
{
    const char *removed = tags->removal == FORMAT_KEPT ? "" : remove_prefix;
    const char *zero = tags->removal == FORMAT_REMOVED_ZERO ? zero_prefix : "";
    /* All fit: the UUIDs have their size. */
    (void)str_format(ret_texts->slot, sizeof(ret_texts->slot), "%s%u",
                     slot_prefix, tags->slot);
    (void)str_format(ret_texts->image, sizeof(ret_texts->image), "%s%s%s%s",
                     image_prefix, removed, zero, tags->image);
    (void)str_format(ret_texts->parent, sizeof(ret_texts->parent), "%s%s",
                     parent_prefix, tags->parent);
}
