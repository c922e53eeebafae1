/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fake world's laws of nature: the guest writes, qemu mirrors, commits and
 * pivots, whether anybody looks or not.
 */
#include "fake-world.h"

#include <string.h>

enum {
    HELD_MAX_US = 8000000,
    JOB_KIB = 400, /* of old data in each job */
};

/* --- the guest --------------------------------------------------------- */

static void check_disk(struct fake_world *world, struct fake_disk *disk)
{
    uint64_t known = world_knows(disk->chain[0]);

    for (size_t i = 0; i < disk->n; i++) {
        if (!disk->chain[i]->exists)
            world_break(world, "the guest's layer %s is gone",
                        disk->chain[i]->info.path);
        world_uses(world, disk->chain[i], "the guest");
    }
    if (known != disk->acknowledged)
        world_break(world, "the guest runs on %s with %llu of %llu writes",
                    disk->chain[0]->info.path, (unsigned long long)known,
                    (unsigned long long)disk->acknowledged);
}

static void guest_writes(struct fake_world *world, struct fake_disk *disk)
{
    struct fake_volume *top = disk->chain[0];

    check_disk(world, disk);
    if (top->to == top->from)
        top->from = disk->acknowledged;
    top->used += (uint64_t)world->writes_per_ms << 10;
    if (!world_has_room(world, top, true) && !world->watch_fails)
        world_break(world, "the guest's %s has no space", top->info.path);
    disk->acknowledged += world->writes_per_ms;
    top->to = disk->acknowledged;
    top->fresh = false;
    world->io.writes += world->writes_per_ms;
    world->io.write_us +=
        (uint64_t)world->writes_per_ms * (disk->job.kind == VM_JOB_COPY
                                              ? world->mirrored_write_us
                                              : world->write_us);
}

/* --- block jobs -------------------------------------------------------- */

void world_end_job(struct fake_disk *disk)
{
    memset(&disk->job, 0, sizeof(disk->job));
    disk->job.pivot_at_us = -1;
}

/* What the job's source has by now, and the target must get. */
static uint64_t goal(struct fake_disk *disk)
{
    const struct fake_job *job = &disk->job;
    const struct fake_volume *from = job->top ? job->top : disk->chain[0];
    struct fake_volume *to = job->target;

    if (!job->shallow && !job->top)
        return world_knows(from);
    if (job->top && (from->to == from->from || from->to < to->to))
        return to->to; /* nothing to be committed */
    if (to->to < from->from || to->to == to->from) {
        to->from = from->from; /* what was before is below */
        if (to->to < from->from)
            to->to = from->from;
    }
    return from->to > to->to ? from->to : to->to;
}

static void drop_layer(struct fake_disk *disk, const struct fake_volume *layer)
{
    size_t i = 0;

    while (i < disk->n && disk->chain[i] != layer)
        i++;
    if (i == disk->n)
        return;
    disk->n--;
    memmove(&disk->chain[i], &disk->chain[i + 1],
            (disk->n - i) * sizeof(disk->chain[0]));
}

/* qemu writes the new backing file into the header above. */
static void commit_ends(struct fake_world *world, struct fake_disk *disk)
{
    for (size_t i = 1; i < disk->n; i++) {
        if (disk->chain[i] == disk->job.top)
            world_set_backing(world, disk->chain[i - 1],
                              disk->job.target->info.id.vol);
    }
    drop_layer(disk, disk->job.top);
    world_end_job(disk);
}

/* What the target takes by now. */
static bool fill(struct fake_world *world, struct fake_disk *disk)
{
    struct fake_job *job = &disk->job;
    const struct fake_volume *from = job->top ? job->top : disk->chain[0];
    uint64_t used = from->used * (JOB_KIB - job->left) / JOB_KIB;

    used += job->top ? job->used : FAKE_HEADER;
    if (job->target->used < used)
        job->target->used = used;
    if (world_has_room(world, job->target, disk->watched))
        return true;
    job->target->used = job->target->info.apparent_bytes;
    world_end_job(disk);
    (void)str_copy(disk->failure, sizeof(disk->failure),
                   "No space left on device");
    return false;
}

static void job_works(struct fake_world *world, struct fake_disk *disk)
{
    struct fake_job *job = &disk->job;
    uint64_t budget = world->mirror_per_ms;
    uint64_t lag;

    if (job->kind == VM_JOB_NONE || job->stuck ||
        world->now_us < job->begins_us || world_hangs(world, job->target))
        return;
    if (job->limit && job->limit >> 10 < budget * 1000)
        budget = (job->limit >> 10) / 1000 + 1;
    job->done += budget;
    if (job->left > budget) {
        job->left -= budget;
        (void)fill(world, disk);
        return;
    }
    budget -= job->left;
    job->left = 0;
    if (!fill(world, disk))
        return;
    job->target->whole = true;
    lag = goal(disk) - job->target->to;
    job->target->to += lag < budget ? lag : budget;
    if (lag > budget || ++job->equal_ms < world->ready_after_ms)
        return;
    job->ready = true;
    if (job->kind == VM_JOB_COMMIT)
        commit_ends(world, disk);
}

static void land(struct fake_world *world, struct fake_disk *disk,
                 struct fake_volume *top)
{
    if (!world_is_whole(top))
        world_break(world, "pivot onto an incomplete chain: %s",
                    top->info.path);
    world_open_chain(disk, top);
    if (world->pivot_forgets) {
        world->forgotten = true;
        return;
    }
    if (world->pivot_leaves_xml)
        return;
    disk->xml = top;
    if (!world->cuts_calls)
        disk->persistent = top;
}

static void pivot_ends(struct fake_world *world, struct fake_disk *disk)
{
    struct fake_volume *top = disk->job.target;

    /* Asked to end, a mirror still copies what there is to be copied. */
    if (disk->job.kind == VM_JOB_NONE || disk->job.pivot_at_us < 0 ||
        goal(disk) > top->to || world->pivot_hangs ||
        world->now_us < disk->job.pivot_at_us || world_hangs(world, top))
        return;
    world_end_job(disk);
    if (!world->pivot_fails && !disk->pivot_fails)
        land(world, disk, top);
}

static void abort_ends(struct fake_disk *disk)
{
    if (disk->job.kind != VM_JOB_NONE && disk->job.aborting && !disk->job.stuck)
        world_end_job(disk);
}

/* --- time -------------------------------------------------------------- */

static void count_pause(struct fake_world *world)
{
    bool reachable = world->now_us >= world->libvirt_back_us;

    if (!world->alive || !world->paused || world->paused_by_other ||
        world->forgotten)
        world->held_us = 0;
    else if (reachable)
        world->held_us += 1000;
    if (world->held_us > HELD_MAX_US)
        world_break(world, "the guest was suspended for more than 8 s");
}

static void qemu_lives(struct fake_world *world)
{
    for (size_t i = 0; i < world->n_disks; i++) {
        struct fake_disk *disk = &world->disks[i];

        if (!world->paused && world->writes_per_ms > 0)
            guest_writes(world, disk);
        job_works(world, disk);
        pivot_ends(world, disk);
        abort_ends(disk);
    }
}

void world_pass(struct fake_world *world, int64_t ms)
{
    for (int64_t i = 0; i < ms; i++) {
        world->now_us += 1000;
        if (world->alive)
            qemu_lives(world);
        fake_copier_pass(world);
        count_pause(world);
    }
}

/* What a job's target held was not flushed. */
static void lose_target(struct fake_disk *disk)
{
    struct fake_volume *target = disk->job.target;

    if (disk->job.kind == VM_JOB_NONE)
        return;
    if (disk->job.kind != VM_JOB_COPY) {
        target->to = disk->job.floor;
        if (target->from > target->to)
            target->from = target->to;
    } else if (!disk->job.same || disk->chain[0]->to != disk->job.floor) {
        world_empty(target);
    }
    world_end_job(disk);
}

void world_shut_down(struct fake_world *world)
{
    for (size_t i = 0; i < world->n_disks; i++)
        lose_target(&world->disks[i]);
    world->alive = false;
    world->paused = false;
    world->paused_by_other = false;
    world->forgotten = false;
}

void world_pause_by_other(struct fake_world *world)
{
    if (!world->alive || world->paused)
        return;
    world->paused = true;
    world->paused_by_other = true;
}
