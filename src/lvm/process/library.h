/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to dray-lvm: LVM as a library that stays warm.
 */
#ifndef DRAY_LVM_PROCESS_LIBRARY_H
#define DRAY_LVM_PROCESS_LIBRARY_H

#include <dray/base/err.h>

struct library {
    void *handle;
    int out_fd;  /* what stdout is now: a file in memory */
    int err_fd;  /* the same for stderr */
    int told_fd; /* what stderr was */
};

/* From here on stdout and stderr of the process are LVM's. */
int library_init(struct library *library, const char *dir, struct err *err);
void library_deinit(struct library *library);

/* One command; *ret_out is what it printed, the caller's. */
int library_run(struct library *library, const char *command, char **ret_out,
                struct err *err);

#endif
