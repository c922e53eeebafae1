/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: what client and dray-lvm say to each other, one JSON object
 * per line. First the setup, then requests one way and answers the other.
 */
#ifndef DRAY_LVM_MESSAGE_H
#define DRAY_LVM_MESSAGE_H

#include <dray/lvm.h>

struct json_object;

enum {
    MESSAGE_MAX = 4 * 1024 * 1024, /* a line; reports of thousands of LVs */
    MESSAGE_NAMES_MAX = 1024,      /* LVs or tags in one request */
};

/* The whole of @line as one object, NULL when it is none. */
struct json_object *message_parse(const char *line, size_t size);

/* In the order in which waiting requests are served. */
enum lvm_verb {
    VERB_EXTEND,
    VERB_REFRESH,
    VERB_ACTIVATE,
    VERB_TAG,
    VERB_HOLD, /* answered when the lease is kept */
    VERB_CREATE,
    VERB_REDUCE,
    VERB_REMOVE,
    VERB_GROW, /* the VG by a PV */
    VERB_DEACTIVATE,
    VERB_REPORT,
    VERB_LET_GO, /* does not wait and is not answered */
    VERB_COUNT,
};

struct lvm_request {
    uint64_t id;
    enum lvm_verb verb;
    int64_t deadline_ms;
    uint64_t size_bytes;
    bool held;          /* by the one whose hold this is */
    unsigned what;      /* enum lvm_what */
    const char *device; /* may be NULL */
    struct lvm_names lvs;
    struct lvm_names add;
    struct lvm_names remove;
    struct json_object *json; /* of a parsed one: owns the strings */
};

/* Whether it changes metadata. */
bool verb_needs_lease(enum lvm_verb verb);
const char *verb_name(enum lvm_verb verb);

/* NULL when out of memory. The line has no end. */
char *request_text(const struct lvm_request *request);

/* Everything in it is checked: names and tags are such that a command line can
 * be made of them. -EBADMSG. Release with request_deinit(). */
int request_parse(const char *line, size_t size,
                  struct lvm_request *ret_request, struct err *err);
void request_deinit(struct lvm_request *request);

/* Names of LVs and VGs, tags, paths of devices, as far as we use them. */
bool name_is_valid(const char *name);
bool tag_is_valid(const char *tag);
bool device_is_valid(const char *path);

struct lvm_answer {
    uint64_t id;
    struct err err; /* rc 0: done */
    uint64_t size_bytes;
    struct json_object *reports; /* array of LVM's own; NULL: none */
};

char *answer_text(const struct lvm_answer *answer);
int lvm_answer_parse(const char *line, size_t size,
                     struct lvm_answer *ret_answer, struct err *err);
void answer_deinit(struct lvm_answer *answer);

/* What dray-lvm is told first. */
struct lvm_setup {
    const char *vg;
    const char *dir; /* its own: lvm.conf is written there */
    int command_ms;
    bool has_lease;
    struct lease_place lease;
    struct lvm_names devices;
    struct json_object *json;
};

char *setup_text(const struct lvm_setup *setup);
int setup_parse(const char *line, size_t size, struct lvm_setup *ret_setup,
                struct err *err);
void setup_deinit(struct lvm_setup *setup);

#endif
