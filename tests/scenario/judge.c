/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The judge of the scenarios: which copy must be there, whole, and which must
 * be gone.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Only looks: what it asks of the world changes nothing. */
static struct fake_world *world_of(const struct run *run)
{
    return (struct fake_world *)(uintptr_t)&run->world;
}

const struct fake_volume *run_volume(const struct run *run, enum side side,
                                     size_t disk, const char *vol)
{
    for (size_t i = 0; i < run->world.n_volumes; i++) {
        const struct fake_volume *volume = &run->world.volumes[i];

        if (volume->exists && volume->side == side && volume->disk == disk &&
            strcmp(volume->info.id.vol, vol) == 0)
            return volume;
    }
    return NULL;
}

static bool is_alive(const struct run *run)
{
    /* One that libvirt forgot stands still: the record decides. */
    return run->world.alive && !run->world.forgotten;
}

/* --- a chain ----------------------------------------------------------- */

static size_t count_layers(const struct run *run, enum side side)
{
    const struct fake_domain *domains = run->world.domains;

    if (domains[side].outside || (side == DST && domains[SRC].outside))
        return 1;
    return run->world.layers;
}

static void judge_layer(const struct run *run, const char *where,
                        const struct fake_volume *layer, bool leaf)
{
    CHECK(run, where, layer->exists);
    CHECK(run, where, layer->whole);
    CHECK(run, where, !layer->flipped);
    if (run->world.domains[layer->side].outside)
        return;
    CHECK(run, where, layer->info.legality == VOLUME_LEGAL);
    CHECK(run, where, leaf == (layer->info.role == VOLUME_LEAF));
    CHECK(run, where,
          layer->info.format == VOLUME_RAW ||
              strcmp(layer->info.parent, layer->backing) == 0);
}

void run_judge_chain(const struct run *run, const char *where, enum side side,
                     size_t disk, bool overlay)
{
    size_t n = count_layers(run, side);

    for (size_t i = 0; i < n; i++)
        judge_layer(run, where, world_volume(world_of(run), side, disk, i),
                    i + 1 == n && !overlay);
}

void run_judge_disk(const struct run *run, const char *where, size_t disk,
                    const struct fake_volume *top)
{
    const struct fake_world *world = &run->world;
    const struct fake_disk *of = &world->disks[disk];

    CHECK(run, where, world_knows(top) == of->acknowledged);
    CHECK(run, where, world_is_whole(top));
    CHECK(run, where,
          !world->defined || of->persistent == top || run->stale_xml);
    CHECK(run, where, !is_alive(run) || of->chain[0] == top);
    CHECK(run, where, !is_alive(run) || of->xml == top || run->stale_xml);
}

/* --- a move ------------------------------------------------------------ */

static enum side right_side(const struct run *run, size_t disk)
{
    const struct fake_disk *of = &run->world.disks[disk];

    if (is_alive(run))
        return of->chain[0]->side;
    if (run->may_be_mixed && run->world.defined)
        return of->persistent->side;
    return run->job.state == JOB_DONE ? DST : SRC;
}

static void judge_survivor(const struct run *run, const char *where,
                           enum side side, size_t disk)
{
    const char *vol = run->wish.disks[disk].overlay;
    const struct fake_volume *overlay = run_volume(run, side, disk, vol);
    size_t n = count_layers(run, side);

    CHECK(run, where, !overlay || run->may_leave_overlay);
    CHECK(run, where, !overlay || strstr(run->job.warning, vol));
    run_judge_chain(run, where, side, disk, overlay != NULL);
    run_judge_disk(run, where, disk,
                   overlay ? overlay
                           : world_volume(world_of(run), side, disk, n - 1));
}

static bool is_there(const struct run *run, enum side side, size_t disk)
{
    for (size_t i = 0; i < run->world.n_volumes; i++) {
        const struct fake_volume *volume = &run->world.volumes[i];

        if (volume->exists && volume->side == side && volume->disk == disk)
            return true;
    }
    return false;
}

static void judge_loser(const struct run *run, const char *where,
                        enum side side, size_t disk)
{
    const struct fake_world *world = &run->world;
    const struct fake_domain *domain = &world->domains[side];
    bool there = is_there(run, side, disk);
    bool may_stay =
        side == SRC ? run->may_leave_source : run->may_leave_destination;

    CHECK(run, where,
          !domain->outside || run->may_leave_overlay ||
              !run_volume(run, side, disk, run->wish.disks[disk].overlay));
    if (side == SRC && (run->wish.keep_source || domain->outside)) {
        CHECK(run, where, there);
        CHECK(run, where,
              run_volume(run, side, disk, run->wish.disks[disk].leaf));
        return;
    }
    if (domain->outside && domain->device)
        return;
    CHECK(run, where, !there || may_stay);
    CHECK(run, where, !there || run->job.warning[0]);
    CHECK(run, where, there || !domain->prepared[disk]);
}

static void judge_move(const struct run *run, const char *where)
{
    size_t there = 0;

    for (size_t i = 0; i < run->world.n_disks; i++) {
        enum side right = right_side(run, i);

        there += right == DST;
        judge_survivor(run, where, right, i);
        if (!run->world.forgotten)
            judge_loser(run, where, right == SRC ? DST : SRC, i);
    }
    if (run->world.forgotten)
        return;
    CHECK(run, where,
          there == 0 || there == run->world.n_disks || run->may_be_mixed);
    CHECK(run, where,
          (run->job.state == JOB_DONE) == (there == run->world.n_disks));
}

/* --- LVs --------------------------------------------------------------- */

/* A VM that has gone leaves what it had to its owner. */
static bool may_be_active(const struct run *run,
                          const struct fake_volume *volume)
{
    return world_has_open(&run->world, volume) ||
           world_is_named(&run->world, volume) ||
           (run->wish.vm[0] && !is_alive(run)) || run->may_leave_source ||
           run->may_leave_destination || run->may_leave_overlay ||
           run->may_leave_active ||
           strstr(run->job.warning, "is still active") != NULL;
}

static void judge_lv(const struct run *run, const char *where,
                     const struct fake_volume *volume)
{
    uint64_t end = volume->used + volume->waste;

    CHECK(run, where, !volume->active || may_be_active(run, volume));
    CHECK(run, where, volume->exists || volume->info.apparent_bytes == 0);
    if (!volume->exists || !world_is_thin(volume))
        return;
    CHECK(run, where, volume->info.apparent_bytes >= volume->used);
    CHECK(run, where,
          run->job.state != JOB_DONE || volume->side == SRC ||
              run->may_be_large ||
              volume->info.apparent_bytes <=
                  end + 2 * FAKE_CHUNK + 2 * FAKE_EXTENT);
}

static void judge_lvs(const struct run *run, const char *where)
{
    for (size_t i = 0; i < run->world.n_volumes; i++) {
        if (run->world.volumes[i].info.block)
            judge_lv(run, where, &run->world.volumes[i]);
    }
    for (size_t i = 0; i < run->world.n_disks; i++)
        CHECK(run, where, !run->world.disks[i].watched);
    CHECK(run, where, run->world.watch_held == 0);
    CHECK(run, where, run->world.kept == 0);
}

/* --- any job ----------------------------------------------------------- */

static void judge_guest(const struct run *run, const char *where)
{
    const struct fake_world *world = &run->world;

    for (size_t i = 0; i < world->n_disks; i++)
        CHECK(run, where,
              world->disks[i].job.kind == VM_JOB_NONE ||
                  run->may_leave_destination || run->may_leave_overlay);
    CHECK(run, where, world->copy == NULL);
    CHECK(run, where,
          !is_alive(run) || world->paused == world->paused_by_other);
}

static void judge_record(const struct run *run, const char *where)
{
    const struct job *job = &run->job;

    CHECK(run, where, job_is_terminal(job->state));
    CHECK(run, where, run->world.has_record);
    CHECK(run, where, run->world.record.state == job->state);
    CHECK(run, where, job->ended_ms > 0);
    CHECK(run, where, !job->suspended);
    CHECK(run, where, (job->state == JOB_FAILED) == (job->error.rc != 0));
    CHECK(run, where, job->error.rc == 0 || job->error.message[0]);
    CHECK(run, where, job->error.rc == 0 || job->error.next[0]);
}

void run_judge(const struct run *run, const char *where)
{
    if (run->world.violation[0])
        run_complain(run, where, run->world.violation);
    judge_record(run, where);
    judge_guest(run, where);
    judge_lvs(run, where);
    CHECK(run, where,
          run->world.checkpoint.key[0] == '\0' || run->may_leave_destination ||
              run->world.forgotten);
    if (run->judge)
        run->judge(run, where);
    else
        judge_move(run, where);
}
