/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What drayctl's commands share: the connection, exit codes, and how a command
 * is described. A command is a thin wrapper around one or a few verbs.
 */
#ifndef DRAY_CLI_CLI_H
#define DRAY_CLI_CLI_H

#include "args.h"
#include <dray/base/err.h>
#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct rpc_client;

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the operation failed, or was refused */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3, /* no daemon, or it went away */
    CLI_CANCELLED = 4,   /* the job was cancelled */
    CLI_INTERRUPTED = 130,
};

struct cli {
    const char *socket;
    const char *host; /* NAME[:PORT]: over TLS instead of the socket; or NULL */
    const char *pki;  /* directory of our certificate */
    bool json;        /* print the API's own answer */
    struct rpc_client *client; /* connected by the first call */
    const struct command *command;
};

struct command {
    const char *group; /* "disk"; NULL: a command of one word */
    const char *name;  /* "migrate" */
    const char *words; /* "VM DISK DOMAIN [--keep-source]" */
    const char *help;  /* what it does, and its options, for --help */
    int (*run)(struct cli *cli, const char *const *argv); /* an exit code */
};

/* One table per file of commands, ended by a NULL name. */
extern const struct command domain_commands[];
extern const struct command volume_commands[];
extern const struct command copy_commands[];
extern const struct command vm_commands[];
extern const struct command watermark_commands[];
extern const struct command disk_commands[];
extern const struct command job_commands[];
extern const struct command lease_commands[];
extern const struct command rpc_commands[];

/* argv without the program's name. The exit code. */
int cli_main(const char *const *argv);

/* --- call.c --- */

/* One verb. @params taken over (NULL: none). CLI_OK and *ret_result, which the
 * caller puts; or prints the error and returns the exit code. */
int cli_call(struct cli *cli, const char *method, struct json_object *params,
             struct json_object **ret_result);

/* The same without printing: 0; CLI_FAILED with the server's error in *err
 * (data.next in err->next); CLI_UNREACHABLE. Drops a broken connection, so that
 * the next call makes a new one. CLI_INTERRUPTED after a signal. */
int cli_try(struct cli *cli, const char *method, struct json_object *params,
            struct json_object **ret_result, struct err *err);

/* "drayctl: what: why; next step" on stderr. */
void cli_complain(const struct err *err);

/* args_parse() with --json too; prints what is wrong and the command's usage.
 * CLI_OK or CLI_USAGE. */
int cli_parse(struct cli *cli, const char *const *argv,
              const struct args_option *options, size_t min, size_t max,
              struct args *ret_args);

/* Complains about the command line. CLI_USAGE. */
int cli_usage(const struct cli *cli, const struct err *err);

/* --- show.c --- */

/* Indented JSON. */
void show_json(struct json_object *value);
/* "key  value" lines of an object, nested ones as a.b. */
void show_object(struct json_object *object);
/* With --json the value, else with @show. CLI_OK. Puts @value. */
int show_result(const struct cli *cli, struct json_object *value,
                void (*show)(struct json_object *value));

#endif
