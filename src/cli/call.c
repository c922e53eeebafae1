/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls to the daemon, and what becomes of errors: one line on stderr that
 * says what, why, and the next step. The message comes from where the thing
 * failed; nothing is added here but the program's name.
 */
#include "cli.h"
#include "json.h"
#include <assert.h>
#include <dray/base/util.h>
#include <dray/rpc/client.h>
#include <dray/rpc/tls.h>
#include <errno.h>
#include <stdio.h>

void cli_complain(const struct err *err)
{
    if (err->next[0])
        (void)fprintf(stderr, "drayctl: %s; %s\n", err->message, err->next);
    else
        (void)fprintf(stderr, "drayctl: %s\n", err->message);
}

int cli_usage(const struct cli *cli, const struct err *err)
{
    const struct command *command = cli->command;
    (void)fprintf(stderr, "drayctl: %s; usage: drayctl %s%s%s %s\n",
                  err->message, command->group ? command->group : "",
                  command->group ? " " : "", command->name, command->words);
    return CLI_USAGE;
}

int cli_parse(struct cli *cli, const char *const *argv,
              const struct args_option *options, size_t min, size_t max,
              struct args *ret_args)
{
    enum {
        OPTIONS_MAX = 10
    };
    struct args_option all[OPTIONS_MAX] = {
        {"--json", &cli->json, NULL}
    };
    size_t n = 1;
    for (; options && options->name; options++) {
        assert(n + 1 < OPTIONS_MAX);
        all[n++] = *options;
    }
    struct err err = ERR_INIT;
    if (args_parse(argv, all, min, max, ret_args, &err))
        return cli_usage(cli, &err);
    return CLI_OK;
}

/* The error object of an answer. */
static void read_error(struct json_object *error, struct err *err)
{
    const char *message = json_text(error, "message");
    struct json_object *data = json_member(error, "data");
    int code = (int)json_i64(error, "code", ERR_GENERAL);
    (void)err_set_code(err, (enum err_code)code, "%s",
                       message[0] ? message : "failed without a reason");
    const char *next = json_text(data, "next");
    if (next[0])
        (void)err_next(err, "%s", next);
}

static int connect_once(struct cli *cli, struct err *err)
{
    if (cli->client)
        return 0;
    if (cli->host)
        return rpc_client_connect_tls(cli->host, cli->pki, &cli->client, err);
    return rpc_client_connect(cli->socket, &cli->client, err);
}

static void disconnect(struct cli *cli)
{
    rpc_client_free(cli->client);
    cli->client = NULL;
}

int cli_try(struct cli *cli, const char *method, struct json_object *params,
            struct json_object **ret_result, struct err *err)
{
    struct json_object *result = NULL;
    if (connect_once(cli, err)) {
        json_object_put(params);
        return CLI_UNREACHABLE;
    }
    int rc = rpc_client_call(cli->client, method, params, &result, err);
    if (rc == 0) {
        *ret_result = result;
        return 0;
    }
    if (rc == RPC_CLIENT_ERROR) {
        read_error(result, err);
        json_object_put(result);
        return CLI_FAILED;
    }
    if (rc == -EINTR)
        return CLI_INTERRUPTED;
    disconnect(cli);
    return CLI_UNREACHABLE;
}

int cli_call(struct cli *cli, const char *method, struct json_object *params,
             struct json_object **ret_result)
{
    struct err err = ERR_INIT;
    int rc = cli_try(cli, method, params, ret_result, &err);
    if (rc)
        cli_complain(&err);
    return rc;
}
