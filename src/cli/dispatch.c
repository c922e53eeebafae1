/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Global options, the tables of commands, help.
 *
 * SIGPIPE is ignored: a daemon that went away must give exit code 3, not a
 * death by signal; a reader of our output that went away is seen at the end.
 */
#include "cli.h"
#include <dray/base/util.h>
#include <dray/rpc/client.h>
#include <dray/rpc/tls.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const tables[] = {
    domain_commands, volume_commands,    copy_commands,
    vm_commands,     watermark_commands, disk_commands,
    job_commands,    lease_commands,     rpc_commands,
};

static const char usage_head[] =
    "usage: drayctl [--socket PATH | --host NAME[:PORT]] [--json] COMMAND "
    "...\n\n";

static const char usage_tail[] =
    "\nDomains and VMs are given by name or UUID, jobs by UUID or a unique "
    "beginning.\n"
    "  --socket PATH  the daemon's socket (/run/drayd/drayd.sock)\n"
    "  --host NAME[:PORT]  the daemon of another host, over TLS\n"
    "  --pki DIR      ca.pem, cert.pem, key.pem, crl.pem for that "
    "(/etc/drayd/pki)\n"
    "  --json         print the API's own answer\n"
    "  --version      print the version\n"
    "  --help         print this; after a command: print the command's help\n"
    "Exit: 0 done, 1 failed, 2 wrong usage, 3 daemon not reachable, 4 job "
    "cancelled.\n";

static void print_synopsis(const struct command *command)
{
    (void)printf("  drayctl %s%s%s %s\n", command->group ? command->group : "",
                 command->group ? " " : "", command->name, command->words);
}

static int print_help(void)
{
    (void)fputs(usage_head, stdout);
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct command *c = tables[i]; c->name; c++)
            print_synopsis(c);
    (void)fputs(usage_tail, stdout);
    return CLI_OK;
}

static int print_group_help(const char *group)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct command *c = tables[i]; c->name; c++)
            if (str_equal(c->group, group))
                print_synopsis(c);
    return CLI_OK;
}

static int print_command_help(const struct command *command)
{
    print_synopsis(command);
    (void)printf("\n%s\n", command->help);
    return CLI_OK;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        if (str_equal(tables[i]->group, word))
            return true;
    return false;
}

/* *ret_used: how many words name it. */
static const struct command *find(const char *const *argv, size_t *ret_used)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        for (const struct command *c = tables[i]; c->name; c++) {
            size_t words = c->group ? 2 : 1;
            if (!str_equal(argv[words - 1], c->name) ||
                (c->group && !str_equal(argv[0], c->group)))
                continue;
            *ret_used = words;
            return c;
        }
    }
    return NULL;
}

static bool wants_help(const char *const *argv)
{
    for (; *argv && !str_equal(*argv, "--"); argv++)
        if (str_equal(*argv, "--help") || str_equal(*argv, "-h"))
            return true;
    return false;
}

/* "--name value" or "--name=value"; moves argv to the value. */
static bool take_value(const char *const **argv, const char *name,
                       const char **ret_value)
{
    const char *word = **argv;
    size_t len = strlen(name);
    if (!str_starts_with(word, name))
        return false;
    if (word[len] == '=') {
        *ret_value = word + len + 1;
        return true;
    }
    if (word[len] || !(*argv)[1])
        return false;
    *ret_value = *++(*argv);
    return true;
}

static int unknown_option(const char *word)
{
    (void)fprintf(stderr,
                  "drayctl: %s: no such option, or its value is missing; see "
                  "drayctl --help\n",
                  word);
    return CLI_USAGE;
}

/* Options before the command; moves argv on to it. A negative value: go on. */
static int global_options(struct cli *cli, const char *const **argv)
{
    for (; **argv && (*argv)[0][0] == '-'; (*argv)++) {
        const char *word = **argv;
        if (take_value(argv, "--socket", &cli->socket) ||
            take_value(argv, "--host", &cli->host) ||
            take_value(argv, "--pki", &cli->pki))
            continue;
        if (str_equal(word, "--json")) {
            cli->json = true;
        } else if (str_equal(word, "--version")) {
            (void)puts("drayctl " DRAY_VERSION);
            return CLI_OK;
        } else if (str_equal(word, "--help") || str_equal(word, "-h")) {
            return print_help();
        } else {
            return unknown_option(word);
        }
    }
    return -1;
}

static int unknown(const char *const *argv)
{
    if (!argv[0])
        (void)fputs("drayctl: no command; see drayctl --help\n", stderr);
    else if (is_group(argv[0]) && wants_help(argv))
        return print_group_help(argv[0]);
    else if (is_group(argv[0]))
        (void)fprintf(stderr,
                      "drayctl: %s %s: no such command; see drayctl %s "
                      "--help\n",
                      argv[0], argv[1] ? argv[1] : "", argv[0]);
    else
        (void)fprintf(stderr,
                      "drayctl: %s: no such command; see drayctl --help\n",
                      argv[0]);
    return CLI_USAGE;
}

static int run(struct cli *cli, const char *const *argv)
{
    int rc = global_options(cli, &argv);
    if (rc >= 0)
        return rc;
    size_t used = 0;
    cli->command = argv[0] ? find(argv, &used) : NULL;
    if (!cli->command)
        return unknown(argv);
    argv += used;
    if (wants_help(argv))
        return print_command_help(cli->command);
    return cli->command->run(cli, argv);
}

/* What was written to a full disk or a closed pipe did not arrive. */
static int check_output(int rc)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed || rc != CLI_OK)
        return rc;
    if (errno != EPIPE)
        (void)fprintf(stderr, "drayctl: output: %m\n");
    return CLI_FAILED;
}

int cli_main(const char *const *argv)
{
    struct cli cli = {
        .socket = "/run/drayd/drayd.sock",
        .pki = RPC_TLS_PKI_DIR,
    };
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail: a valid signal */
    int rc = check_output(run(&cli, argv));
    rpc_client_free(cli.client);
    return rc;
}
