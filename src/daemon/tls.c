/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The TLS listener's life: opened at the start, its certificates and roles
 * renewed by SIGHUP. What goes wrong here is logged and changes nothing: the
 * hosts' certificates must not decide whether this host's jobs go on.
 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include <dray/base/log.h>
#include <dray/base/util.h>

static struct rpc_tls_options tls_options(const struct config *config)
{
    return (struct rpc_tls_options){
        .files = {.ca = config->tls_ca,
                  .cert = config->tls_cert,
                  .key = config->tls_key,
                  .crl = config->tls_crl},
        .roles = config->tls_roles,
    };
}

int daemon_check_tls(const struct config *config, struct err *err)
{
    const struct rpc_tls_options options = tls_options(config);
    char text[RPC_TLS_TEXT_SIZE];

    if (!config->tls_listen[0])
        return 0;
    if (rpc_tls_check(&options.files, text, err) < 0)
        return err_wrap(err, "[tls]");
    (void)printf("drayd: TLS on %s port %u: %s\n", config->tls_listen,
                 config->tls_port, text);
    return 0;
}

static int open_listener(struct daemon *daemon, const struct config *config,
                         struct err *err)
{
    const struct rpc_tls_options options = tls_options(config);
    _cleanup_close_ int fd = -1;
    int rc = rpc_tls_listen(config->tls_listen, config->tls_port, &fd, err);

    if (rc == 0)
        rc = rpc_tls_open(daemon->server, fd, &options, err);
    if (rc < 0)
        return rc;
    fd = -1; /* the server's */
    daemon->tls_open = true;
    (void)str_copy(daemon->config.tls_listen, sizeof(config->tls_listen),
                   config->tls_listen);
    daemon->config.tls_port = config->tls_port;
    return 0;
}

static int renew(struct daemon *daemon, const struct config *config,
                 struct err *err)
{
    const struct rpc_tls_options options = tls_options(config);

    if (!str_equal(config->tls_listen, daemon->config.tls_listen) ||
        config->tls_port != daemon->config.tls_port)
        log_warning("TLS: still listens on %s port %u: [tls] listen and port "
                    "change with a restart",
                    daemon->config.tls_listen, daemon->config.tls_port);
    return rpc_tls_reload(daemon->server, &options, err);
}

static void use(struct daemon *daemon, const struct config *config)
{
    struct err err = ERR_INIT;
    char text[RPC_TLS_TEXT_SIZE];
    int rc = 0;

    if (daemon->tls_open)
        rc = renew(daemon, config, &err);
    else if (config->tls_listen[0])
        rc = open_listener(daemon, config, &err);
    if (rc < 0)
        log_error("TLS: %s%s%s; %s", err.message, err.next[0] ? "; " : "",
                  err.next,
                  daemon->tls_open ? "the old certificates and roles stay"
                                   : "drayd works without, and tries again "
                                     "on SIGHUP");
    else if (daemon->tls_open)
        log_info("TLS: listens on %s port %u as %s", daemon->config.tls_listen,
                 daemon->config.tls_port,
                 rpc_tls_describe(daemon->server, text));
}

static void reload(struct daemon *daemon)
{
    struct err err = ERR_INIT;
    _cleanup_free_ struct config *config = malloc(sizeof(*config));

    if (!config)
        (void)err_set(&err, -ENOMEM, "no memory for settings");
    else if (config_load(daemon->config_path, config, &err) == 0)
        use(daemon, config);
    if (err.rc)
        log_error("%s; the old settings stay", err.message);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si,
                     void *arg)
{
    (void)source;
    (void)si;
    reload(arg);
    return 0;
}

int daemon_open_tls(struct daemon *daemon, struct err *err)
{
    int rc = sd_event_add_signal(daemon->loop, NULL, SIGHUP, on_hangup, daemon);

    if (rc < 0)
        return err_set(err, rc, "event loop: cannot take SIGHUP");
    use(daemon, &daemon->config);
    return 0;
}
