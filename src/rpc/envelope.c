/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An id that can be read is answered with even when the rest of the request is
 * wrong: the client can then tell which of its requests failed.
 */
#include "envelope.h"

#include <dray/base/util.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

/* json-c keeps a whole number as a 64-bit one and a larger one as the bound: it
 * would come back as another id. */
static bool id_is_exact(struct json_object *id)
{
    if (json_object_is_type(id, json_type_double))
        return isfinite(json_object_get_double(id));
    return json_object_get_uint64(id) != UINT64_MAX &&
           json_object_get_int64(id) != INT64_MIN;
}

static bool id_is_valid(struct json_object *id)
{
    switch (json_object_get_type(id)) {
    case json_type_null:
    case json_type_string:
        return true;
    case json_type_int:
    case json_type_double:
        return id_is_exact(id);
    default:
        return false;
    }
}

static int refuse(struct err *err, const char *why)
{
    int r =
        err_set_code(err, ERR_REQUEST, "not a JSON-RPC 2.0 request: %s", why);
    (void)err_next(err, "send {\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": "
                        "\"Host.ping\"}, for example");
    return r;
}

static int read_id(struct json_object *value, struct envelope *envelope,
                   struct err *err)
{
    struct json_object *id = NULL;
    envelope->has_id = json_object_object_get_ex(value, "id", &id);
    if (!id_is_valid(id))
        return refuse(err, "id is no string, number or null");
    envelope->id = id;
    return 0;
}

static bool string_is(struct json_object *value, const char *text)
{
    return json_object_is_type(value, json_type_string) &&
           (size_t)json_object_get_string_len(value) == strlen(text) &&
           str_equal(json_object_get_string(value), text);
}

/* A name with an embedded NUL must not pass for its part before it. */
static bool string_is_plain(struct json_object *value)
{
    return json_object_is_type(value, json_type_string) &&
           (size_t)json_object_get_string_len(value) ==
               strlen(json_object_get_string(value));
}

int envelope_read(struct json_object *value, struct envelope *ret_envelope,
                  struct err *err)
{
    struct json_object *version = NULL, *method = NULL, *params = NULL;

    *ret_envelope = (struct envelope){ 0 };
    if (!json_object_is_type(value, json_type_object))
        return refuse(err, "it is no object");
    int r = read_id(value, ret_envelope, err);
    if (r < 0)
        return r;
    (void)json_object_object_get_ex(value, "jsonrpc", &version);
    (void)json_object_object_get_ex(value, "method", &method);
    if (!string_is(version, "2.0"))
        return refuse(err, "jsonrpc is not \"2.0\"");
    if (!string_is_plain(method))
        return refuse(err, "method is missing or no string");
    if (json_object_object_get_ex(value, "params", &params) &&
        !json_object_is_type(params, json_type_object) &&
        !json_object_is_type(params, json_type_array))
        return refuse(err, "params is neither an object nor an array");
    ret_envelope->method = json_object_get_string(method);
    ret_envelope->params = params;
    return 0;
}

/* Adds @value, which is taken over. False when out of memory, which a NULL
 * @value means too. */
static bool add(struct json_object *object, const char *key,
                struct json_object *value)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

static struct json_object *begin(void)
{
    struct json_object *answer = json_object_new_object();
    if (answer && add(answer, "jsonrpc", json_object_new_string("2.0")))
        return answer;
    json_object_put(answer);
    return NULL;
}

static bool add_id(struct json_object *answer, struct json_object *id)
{
    if (!id)
        return json_object_object_add(answer, "id", NULL) == 0;
    return add(answer, "id", json_object_get(id));
}

struct json_object *envelope_result(struct json_object *id,
                                    struct json_object *result)
{
    struct json_object *answer = begin();
    if (!result)
        result = json_object_new_boolean(true);
    if (!answer || !add_id(answer, id)) {
        json_object_put(result);
        json_object_put(answer);
        return NULL;
    }
    if (add(answer, "result", result))
        return answer;
    json_object_put(answer);
    return NULL;
}

/* Texts may carry what a tool printed: only UTF-8 may go out. */
static struct json_object *text(const char *s)
{
    char clean[ERR_MESSAGE_SIZE];
    (void)str_copy(clean, sizeof(clean), s);
    if (!str_is_utf8(clean, strlen(clean)))
        for (char *c = clean; *c; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '?';
    return json_object_new_string(clean);
}

static void merge(struct json_object *data, struct json_object *extra)
{
    json_object_object_foreach(extra, key, member)
    {
        (void)json_object_object_add(data, key, json_object_get(member));
    }
}

static struct json_object *error_data(const struct err *err, const char *phase,
                                      struct json_object *extra)
{
    struct json_object *data = json_object_new_object();
    if (!data || !add(data, "cause", text(err_code_name(err->code))) ||
        !add(data, "phase", text(phase ? phase : "")) ||
        !add(data, "next", text(err->next))) {
        json_object_put(data);
        return NULL;
    }
    if (extra)
        merge(data, extra);
    return data;
}

static struct json_object *error_object(const struct err *err,
                                        const char *phase,
                                        struct json_object *extra)
{
    struct json_object *error = json_object_new_object();
    if (error && add(error, "code", json_object_new_int((int)err->code)) &&
        add(error, "message", text(err->message)) &&
        add(error, "data", error_data(err, phase, extra)))
        return error;
    json_object_put(error);
    return NULL;
}

struct json_object *envelope_error(struct json_object *id,
                                   const struct err *err, const char *phase,
                                   struct json_object *extra)
{
    struct json_object *answer = begin();
    if (answer && add(answer, "error", error_object(err, phase, extra)) &&
        add_id(answer, id))
        return answer;
    json_object_put(answer);
    return NULL;
}

struct json_object *envelope_notification(const char *method,
                                          struct json_object *params)
{
    struct json_object *answer = begin();
    if (!answer || !add(answer, "method", json_object_new_string(method))) {
        json_object_put(params);
        json_object_put(answer);
        return NULL;
    }
    if (!params || add(answer, "params", params))
        return answer;
    json_object_put(answer);
    return NULL;
}
