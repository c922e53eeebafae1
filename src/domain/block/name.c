/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of LVs in the kernel.
 */
#include "name.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static char *escape(const char *name, char *end)
{
    for (; *name; name++) {
        if (*name == '-')
            *end++ = '-';
        *end++ = *name;
    }
    return end;
}

void block_name_make(const struct volume_id *id, char ret_name[BLOCK_NAME_SIZE])
{
    char *end = escape(id->sd, ret_name);
    *end++ = '-';
    end = escape(id->vol, end);
    *end = '\0';
}

/* Up to a single dash or the end; false when it is no UUID. */
static bool take(const char **name, char ret_uuid[UUID_SIZE])
{
    char uuid[UUID_SIZE] = "";
    const char *p = *name;
    size_t n = 0;
    while (*p && n < UUID_SIZE - 1 && (p[0] != '-' || p[1] == '-')) {
        p += *p == '-' ? 2 : 1;
        uuid[n++] = p[-1];
    }
    *name = p;
    if (!uuid_is_valid(uuid))
        return false;
    memcpy(ret_uuid, uuid, sizeof(uuid));
    return true;
}

bool block_name_parse(const char *name, struct volume_id *ret_id)
{
    struct volume_id id = { 0 };
    if (!take(&name, id.sd) || *name++ != '-' || !take(&name, id.vol) || *name)
        return false;
    *ret_id = id;
    return true;
}

bool block_name_of(const char *device, struct volume_id *ret_id)
{
    char path[64];
    char name[BLOCK_NAME_SIZE];
    struct stat st;
    if (stat(device, &st) < 0 || !S_ISBLK(st.st_mode))
        return false;
    (void)str_format(path, sizeof(path), "/sys/dev/block/%u:%u/dm/name",
                     major(st.st_rdev), minor(st.st_rdev));
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
    if (n <= 0)
        return false;
    name[n] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return block_name_parse(name, ret_id);
}
