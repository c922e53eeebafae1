/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The PV map in a block domain's metadata: which device has which extents of
 * the VG. LVM knows better; VDSM keeps it up to date all the same.
 */
#include "text.h"
#include <dray/format/block.h>
#include <inttypes.h>
#include <string.h>

bool format_pv_text(const struct format_pv *pv, char *ret_text, size_t size)
{
    return str_format(ret_text, size,
                      "pv:%s,uuid:%s,pestart:0,pecount:%" PRIu64
                      ",mapoffset:%" PRIu64,
                      pv->name, pv->uuid, pv->extents, pv->first_extent);
}

/* "key:value," at *text -> its value; moves on. */
static bool take_part(const char **text, const char *key, char *ret_value,
                      size_t size)
{
    size_t key_len = strlen(key);
    const char *value = *text + key_len + 1;
    if (strncmp(*text, key, key_len) != 0 || (*text)[key_len] != ':')
        return false;
    size_t len = strcspn(value, ",");
    if (len == 0 || len >= size)
        return false;
    memcpy(ret_value, value, len);
    ret_value[len] = '\0';
    *text = value + len + (value[len] == ',');
    return true;
}

static bool take_number(const char **text, const char *key,
                        uint64_t *ret_number)
{
    char digits[32];
    return take_part(text, key, digits, sizeof(digits)) &&
           str_to_u64(digits, ret_number) == 0;
}

int format_pv_parse(const char *text, struct format_pv *ret_pv, struct err *err)
{
    struct format_pv pv;
    uint64_t start = 0;
    const char *rest = text;
    if (!take_part(&rest, "pv", pv.name, sizeof(pv.name)) ||
        !take_part(&rest, "uuid", pv.uuid, sizeof(pv.uuid)) ||
        !take_number(&rest, "pestart", &start) ||
        !take_number(&rest, "pecount", &pv.extents) ||
        !take_number(&rest, "mapoffset", &pv.first_extent) || *rest)
        return err_set_code(err, ERR_METADATA_VALIDATION,
                            "\"%.64s\" is no entry of a PV map", text);
    *ret_pv = pv;
    return 0;
}
