/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * UUIDs are kept as text, as every neighbour writes them. libuuid makes them;
 * it accepts more spellings than the on-disk formats do, so checking is ours.
 */
#include <dray/base/util.h>
#include <uuid/uuid.h>

static bool is_lower_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool uuid_is_valid(const char *s)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    for (size_t i = 0; i < UUID_SIZE - 1; i++) {
        bool fits = shape[i] == '-' ? s[i] == '-' : is_lower_hex(s[i]);
        if (!fits)
            return false; /* also at a NUL: reads nothing behind it */
    }
    return s[UUID_SIZE - 1] == '\0';
}

void uuid_new(char ret_uuid[UUID_SIZE])
{
    uuid_t uuid;
    uuid_generate_random(uuid);
    uuid_unparse_lower(uuid, ret_uuid);
}
