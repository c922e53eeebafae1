/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Log lines. Whatever a guest, a client or a tool put into a name arrives here
 * as data: it can neither begin a line of its own nor move the terminal. A line
 * leaves with one write(), so lines of several threads do not mix.
 */
#include "utf8.h"
#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    LINE_SIZE = 1024, /* with priority and newline */
    ESCAPE_SIZE = 4,  /* \xNN */
};

static const char cut_mark[] = "...\n";

/* Set once at the start, before there are threads. */
static struct {
    enum log_level max_level;
    bool for_journal;
} sink = { .max_level = LOG_LEVEL_INFO };

void log_setup(enum log_level max_level, bool for_journal)
{
    sink.max_level = max_level;
    sink.for_journal = for_journal;
}

/* Writes the next character of @s, or its first byte escaped, to @dst (room for
 * ESCAPE_SIZE). Returns the bytes taken; *ret_written those written. */
static size_t put_character(char *dst, const char *s, size_t len,
                            size_t *ret_written)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = utf8_length(s, len);
    if (n && !utf8_is_control(s, n)) {
        memcpy(dst, s, n);
        *ret_written = n;
        return n;
    }
    unsigned char byte = (unsigned char)*s;
    dst[0] = '\\';
    dst[1] = 'x';
    dst[2] = hex[byte >> 4];
    dst[3] = hex[byte & 0xf];
    *ret_written = ESCAPE_SIZE;
    return 1;
}

/* Appends @text and the newline to @line, which holds @used bytes. */
static size_t put_text(char line[LINE_SIZE], size_t used, const char *text)
{
    size_t room = LINE_SIZE - sizeof(cut_mark) - ESCAPE_SIZE;
    size_t len = strlen(text);
    size_t i = 0;
    while (i < len && used <= room) {
        size_t written = 0;
        i += put_character(line + used, text + i, len - i, &written);
        used += written;
    }
    const char *end = i < len ? cut_mark : "\n";
    (void)str_copy(line + used, LINE_SIZE - used, end); /* there is room */
    return used + strlen(end);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > sink.max_level)
        return;
    int saved_errno = errno;
    char text[LINE_SIZE];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        (void)str_copy(text, sizeof(text), format);

    char line[LINE_SIZE];
    size_t used = 0;
    if (sink.for_journal)
        used = (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
    used = put_text(line, used, text);
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* there is nobody left to tell */
    errno = saved_errno;
}
