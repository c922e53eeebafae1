/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl volume copy and move: the data of a volume that no VM writes to goes
 * into another one, or out of all domains, or back. The volume that gets it is
 * there already; a file outside is made.
 */
#include "cli.h"
#include "json.h"
#include "resolve.h"
#include "units.h"
#include "watch.h"
#include <dray/base/util.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct copy {
    const char *from_format;
    const char *to_format;
    const char *limit;
    const char *job_id;
    bool existing;
    bool zero;
    bool verify;
    bool detach;
    uint64_t bytes_per_s;
    char new_id[UUID_SIZE];
    struct args args; /* FROM TO */
};

static bool is_format(const char *text)
{
    return !text || str_equal(text, "raw") || str_equal(text, "qcow2");
}

static int parse(struct cli *cli, const char *const *argv, struct copy *copy)
{
    const struct args_option options[] = {
        {"--from-format",     NULL, &copy->from_format },
        { "--to-format", NULL, &copy->to_format },
        { "--limit",      NULL, &copy->limit },
        { "--job-id",   NULL, &copy->job_id },
        { "--existing",          &copy->existing, NULL },
        { "--zero",       &copy->zero, NULL },
        { "--verify",         &copy->verify, NULL },
        { "--detach",      &copy->detach, NULL },
        { 0      },
    };
    struct err err = ERR_INIT;
    int rc = cli_parse(cli, argv, options, 2, 2, &copy->args);

    if (rc)
        return rc;
    if (copy->limit)
        (void)units_parse_rate(copy->limit, &copy->bytes_per_s, &err);
    if (err.rc == 0 && copy->job_id && !uuid_is_valid(copy->job_id))
        (void)err_set(&err, -EINVAL, "--job-id %s: not a UUID", copy->job_id);
    if (err.rc == 0 &&
        (!is_format(copy->from_format) || !is_format(copy->to_format)))
        (void)err_set(&err, -EINVAL,
                      "--from-format, --to-format: raw or qcow2 is wanted");
    return err.rc ? cli_usage(cli, &err) : CLI_OK;
}

static struct json_object *outside(const char *place, const char *format)
{
    return JSON_STRINGS("endpoint_type", "external", "url", place, "format",
                        format ? format : "raw");
}

/* DOMAIN/IMAGE/VOLUME, or a place outside. */
static int read_end(struct cli *cli, const char *text, const char *format,
                    struct json_object **ret_end)
{
    char word[512], sd[UUID_SIZE];
    struct err err = ERR_INIT;

    if (text[0] == '/' || strchr(text, ':')) {
        *ret_end = outside(text, format);
        return CLI_OK;
    }
    char *image = str_copy(word, sizeof(word), text) ? strchr(word, '/') : NULL;
    char *volume = image ? strchr(image + 1, '/') : NULL;

    if (!volume) {
        (void)err_set(&err, -EINVAL,
                      "%s: DOMAIN/IMAGE/VOLUME, a path or a URI is wanted",
                      text);
        return cli_usage(cli, &err);
    }
    *image++ = '\0';
    *volume++ = '\0';
    int rc = resolve_domain(cli, word, sd);

    if (rc == CLI_OK)
        *ret_end = JSON_STRINGS("endpoint_type", "div", "sd_id", sd, "img_id",
                                image, "vol_id", volume);
    return rc;
}

static int read_params(struct cli *cli, const struct copy *copy, bool move,
                       struct json_object **ret_params)
{
    struct json_object *params = JSON_STRINGS("job_id", copy->job_id);
    struct json_object *end = NULL;
    int rc = read_end(cli, copy->args.words[0], copy->from_format, &end);

    if (rc == CLI_OK) {
        json_add(params, "source", end);
        rc = read_end(cli, copy->args.words[1], copy->to_format, &end);
    }
    if (rc) {
        json_object_put(params);
        return rc;
    }
    if (copy->existing)
        json_add_flag(end, "create", false);
    if (copy->zero)
        json_add_flag(end, "is_zero", true);
    json_add(params, "destination", end);
    json_add_u64(params, "limit", copy->bytes_per_s);
    if (!move)
        json_add_flag(params, "verify", copy->verify);
    *ret_params = params;
    return CLI_OK;
}

/* The job's id is made here: whatever happens to the answer, it can be found
 * under it, and asking again is harmless. */
static int start(struct cli *cli, const char *const *argv, bool move)
{
    struct copy copy = { 0 };
    struct json_object *params = NULL;
    _cleanup_json_ struct json_object *result = NULL;
    struct err err = ERR_INIT;
    int rc = parse(cli, argv, &copy);

    if (rc)
        return rc;
    uuid_new(copy.new_id);
    if (!copy.job_id)
        copy.job_id = copy.new_id;
    rc = read_params(cli, &copy, move, &params);
    if (rc)
        return rc;
    watch_catch_interrupt();
    rc = cli_try(cli, move ? "SDM.move_data" : "SDM.copy_data", params, &result,
                 &err);
    if (rc == CLI_INTERRUPTED)
        return watch_left(copy.job_id);
    if (rc)
        cli_complain(&err);
    if (rc || !copy.detach)
        return rc ? rc : watch_job(cli, copy.job_id);
    (void)puts(copy.job_id);
    return CLI_OK;
}

static int volume_copy(struct cli *cli, const char *const *argv)
{
    return start(cli, argv, false);
}

static int volume_move(struct cli *cli, const char *const *argv)
{
    return start(cli, argv, true);
}

/* clang-format 14 makes a mess of tables like this. */
/* clang-format off */
#define ENDS \
    "FROM TO [--from-format raw|qcow2] [--to-format raw|qcow2] [--existing] " \
    "[--zero] [--limit MiB/s] [--detach] [--job-id UUID]"
#define ENDS_HELP \
    "FROM and TO are DOMAIN/IMAGE/VOLUME, an absolute path, or a URI that " \
    "qemu\nopens. A volume must be there; a file is made.\n" \
    "  --from-format, --to-format  of what is outside (raw)\n" \
    "  --existing  TO outside is there already, and keeps its size\n" \
    "  --zero      TO outside reads zeros, so none are written\n" \
    "  --limit     at most so many MiB/s; see 'job limit'\n" \
    "  --job-id    under this UUID; a repeated request is the same job\n" \
    "  --detach    prints the job's id and does not wait"

const struct command copy_commands[] = {
    { "volume", "copy", ENDS " [--verify]",
      "Copies the data of a volume that no VM writes to. " ENDS_HELP
      "\n  --verify    compares both afterwards",
      volume_copy },
    { "volume", "move", ENDS,
      "Copies a volume, compares both, then deletes the source: its image, or, "
      "when\nTO is a layer of a chain, this volume. " ENDS_HELP,
      volume_move },
    { 0 },
};
/* clang-format on */
