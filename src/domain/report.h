/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What qemu-img prints (--output=json), as structs.
 */
#ifndef DRAY_DOMAIN_REPORT_H
#define DRAY_DOMAIN_REPORT_H

#include <dray/ports/storage.h>

/* qemu-img measure. ERR_GENERAL for what is none of its answers. */
/* Of qemu-img check: where the last cluster in use ends. */
int domain_report_check(const char *text, uint64_t *ret_end, struct err *err);

int domain_report_measure(const char *text, struct volume_measure *ret_measure,
                          struct err *err);

struct domain_report {
    uint64_t virtual_size;
    uint64_t cluster_size; /* 0: there are none */
    uint64_t actual_size;  /* UINT64_MAX: not known */
    bool chained;          /* it names other files: a parent, its data */
    char compat[8];
    size_t n_bitmaps;
    char (*bitmaps)[UUID_SIZE * 4]; /* the caller frees */
};

/* qemu-img info. A bitmap's name is cut to what fits. */
int domain_report_info(const char *text, struct domain_report *ret_report,
                       struct err *err);

#endif
