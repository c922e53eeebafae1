/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt's XML of a VM, as functions on strings: nothing here talks to
 * libvirt. The text comes from outside (parts of it were written by whoever
 * defined the VM), so each function takes any string: -EBADMSG and a reason
 * for what is no definition, or carries a DTD, or is larger than 4 MiB.
 */
#ifndef DRAY_VIRT_XML_H
#define DRAY_VIRT_XML_H

#include <dray/base/err.h>
#include <dray/ports/hypervisor.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    XML_SIZE_MAX = 4 * 1024 * 1024
};

/* Outcomes. */
enum {
    XML_NO_DISK = 1,   /* no disk with this target */
    XML_UNCHANGED = 2, /* it says so already */
};

/* What libvirt is doing with a <mirror>. */
enum mirror_phase {
    MIRROR_NONE,
    MIRROR_COPYING,
    MIRROR_READY,
    MIRROR_ABORTING,
    MIRROR_PIVOTING,
};

struct xml_disk {
    struct vm_disk disk;   /* capacity and job are left 0 */
    enum vm_job_kind kind; /* of the <mirror>; VM_JOB_NONE: there is none */
    enum mirror_phase phase;
    char mirror_path[PATH_MAX]; /* destination of a copy, base of a commit */
    uint64_t slice; /* only so much of the source is used; 0: all of it */
};

/* A layer of a running VM's disk. */
struct xml_layer {
    unsigned index; /* libvirt's: "vda[2]" names it */
    char path[PATH_MAX];
};

/* All disks in the order of the definition. The caller frees *ret_disks. */
int xml_disks(const char *text, struct xml_disk **ret_disks, size_t *ret_n,
              struct err *err);

/* One disk. 0 or XML_NO_DISK. */
int xml_disk(const char *text, const char *target, struct xml_disk *ret_disk,
             struct err *err);

/* The layers of one disk, leaf first. 0 or XML_NO_DISK. The caller frees
 * *ret_layers. */
int xml_chain(const char *text, const char *target,
              struct xml_layer **ret_layers, size_t *ret_n, struct err *err);

/* All layers of all disks of a running VM, those of a copy's destination
 * behind the disk's own; sizes are left 0. The caller frees *ret_layers. */
int xml_open_layers(const char *text, struct vm_layer **ret_layers,
                    size_t *ret_n, struct err *err);

/* Calls fn(arg, path) for each place that a disk of the VM reads or
 * writes: its layers, and those of its mirror's destination. fn returns true
 * to end the walk, which then gives 1. */
typedef bool (*xml_layer_fn)(void *arg, const char *path);
int xml_layers(const char *text, xml_layer_fn fn, void *arg, struct err *err);

/* What a disk is to be made of. */
struct xml_source {
    const char *path; /* absolute, or a URI; UTF-8, no control characters */
    const char *format;
    bool is_block;
    uint64_t slice; /* use only the first so many bytes; 0: all */
};

/* The <disk> that virDomainBlockCopy() wants as destination. The caller frees
 * *ret_text. */
int xml_copy_destination(const struct xml_source *source, char **ret_text,
                         struct err *err);

/* One disk of a snapshot. */
struct xml_overlay {
    const char *target;
    struct xml_source source; /* path NULL: it takes no part */
};

/* The <domainsnapshot> for virDomainSnapshotCreateXML(). The caller frees
 * *ret_text. */
int xml_snapshot(const struct xml_overlay *overlays, size_t n, char **ret_text,
                 struct err *err);

/* The definition with another source for one disk; what libvirt knew about
 * the old one's layers is dropped. 0, XML_NO_DISK or XML_UNCHANGED (in both
 * cases *ret_text stays as it was). The caller frees *ret_text. */
int xml_set_source(const char *text, const char *target,
                   const struct xml_source *source, char **ret_text,
                   struct err *err);

#endif
