/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt's XML of a VM: read, walked, and rewritten; what was rewritten says
 * what it was told to.
 */
#include "../../src/virt/xml.h"
#include "fuzz.h"

#include <libxml/xmlerror.h>

static bool count_layer(void *arg, const char *path)
{
    MUST(path);
    return ++*(unsigned *)arg > 1000;
}

static void rewrite(const char *text, const char *target, const char *path)
{
    const struct xml_source source = { .path = path, .format = "qcow2" };
    struct xml_disk disk;
    struct err err = ERR_INIT;
    char *again = NULL;

    if (xml_set_source(text, target, &source, &again, &err) == 0) {
        MUST(xml_disk(again, target, &disk, &err) == 0);
        MUST(str_equal(disk.disk.path, source.path));
        MUST(str_equal(disk.disk.format, source.format));
    }
    free(again);
}

static void chain(const char *text, const char *target)
{
    struct xml_layer *layers = NULL;
    size_t n = 0;

    if (xml_chain(text, target, &layers, &n, NULL) == 0) {
        for (size_t i = 0; i < n; i++)
            MUST(memchr(layers[i].path, '\0', PATH_MAX));
    }
    free(layers);
}

static void quiet(void *arg, const char *format, ...)
{
    (void)arg;
    (void)format;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_disk *disks = NULL;
    struct err err = ERR_INIT;
    unsigned layers = 0;
    size_t n = 0;
    char *text = fuzz_text(data, size);

    xmlSetGenericErrorFunc(NULL, quiet);
    if (xml_disks(text, &disks, &n, &err) == 0) {
        for (size_t i = 0; i < n && i < 8; i++) {
            rewrite(text, disks[i].disk.target, "/new/\"disk\" & <more>");
            rewrite(text, disks[i].disk.target,
                    "nbd+unix:///a%22b?socket=/run/a%20b");
            chain(text, disks[i].disk.target);
        }
        err_clear(&err);
        (void)xml_layers(text, count_layer, &layers, &err);
    } else {
        MUST(err.message[0]);
    }
    free(disks);
    free(text);
    return 0;
}
