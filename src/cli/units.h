/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sizes, rates and times between people and numbers. Pure.
 */
#ifndef DRAY_CLI_UNITS_H
#define DRAY_CLI_UNITS_H

#include <dray/base/err.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UNITS_TEXT_SIZE = 32
};

/* "20G", "512M", "1T", "4096" (bytes); K, M, G, T are powers of 1024, "GiB"
 * and "GB" are understood too. More than 0. -EINVAL */
int units_parse_size(const char *text, uint64_t *ret_bytes, struct err *err);

/* MiB/s, whole or with a decimal point, 0: no limit. Result in bytes/s. */
int units_parse_rate(const char *text, uint64_t *ret_bytes_per_s,
                     struct err *err);

/* "1.2 GiB", "17 MiB", "512 B": three digits. */
const char *units_size(uint64_t bytes, char text[UNITS_TEXT_SIZE]);
/* "1.2/2.8 GiB": both in the unit of the second. */
const char *units_part(uint64_t bytes, uint64_t of, char text[UNITS_TEXT_SIZE]);
/* "8 s", "2 min 5 s", "3 h 20 min" */
const char *units_time(int64_t seconds, char text[UNITS_TEXT_SIZE]);

#endif
