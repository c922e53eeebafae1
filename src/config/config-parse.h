/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The text of a configuration file into the struct, apart from the file: for
 * config_load() and the fuzzer.
 */
#ifndef DRAY_CONFIG_PARSE_H
#define DRAY_CONFIG_PARSE_H

#include <dray/config.h>
#include <stddef.h>

/* Sets the keys found in @text in *config, which holds the defaults; after an
 * error it holds some of them. @name is the file's, for messages. */
int config_parse(const char *text, size_t len, const char *name,
                 struct config *config, struct err *err);

#endif
