/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Wires the rooms together: each adapter is built from the configuration, the
 * use cases get their ports, the verbs get the use cases, the socket gets the
 * verbs. Nothing here decides anything.
 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include <dray/base/file.h>
#include <dray/base/log.h>
#include <dray/base/util.h>

static int make_directories(const struct config *config, struct err *err)
{
    int rc = file_make_dir(config->state_dir, 0700, err);

    return rc < 0 ? rc : file_make_dir(config->run_dir, 0755, err);
}

static int open_loop(struct daemon *daemon, struct err *err)
{
    int rc = sd_event_new(&daemon->loop);

    if (rc >= 0)
        rc = sd_event_add_signal(daemon->loop, NULL, SIGTERM, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(daemon->loop, NULL, SIGINT, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_set_watchdog(daemon->loop, true);
    if (rc < 0)
        return err_set(err, rc, "event loop: cannot be set up");
    return work_new(daemon->loop, daemon->config.workers, &daemon->work, err);
}

static int open_storage(struct daemon *daemon, struct err *err)
{
    const struct config *config = &daemon->config;
    const struct leases_options lease_options = {
        .sanlock = config->sanlock,
        .io_timeout_s = config->io_timeout_s,
        .require_watchdog = config->require_watchdog,
        .host_name = config->host_name,
    };
    char machine[UUID_SIZE];
    hardware_id(machine);
    const struct domains_options domain_options = {
        .state_dir = config->state_dir,
        .run_dir = config->run_dir,
        .qemu_img = config->qemu_img,
        .dray_lvm = config->dray_lvm,
        .lvm_command_ms = (int)config->lvm_timeout_s * 1000,
        .owner_uid = config->owner_uid,
        .owner_gid = config->owner_gid,
        .host_id = config->host_id,
        .hardware_id = machine,
        .systemd_run = mounts_through(),
    };
    struct lease_port port;
    int rc = leases_new(&lease_options, &daemon->leases, err);

    if (rc < 0)
        return rc;
    port = leases_port(daemon->leases);
    return domains_new(&domain_options, &port, &daemon->domains, err);
}

static int open_journal(struct daemon *daemon, struct err *err)
{
    _cleanup_free_ char *dir = str_printf("%s/jobs", daemon->config.state_dir);

    if (!dir)
        return err_set(err, -ENOMEM, "journal: out of memory");
    return journal_new(dir, &daemon->journal, err);
}

static int open_peers(struct daemon *daemon, struct err *err)
{
    const struct config *config = &daemon->config;
    const struct rpc_tls_files files = { .ca = config->tls_ca,
                                         .cert = config->tls_cert,
                                         .key = config->tls_key,
                                         .crl = config->tls_crl };

    return peers_new(config->peers, &files, &daemon->peers, err);
}

static int open_managed(struct daemon *daemon, struct err *err)
{
    const struct managed_options options = {
        .state_dir = daemon->config.state_dir,
        .qemu_img = daemon->config.qemu_img,
        .iscsiadm = daemon->config.iscsiadm,
    };

    return managed_new(&options, &daemon->managed, err);
}

static int open_holds(struct daemon *daemon, struct err *err)
{
    char machine[UUID_SIZE];
    const struct holds_options options = {
        .program = daemon->config.dray_job,
        .run_dir = daemon->config.run_dir,
        .qemu_img = daemon->config.qemu_img,
        .state_dir = daemon->config.state_dir,
        .hardware_id = machine,
    };

    hardware_id(machine);
    return holds_new(&options, &daemon->holds, err);
}

static int open_adapters(struct daemon *daemon, struct err *err)
{
    int rc = open_storage(daemon, err);

    if (rc == 0)
        rc = open_journal(daemon, err);
    if (rc == 0)
        rc = copier_new(daemon->config.qemu_img, daemon->config.state_dir,
                        &daemon->copier, err);
    if (rc == 0)
        rc = open_holds(daemon, err);
    if (rc == 0)
        rc = open_managed(daemon, err);
    if (rc == 0)
        rc = virt_new(daemon->config.libvirt_uri, &daemon->virt, err);
    if (rc == 0)
        rc = open_peers(daemon, err);
    return rc;
}

static struct watermark_policy read_policy(const struct config *config)
{
    struct watermark_policy policy = watermark_defaults();

    policy.chunk_bytes = config->chunk_bytes;
    policy.utilization_percent = config->utilization_percent;
    policy.replicate_factor = config->replicate_factor;
    policy.safety_factor = config->safety_factor;
    return policy;
}

static int open_use_cases(struct daemon *daemon, struct err *err)
{
    struct api_options options = {
        .version = DRAY_VERSION,
        .host_id = daemon->config.host_id,
        .host_name = daemon->config.host_name,
        .managed = daemon->managed,
        .migration_wait_s = daemon->config.migration_wait_s,
    };
    int rc;

    daemon->ports = (struct migrate_ports){
        .storage = domains_port(daemon->domains),
        .xleases = domains_xlease_port(daemon->domains),
        .hypervisor = virt_port(daemon->virt),
        .copier = copier_port(daemon->copier),
        .hold = holds_port(daemon->holds),
        .journal = journal_port(daemon->journal),
        .peer = peers_port(daemon->peers),
        .host_name = daemon->config.host_name,
        .host_id = daemon->config.host_id,
        .leases = (enum migrate_leases)daemon->config.job_leases,
        .clock = clock_real(),
        .policy = read_policy(&daemon->config),
        .buffer_bytes = daemon->config.buffer_bytes,
        .converge_limit_s = daemon->config.converge_limit_s,
    };
    rc = thin_start(daemon, &daemon->thin, err);
    if (rc < 0)
        return rc;
    options.monitor = thin_monitor(daemon->thin);
    daemon->ports.watch = monitor_port(options.monitor);
    rc = api_new(daemon->work, &daemon->ports, &options, &daemon->api, err);
    if (rc < 0)
        return rc;
    return migrate_jobs_new(daemon->work, &daemon->ports, api_job_changed,
                            daemon->api, &daemon->jobs, err);
}

/* The socket that systemd holds for us, or our own. */
static int listening_socket(const struct config *config, int *ret_fd,
                            struct err *err)
{
    int n = sd_listen_fds(1);

    if (n < 0)
        return err_set(err, n, "socket activation: bad environment");
    if (n > 1)
        return err_set(err, -EINVAL,
                       "socket activation: %d sockets given, 1 expected", n);
    if (n == 0)
        return rpc_listen(config->socket_path, config->full_gid, ret_fd, err);
    if (sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
        return err_set(err, -EINVAL,
                       "socket activation: not a listening unix socket");
    *ret_fd = SD_LISTEN_FDS_START;
    return 0;
}

static int open_server(struct daemon *daemon, struct err *err)
{
    const struct rpc_access access = {
        .full_gid = daemon->config.full_gid,
        .read_gid = daemon->config.read_gid,
    };
    const struct rpc_handler handler = api_handler(daemon->api);
    int fd = -1;
    int rc = listening_socket(&daemon->config, &fd, err);

    if (rc < 0)
        return rc;
    return rpc_server_new(daemon->loop, fd, &access, &handler, &daemon->server,
                          err);
}

int daemon_init(struct daemon *daemon, const struct config *config,
                const char *config_path, struct err *err)
{
    int rc;

    *daemon = (struct daemon){ .config = *config, .config_path = config_path };
    rc = make_directories(config, err);
    if (rc == 0)
        rc = open_loop(daemon, err);
    if (rc == 0)
        rc = open_adapters(daemon, err);
    if (rc == 0)
        rc = open_use_cases(daemon, err);
    if (rc == 0)
        rc = open_server(daemon, err);
    if (rc == 0)
        rc = daemon_open_tls(daemon, err);
    if (rc == 0)
        rc = recovery_start(daemon, &daemon->recovery, err);
    return rc;
}

int daemon_run(struct daemon *daemon, struct err *err)
{
    int rc = sd_event_loop(daemon->loop);

    (void)sd_notify(0, "STOPPING=1"); /* nobody listens: fine */
    log_info("stopping; running mirrors go on and are taken over at the next "
             "start");
    return rc < 0 ? err_set(err, rc, "event loop: failed") : 0;
}

/* Requests end first, then what they use, the workers before the adapters that
 * running steps still call. */
void daemon_deinit(struct daemon *daemon)
{
    rpc_server_free(daemon->server);
    if (daemon->virt) {
        struct hypervisor_port port = virt_port(daemon->virt);

        port.ops->set_hint(port.ctx, NULL, NULL);
    }
    thin_quiet(daemon->thin);
    work_free(daemon->work);
    thin_free(daemon->thin);
    recovery_free(daemon->recovery);
    migrate_jobs_free(daemon->jobs);
    api_free(daemon->api);
    peers_free(daemon->peers);
    virt_free(daemon->virt);
    copier_free(daemon->copier);
    holds_free(daemon->holds);
    managed_free(daemon->managed);
    journal_free(daemon->journal);
    domains_free(daemon->domains);
    leases_free(daemon->leases);
    sd_event_unref(daemon->loop);
}
