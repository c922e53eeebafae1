/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Feeds every file of a corpus to a fuzz target, without libFuzzer.
 * usage: replay-TARGET DIRECTORY
 */
#include "fuzz.h"

#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/util.h>

enum {
    INPUT_MAX = 4 * 1024 * 1024
};

static void replay(const char *dir, const char *name)
{
    _cleanup_free_ char *path = str_printf("%s/%s", dir, name);
    _cleanup_free_ char *text = NULL;
    struct err err = ERR_INIT;
    size_t size = 0;

    MUST(path);
    if (file_read(path, INPUT_MAX, &text, &size, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(EXIT_FAILURE);
    }
    /* on stderr at once: the last line names what crashed */
    (void)fprintf(stderr, "%s\n", name);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)text, size);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int n = argc == 2 ? scandir(argv[1], &entries, is_input, alphasort) : -1;

    for (int i = 0; i < n; i++) {
        replay(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    /* A corpus that is not there would test nothing. */
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
