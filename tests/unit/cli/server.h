/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A daemon that follows a script: it answers each request with the script's
 * next line and remembers what was asked.
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <stddef.h>

/* Things that the scripts name. */
#define SD  "11111111-2222-3333-4444-555555555555"
#define IMG "aaaaaaaa-2222-3333-4444-555555555555"
#define VOL "bbbbbbbb-2222-3333-4444-555555555555"
#define JOB "cccccccc-2222-3333-4444-555555555555"
#define VM  "dddddddd-2222-3333-4444-555555555555"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NOTHING    ((const char *const[]){ NULL })

/* Domain "a" once, "twice" twice. */
#define DOMAINS                                                                \
    "[{\"uuid\":\"" SD                                                         \
    "\",\"name\":\"a\",\"path\":\"/srv/a\",\"type\":\"POSIXFS\","              \
    "\"status\":\"joined\"},"                                                  \
    "{\"uuid\":\"" IMG "\",\"name\":\"twice\",\"path\":\"/srv/b\","            \
    "\"type\":\"NFS\",\"status\":\"missing\",\"problem\":\"not mounted\"},"    \
    "{\"uuid\":\"" VOL "\",\"name\":\"twice\",\"type\":\"POSIXFS\"}]"

enum {
    RUN_TEXT_SIZE = 16384
};

/* What one run of drayctl did. */
struct run {
    int exit;
    char asked[RUN_TEXT_SIZE]; /* a line "Method {params}" per request */
    char out[RUN_TEXT_SIZE];
    char err[RUN_TEXT_SIZE];
};

/* Runs drayctl with the words in @argv (NULL-terminated; --socket is put
 * before them) against @script (NULL-terminated):
 *
 *   JSON           becomes the result
 *   "!" JSON       becomes the error
 *   "hang up"      closes the connection without an answer
 *   "interrupt"    sends SIGINT to the program, then the next line follows
 *
 * All of the script must have been used. The result is valid until the next
 * call. */
const struct run *run_drayctl(const char *const *script,
                              const char *const *argv);

void assert_has(const char *text, const char *part);
unsigned count_lines(const char *text);
/* Of stderr: one error. */
void assert_one_line(const char *text);

#endif
