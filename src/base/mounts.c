/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS",
 * one blank between two words, blanks within a word as \040.
 */
#include <dray/base/mounts.h>
#include <dray/base/util.h>
#include <string.h>

enum {
    WORDS_BEFORE_POINT = 4
};

/* Undoes the spelling of blanks and the like: \040. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 +
                         (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* At the end of a line there are only empty words. */
static void take_word(const char **at, char *ret_word, size_t size)
{
    size_t len = strcspn(*at, " \n");
    (void)str_format(ret_word, size, "%.*s", (int)len, *at);
    unescape(ret_word);
    *at += len;
    *at += **at == ' ';
}

bool mounts_next(const char **text, struct mount_entry *ret_entry)
{
    const char *at = *text;
    if (!*at)
        return false;
    char word[MOUNT_TYPE_SIZE] = "";
    for (int i = 0; i < WORDS_BEFORE_POINT; i++)
        take_word(&at, word, sizeof(word));
    take_word(&at, ret_entry->point, sizeof(ret_entry->point));
    do {
        take_word(&at, word, sizeof(word));
    } while (*at && *at != '\n' && !str_equal(word, "-"));
    take_word(&at, ret_entry->type, sizeof(ret_entry->type));
    take_word(&at, ret_entry->source, sizeof(ret_entry->source));
    at += strcspn(at, "\n");
    *text = at + (*at == '\n');
    return true;
}
