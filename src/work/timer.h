/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One-shot timers of one owner, who can end all that are left. Loop thread.
 */
#ifndef DRAY_WORK_TIMER_H
#define DRAY_WORK_TIMER_H

#include <dray/base/list.h>
#include <dray/work.h>

/* Links a new timer into @owner; it unlinks and frees itself when it fires. */
int timer_start(struct list *owner, struct sd_event *loop, int64_t delay_ms,
                work_fn fn, void *arg, struct work_timer **ret_timer);
void timer_stop_all(struct list *owner);

#endif
