/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One line per event on stderr, with the journal's priority prefix ("<6>") when
 * stderr is the journal. Control characters are escaped, lines are bounded.
 * Only verbs, jobs and the daemon log; rooms below return errors instead.
 */
#ifndef DRAY_BASE_LOG_H
#define DRAY_BASE_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR = 3, /* lost, or someone must act */
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6, /* each state change of a job, daemon start and stop */
    LOG_LEVEL_DEBUG = 7,
};

void log_setup(enum log_level max_level, bool for_journal);
void log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
