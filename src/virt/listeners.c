/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One lock for both: no other lock is held then, and a listener only posts.
 */
#include "listeners.h"
#include <assert.h>
#include <dray/base/lock.h>

int listeners_init(struct listeners *listeners)
{
    *listeners = (struct listeners){ 0 };
    return -pthread_mutex_init(&listeners->lock, NULL);
}

void listeners_deinit(struct listeners *listeners)
{
    int rc = pthread_mutex_destroy(&listeners->lock);
    assert(rc == 0);
    (void)rc;
}

void listeners_set_hint(struct listeners *listeners, hypervisor_hint_fn fn,
                        void *arg)
{
    SCOPED_LOCK(&listeners->lock);
    listeners->hint = fn;
    listeners->hint_arg = arg;
}

void listeners_set_alarm(struct listeners *listeners, hypervisor_alarm_fn fn,
                         void *arg)
{
    SCOPED_LOCK(&listeners->lock);
    listeners->alarm = fn;
    listeners->alarm_arg = arg;
}

void listeners_tell(struct listeners *listeners, const struct vm_alarm *alarm)
{
    SCOPED_LOCK(&listeners->lock);
    if (listeners->alarm)
        listeners->alarm(listeners->alarm_arg, alarm);
    if (listeners->hint && alarm->kind != VM_ALARM_THRESHOLD)
        listeners->hint(listeners->hint_arg, alarm->vm[0] ? alarm->vm : NULL);
}
