/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Parses a command's words. Not getopt: that keeps its state in globals, stops
 * at nothing else, and prints on its own.
 */
#include "args.h"
#include <dray/base/util.h>
#include <errno.h>
#include <string.h>

/* Matches "--name" and "--name="; *ret_value is behind the "=", or NULL. */
static const struct args_option *find(const struct args_option *options,
                                      const char *word, const char **ret_value)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    for (; options && options->name; options++) {
        if (strlen(options->name) != len ||
            strncmp(options->name, word, len) != 0)
            continue;
        *ret_value = equals ? equals + 1 : NULL;
        return options;
    }
    return NULL;
}

/* Returns how many words of argv it took. */
static int take_option(const struct args_option *options,
                       const char *const *argv, struct err *err)
{
    const char *value = NULL;
    const struct args_option *option = find(options, argv[0], &value);
    if (!option)
        return err_set(err, -EINVAL, "%s: no such option here", argv[0]);
    if (option->flag) {
        if (value)
            return err_set(err, -EINVAL, "%s: takes no value", option->name);
        *option->flag = true;
        return 1;
    }
    *option->value = value ? value : argv[1];
    if (!*option->value)
        return err_set(err, -EINVAL, "%s: its value is missing", option->name);
    return value ? 1 : 2;
}

static int take_word(struct args *args, const char *word, size_t max,
                     struct err *err)
{
    if (args->n >= max || args->n >= ARGS_WORDS_MAX)
        return err_set(err, -EINVAL, "%s: one word too many", word);
    args->words[args->n++] = word;
    return 0;
}

int args_parse(const char *const *argv, const struct args_option *options,
               size_t min, size_t max, struct args *ret_args, struct err *err)
{
    struct args args = { 0 };
    bool only_words = false;
    while (*argv) {
        int taken = 1;
        if (!only_words && str_equal(*argv, "--"))
            only_words = true;
        else if (!only_words && argv[0][0] == '-' && argv[0][1])
            taken = take_option(options, argv, err);
        else if (take_word(&args, *argv, max, err))
            taken = -EINVAL;
        if (taken < 0)
            return taken;
        argv += taken;
    }
    if (args.n < min)
        return err_set(err, -EINVAL, "something is missing");
    *ret_args = args;
    return 0;
}
