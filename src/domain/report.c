/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu-img's JSON. Names of bitmaps in it come from a guest's disk, so they may
 * be anything.
 */
#include "report.h"
#include "json.h"
#include <errno.h>
#include <string.h>

enum {
    BITMAPS_MAX = 65535 /* a qcow2 file has no more */
};

static int wrong(const char *what, struct err *err)
{
    return err_set(err, -EBADMSG, "qemu-img: its answer has no usable %s",
                   what);
}

static struct json_object *get(struct json_object *object, const char *key,
                               enum json_type type)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, type))
        return NULL;
    return value;
}

static bool get_size(struct json_object *object, const char *key,
                     uint64_t *ret_size)
{
    struct json_object *value = get(object, key, json_type_int);
    int64_t size = value ? json_object_get_int64(value) : -1;
    if (size < 0)
        return false;
    *ret_size = (uint64_t)size;
    return true;
}

int domain_report_measure(const char *text, struct volume_measure *ret_measure,
                          struct err *err)
{
    _cleanup_json_ struct json_object *top = json_tokener_parse(text);
    struct volume_measure measure = { 0 };
    if (!get_size(top, "required", &measure.required))
        return wrong("\"required\"", err);
    if (!get_size(top, "fully-allocated", &measure.fully_allocated))
        return wrong("\"fully-allocated\"", err);
    (void)get_size(top, "bitmaps", &measure.bitmaps); /* raw has none */
    *ret_measure = measure;
    return 0;
}

int domain_report_check(const char *text, uint64_t *ret_end, struct err *err)
{
    _cleanup_json_ struct json_object *top = json_tokener_parse(text);
    return get_size(top, "image-end-offset", ret_end)
               ? 0
               : wrong("\"image-end-offset\"", err);
}

static int take_bitmaps(struct json_object *list, struct domain_report *report,
                        struct err *err)
{
    size_t n = json_object_array_length(list);
    if (n == 0)
        return 0;
    if (n > BITMAPS_MAX)
        return wrong("\"bitmaps\"", err);
    report->bitmaps = calloc(n, sizeof(*report->bitmaps));
    if (!report->bitmaps)
        return err_set(err, -ENOMEM, "qemu-img: out of memory");
    for (size_t i = 0; i < n; i++) {
        struct json_object *name =
            get(json_object_array_get_idx(list, i), "name", json_type_string);
        if (!name)
            return wrong("\"name\" of a bitmap", err);
        char *copy = report->bitmaps[i];
        (void)str_copy(copy, sizeof(*report->bitmaps),
                       json_object_get_string(name));
        str_make_line(copy);
        report->n_bitmaps = i + 1;
    }
    return 0;
}

static int take_specific(struct json_object *top, struct domain_report *report,
                         struct err *err)
{
    struct json_object *data =
        get(get(top, "format-specific", json_type_object), "data",
            json_type_object);
    struct json_object *compat = get(data, "compat", json_type_string);
    if (compat && !str_copy(report->compat, sizeof(report->compat),
                            json_object_get_string(compat)))
        return wrong("\"compat\"", err);
    report->chained = get(top, "backing-filename", json_type_string) ||
                      get(data, "data-file", json_type_string);
    struct json_object *bitmaps = get(data, "bitmaps", json_type_array);
    return bitmaps ? take_bitmaps(bitmaps, report, err) : 0;
}

int domain_report_info(const char *text, struct domain_report *ret_report,
                       struct err *err)
{
    _cleanup_json_ struct json_object *top = json_tokener_parse(text);
    struct domain_report report = { .actual_size = UINT64_MAX };
    if (!get_size(top, "virtual-size", &report.virtual_size))
        return wrong("\"virtual-size\"", err);
    (void)get_size(top, "cluster-size", &report.cluster_size);
    (void)get_size(top, "actual-size", &report.actual_size);
    int rc = take_specific(top, &report, err);
    if (rc < 0) {
        free(report.bitmaps);
        return rc;
    }
    *ret_report = report;
    return 0;
}
