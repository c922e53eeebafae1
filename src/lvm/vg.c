/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Making and removing a VG: one LVM command after the other, which see the
 * given devices only. Steps of a creation: a PV with both metadata areas in
 * use, PVs whose areas are ignored, the VG (its commit). Until that commit
 * there are only PVs without a VG, which the next attempt takes again.
 */
#include "message.h"
#include "report.h"

#include <dray/base/util.h>
#include <dray/exec.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    ARGS_MAX = 64,
    FIXED_ARGS = 24,
    LIST_SIZE = 32 * LVM_NAME_SIZE,
};

static const char program[] = "/usr/sbin/lvm";
#define QUIET                                                                  \
    "global { event_activation=0 use_lvmpolld=0 notify_dbus=0 } "              \
    "backup { backup=0 archive=0 } activation { monitoring=0 }"

static const char settings[] =
    "devices { use_devicesfile=0 hints=\"none\" scan_lvs=0 "
    "multipath_component_detection=0 md_component_detection=0 "
    "multipath_wwids_file=\"\" obtain_device_list_from_udev=0 } " QUIET;

/* The host's own settings hide the LUNs from its own LVM. A disk and the
 * multipath device above it are one. */
static const char settings_of_scan[] =
    "devices { use_devicesfile=0 hints=\"none\" scan_lvs=0 "
    "filter=[\"a|.*|\"] global_filter=[\"a|.*|\"] "
    "preferred_names=[\"^/dev/mapper/\"] multipath_component_detection=1 "
    "obtain_device_list_from_udev=0 } " QUIET;

/* One command; words are borrowed. */
struct command {
    const char *argv[ARGS_MAX + 1];
    size_t n;
};

static void add(struct command *command, const char *word)
{
    if (command->n < ARGS_MAX)
        command->argv[command->n++] = word;
}

/* No list: all that LVM finds in /dev; the host's own filter does not count. */
static void begin(struct command *command, const char *verb,
                  const char *device_list)
{
    *command = (struct command){ .n = 0 };
    add(command, program);
    add(command, verb);
    add(command, "--config");
    add(command, device_list ? settings : settings_of_scan);
    if (device_list) {
        add(command, "--devices");
        add(command, device_list);
    }
}

static int run(const struct command *command, int64_t deadline_ms,
               struct err *err)
{
    const struct exec_options options = { .deadline_ms = deadline_ms };
    struct exec_result result = { .status = 0 };
    int rc = exec_check(command->argv, &options, &result, err);
    if (rc < 0) {
        (void)err_default_code(err, ERR_DOMAIN_CREATE);
        return err_wrap(err, "%s", command->argv[1]);
    }
    exec_result_deinit(&result);
    return 0;
}

/* Also checks them: "a,b". */
static int join_devices(const char *const *devices, size_t n,
                        char ret_list[LIST_SIZE], struct err *err)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!device_is_valid(devices[i]) || strchr(devices[i], ','))
            return err_set_code(err, ERR_VALUE, "\"%.64s\" is no device",
                                devices[i]);
        used += (size_t)snprintf(ret_list + used, LIST_SIZE - used, "%s%s",
                                 i > 0 ? "," : "", devices[i]);
        if (used >= LIST_SIZE)
            break;
    }
    if (n == 0 || n > ARGS_MAX - FIXED_ARGS || used >= LIST_SIZE)
        return err_set_code(err, ERR_VALUE, "%zu devices: a VG has 1 to %d", n,
                            ARGS_MAX - FIXED_ARGS);
    return 0;
}

static int check_names(const struct lvm_vg_create *what, struct err *err)
{
    if (!name_is_valid(what->vg))
        return err_set_code(err, ERR_VALUE, "\"%.64s\" is no name for a VG",
                            what->vg);
    for (size_t i = 0; i < what->n_tags; i++) {
        if (!tag_is_valid(what->tags[i]))
            return err_set_code(err, ERR_VALUE, "\"%.64s\" is no tag",
                                what->tags[i]);
    }
    return 0;
}

/* The areas of one that is to have the metadata are in use. */
static int create_pvs(const char *const *devices, size_t n_devices,
                      const struct lvm_vg_create *what, bool in_use,
                      int64_t deadline_ms, struct err *err)
{
    struct command command;
    char list[LIST_SIZE];
    char size[32];
    int rc = join_devices(devices, n_devices, list, err);
    if (rc < 0)
        return rc;
    (void)str_format(size, sizeof(size), "%" PRIu64 "b", what->mda_bytes);
    begin(&command, "pvcreate", list);
    /* Without --yes a device with something on it makes LVM ask, and nobody
     * answers: it refuses. */
    if (what->force) {
        add(&command, "--yes");
        add(&command, "-ff");
    }
    add(&command, "--metadatasize");
    add(&command, size);
    add(&command, "--metadatacopies");
    add(&command, "2");
    add(&command, "--metadataignore");
    add(&command, in_use ? "n" : "y");
    for (size_t i = 0; i < n_devices; i++)
        add(&command, devices[i]);
    return run(&command, deadline_ms, err);
}

int lvm_pv_create(const char *const *devices, size_t n_devices,
                  uint64_t mda_bytes, bool force, int64_t deadline_ms,
                  struct err *err)
{
    const struct lvm_vg_create what = { .mda_bytes = mda_bytes,
                                        .force = force };
    return create_pvs(devices, n_devices, &what, false, deadline_ms, err);
}

static int create_vg(const struct lvm_vg_create *what, const char *list,
                     int64_t deadline_ms, struct err *err)
{
    struct command command;
    char size[32];
    (void)str_format(size, sizeof(size), "%" PRIu64 "b", what->extent_bytes);
    begin(&command, "vgcreate", list);
    add(&command, "--setautoactivation");
    add(&command, "n");
    add(&command, "--physicalextentsize");
    add(&command, size);
    for (size_t i = 0; i < what->n_tags; i++) {
        add(&command, "--addtag");
        add(&command, what->tags[i]);
    }
    add(&command, what->vg);
    for (size_t i = 0; i < what->n_devices; i++)
        add(&command, what->devices[i]);
    if (command.n == ARGS_MAX)
        return err_set_code(err, ERR_VALUE, "VG %s: too many tags", what->vg);
    return run(&command, deadline_ms, err);
}

int lvm_vg_create(const struct lvm_vg_create *what, int64_t deadline_ms,
                  struct err *err)
{
    char list[LIST_SIZE];
    int rc = check_names(what, err);
    if (rc == 0)
        rc = join_devices(what->devices, what->n_devices, list, err);
    if (rc == 0)
        rc = create_pvs(what->devices, 1, what, true, deadline_ms, err);
    if (rc == 0 && what->n_devices > 1)
        rc = create_pvs(what->devices + 1, what->n_devices - 1, what, false,
                        deadline_ms, err);
    return rc < 0 ? rc : create_vg(what, list, deadline_ms, err);
}

static int remove_vg(const char *vg, const char *list, int64_t deadline_ms,
                     struct err *err)
{
    struct command command;
    struct exec_result result = { .status = 0 };
    const struct exec_options options = { .deadline_ms = deadline_ms };
    char condition[LVM_NAME_SIZE + 16];
    (void)str_format(condition, sizeof(condition), "vg_name=%s", vg);
    /* Is it there at all? A selection that finds nothing is no error. */
    begin(&command, "vgs", list);
    add(&command, "--noheadings");
    add(&command, "-o");
    add(&command, "vg_name");
    add(&command, "--select");
    add(&command, condition);
    int rc = exec_check(command.argv, &options, &result, err);
    if (rc < 0)
        return err_wrap(err, "vgs");
    bool is_there = strstr(result.out, vg) != NULL;
    exec_result_deinit(&result);
    if (!is_there)
        return 0;
    begin(&command, "vgremove", list);
    add(&command, "--force");
    add(&command, "--yes");
    add(&command, vg);
    return run(&command, deadline_ms, err);
}

/* One that is no PV (any more) is fine. */
static int remove_pv(const char *device, int64_t deadline_ms, struct err *err)
{
    const struct exec_options options = { .deadline_ms = deadline_ms };
    struct exec_result result = { .status = 0 };
    struct command command;
    begin(&command, "pvs", device);
    add(&command, device);
    int rc = exec_run(command.argv, &options, &result, err);
    if (rc < 0)
        return err_wrap(err, "pvs");
    bool is_pv = result.status == 0;
    exec_result_deinit(&result);
    if (!is_pv)
        return 0;
    begin(&command, "pvremove", device);
    add(&command, device);
    return run(&command, deadline_ms, err);
}

int lvm_vg_remove(const char *vg, const char *const *devices, size_t n_devices,
                  int64_t deadline_ms, struct err *err)
{
    char list[LIST_SIZE];
    if (!name_is_valid(vg))
        return err_set_code(err, ERR_VALUE, "\"%.64s\" is no name for a VG",
                            vg);
    int rc = join_devices(devices, n_devices, list, err);
    if (rc == 0)
        rc = remove_vg(vg, list, deadline_ms, err);
    for (size_t i = 0; rc == 0 && i < n_devices; i++)
        rc = remove_pv(devices[i], deadline_ms, err);
    return rc;
}

int lvm_scan(const char *const *devices, size_t n_devices, int64_t deadline_ms,
             struct lvm_report *ret_report, struct err *err)
{
    const struct exec_options options = { .deadline_ms = deadline_ms };
    struct exec_result result = { .status = 0 };
    struct lvm_report report = { .n_pvs = 0 };
    struct command command;
    char list[LIST_SIZE];
    int rc = n_devices > 0 ? join_devices(devices, n_devices, list, err) : 0;
    if (rc < 0)
        return rc;
    begin(&command, "pvs", n_devices > 0 ? list : NULL);
    add(&command, "--reportformat");
    add(&command, "json");
    add(&command, "--units");
    add(&command, "b");
    add(&command, "--nosuffix");
    add(&command, "-o");
    add(&command, REPORT_PV_FIELDS);
    rc = exec_check(command.argv, &options, &result, err);
    if (rc == 0)
        rc = report_add_text(&report, result.out, result.out_len, err);
    exec_result_deinit(&result);
    if (rc < 0) {
        lvm_report_deinit(&report);
        return err_wrap(err, "pvs");
    }
    *ret_report = report;
    return 0;
}
