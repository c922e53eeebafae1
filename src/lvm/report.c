/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reads LVM's JSON reports: {"report": [{"lv": [{"lv_name": "x", ...}]}]}, each
 * value a string, sizes in bytes without a unit, tags separated by commas.
 * Names of a foreign VG's writer are checked like all that comes from outside.
 */
#include "report.h"
#include "message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

enum {
    ROWS_MAX = 100000,
    ATTR_SIZE = 16,
    ATTR_PERMISSION = 1, /* places in lv_attr */
    ATTR_STATE = 4,
    ATTR_OPEN = 5,
};

static int wrong(const char *field, const char *value, struct err *err)
{
    return err_set(err, -EBADMSG, "LVM's report: field %s says \"%.64s\"",
                   field, value ? value : "(nothing)");
}

static const char *get(struct json_object *row, const char *field)
{
    struct json_object *value = NULL;
    if (!json_object_object_get_ex(row, field, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

static int get_text(struct json_object *row, const char *field, char *ret_text,
                    size_t size, struct err *err)
{
    const char *value = get(row, field);
    if (!value || !value[0] || !str_copy(ret_text, size, value))
        return wrong(field, value, err);
    return 0;
}

static int get_number(struct json_object *row, const char *field,
                      uint64_t *ret_number, struct err *err)
{
    const char *value = get(row, field);
    if (!value || str_to_u64(value, ret_number) < 0)
        return wrong(field, value, err);
    return 0;
}

static void free_tags(size_t n, char **tags)
{
    for (size_t i = 0; i < n; i++)
        free(tags[i]);
    free(tags);
}

/* "a,b" -> its words; LVM allows no comma in a tag. */
static int get_tags(struct json_object *row, const char *field, size_t *ret_n,
                    char ***ret_tags, struct err *err)
{
    const char *value = get(row, field);
    if (!value)
        return wrong(field, value, err);
    size_t n = value[0] ? 1 : 0;
    for (const char *p = value; *p; p++)
        n += *p == ',';
    char **tags = calloc(n + 1, sizeof(*tags));
    if (!tags)
        return err_set(err, -ENOMEM, "LVM's report: out of memory");
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(value, ",");
        tags[i] = strndup(value, len);
        if (!tags[i]) {
            free_tags(i, tags);
            return err_set(err, -ENOMEM, "LVM's report: out of memory");
        }
        value += len + 1;
    }
    *ret_n = n;
    *ret_tags = tags;
    return 0;
}

/* Where the kernel's table is not what LVM expects (the LV was cut off), its
 * attributes are X; these fields tell all the same. */
static bool says(struct json_object *row, const char *field, const char *word)
{
    const char *value = get(row, field);
    return value && str_starts_with(value, word);
}

static int get_attr(struct json_object *row, struct lvm_lv *lv, struct err *err)
{
    char attr[ATTR_SIZE] = "";
    int rc = get_text(row, "lv_attr", attr, sizeof(attr), err);
    if (rc < 0)
        return rc;
    if (strlen(attr) <= ATTR_OPEN)
        return wrong("lv_attr", attr, err);
    char state = attr[ATTR_STATE];
    lv->writable = attr[ATTR_PERMISSION] == 'w';
    lv->suspended = state == 's' || state == 'S';
    if (state == 'X')
        lv->active = says(row, "lv_active", "active");
    else
        lv->active = state != '-';
    lv->open = attr[ATTR_OPEN] == 'o' || says(row, "lv_device_open", "open");
    return 0;
}

static int read_lv(struct json_object *row, void *item, struct err *err)
{
    struct lvm_lv lv = { .n_tags = 0 };
    int rc = get_text(row, "lv_name", lv.name, sizeof(lv.name), err);
    if (rc == 0)
        rc = get_text(row, "lv_uuid", lv.uuid, sizeof(lv.uuid), err);
    if (rc == 0)
        rc = get_number(row, "lv_size", &lv.size_bytes, err);
    if (rc == 0)
        rc = get_attr(row, &lv, err);
    if (rc == 0)
        rc = get_tags(row, "lv_tags", &lv.n_tags, &lv.tags, err);
    if (rc == 0)
        *(struct lvm_lv *)item = lv;
    return rc;
}

static int read_pv(struct json_object *row, void *item, struct err *err)
{
    struct lvm_pv pv = { .missing = false };
    const struct {
        const char *field;
        uint64_t *number;
    } numbers[] = {
        {"pv_size",            &pv.size_bytes},
        { "pv_free",           &pv.free_bytes},
        { "pv_pe_count",       &pv.extents   },
        { "pv_mda_count",      &pv.mdas      },
        { "pv_mda_used_count", &pv.mdas_used },
        { "pv_mda_size",       &pv.mda_bytes },
    };
    const char *missing = get(row, "pv_missing");
    const char *in_use = get(row, "pv_in_use");
    const char *vg = get(row, "vg_name");
    int rc = get_text(row, "pv_name", pv.name, sizeof(pv.name), err);
    if (rc == 0)
        rc = get_text(row, "pv_uuid", pv.uuid, sizeof(pv.uuid), err);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(numbers); i++)
        rc = get_number(row, numbers[i].field, numbers[i].number, err);
    if (rc == 0 && !str_copy(pv.vg, sizeof(pv.vg), vg ? vg : ""))
        rc = wrong("vg_name", vg, err);
    pv.missing = missing && missing[0];
    pv.in_use = in_use && in_use[0];
    if (rc == 0)
        rc = get_tags(row, "vg_tags", &pv.n_vg_tags, &pv.vg_tags, err);
    if (rc == 0)
        *(struct lvm_pv *)item = pv;
    return rc;
}

static int read_vg(struct json_object *row, struct lvm_vg *ret_vg,
                   struct err *err)
{
    struct lvm_vg vg = { .n_tags = 0 };
    const struct {
        const char *field;
        uint64_t *number;
    } numbers[] = {
        {"vg_size",              &vg.size_bytes    },
        { "vg_free",             &vg.free_bytes    },
        { "vg_extent_size",      &vg.extent_bytes  },
        { "vg_mda_size",         &vg.mda_bytes     },
        { "vg_mda_free",         &vg.mda_free_bytes},
        { "vg_seqno",            &vg.seqno         },
        { "vg_missing_pv_count", &vg.missing_pvs   },
    };
    int rc = get_text(row, "vg_name", vg.name, sizeof(vg.name), err);
    if (rc == 0)
        rc = get_text(row, "vg_uuid", vg.uuid, sizeof(vg.uuid), err);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(numbers); i++)
        rc = get_number(row, numbers[i].field, numbers[i].number, err);
    if (rc == 0 && vg.extent_bytes == 0)
        rc = wrong("vg_extent_size", "0", err);
    if (rc == 0)
        rc = get_tags(row, "vg_tags", &vg.n_tags, &vg.tags, err);
    if (rc < 0)
        return rc;
    free_tags(ret_vg->n_tags, ret_vg->tags);
    *ret_vg = vg;
    return 0;
}

/* Appends the rows; *n counts those that are complete. */
static int read_rows(struct json_object *array, size_t item_size,
                     int (*read_row)(struct json_object *row, void *item,
                                     struct err *err),
                     void **items, size_t *n, struct err *err)
{
    size_t rows = json_object_array_length(array);
    if (rows > ROWS_MAX || *n > ROWS_MAX)
        return err_set(err, -EBADMSG, "LVM's report has too many rows");
    char *grown = realloc(*items, (*n + rows + 1) * item_size);
    if (!grown)
        return err_set(err, -ENOMEM, "LVM's report: out of memory");
    *items = grown;
    for (size_t i = 0; i < rows; i++) {
        int rc = read_row(json_object_array_get_idx(array, i),
                          grown + *n * item_size, err);
        if (rc < 0)
            return rc;
        (*n)++;
    }
    return 0;
}

static int add_part(struct lvm_report *report, struct json_object *part,
                    struct err *err)
{
    struct json_object *rows = NULL;
    int rc = 0;
    if (json_object_object_get_ex(part, "lv", &rows) &&
        json_object_is_type(rows, json_type_array))
        rc = read_rows(rows, sizeof(*report->lvs), read_lv,
                       (void **)&report->lvs, &report->n_lvs, err);
    if (rc == 0 && json_object_object_get_ex(part, "pv", &rows) &&
        json_object_is_type(rows, json_type_array))
        rc = read_rows(rows, sizeof(*report->pvs), read_pv,
                       (void **)&report->pvs, &report->n_pvs, err);
    if (rc == 0 && json_object_object_get_ex(part, "vg", &rows) &&
        json_object_is_type(rows, json_type_array) &&
        json_object_array_length(rows) > 0)
        rc = read_vg(json_object_array_get_idx(rows, 0), &report->vg, err);
    return rc;
}

int report_add(struct lvm_report *report, struct json_object *json,
               struct err *err)
{
    struct json_object *parts = NULL;
    if (!json_object_object_get_ex(json, "report", &parts) ||
        !json_object_is_type(parts, json_type_array))
        return err_set(err, -EBADMSG, "LVM's report has no \"report\"");
    for (size_t i = 0; i < json_object_array_length(parts); i++) {
        int rc = add_part(report, json_object_array_get_idx(parts, i), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int report_add_text(struct lvm_report *report, const char *text, size_t size,
                    struct err *err)
{
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    struct json_object *json = message_parse(text, size);
    if (!json)
        return err_set(err, -EBADMSG, "LVM's report is no JSON object");
    int rc = report_add(report, json, err);
    (void)json_object_put(json);
    return rc;
}

void lvm_report_deinit(struct lvm_report *report)
{
    for (size_t i = 0; i < report->n_lvs; i++)
        free_tags(report->lvs[i].n_tags, report->lvs[i].tags);
    for (size_t i = 0; i < report->n_pvs; i++)
        free_tags(report->pvs[i].n_vg_tags, report->pvs[i].vg_tags);
    free_tags(report->vg.n_tags, report->vg.tags);
    free(report->lvs);
    free(report->pvs);
    *report = (struct lvm_report){ .n_lvs = 0 };
}

const struct lvm_lv *lvm_report_lv(const struct lvm_report *report,
                                   const char *name)
{
    for (size_t i = 0; i < report->n_lvs; i++) {
        if (str_equal(report->lvs[i].name, name))
            return &report->lvs[i];
    }
    return NULL;
}

bool lvm_lv_has_tag(const struct lvm_lv *lv, const char *tag)
{
    for (size_t i = 0; i < lv->n_tags; i++) {
        if (str_equal(lv->tags[i], tag))
            return true;
    }
    return false;
}
