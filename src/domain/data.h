/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The data file of a volume: made, filled anew, looked at.
 */
#ifndef DRAY_DOMAIN_DATA_H
#define DRAY_DOMAIN_DATA_H

#include "domains.h"
#include <dray/format.h>

/* What a data file is made from. */
struct domain_data {
    const struct domain_dir *image;
    const char *vol; /* the file's name */
    enum format_kind kind;
    enum format_allocation allocation;
    uint64_t capacity;
    const char *parent; /* NULL: none */
    enum format_kind parent_kind;
};

/* Writes what such a file holds into @fd, which is empty; durable. */
int domain_data_fill(int fd, const struct domain_data *data, struct err *err);

/* Makes the data file, which must not be there yet; durable but for its name.
 * After a failure a part of it may be there. */
int domain_data_make(const struct domains *domains,
                     const struct domain_data *data, struct err *err);

/* Empties the file and makes it again. */
int domain_data_reset(const struct domains *domains,
                      const struct domain_data *data, struct err *err);

/* Takes space for what is still to come, the bytes from the file's end @from
 * to @to; the size stays, or not: the caller sets it. 0 or negative errno. */
int domain_data_take_space(int fd, uint64_t from, uint64_t to);

/* An empty qcow2: header and tables, nothing more. The caller frees it. */
int domain_data_build(const struct domain_data *data, char **ret_image,
                      size_t *ret_size, struct err *err);

/* The checked header of the qcow2 in @fd; O_DIRECT is fine. */
int domain_data_read_header(int fd, struct format_qcow2 *ret_header,
                            struct err *err);

#endif
