/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The API behind a real socket, on the fake world: server, loop, one worker,
 * job table.
 */
#ifndef TESTS_API_HARNESS_H
#define TESTS_API_HARNESS_H

#include "../../fakes/fake-world.h"

#include <dray/api.h>
#include <dray/work.h>
#include <json-c/json.h>
#include <systemd/sd-event.h>

struct harness {
    struct fake_world world;
    sd_event *loop;
    struct work *work;
    struct api *api;
    struct migrate_jobs *jobs;
    struct rpc_server *server;
    char dir[64];
    char path[128];
    char bytes[1 << 20]; /* received, not yet taken */
    size_t len;
    void (*change)(struct fake_world *);
    int fd; /* the client that harness_call() uses */
};

#define WORLD_VM  "11111111-1111-4111-8111-111111111111"
#define WORLD_SRC "22222222-2222-4222-8222-222222222222"
#define WORLD_DST "33333333-3333-4333-8333-333333333333"
#define WORLD_IMG "44444444-4444-4444-8444-444444444444"
#define WORLD_VOL "55555555-5555-4555-8555-555555555550"
#define WORLD_JOB "66666666-6666-4666-8666-666666666666"

/* The world's time passes while the loop runs, twenty times as fast. */
void harness_tick(struct harness *h);
/* Changes the world where it lives: on the worker. Waits for it. */
void harness_change(struct harness *h, void (*change)(struct fake_world *));

struct harness *harness_new(void);
/* The same with a watch over thin disks. */
struct harness *harness_new_watched(struct monitor *monitor);
void harness_free(struct harness *h);
/* For cmocka: a harness that is ready, its time running; and its end, which
 * fails when a rule of the world was broken. */
int harness_setup(void **state);
int harness_teardown(void **state);

int harness_connect(const struct harness *h);
void harness_send(struct harness *h, int fd, const char *text);
/* The next line from @fd, waited for; NULL after @ms or at the end. The
 * caller puts it. */
struct json_object *harness_next(struct harness *h, int fd, int ms);
/* Runs the loop for a while. */
void harness_run_for(struct harness *h, int ms);

/* One request on the harness' own connection; @params is JSON or NULL. */
struct json_object *harness_call(struct harness *h, const char *method,
                                 const char *params);
/* The same, when only the error's code is of interest; 0: a result. */
int harness_code(struct harness *h, const char *method, const char *params);
/* The same, when only the result is: as text, for comparing. Freed. */
char *harness_result(struct harness *h, const char *method, const char *params);

/* Fails the test unless the member of @answer, or of the answer to this call,
 * is @text. */
void harness_check(struct json_object *answer, const char *path,
                   const char *text);
void harness_expect(struct harness *h, const char *method, const char *params,
                    const char *path, const char *text);

/* "error.data.cause" -> the member; NULL when there is none. */
struct json_object *harness_at(struct json_object *value, const char *path);
const char *harness_text(struct json_object *value, const char *path);

#endif
