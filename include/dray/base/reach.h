/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Questions about files on file systems that may not answer, as that of a
 * server that is gone. Each is asked on a thread of its own, so that nobody
 * waits for it for long; and what is known to keep one waiting is not asked
 * again until it has answered.
 */
#ifndef DRAY_BASE_REACH_H
#define DRAY_BASE_REACH_H

#include <limits.h>
#include <stdbool.h>

struct reach;

enum {
    REACH_MS = 500,       /* patience with storage that should answer at once */
    REACH_SURE_MS = 5000, /* so long it is perhaps only slow: no proof */
    REACH_TEXT_SIZE = 1024,
    REACH_HANGS = 1, /* an outcome: its file system does not answer */
};

int reach_new(int patience_ms, struct reach **ret_reach); /* 0 or -errno */
/* What still hangs keeps what it needs, until it does not. */
void reach_free(struct reach *reach);

/* realpath() of an absolute @path: 0 or -errno. REACH_HANGS: *ret_real is the
 * name with its links followed up to what does not answer. Any thread. */
int reach_real(struct reach *reach, const char *path, char ret_real[PATH_MAX]);

/* Puts what @fn finds in the file @path, which is real, into ret_text: empty
 * before, and for a file that is not there. @fn may run on after the answer. */
typedef void (*reach_fn)(const char *path, char ret_text[REACH_TEXT_SIZE]);
/* 0, REACH_HANGS or -errno. */
int reach_read(struct reach *reach, const char *path, reach_fn fn,
               char ret_text[REACH_TEXT_SIZE]);

/* Waits until each storage that hangs has answered or hung for REACH_SURE_MS.
 * True: it had to wait, so what was asked meanwhile may be asked again. */
bool reach_settle(struct reach *reach);

#endif
