/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The metadata of a domain in the tags of its VG. The swap of UNREADY for the
 * tag of a domain is in the same commit: it is what makes a VG a domain.
 */
#include "tags.h"
#include <errno.h>
#include <string.h>

enum {
    KEY_SIZE = 16,
    TAGS_MAX = 256,
};

static const struct lvm_pv *find_pv(const struct lvm_report *report,
                                    const char *name)
{
    for (size_t i = 0; i < report->n_pvs; i++) {
        if (str_equal(report->pvs[i].name, name))
            return &report->pvs[i];
    }
    return NULL;
}

static const char *entry(const struct format_domain *domain, size_t i,
                         char ret_key[KEY_SIZE])
{
    (void)str_format(ret_key, KEY_SIZE, "PV%zu", i);
    return format_domain_get(domain, ret_key);
}

/* How many there are, and where the next extent is; whether @uuid is among
 * them. */
static bool is_mapped(const struct format_domain *domain, const char *uuid,
                      size_t *ret_n, uint64_t *ret_extent)
{
    char key[KEY_SIZE];
    const char *text = NULL;
    bool found = false;
    *ret_extent = 0;
    for (*ret_n = 0; (text = entry(domain, *ret_n, key)); (*ret_n)++) {
        struct format_pv pv;
        if (format_pv_parse(text, &pv, NULL) < 0)
            continue; /* nobody but this map needs it */
        found = found || str_equal(pv.uuid, uuid);
        if (*ret_extent < pv.first_extent + pv.extents)
            *ret_extent = pv.first_extent + pv.extents;
    }
    return found;
}

static int map_pv(struct format_domain *domain, const struct lvm_pv *from,
                  struct err *err)
{
    struct format_pv pv = { .extents = from->extents };
    char key[KEY_SIZE];
    char text[FORMAT_TAG_SIZE];
    const char *name = strrchr(from->name, '/');
    size_t n = 0;
    if (is_mapped(domain, from->uuid, &n, &pv.first_extent))
        return 0;
    (void)str_copy(pv.name, sizeof(pv.name), name ? name + 1 : from->name);
    (void)str_copy(pv.uuid, sizeof(pv.uuid), from->uuid);
    (void)format_pv_text(&pv, text, sizeof(text));
    (void)entry(domain, n, key);
    return format_domain_set(domain, key, text, err);
}

int block_tags_map(struct format_domain *domain,
                   const struct lvm_report *report,
                   const struct domain_info *info, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < info->n_devices; i++) {
        const struct lvm_pv *pv = find_pv(report, info->devices[i]);
        rc = pv ? map_pv(domain, pv, err)
                : err_set_code(err, ERR_STORAGE, "VG %s: %s is no PV of it",
                               info->sd, info->devices[i]);
    }
    return rc;
}

static bool has_tag(const struct lvm_vg *vg, const char *tag)
{
    for (size_t i = 0; i < vg->n_tags; i++) {
        if (str_equal(vg->tags[i], tag))
            return true;
    }
    return false;
}

/* Adds @more, if not NULL, to borrowed ones. */
static struct lvm_names list(const struct format_tags *tags, const char *more,
                             const char *ret_names[TAGS_MAX])
{
    size_t n = 0;
    for (; n < tags->n && n < TAGS_MAX - 1; n++)
        ret_names[n] = tags->tags[n];
    if (more)
        ret_names[n++] = more;
    return (struct lvm_names){ .names = ret_names, .n = n };
}

static int change(struct lvm *lvm, const struct lvm_vg *vg,
                  const struct format_tags *add,
                  const struct format_tags *remove, int64_t deadline_ms,
                  struct err *err)
{
    const char *add_names[TAGS_MAX];
    const char *remove_names[TAGS_MAX];
    const struct lvm_names none = { .n = 0 };
    if (add->n >= TAGS_MAX || remove->n >= TAGS_MAX)
        return err_set_code(err, ERR_METADATA_OVERFLOW, "VG %s: too many tags",
                            vg->name);
    return lvm_tag(
        lvm, none,
        list(add, has_tag(vg, FORMAT_VG_TAG) ? NULL : FORMAT_VG_TAG, add_names),
        list(remove,
             has_tag(vg, FORMAT_VG_TAG_UNREADY) ? FORMAT_VG_TAG_UNREADY : NULL,
             remove_names),
        deadline_ms, err);
}

int block_tags_write(struct lvm *lvm, const struct lvm_vg *vg,
                     const struct format_domain *domain, int64_t deadline_ms,
                     struct err *err)
{
    struct format_tags tags = { .n = 0 };
    struct format_tags add = { .n = 0 };
    struct format_tags remove = { .n = 0 };
    int rc = format_domain_tags(domain, &tags, err);
    if (rc == 0)
        rc = format_tags_change((const char *const *)vg->tags, vg->n_tags,
                                &tags, &add, &remove, err);
    if (rc == 0)
        rc = change(lvm, vg, &add, &remove, deadline_ms, err);
    format_tags_deinit(&tags);
    format_tags_deinit(&add);
    format_tags_deinit(&remove);
    return rc;
}
