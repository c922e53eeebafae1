/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The front door's calls as requests.
 */
#include "client.h"
#include "report.h"

#include <dray/base/util.h>
#include <errno.h>
#include <json-c/json.h>

static int check_names(struct lvm_names names, bool (*is_valid)(const char *),
                       const char *what, struct err *err)
{
    if (names.n > MESSAGE_NAMES_MAX)
        return err_set_code(err, ERR_VALUE, "%zu %ss are too many at once",
                            names.n, what);
    for (size_t i = 0; i < names.n; i++) {
        if (!is_valid(names.names[i]))
            return err_set_code(err, ERR_VALUE, "\"%.64s\" is no %s",
                                names.names[i], what);
    }
    return 0;
}

/* Without an answer of interest but its size. */
static int call(struct lvm *lvm, struct lvm_request *request,
                uint64_t *ret_bytes, struct err *err)
{
    struct lvm_answer answer = { .reports = NULL };
    int rc = check_names(request->lvs, name_is_valid, "name for an LV", err);
    if (rc == 0)
        rc = check_names(request->add, tag_is_valid, "tag", err);
    if (rc == 0)
        rc = check_names(request->remove, tag_is_valid, "tag", err);
    if (rc == 0)
        rc = client_call(lvm, request, &answer, err);
    if (rc < 0)
        return rc;
    if (ret_bytes)
        *ret_bytes = answer.size_bytes;
    answer_deinit(&answer);
    return 0;
}

static int call_size(struct lvm *lvm, enum lvm_verb verb, const char *lv,
                     const struct lvm_request *what, uint64_t *ret_bytes,
                     struct err *err)
{
    struct lvm_request request = *what;
    request.verb = verb;
    request.lvs = (struct lvm_names){ .names = &lv, .n = 1 };
    if (request.size_bytes == 0)
        return err_set_code(err, ERR_VALUE, "%s: 0 bytes", lv);
    return call(lvm, &request, ret_bytes, err);
}

int lvm_extend(struct lvm *lvm, const char *lv, uint64_t size_bytes,
               int64_t deadline_ms, uint64_t *ret_bytes, struct err *err)
{
    const struct lvm_request what = { .size_bytes = size_bytes,
                                      .deadline_ms = deadline_ms };
    return call_size(lvm, VERB_EXTEND, lv, &what, ret_bytes, err);
}

int lvm_reduce(struct lvm *lvm, const char *lv, uint64_t size_bytes,
               int64_t deadline_ms, uint64_t *ret_bytes, struct err *err)
{
    const struct lvm_request what = { .size_bytes = size_bytes,
                                      .deadline_ms = deadline_ms };
    return call_size(lvm, VERB_REDUCE, lv, &what, ret_bytes, err);
}

int lvm_create(struct lvm *lvm, const struct lvm_create *what,
               int64_t deadline_ms, struct err *err)
{
    const struct lvm_request request = {
        .size_bytes = what->size_bytes,
        .deadline_ms = deadline_ms,
        .device = what->device,
        .add = {.names = what->tags, .n = what->n_tags},
    };
    if (what->device && !device_is_valid(what->device))
        return err_set_code(err, ERR_VALUE, "\"%.64s\" is no device",
                            what->device);
    return call_size(lvm, VERB_CREATE, what->lv, &request, NULL, err);
}

static int call_lvs(struct lvm *lvm, enum lvm_verb verb, struct lvm_names lvs,
                    int64_t deadline_ms, struct err *err)
{
    struct lvm_request request = {
        .verb = verb,
        .lvs = lvs,
        .deadline_ms = deadline_ms,
    };
    return lvs.n > 0 ? call(lvm, &request, NULL, err) : 0;
}

int lvm_remove(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
               struct err *err)
{
    return call_lvs(lvm, VERB_REMOVE, lvs, deadline_ms, err);
}

int lvm_activate(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                 struct err *err)
{
    return call_lvs(lvm, VERB_ACTIVATE, lvs, deadline_ms, err);
}

int lvm_deactivate(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                   struct err *err)
{
    return call_lvs(lvm, VERB_DEACTIVATE, lvs, deadline_ms, err);
}

int lvm_refresh(struct lvm *lvm, struct lvm_names lvs, int64_t deadline_ms,
                struct err *err)
{
    return call_lvs(lvm, VERB_REFRESH, lvs, deadline_ms, err);
}

int lvm_tag(struct lvm *lvm, struct lvm_names lvs, struct lvm_names add,
            struct lvm_names remove, int64_t deadline_ms, struct err *err)
{
    struct lvm_request request = {
        .verb = VERB_TAG,
        .lvs = lvs,
        .add = add,
        .remove = remove,
        .deadline_ms = deadline_ms,
    };
    return add.n + remove.n > 0 ? call(lvm, &request, NULL, err) : 0;
}

int lvm_grow(struct lvm *lvm, const char *device, int64_t deadline_ms,
             struct err *err)
{
    struct lvm_request request = {
        .verb = VERB_GROW,
        .device = device,
        .deadline_ms = deadline_ms,
    };
    if (!device_is_valid(device))
        return err_set_code(err, ERR_VALUE, "\"%.64s\" is no device", device);
    return call(lvm, &request, NULL, err);
}

int lvm_report(struct lvm *lvm, unsigned what, int64_t deadline_ms,
               struct lvm_report *ret_report, struct err *err)
{
    struct lvm_request request = {
        .verb = VERB_REPORT,
        .what = what,
        .deadline_ms = deadline_ms,
    };
    struct lvm_report report = { .n_lvs = 0 };
    struct lvm_answer answer = { .reports = NULL };
    int rc = client_call(lvm, &request, &answer, err);
    if (rc < 0)
        return rc;
    size_t n = answer.reports ? json_object_array_length(answer.reports) : 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = report_add(&report, json_object_array_get_idx(answer.reports, i),
                        err);
    answer_deinit(&answer);
    if (rc < 0) {
        lvm_report_deinit(&report);
        return rc;
    }
    *ret_report = report;
    return 0;
}
