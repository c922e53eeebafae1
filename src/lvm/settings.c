/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-lvm's lvm.conf. What LVM would find out or do for others costs time with
 * each command, or changes things on a host by itself: it is switched off. The
 * filter is the important one: LVM never reads a disk that is not the VG's, so
 * a hanging LUN of somebody else hangs nobody here, and what a guest wrote
 * into its disk is not taken for a PV.
 */
#include "settings.h"

#include <dray/base/util.h>
#include <stdio.h>
#include <string.h>

/* LVM's filters are regular expressions between bars. */
static void put_pattern(FILE *file, const char *path)
{
    (void)fputs("\"a|^", file);
    for (const char *p = path; *p; p++) {
        if (strchr(".+", *p))
            (void)fprintf(file, "[%c]", *p);
        else
            (void)fputc(*p, file);
    }
    (void)fputs("$|\", ", file);
}

static const char devices_section[] =
    "    use_devicesfile = 0\n"
    "    hints = \"none\"\n"
    "    obtain_device_list_from_udev = 0\n"
    "    external_device_info_source = \"none\"\n"
    "    multipath_component_detection = 0\n"
    "    multipath_wwids_file = \"\"\n"
    "    md_component_detection = 0\n"
    "    fw_raid_component_detection = 0\n"
    "    ignore_suspended_devices = 1\n"
    "    scan_lvs = 0\n"
    "    preferred_names = [ \"^/dev/mapper/\" ]\n";

static const char other_sections[] = "global {\n"
                                     "    locking_dir = \"" LVM_LOCK_DIR "\"\n"
                                     "    wait_for_locks = 1\n"
                                     "    prioritise_write_locks = 1\n"
                                     "    event_activation = 0\n"
                                     "    use_lvmpolld = 0\n"
                                     "    notify_dbus = 0\n"
                                     "}\n"
                                     "activation {\n"
                                     "    monitoring = 0\n"
                                     "}\n"
                                     "backup {\n"
                                     "    backup = 0\n"
                                     "    archive = 0\n"
                                     "}\n"
                                     "log {\n"
                                     "    syslog = 0\n"
                                     "}\n";

char *settings_text(struct lvm_names devices)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    (void)fprintf(file, "devices {\n%s    global_filter = [ ", devices_section);
    for (size_t i = 0; i < devices.n; i++)
        put_pattern(file, devices.names[i]);
    (void)fprintf(file, "\"r|.*|\" ]\n}\n%s", other_sections);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
