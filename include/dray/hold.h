/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-job, and drayd's side of it: implements ports/hold.h.
 */
#ifndef DRAY_HOLD_H
#define DRAY_HOLD_H

#include <dray/ports/hold.h>

struct holds;

struct holds_options {
    const char *program; /* dray-job */
    const char *run_dir; /* of the sockets */
    const char *qemu_img;
    const char *state_dir; /* of the copies' checkpoints */
    const char *hardware_id;
};

int holds_new(const struct holds_options *options, struct holds **ret_holds,
              struct err *err);
void holds_free(struct holds *holds);
struct hold_port holds_port(struct holds *holds);

#endif
