/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl rpc: any verb, as it is.
 */
#include "cli.h"
#include "json.h"
#include <errno.h>

static int rpc(struct cli *cli, const char *const *argv)
{
    struct args args;
    struct json_object *params = NULL;
    struct json_object *result = NULL;
    int rc = cli_parse(cli, argv, NULL, 1, 2, &args);
    if (rc)
        return rc;
    if (args.words[1]) {
        params = json_tokener_parse(args.words[1]);
        if (!json_object_is_type(params, json_type_object) &&
            !json_object_is_type(params, json_type_array)) {
            json_object_put(params);
            struct err err = ERR_INIT;
            (void)err_set(&err, -EINVAL,
                          "'%s': a JSON object or array is wanted",
                          args.words[1]);
            return cli_usage(cli, &err);
        }
    }
    rc = cli_call(cli, args.words[0], params, &result);
    return rc ? rc : show_result(cli, result, show_json);
}

const struct command rpc_commands[] = {
    {NULL,             "rpc", "METHOD [JSON]",
     "Calls any verb with the given parameters (an object or an array) and "
      "prints\nits result. 'drayctl rpc rpc.discover' lists the verbs.", rpc },
    { 0},
};
