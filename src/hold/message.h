/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to hold/: what drayd and dray-job say to each other. One message with
 * a JSON object each way, on a connection of its own. A member that is left out
 * is zero, so that a drayd talks to the dray-job of its predecessor.
 */
#ifndef DRAY_HOLD_MESSAGE_H
#define DRAY_HOLD_MESSAGE_H

#include <dray/ports/hold.h>

enum {
    MESSAGE_SIZE = 128 * 1024, /* a note whose bytes all need six, and paths */
    ANSWER_SIZE = 16 * 1024,   /* what is not a request */
    HOLD_SET_NOTHING = -1,
};

enum hold_verb {
    HOLD_LOOK,
    HOLD_TAKE,
    HOLD_COPY,
    HOLD_RESUMABLE,
    HOLD_POLL,
    HOLD_LIMIT,
    HOLD_STOP,
    HOLD_RELEASE,
    HOLD_NOTE,
    HOLD_VERB_COUNT,
};

struct hold_request {
    enum hold_verb verb;
    /* HOLD_TAKE */
    char job_id[UUID_SIZE];
    struct lease_place lease;
    struct lease_place also; /* resource empty: none */
    bool record;
    unsigned generation;
    bool fenced;
    char note[LEASE_NOTE_SIZE]; /* HOLD_NOTE, too */
    char hardware_id[64];
    char qemu_img[PATH_MAX];
    char state_dir[PATH_MAX];
    /* HOLD_COPY, HOLD_RESUMABLE */
    struct copy_spec copy;
    uint64_t bytes_per_s; /* HOLD_LIMIT */
    int status;           /* HOLD_RELEASE: enum xlease_job_status */
};

struct hold_answer {
    int rc; /* 0, an outcome, or negative with err */
    struct err err;
    /* HOLD_ENDED */
    int status;
    unsigned generation;
    /* HOLD_POLL */
    struct copy_progress progress;
};

/* NULL: out of memory. The caller's, as the next two. */
struct hold_request *hold_request_new(enum hold_verb verb);
char *hold_request_text(const struct hold_request *request);
char *hold_answer_text(const struct hold_answer *answer);

/* -EBADMSG: none of these, or a value that does not fit. */
int hold_request_parse(const char *text, size_t size,
                       struct hold_request *ret_request);
int hold_answer_parse(const char *text, size_t size,
                      struct hold_answer *ret_answer);

#endif
