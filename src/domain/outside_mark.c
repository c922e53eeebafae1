/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A file outside of domains that one host made and another one shall remove.
 * Its path is no proof: there may be another file system there, or another file
 * by now. Its inode and its birth, to the nanosecond, are.
 */
#include "ledger.h"
#include "ops.h"
#include "outside_place.h"
#include <fcntl.h>
#include <string.h>

static bool write_mark(const struct ledger_entry *entry,
                       char ret_mark[OUTSIDE_MARK_SIZE])
{
    return entry->born_ns != 0 &&
           str_format(ret_mark, OUTSIDE_MARK_SIZE, "%llx.%llx",
                      (unsigned long long)entry->inode,
                      (unsigned long long)entry->born_ns);
}

int domain_outside_mark(void *ctx, const char *place,
                        char ret_mark[OUTSIDE_MARK_SIZE], struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct ledger_entry entry;
    char mark[OUTSIDE_MARK_SIZE] = "";
    int rc = outside_place_open(ctx, place, &found, err);
    if (rc == 0 && found.kind == OUTSIDE_FILE)
        rc = domain_ledger_find(ctx, found.path, &entry, err);
    else if (rc == 0)
        rc = DOMAIN_NONE; /* nothing that was made */
    if (rc < 0)
        return rc;
    if (rc == 0 && !write_mark(&entry, mark))
        mark[0] = '\0';
    memcpy(ret_mark, mark, sizeof(mark));
    return 0;
}

/* 0 or OUTSIDE_OTHER. */
static int compare(const struct outside_place *place, const char *mark,
                   struct ledger_entry *ret_entry, struct err *err)
{
    _cleanup_close_ int fd = -1;
    char found[OUTSIDE_MARK_SIZE];
    int rc = domain_file_open(&place->dir, place->name, O_RDONLY, &fd, err);
    if (rc != 0)
        return rc == DOMAIN_NONE ? OUTSIDE_OTHER : rc;
    if (domain_ledger_entry(fd, place->path, ret_entry) < 0)
        return domain_fail(err, ERR_VOLUME_ACCESS, "stat", &place->dir,
                           place->name);
    return write_mark(ret_entry, found) && str_equal(found, mark)
               ? 0
               : OUTSIDE_OTHER;
}

int domain_outside_claim(void *ctx, const char *place, const char *mark,
                         struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct ledger_entry entry;
    int rc = outside_place_open(ctx, place, &found, err);
    if (rc < 0)
        return rc;
    if (rc == DOMAIN_NONE || found.kind != OUTSIDE_FILE)
        return OUTSIDE_OTHER;
    rc = compare(&found, mark, &entry, err);
    return rc != 0 ? rc : domain_ledger_put(ctx, &entry, err);
}
