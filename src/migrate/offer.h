/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: a VM's move to another host, seen from either side.
 */
#ifndef DRAY_MIGRATE_OFFER_H
#define DRAY_MIGRATE_OFFER_H

#include "migration.h"

enum {
    PEER_PATIENCE_MS = 30000,  /* how long the other host may be silent */
    PEER_POLL_MS = 300,        /* while it works for us */
    PEER_SAY_MS = 10000,       /* then it is said what a person could do */
    PEER_UNDO_MS = 60000,      /* how long we ask it to clean up */
    PEER_LOST_MS = 300 * 1000, /* a VM that was announced comes by then */
};

/* vm-plan.c: the offer that @job is to be made with: also its XML, which the
 * caller frees. */
int offer_of_job(const struct migrate_ports *ports, const struct job *job,
                 struct peer_offer *ret_offer, char **ret_xml, struct err *err);

/* The acts of a kind of job that has its own; NULL: none for this state. */
enum job_outcome send_act(struct migration *m);    /* send.c */
enum job_outcome receive_act(struct migration *m); /* receive.c */

/* send-end.c */
enum job_outcome send_settle(struct migration *m);
enum job_outcome send_release(struct migration *m);
enum job_outcome send_abort(struct migration *m);
enum job_outcome send_remove(struct migration *m);

/* send.c: the other host cannot be asked: waits for it for ever, and says
 * @format once it has lasted. peer_answers() takes that back. */
enum job_outcome peer_silent(struct migration *m, const struct err *err,
                             const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void peer_answers(struct migration *m);

/* send.c: the VM here, and what its move has come to. JOB_OK: *ret_info is
 * valid. */
enum job_outcome send_look(struct migration *m, struct vm_send_info *ret_info);
/* The VM is off here: JOB_LANDED when it is complete there, JOB_OK when
 * nothing of it is there, JOB_AGAIN while that is not known. */
enum job_outcome send_look_there(struct migration *m);

/* release.c */
enum job_outcome release_delete_source(struct disk *d);
enum job_outcome release_keep_source(struct disk *d);
int disk_check_image(const struct disk *d, struct err *err);
/* send-layers.c: what lies below the VM's top layers goes beforehand. JOB_OK:
 * it is all there. */
enum job_outcome send_layers(struct migration *m);
/* send.c: what could not be asked of, or done by, the other host. */
enum job_outcome send_doubt(struct migration *m, const struct err *err);
/* ... and whether the move takes too long. */
enum job_outcome send_check_time(struct migration *m);
/* prepare.c */
struct volume_create prepare_like(const struct disk *d,
                                  const struct volume_info *from);
enum job_outcome prepare_check_absent(struct disk *d);
int prepare_image(struct disk *d, struct err *err);

#endif
