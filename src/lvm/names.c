/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which words may go into a command line for LVM. It splits at blanks and knows
 * quotes, so a word has none of them and cannot look like an option.
 */
#include "message.h"

#include <dray/base/util.h>
#include <string.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+."

static bool is_made_of(const char *word, const char *characters, size_t max)
{
    size_t len = strlen(word);
    return len > 0 && len <= max && word[0] != '-' &&
           strspn(word, characters) == len;
}

bool name_is_valid(const char *name)
{
    return is_made_of(name, WORD "-", LVM_NAME_SIZE - 1) && name[0] != '.';
}

bool tag_is_valid(const char *tag)
{
    return is_made_of(tag, WORD "-/=!:&#", LVM_TAG_MAX);
}

bool device_is_valid(const char *path)
{
    /* multipath names have colons and the like; a filter is a regular
     * expression, in which settings.c quotes what is special */
    return str_starts_with(path, "/dev/") &&
           is_made_of(path, WORD "-/:@=,", LVM_NAME_SIZE - 1);
}
