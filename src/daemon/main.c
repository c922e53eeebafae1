/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd: options, configuration, signals, and out.
 */
#include "daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include <dray/base/log.h>
#include <dray/base/util.h>

struct options {
    const char *config_path; /* NULL: the default one, if it is there */
    bool check;
    bool foreground;
};

static void print_help(void)
{
    puts("usage: drayd [--foreground] [--config FILE] [--check]\n"
         "\n"
         "Moves the disks of running virtual machines between storage "
         "domains.\n"
         "\n"
         "  -c, --config FILE  settings (default " DRAY_CONFIG ")\n"
         "  -f, --foreground   run without systemd, log to stderr\n"
         "      --check        read the settings, say what is wrong, exit\n"
         "  -h, --help\n"
         "      --version");
}

/* 0: go on; 1: done; negative: wrong usage. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option known[] = {
        {"config",      required_argument, NULL, 'c'},
        { "foreground", no_argument,       NULL, 'f'},
        { "check",      no_argument,       NULL, 'k'},
        { "help",       no_argument,       NULL, 'h'},
        { "version",    no_argument,       NULL, 'V'},
        { NULL,         0,                 NULL, 0  },
    };

    for (;;) {
        /* No other thread yet. NOLINTNEXTLINE(concurrency-mt-unsafe) */
        int c = getopt_long(argc, argv, "c:fh", known, NULL);

        if (c < 0)
            return optind == argc ? 0 : -EINVAL;
        if (c == 'c') {
            ret_options->config_path = optarg;
        } else if (c == 'f') {
            ret_options->foreground = true;
        } else if (c == 'k') {
            ret_options->check = true;
        } else if (c == 'h') {
            print_help();
            return 1;
        } else if (c == 'V') {
            puts("drayd " DRAY_VERSION);
            return 1;
        } else {
            return -EINVAL;
        }
    }
}

static int read_config(const struct options *options, struct config *ret_config,
                       struct err *err)
{
    const char *path = options->config_path;
    int rc;

    config_defaults(ret_config);
    rc = config_load(path ? path : DRAY_CONFIG, ret_config, err);
    if (rc == -ENOENT && !path) {
        err_clear(err);
        config_defaults(ret_config);
        return 0;
    }
    return rc;
}

/* SIGTERM, SIGINT and SIGHUP are taken by the loop; a client that goes away
 * must not end us. Blocked before any thread starts, so that all inherit it. */
static void setup_signals(void)
{
    sigset_t set;
    const struct sigaction ignore = { .sa_handler = SIG_IGN };

    (void)sigaction(SIGPIPE, &ignore, NULL); /* fails for wrong numbers only */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int check(const struct config *config)
{
    struct err err = ERR_INIT;
    if (daemon_check_tls(config, &err) < 0) {
        log_error("%s%s%s", err.message, err.next[0] ? "; " : "", err.next);
        return 2;
    }
    puts("drayd: settings are fine");
    return 0;
}

static int serve(const struct config *config, const char *config_path)
{
    static struct daemon daemon; /* large, and there is one */
    struct err err = ERR_INIT;
    int rc = daemon_init(&daemon, config, config_path, &err);

    if (rc == 0)
        rc = daemon_run(&daemon, &err);
    daemon_deinit(&daemon);
    if (rc < 0)
        log_error("%s%s%s", err.message, err.next[0] ? "; " : "", err.next);
    return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct config config; /* holds paths: too large for a stack */
    struct options options = { 0 };
    struct err err = ERR_INIT;
    int rc = parse_options(argc, argv, &options);

    if (rc < 0) {
        (void)fputs("drayd: wrong usage; see drayd --help\n", stderr);
        return 2;
    }
    if (rc > 0)
        return 0;
    rc = read_config(&options, &config, &err);
    log_setup(config.log_level, !options.foreground && sd_booted() > 0);
    if (rc < 0) {
        log_error("%s", err.message);
        return 2;
    }
    if (options.check)
        return check(&config);
    setup_signals();
    return serve(&config,
                 options.config_path ? options.config_path : DRAY_CONFIG);
}
