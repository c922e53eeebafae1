/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Moves the bytes of one frozen volume, or compares them with their copy:
 * implements ports/copier.h. Same format: blocks are shared where the file
 * system can, moved by the storage server where it can, else read and written
 * with direct I/O; holes are kept. Format change: qemu-img convert.
 *
 * A copy of the same format that was cut off goes on at its checkpoint. A
 * conversion starts again from the beginning: by itself when something else
 * kills qemu-img, by the caller's start() in a later life of the daemon.
 */
#ifndef DRAY_COPY_H
#define DRAY_COPY_H

#include <dray/ports/copier.h>

struct copier;

/* Whoever may lose the right to write while a copy runs. */
struct copier_guard {
    /* Asked before each write, from any thread; false: never again. */
    bool (*may_write)(void *arg);
    void *arg;
    int fd; /* stays open in the tools that write, too; 0: none */
};

/* Checkpoints go to @state_dir/copies, which is made if missing; NULL or empty:
 * there are none. */
int copier_new(const char *qemu_img, const char *state_dir,
               struct copier **ret_copier, struct err *err);
/* Before the first copy. @guard must outlive the copier. */
void copier_set_guard(struct copier *copier, const struct copier_guard *guard);
void copier_free(struct copier *copier);
struct copier_port copier_port(struct copier *copier);

#endif
