/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How long the guest's writes take, as qemu counts them: what it is like for
 * the guest to have its disks moved. "Before" is the time between the job's
 * beginning and its mirrors if the guest wrote then, else all its life.
 */
#include "migration.h"

enum {
    WRITES_MIN = 10, /* fewer say nothing */
};

/* Of all disks of the job. What cannot be asked is not counted. */
static struct vm_disk_io count(const struct migration *m)
{
    struct vm_disk_io sum = { 0 };

    for (size_t i = 0; i < m->job.n_disks; i++) {
        struct err ignored = ERR_INIT;
        struct vm_disk_io io;

        if (PORT(&m->ports, hypervisor, disk_io, m->job.vm,
                 m->job.disks[i].target, &io, &ignored))
            continue;
        sum.writes += io.writes;
        sum.write_us += io.write_us;
    }
    return sum;
}

/* -1: too few. */
static int64_t average(const struct vm_disk_io *from,
                       const struct vm_disk_io *to)
{
    if (to->writes < from->writes + WRITES_MIN || to->write_us < from->write_us)
        return -1;
    return (int64_t)((to->write_us - from->write_us) /
                     (to->writes - from->writes));
}

void guest_watch_quiet(struct migration *m)
{
    m->io = count(m);
}

void guest_watch_begin(struct migration *m)
{
    const struct vm_disk_io none = { 0 };
    struct vm_disk_io now = count(m);
    int64_t quiet_us = average(&m->io, &now);

    m->job.progress.quiet_write_us =
        quiet_us >= 0 ? quiet_us : average(&none, &now);
    m->io = now;
}

void guest_watch(struct migration *m)
{
    struct vm_disk_io now = count(m);
    int64_t write_us = average(&m->io, &now);

    if (write_us >= 0)
        m->job.progress.write_us = write_us;
}
