# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's writes take while its disk is mirrored."""
import statistics
import time

from disks import MIB
from measure import interleaved, median, seconds, table
from rig import (WINDOW_MS, Rig, has_option, make_source, wait_windows,
                 writes_of)

NAME, TITLE = 'latency', 'Latency of the guest'
GUESTS = True
RATE = 1000
PEER = 'virsh blockcopy, default'
DEFAULT = 'drayctl disk migrate'


def contestants(quick):
    names = {DEFAULT: []}
    if has_option('--fast') and not quick:
        names[f'{DEFAULT} --fast'] = ['--fast']
    return {**names, PEER: None}


def measure(rig, options, quiet_s):
    with rig.ready() as guest:
        wait_windows(guest, 5)
        begin = len(guest.read().latency['vda'])
        time.sleep(quiet_s)
        quiet = writes_of(guest.read().latency['vda'][begin:])
        if options is None:
            sample, watch = rig.move_by_virsh(guest)
        else:
            sample, watch = rig.move_by_drayd(guest, '--keep-source', *options)
        windows = watch.copying()
        moving = writes_of(windows)
    span_ms = max(len(windows) * WINDOW_MS, windows[-1]['ms'] -
                  windows[0]['ms'] + WINDOW_MS)
    sample.more.update(
        quiet=quiet.average_us / 1000, moving=moving.average_us / 1000,
        ratio=moving.average_us / quiet.average_us,
        worst=moving.worst_us / 1000, quiet_worst=quiet.worst_us / 1000,
        rate=moving.count / span_ms * 1000)
    return sample


def rows(samples):
    every = [sample for runs in samples.values() for sample in runs]

    def of(runs, key, form='.2f'):
        return format(median(runs, lambda run: run.more[key]), form)
    yield ['quiet', '', of(every, 'quiet'), '1.00', '',
           of(every, 'quiet_worst', '.0f')]
    for name, runs in samples.items():
        yield [name, seconds(median(runs)), of(runs, 'moving'),
               of(runs, 'ratio'), of(runs, 'rate', '.0f'),
               of(runs, 'worst', '.0f')]


def verdict(samples):
    ratios = {name: statistics.median(run.more['ratio'] for run in runs)
              for name, runs in samples.items()}
    return (f'By default drayd makes the average write {ratios[DEFAULT]:.1f} '
            f'times as long as in a quiet VM (the goal is at most 3), libvirt '
            f'{ratios[PEER]:.1f} times.')


def section(bench):
    scale = bench.scale
    size = scale.latency_mib * MIB
    lines = [
        f'A raw disk of {scale.latency_mib} MiB, half data, from XFS to ext4; '
        f'its guest writes 4 KiB directly {RATE} times a second, into the '
        'data. Each run is compared with the seconds before it. Counted are '
        'the writes while the copy grows; a write that comes late is not made '
        'up for, so the writes per second tell how often the guest was '
        'held up.']
    data_mib = scale.latency_mib // 2
    bench.say('latency')
    image = make_source(bench, 'raw', size, ['data'], data_mib * MIB)
    rig = Rig(bench, 'b', image, RATE, data_mib)
    todo = contestants(scale.quick)
    samples = interleaved(
        bench, todo,
        lambda name, _: measure(rig, todo[name], scale.quiet_s),
        {DEFAULT, PEER})
    rig.reset(source=True)
    return [*lines, verdict(samples), '', *table(
        ['', 's', 'average ms', 'ratio', 'writes/s', 'worst ms'],
        rows(samples))]
