/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which machine this is, as records on shared storage name it: the board's
 * UUID, as VDSM has it; where the firmware gives none, that of the system.
 */
#include "daemon.h"

#include <dray/base/file.h>
#include <dray/base/util.h>
#include <string.h>

enum {
    ID_LINE_SIZE = 128
};

static bool read_line(const char *path, char ret_line[ID_LINE_SIZE])
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    if (file_read(path, ID_LINE_SIZE - 1, &text, &len, NULL) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    for (char *p = text; *p; p++) {
        if (*p >= 'A' && *p <= 'F')
            *p = "abcdef"[*p - 'A'];
    }
    return str_copy(ret_line, ID_LINE_SIZE, text);
}

void hardware_id(char ret_uuid[UUID_SIZE])
{
    char line[ID_LINE_SIZE] = "";
    (void)str_copy(ret_uuid, UUID_SIZE, UUID_BLANK);
    if (read_line("/sys/class/dmi/id/product_uuid", line) &&
        uuid_is_valid(line)) {
        (void)str_copy(ret_uuid, UUID_SIZE, line);
        return;
    }
    char uuid[UUID_SIZE];
    if (read_line("/etc/machine-id", line) && strlen(line) == 32 &&
        str_format(uuid, sizeof(uuid), "%.8s-%.4s-%.4s-%.4s-%s", line, line + 8,
                   line + 12, line + 16, line + 20) &&
        uuid_is_valid(uuid))
        (void)str_copy(ret_uuid, UUID_SIZE, uuid);
}
