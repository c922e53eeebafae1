/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request's params, checked against the verb table and copied out of their
 * JSON: any thread may read them. The accessors abort on a name or type that
 * the table does not give: that is a bug here, not the client's.
 */
#ifndef DRAY_API_PARAMS_H
#define DRAY_API_PARAMS_H

#include "verb.h"

struct param_value {
    bool present;
    char *text;      /* all kinds of strings */
    uint64_t number; /* PARAM_SIZE, PARAM_UINT, PARAM_BOOL */
    struct uuid_list uuids;
    char **paths; /* PARAM_PATHS */
    size_t n_paths;
    struct params **items; /* PARAM_OBJECT, PARAM_OBJECTS */
    size_t n_items;
};

/* Object, array (in the table's order) or NULL -> *ret_params, the caller's.
 * ERR_PARAMS names what is missing, unknown or wrong. */
int params_read(const struct verb *verb, struct json_object *json,
                struct params **ret_params, struct err *err);
void params_free(struct params *params);

bool params_has(const struct params *params, const char *name);
/* NULL when absent. */
const char *params_text(const struct params *params, const char *name);
uint64_t params_number(const struct params *params, const char *name);
bool params_flag(const struct params *params, const char *name);
const struct uuid_list *params_uuids(const struct params *params,
                                     const char *name);
/* *ret_n 0: absent. */
const char *const *params_paths(const struct params *params, const char *name,
                                size_t *ret_n);
/* PARAM_OBJECT and PARAM_OBJECTS: how many there are (0: absent), and the
 * @i'th, which is read like a request's params and belongs to them. */
size_t params_count(const struct params *params, const char *name);
const struct params *params_item(const struct params *params, const char *name,
                                 size_t i);
/* params_text() of a parameter that this verb may not have at all. */
const char *params_text_if_any(const struct params *params, const char *name);

/* An object with @spec's members; errors say "@name.member: ...". */
int params_read_object(const struct param_spec *spec, const char *name,
                       struct json_object *json, struct params **ret_params,
                       struct err *err);

/* check.c: one value, not null. */
int check_value(const struct param_spec *spec, struct json_object *json,
                struct param_value *ret_value, struct err *err);
/* check.c: from its text in the table. */
int check_preset(const struct param_spec *spec, struct param_value *ret_value);
/* ".." as a whole component, "\" counted as a separator too. */
bool check_climbs(const char *text);
/* place.c: NULL, or what is wrong with it. */
const char *place_problem(const char *text);
/* A path or a URI, no domain. */
bool place_is_outside(const char *text);
/* Of what qemu-img may open: NULL, or what is wrong with it. As a place, and
 * rbd:POOL/NAME, nbd:... in qemu's own spelling. */
const char *place_url_problem(const char *text);
/* What came from a stranger, for a message: bounded and printable. */
enum {
    SHOWN_SIZE = 48
};
const char *check_shown(const char *text, char ret_shown[SHOWN_SIZE]);

#endif
