/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The daemon's parts and how they are wired. Everything here lives on the
 * owner loop.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <dray/api.h>
#include <dray/config.h>
#include <dray/copy.h>
#include <dray/domain.h>
#include <dray/hold.h>
#include <dray/journal.h>
#include <dray/lease.h>
#include <dray/managed.h>
#include <dray/migrate.h>
#include <dray/monitor.h>
#include <dray/peer.h>
#include <dray/rpc/server.h>
#include <dray/rpc/tls.h>
#include <dray/virt.h>
#include <dray/work.h>

struct sd_event;
struct recovery;
struct thin;

struct daemon {
    struct config config;
    const char *config_path; /* to read it again */
    struct sd_event *loop;
    struct work *work;
    struct leases *leases;
    struct domains *domains;
    struct virt *virt;
    struct peers *peers;
    struct copier *copier;
    struct holds *holds;
    struct managed *managed;
    struct journal *journal;
    struct thin *thin;
    struct migrate_ports ports;
    struct migrate_jobs *jobs;
    struct api *api;
    struct rpc_server *server;
    struct recovery *recovery;
    bool tls_open; /* config.tls_listen, tls_port: where */
};

/* Builds all parts in order of need. On failure daemon_deinit() cleans up what
 * is there. */
int daemon_init(struct daemon *daemon, const struct config *config,
                const char *config_path, struct err *err);
/* Serves until SIGTERM or SIGINT. Running mirrors are left alone. */
int daemon_run(struct daemon *daemon, struct err *err);
void daemon_deinit(struct daemon *daemon);

/* The watch over thin disks; what it tells is logged and goes to the API, on
 * the owner loop. thin_quiet() is the end of that, before work_free(). */
int thin_start(struct daemon *daemon, struct thin **ret_thin, struct err *err);
struct monitor *thin_monitor(struct thin *thin);
void thin_quiet(struct thin *thin);
void thin_free(struct thin *thin);

/* The TLS listener, when there is to be one, and SIGHUP. When the certificates
 * do not load, or the address is taken, that is logged and SIGHUP tries again:
 * drayd's jobs do not wait for it. */
int daemon_open_tls(struct daemon *daemon, struct err *err);

/* For --check: what the settings say about certificates holds. Prints a line
 * when there is TLS. */
int daemon_check_tls(const struct config *config, struct err *err);

/* This machine's UUID; UUID_BLANK: nobody knows. */
void hardware_id(char ret_uuid[UUID_SIZE]);

/* The program that runs others in the host's mount namespace; NULL: ours is
 * that. */
const char *mounts_through(void);

/* The machine's clocks. */
struct clock_port clock_real(void);

/* Reads the journal, joins the domains that were joined before, hands the
 * unfinished jobs over, and then lets requests in. Jobs that may have a VM
 * suspended go first and wait for nothing. Goes on joining domains that are
 * missing, for as long as the daemon lives. */
int recovery_start(struct daemon *daemon, struct recovery **ret_recovery,
                   struct err *err);
void recovery_free(struct recovery *recovery);

#endif
