/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Words of the storage port. Those of volumes are the format's own.
 */
#include <dray/format.h>
#include <dray/ports/storage.h>

/* The enums are the same, so that one is cast to the other. */
_Static_assert((int)VOLUME_COW == (int)FORMAT_COW, "kinds");
_Static_assert((int)VOLUME_PREALLOCATED == (int)FORMAT_PREALLOCATED, "types");
_Static_assert((int)VOLUME_INTERNAL == (int)FORMAT_INTERNAL, "roles");
_Static_assert((int)VOLUME_SHARED == (int)FORMAT_SHARED, "roles");
_Static_assert((int)VOLUME_ILLEGAL == (int)FORMAT_ILLEGAL, "legalities");
_Static_assert((int)VOLUME_FAKE == (int)FORMAT_FAKE, "legalities");

const char *volume_format_name(enum volume_format format)
{
    return format_kind_name((enum format_kind)format);
}

const char *volume_allocation_name(enum volume_allocation allocation)
{
    return format_allocation_name((enum format_allocation)allocation);
}

const char *volume_role_name(enum volume_role role)
{
    return format_role_name((enum format_role)role);
}

const char *volume_legality_name(enum volume_legality legality)
{
    return format_legality_name((enum format_legality)legality);
}

const char *domain_status_name(enum domain_status status)
{
    static const char *const names[] = {
        [DOMAIN_LEFT] = "left",
        [DOMAIN_JOINING] = "joining",
        [DOMAIN_JOINED] = "joined",
        [DOMAIN_MISSING] = "missing",
    };
    return names[status];
}
