/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names to UUIDs, through the verbs that list. A UUID is passed on as it is:
 * the verb itself says whether there is such a thing.
 */
#include "resolve.h"
#include "json.h"
#include <string.h>

struct wanted {
    const char *what; /* "domain" */
    const char *list; /* verb that lists them */
    const char *id;   /* members of its entries */
    const char *name; /* NULL: by the beginning of the id */
    const char *see;  /* command that lists them */
    bool may_be_unknown;
};

static bool matches(const struct wanted *wanted, struct json_object *entry,
                    const char *text)
{
    if (wanted->name)
        return str_equal(json_text(entry, wanted->name), text);
    return text[0] && str_starts_with(json_text(entry, wanted->id), text);
}

/* How many match; the last one's id in *ret_uuid. */
static size_t search(const struct wanted *wanted, struct json_object *list,
                     const char *text, char ret_uuid[UUID_SIZE])
{
    size_t found = 0;
    if (!json_object_is_type(list, json_type_array))
        return 0;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        if (!matches(wanted, entry, text))
            continue;
        (void)str_copy(ret_uuid, UUID_SIZE, json_text(entry, wanted->id));
        found++;
    }
    return found;
}

static int resolve(struct cli *cli, const struct wanted *wanted,
                   const char *text, char ret_uuid[UUID_SIZE])
{
    if (uuid_is_valid(text)) {
        (void)str_copy(ret_uuid, UUID_SIZE, text);
        return CLI_OK;
    }
    _cleanup_json_ struct json_object *list = NULL;
    int rc = cli_call(cli, wanted->list, NULL, &list);
    if (rc)
        return rc;
    size_t found = search(wanted, list, text, ret_uuid);
    if (found == 1)
        return CLI_OK;
    if (found == 0 && wanted->may_be_unknown) {
        ret_uuid[0] = '\0';
        return CLI_OK;
    }
    struct err err = ERR_INIT;
    if (found == 0)
        (void)err_set(&err, -1, "%s %s: there is none", wanted->what, text);
    else
        (void)err_set(&err, -1, "%s %s: %zu match", wanted->what, text, found);
    (void)err_next(&err, found ? "use the UUID from %s" : "see %s",
                   wanted->see);
    cli_complain(&err);
    return CLI_FAILED;
}

static const struct wanted a_domain = {
    "domain", "StorageDomain.list", "uuid", "name", "drayctl domain list", false
};

int resolve_domain(struct cli *cli, const char *name_or_uuid,
                   char ret_uuid[UUID_SIZE])
{
    return resolve(cli, &a_domain, name_or_uuid, ret_uuid);
}

int resolve_domain_if_known(struct cli *cli, const char *name_or_uuid,
                            char ret_uuid[UUID_SIZE])
{
    struct wanted wanted = a_domain;
    wanted.may_be_unknown = true;
    return resolve(cli, &wanted, name_or_uuid, ret_uuid);
}

int resolve_job(struct cli *cli, const char *prefix, char ret_uuid[UUID_SIZE])
{
    static const struct wanted wanted = { "job", "Job.list",         "id",
                                          NULL,  "drayctl job list", false };
    return resolve(cli, &wanted, prefix, ret_uuid);
}
