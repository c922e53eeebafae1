/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Command lines for LVM. All words were checked (names.c), so none needs
 * quotes. Settings that hold for every command are in its lvm.conf
 * (settings.c), not here: --config, and --devices in a process that stays warm,
 * make LVM start from the beginning (the latter crashed it at its third use).
 *
 * An extension does not wait for udev: the kernel has the new size when LVM
 * resumes the device, and nobody looks for a link that is there already.
 */
#include "command.h"
#include "report.h"

#include <dray/base/util.h>
#include <inttypes.h>
#include <string.h>

/* A line that grows; text NULL after it could not. */
struct line {
    char *text;
    size_t size;
    FILE *file;
};

static bool line_open(struct line *line)
{
    *line = (struct line){ .text = NULL };
    line->file = open_memstream(&line->text, &line->size);
    return line->file != NULL;
}

static char *line_close(struct line *line)
{
    bool failed = ferror(line->file) != 0;
    if (fclose(line->file) != 0 || failed) {
        free(line->text);
        return NULL;
    }
    return line->text;
}

static void put_options(const struct line *line, const char *option,
                        struct lvm_names values)
{
    for (size_t i = 0; i < values.n; i++)
        (void)fprintf(line->file, " %s %s", option, values.names[i]);
}

static void put_lvs(const struct line *line, const char *vg,
                    struct lvm_names lvs)
{
    for (size_t i = 0; i < lvs.n; i++)
        (void)fprintf(line->file, " %s/%s", vg, lvs.names[i]);
}

static void put_create(const struct line *line,
                       const struct lvm_request *request, const char *vg)
{
    (void)fprintf(line->file,
                  "lvcreate -y --setautoactivation n --contiguous n "
                  "--wipesignatures n --activate n --zero n --name %s "
                  "--size %" PRIu64 "b",
                  request->lvs.names[0], request->size_bytes);
    put_options(line, "--addtag", request->add);
    (void)fprintf(line->file, " %s", vg);
    if (request->device)
        (void)fprintf(line->file, " %s", request->device);
}

static void put_tags(const struct line *line, const struct lvm_request *request,
                     const char *vg)
{
    (void)fputs(request->lvs.n > 0 ? "lvchange" : "vgchange", line->file);
    put_options(line, "--deltag", request->remove);
    put_options(line, "--addtag", request->add);
    if (request->lvs.n > 0)
        put_lvs(line, vg, request->lvs);
    else
        (void)fprintf(line->file, " %s", vg);
}

static void put_command(const struct line *line,
                        const struct lvm_request *request, const char *vg)
{
    static const char *const plain[VERB_COUNT] = {
        [VERB_REFRESH] = "lvchange --noudevsync --refresh",
        [VERB_ACTIVATE] = "lvchange --activate y --ignoreactivationskip",
        [VERB_DEACTIVATE] = "lvchange --activate n",
        [VERB_REMOVE] = "lvremove --force --yes",
        [VERB_EXTEND] = "lvextend --noudevsync --size",
        [VERB_REDUCE] = "lvreduce --force --yes --size",
    };
    if (request->verb == VERB_CREATE) {
        put_create(line, request, vg);
        return;
    }
    if (request->verb == VERB_TAG) {
        put_tags(line, request, vg);
        return;
    }
    if (request->verb == VERB_GROW) {
        (void)fprintf(line->file, "vgextend %s %s", vg, request->device);
        return;
    }
    (void)fputs(plain[request->verb], line->file);
    if (request->verb == VERB_EXTEND || request->verb == VERB_REDUCE)
        (void)fprintf(line->file, " %" PRIu64 "b", request->size_bytes);
    put_lvs(line, vg, request->lvs);
}

char *command_of(const struct lvm_request *request, const char *vg)
{
    struct line line;
    if (!line_open(&line))
        return NULL;
    put_command(&line, request, vg);
    return line_close(&line);
}

char *command_of_report(enum lvm_what what, const char *vg,
                        struct lvm_names lvs)
{
    static const char options[] = "--reportformat json --units b --nosuffix";
    struct line line;
    if (!line_open(&line))
        return NULL;
    if (what == LVM_LVS) {
        (void)fprintf(line.file, "lvs %s -o " REPORT_LV_FIELDS, options);
        put_lvs(&line, vg, lvs);
    } else if (what == LVM_VG) {
        (void)fprintf(line.file, "vgs %s -o " REPORT_VG_FIELDS, options);
    } else {
        (void)fprintf(line.file, "pvs %s -o " REPORT_PV_FIELDS " -S vg_name=%s",
                      options, vg);
    }
    if (lvs.n == 0 && what != LVM_PVS)
        (void)fprintf(line.file, " %s", vg);
    return line_close(&line);
}

char *command_of_refresh(const char *vg, const char *lv)
{
    const struct lvm_request request = {
        .verb = VERB_REFRESH,
        .lvs = {.names = &lv, .n = 1},
    };
    return command_of(&request, vg);
}

uint64_t round_up(uint64_t bytes, uint64_t extent_bytes)
{
    uint64_t rest = bytes % extent_bytes;
    return rest ? bytes + (extent_bytes - rest) : bytes;
}

static bool has_all_tags(const struct lvm_lv *lv, struct lvm_names tags)
{
    for (size_t i = 0; i < tags.n; i++) {
        if (!lvm_lv_has_tag(lv, tags.names[i]))
            return false;
    }
    return true;
}

static enum verdict judge_space(const struct lvm_request *request,
                                const struct lvm_vg *vg, uint64_t has_bytes)
{
    uint64_t wanted = round_up(request->size_bytes, vg->extent_bytes);
    return wanted - has_bytes > vg->free_bytes ? VERDICT_FULL : VERDICT_FAILED;
}

static enum verdict judge_create(const struct lvm_request *request,
                                 const struct lvm_lv *lv,
                                 const struct lvm_vg *vg)
{
    if (!lv)
        return judge_space(request, vg, 0);
    return lv->size_bytes >= request->size_bytes &&
                   has_all_tags(lv, request->add)
               ? VERDICT_DONE
               : VERDICT_EXISTS;
}

static enum verdict judge_extend(const struct lvm_request *request,
                                 const struct lvm_lv *lv,
                                 const struct lvm_vg *vg)
{
    if (!lv)
        return VERDICT_FAILED;
    if (lv->size_bytes < request->size_bytes)
        return judge_space(request, vg, lv->size_bytes);
    return lv->active ? VERDICT_REFRESH : VERDICT_DONE;
}

enum verdict command_judge(const struct lvm_request *request,
                           const struct lvm_report *report)
{
    const char *name = request->lvs.n > 0 ? request->lvs.names[0] : NULL;
    const struct lvm_lv *lv = name ? lvm_report_lv(report, name) : NULL;
    uint64_t extent = report->vg.extent_bytes;
    switch (request->verb) {
    case VERB_EXTEND:
        return judge_extend(request, lv, &report->vg);
    case VERB_CREATE:
        return judge_create(request, lv, &report->vg);
    case VERB_REDUCE:
        return lv && lv->size_bytes <= round_up(request->size_bytes, extent)
                   ? VERDICT_REFRESH
                   : VERDICT_FAILED;
    case VERB_REMOVE:
        for (size_t i = 0; i < request->lvs.n; i++) {
            if (lvm_report_lv(report, request->lvs.names[i]))
                return VERDICT_FAILED;
        }
        return VERDICT_DONE;
    default:
        return VERDICT_FAILED;
    }
}
