/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See move.h.
 */
#include "move.h"
#include "json.h"
#include "units.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    DISKS_MAX = 8 /* of one job, as the daemon has it */
};

/* --- parameters -------------------------------------------------------- */

static void add_item(struct json_object *array, struct json_object *item)
{
    if (json_object_array_add(array, item))
        abort();
}

/* {disk, domain} of each DISK=DOMAIN. */
static struct json_object *disks(const struct move *move)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 1; i < move->args.n; i++) {
        const char *word = move->args.words[i];
        const char *equals = strchr(word, '=');
        char *disk = strndup(word, (size_t)(equals - word));
        if (!disk)
            abort();
        add_item(array, JSON_STRINGS("disk", disk, "domain", equals + 1));
        free(disk);
    }
    return array;
}

struct json_object *move_params(const struct move *move)
{
    const char *const *words = move->args.words;
    struct json_object *params =
        JSON_STRINGS("vmID", words[0], "disk", move->several ? NULL : words[1],
                     "domain", move->several ? NULL : words[2]);
    if (move->several)
        json_add(params, "disks", disks(move));
    if (move->format)
        json_add_text(params, "format",
                      str_equal(move->format, "raw") ? "RAW" : "COW");
    json_add_text(params, "strategy", move->strategy);
    if (move->verify)
        json_add_flag(params, "verify", true);
    if (move->fast)
        json_add_flag(params, "fast", true);
    if (move->keep_source)
        json_add_flag(params, "keepSource", true);
    if (move->bytes_per_s)
        json_add_u64(params, "limit", move->bytes_per_s);
    json_add_text(params, "jobID", move->job_id);
    return params;
}

/* --- words and options ------------------------------------------------- */

static void check_options(struct move *move, struct err *err)
{
    if (move->format && !str_equal(move->format, "raw") &&
        !str_equal(move->format, "qcow2"))
        (void)err_set(err, -EINVAL, "--format %s: raw or qcow2 is wanted",
                      move->format);
    else if (move->strategy && !str_equal(move->strategy, "mirror") &&
             !str_equal(move->strategy, "snapshot"))
        (void)err_set(err, -EINVAL,
                      "--strategy %s: mirror or snapshot is wanted",
                      move->strategy);
    else if (move->job_id && !uuid_is_valid(move->job_id))
        (void)err_set(err, -EINVAL, "--job-id %s: not a UUID", move->job_id);
    else if (move->limit)
        (void)units_parse_rate(move->limit, &move->bytes_per_s, err);
}

static bool is_pair(const char *word)
{
    const char *equals = strchr(word, '=');
    return equals && equals != word && equals[1];
}

/* A URI may hold a "=", so DISK says which form it is. */
static void check_form(struct move *move, struct err *err)
{
    const struct args *args = &move->args;
    if (args->n == 3 && !is_pair(args->words[1]))
        return;
    move->several = true;
    for (size_t i = 1; i < args->n; i++)
        if (!is_pair(args->words[i]))
            (void)err_set(err, -EINVAL, "%s: DISK=DOMAIN is wanted",
                          args->words[i]);
}

static bool is_outside(const char *place)
{
    return place[0] == '/' || strstr(place, "://");
}

/* Nobody should export to a domain, or import out of one, by a mistyped word.
 */
static void check_place(const struct move *move, enum move_command command,
                        struct err *err)
{
    const char *place = move->args.words[2];
    if (command == MOVE_IMPORT && is_outside(place))
        (void)err_set(err, -EINVAL,
                      "%s: the name or UUID of a domain is wanted", place);
    else if (command == MOVE_EXPORT && !is_outside(place))
        (void)err_set(err, -EINVAL, "%s: an absolute path or a URI is wanted",
                      place);
}

static int parse(struct cli *cli, const char *const *argv,
                 const struct args_option *options, enum move_command command,
                 struct move *move)
{
    struct err err = ERR_INIT;
    bool one = command == MOVE_IMPORT || command == MOVE_EXPORT;
    int rc = cli_parse(cli, argv, options, one ? 3 : 2, one ? 3 : 1 + DISKS_MAX,
                       &move->args);
    if (rc)
        return rc;
    check_options(move, &err);
    if (one)
        check_place(move, command, &err);
    else
        check_form(move, &err);
    return err.rc ? cli_usage(cli, &err) : CLI_OK;
}

int move_parse(struct cli *cli, const char *const *argv,
               enum move_command command, struct move *ret_move)
{
    /* Ordered so that each command has those in between: what is outside is
     * never deleted, only domains have snapshots, and a plan has no job. */
    /* clang-format off */
    const struct args_option options[] = {
        { "--strategy", NULL, &ret_move->strategy },
        { "--verify", &ret_move->verify, NULL },
        { "--keep-source", &ret_move->keep_source, NULL },
        { "--format", NULL, &ret_move->format },
        { "--limit", NULL, &ret_move->limit },
        { "--fast", &ret_move->fast, NULL },
        { command == MOVE_PLAN ? NULL : "--job-id", NULL, &ret_move->job_id },
        { "--detach", &ret_move->detach, NULL },
        { 0 },
    };
    /* clang-format on */
    size_t skip = command == MOVE_IMPORT ? 3 : command == MOVE_EXPORT ? 2 : 0;
    return parse(cli, argv, options + skip, command, ret_move);
}
