/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A command's words: options anywhere between them, "--name value" or
 * "--name=value", "--" ends the options. Pure.
 */
#ifndef DRAY_CLI_ARGS_H
#define DRAY_CLI_ARGS_H

#include <dray/base/err.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    ARGS_WORDS_MAX = 33 /* a domain and its devices */
};

/* Either a flag or a value is set. Tables end with a NULL name. */
struct args_option {
    const char *name; /* "--limit" */
    bool *flag;
    const char **value;
};

struct args {
    size_t n;
    const char *words[ARGS_WORDS_MAX]; /* borrowed from argv; rest NULL */
};

/* At least @min words, at most @max. -EINVAL says what is wrong. */
int args_parse(const char *const *argv, const struct args_option *options,
               size_t min, size_t max, struct args *ret_args, struct err *err);

#endif
