/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What is at a place outside of domains.
 */
#include "data.h"
#include "ops.h"
#include "outside_place.h"
#include "report.h"
#include "tool.h"
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

enum {
    NETWORK_WAIT_MS = 10 * 1000
};

/* --- the network --- */

/* Whoever asks for a server that does not answer must not wait for ever. */
static int ask(const struct domains *domains, const char *uri,
               const char *format, struct exec_result *result, struct err *err)
{
    const char *argv[] = { domains->qemu_img,
                           "info",
                           "-U",
                           "--output=json",
                           "-f",
                           format,
                           uri,
                           NULL };
    const struct exec_options options = {
        .deadline_ms = time_now_ms() + NETWORK_WAIT_MS,
        .max_cpu_s = TOOL_CPU_S,
        .max_mem = TOOL_MEMORY,
    };
    struct err own = ERR_INIT;
    int rc = exec_check(argv, &options, result, &own);
    if (rc == 0)
        return 0;
    bool late = time_now_ms() >= options.deadline_ms;
    if (late)
        (void)err_set_code(err, ERR_NOT_RESPONDING,
                           "%s does not answer within %d s", uri,
                           NETWORK_WAIT_MS / 1000);
    else
        (void)err_set_code(err, ERR_STORAGE, "%s: %s", uri, own.message);
    (void)err_next(err, "does its server run, and does it export that name?");
    return late ? err_code_errno(ERR_NOT_RESPONDING) : rc;
}

static int look_at_network(const struct domains *domains, const char *uri,
                           enum volume_format format, struct outside_info *info,
                           struct err *err)
{
    struct exec_result result = { 0 };
    struct domain_report report;
    int rc =
        ask(domains, uri, format == VOLUME_COW ? "qcow2" : "raw", &result, err);
    if (rc == 0)
        rc = domain_report_info(result.out, &report, err);
    exec_result_deinit(&result);
    if (rc != 0)
        return rc;
    free(report.bitmaps);
    info->exists = true;
    info->network = true;
    info->capacity = report.chained ? 0 : report.virtual_size;
    info->bytes = report.virtual_size;
    info->true_bytes = report.actual_size == UINT64_MAX ? report.virtual_size
                                                        : report.actual_size;
    return 0;
}

/* --- paths --- */

/* Its contents say so, or its size. */
static uint64_t capacity_of(int fd, enum volume_format format, uint64_t bytes)
{
    struct format_qcow2 header;
    if (format == VOLUME_RAW)
        return bytes;
    return domain_data_read_header(fd, &header, NULL) == 0 &&
                   !header.backing[0] && !header.backing_image[0]
               ? header.virtual_size
               : 0;
}

static int look_at_device(const struct outside_place *place,
                          enum volume_format format, struct outside_info *info,
                          struct err *err)
{
    _cleanup_close_ int fd = -1;
    uint64_t bytes = 0;
    int rc = outside_place_open_device(place, O_RDONLY, &fd, &bytes, err);
    if (rc < 0)
        return rc;
    info->exists = true;
    info->capacity = capacity_of(fd, format, bytes);
    info->block = true;
    info->bytes = bytes;
    info->true_bytes = bytes;
    return 0;
}

static int look_at_file(const struct outside_place *place,
                        enum volume_format format, struct outside_info *info,
                        struct err *err)
{
    struct statvfs fs;
    if (fstatvfs(place->dir.fd, &fs) < 0)
        return domain_fail(err, ERR_STORAGE, "stat", &place->dir, NULL);
    info->free_bytes = (uint64_t)fs.f_frsize * fs.f_bavail;
    char temporary[NAME_MAX + 1];
    info->exists = place->kind == OUTSIDE_FILE;
    if (!info->exists) /* it may be about to be made */
        return outside_place_temporary(place, temporary, err);
    _cleanup_close_ int fd = -1;
    int rc = domain_file_open(&place->dir, place->name, O_RDONLY, &fd, err);
    info->exists = rc == 0; /* it may be gone by now */
    if (rc != 0)
        return rc == DOMAIN_NONE ? 0 : rc;
    info->bytes = (uint64_t)place->st.st_size;
    info->true_bytes = (uint64_t)place->st.st_blocks * 512;
    info->capacity = capacity_of(fd, format, info->bytes);
    return 0;
}

int domain_outside_info(void *ctx, const char *place, enum volume_format format,
                        struct outside_info *ret, struct err *err)
{
    _cleanup_outside_ struct outside_place found = OUTSIDE_PLACE_INIT;
    struct outside_info info = { .free_bytes = UINT64_MAX };
    int rc = outside_place_open(ctx, place, &found, err);
    if (rc == DOMAIN_NONE) {
        (void)err_set_code(err, ERR_VALUE, "%s: its directory is not there",
                           place);
        return err_next(err, "make the directory, or take another");
    }
    if (rc < 0)
        return rc;
    if (found.kind == OUTSIDE_NETWORK)
        rc = look_at_network(ctx, place, format, &info, err);
    else if (found.kind == OUTSIDE_BLOCK)
        rc = look_at_device(&found, format, &info, err);
    else
        rc = look_at_file(&found, format, &info, err);
    if (rc == 0)
        *ret = info;
    return rc;
}
