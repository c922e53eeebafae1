/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Builds the progress line:
 *
 *   mirroring   [#######-----]  43 %  1.2/2.8 GiB  210 MiB/s  ETA 8 s
 *
 * Columns keep their places while numbers change, so that a redrawn line does
 * not jump. All text is ASCII: bytes are columns.
 */
#include "progress.h"
#include "units.h"
#include <dray/base/util.h>
#include <string.h>

enum {
    PHASE_WIDTH = 10,
    BAR_MIN = 8, /* a shorter one says nothing */
    BAR_MAX = 40,
    FIELDS = 4, /* percent, part, rate, ETA */
    PACE_MS = 5000,
};

struct fields {
    char text[FIELDS][48];
};

unsigned progress_percent(const struct progress *progress)
{
    if (progress->done >= progress->total)
        return 100;
    /* Rounded down: 100 only when it is so. */
    return (unsigned)((double)progress->done * 100 / (double)progress->total);
}

/* Each with its separator before it; empty when there is nothing to say. */
static void make_fields(const struct progress *progress, struct fields *fields)
{
    char text[UNITS_TEXT_SIZE];
    const size_t size = sizeof(fields->text[0]);
    *fields = (struct fields){ 0 };
    if (progress->total == 0)
        return;
    (void)str_format(fields->text[0], size, "  %3u %%",
                     progress_percent(progress));
    (void)str_format(fields->text[1], size, "  %s",
                     units_part(progress->done, progress->total, text));
    if (progress->rate > 0)
        (void)str_format(fields->text[2], size, "  %s/s",
                         units_size(progress->rate, text));
    if (progress->eta_s >= 0)
        (void)str_format(fields->text[3], size, "  ETA %s",
                         units_time(progress->eta_s, text));
}

static void append(char *line, size_t max, const char *text)
{
    size_t n = strlen(line);
    if (n + strlen(text) <= max)
        (void)str_format(line + n, PROGRESS_LINE_SIZE - n, "%s", text);
}

static void append_bar(char *line, const struct progress *progress,
                       size_t width)
{
    char bar[BAR_MAX + 1] = { 0 };
    size_t filled = progress_percent(progress) * width / 100;
    memset(bar, '#', filled);
    memset(bar + filled, '-', width - filled);
    size_t n = strlen(line);
    (void)str_format(line + n, PROGRESS_LINE_SIZE - n, "  [%s]", bar);
}

/* Columns for the bar beside everything else, 0 when it does not fit. The
 * others get their usual width, so that the bar's end does not move with the
 * digits of a rate. */
static size_t bar_width(const char *line, const struct fields *fields,
                        size_t width)
{
    static const size_t usual[FIELDS] = { 7, 13, 11, 10 };
    size_t used = strlen(line) + strlen("  []");
    for (size_t i = 0; i < FIELDS; i++) {
        size_t n = strlen(fields->text[i]);
        used += n > usual[i] ? n : usual[i];
    }
    if (used + BAR_MIN > width)
        return 0;
    return width - used < BAR_MAX ? width - used : BAR_MAX;
}

void progress_bar_line(const struct progress *progress, size_t width,
                       char ret_line[PROGRESS_LINE_SIZE])
{
    if (width >= PROGRESS_LINE_SIZE)
        width = PROGRESS_LINE_SIZE - 1;
    struct fields fields;
    make_fields(progress, &fields);
    bool columns = progress->total > 0 && width > PHASE_WIDTH;
    (void)str_format(ret_line, PROGRESS_LINE_SIZE, "%-*.*s",
                     columns ? PHASE_WIDTH : 0, (int)width, progress->phase);
    size_t bar = columns ? bar_width(ret_line, &fields, width) : 0;
    if (bar > 0)
        append_bar(ret_line, progress, bar);
    for (size_t i = 0; i < FIELDS; i++)
        append(ret_line, width, fields.text[i]);
}

void progress_plain_line(const struct progress *progress,
                         char ret_line[PROGRESS_LINE_SIZE])
{
    struct fields fields;
    make_fields(progress, &fields);
    (void)str_format(ret_line, PROGRESS_LINE_SIZE, "%.64s%s%s%s%s",
                     progress->phase, fields.text[0], fields.text[1],
                     fields.text[2], fields.text[3]);
}

bool progress_is_due(struct progress_pace *pace, const char *phase,
                     int64_t now_ms)
{
    if (str_equal(pace->phase, phase) && now_ms - pace->last_ms < PACE_MS)
        return false;
    (void)str_copy(pace->phase, sizeof(pace->phase), phase);
    pace->last_ms = now_ms;
    return true;
}
