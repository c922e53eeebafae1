# SPDX-License-Identifier: GPL-2.0-or-later
"""A move within one file system that can clone files: drayd's snapshot
strategy against the bare calls of libvirt (recipe.c)."""
import functools
import json
import os

from disks import MIB
from drayd import build_dir
from host import run
from measure import (interleaved, median, own_seconds, seconds, spread,
                     table, timed)
from rig import DATA_MIB, Rig, has_option, wait_windows, writes_of
from storage import make_image

NAME, TITLE = 'reflink', 'Move by reflink'
GUESTS = True
OURS = 'drayctl disk migrate --strategy snapshot'
PEER = 'bare calls of libvirt'
RATE = 100


def make_master(bench):
    """What each run's disk is a clone of: data in a hundred places."""
    path, size = bench.stage.xfs / 'master', bench.scale.reflink_gib << 30
    bench.storage.fill_raw(path, size, ['hole'])
    step, piece = (value // 100 // 4096 * 4096
                   for value in (size, DATA_MIB * MIB))
    with open(path, 'r+b') as file:
        for i in range(100):
            bench.storage.noise.write(file.fileno(), i * step, piece)
        os.fsync(file.fileno())
    return path


def make_rig(bench, master):
    stage = bench.stage
    image = make_image(stage.domains['a'], ['RAW'],
                       bench.scale.reflink_gib << 30, data=0)
    run('cp', '--reflink=always', master, image.path())
    run('sync', '-f', stage.xfs)
    return Rig(bench, 'c', image, RATE, 16)


def by_recipe(guest, source, copy):
    sample = timed([build_dir() / 'tests/bench/recipe', guest.name, 'vda',
                    source, copy])
    # Without finding libvirt and the VM.
    sample.more['steps'] = json.loads(sample.output)
    sample.seconds = sample.more['steps'].pop('seconds')
    return sample


def measure(rig, name):
    with rig.ready(reset_source=True) as guest:
        wait_windows(guest, 3)
        before = len(guest.read().latency['vda'])
        if name == PEER:
            sample = by_recipe(guest, guest.disk_path(), rig.copy)
        else:
            sample, _ = rig.move_by_drayd(guest, '--strategy', 'snapshot')
        now = len(guest.read().latency['vda'])
        wait_windows(guest, now + 2)
        sample.more['worst'] = writes_of(
            guest.read().latency['vda'][before:now + 2]).worst_us / 1000
    return sample


def rows(samples):
    for name, runs in samples.items():
        low, high = spread(runs)
        yield [name, seconds(median(runs)), f'{seconds(low)}-{seconds(high)}',
               f'{median(runs) / median(samples[PEER]):.2f}',
               own_seconds(runs),
               f'{median(runs, lambda run: run.more["worst"]):.0f}']


def step_s(runs, step):
    return median(runs, lambda run: run.more['steps'][step])


def verdict(samples):
    steps = samples[PEER][0].more['steps']
    text = 'The bare calls, in ms: ' + ', '.join(
        f'{step} {1000 * step_s(samples[PEER], step):.0f}'
        for step in steps) + '.'
    if OURS not in samples:
        return text + ' drayd was not measured.'
    ratio = median(samples[OURS]) / median(samples[PEER])
    return (f'drayd, with its journal, leases, checks and the deletion of the '
            f'source, takes {ratio:.2f} of the time of the bare calls (the '
            f'goal is at most 2). {text}')


def section(bench):
    scale = bench.scale
    lines = [
        f'A raw disk of {scale.reflink_gib} GiB with {DATA_MIB} MiB of data '
        'in a hundred places, between two domains of one XFS; its guest '
        f'writes {RATE} times a second. The bare calls: snapshot, cp '
        '--reflink, qemu-img create, blockcopy of the layer, pivot, commit, '
        'pivot; drayd\'s time is that of the whole command, "job" what its '
        'job took. "Time" is relative to the bare calls.']
    names = [OURS, PEER] if has_option('--strategy') else [PEER]
    bench.say('reflink')
    master = make_master(bench)
    make = functools.cache(make_rig) if scale.quick else make_rig
    samples = interleaved(
        bench, names, lambda name, _: measure(make(bench, master), name),
        {PEER})
    if scale.quick:
        make(bench, master).reset(source=True)
    master.unlink()
    return [*lines, verdict(samples), '', *table(
        ['', 's', 'from-to', 'time', 'job s', 'worst write ms'],
        rows(samples))]
