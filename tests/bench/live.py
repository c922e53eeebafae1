# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole live migrations: drayd against libvirt's own command."""
from disks import MIB
from measure import (interleaved, median, own_seconds, seconds, spread,
                     table)
from rig import Rig, has_option, make_source, wait_windows, writes_of

NAME, TITLE = 'live', 'Live migration'
GUESTS = True
KINDS = ['data', 'data', 'data', 'hole']
RATE = 100  # writes per second: enough to see a pause
OURS = 'drayctl disk migrate'
PEER = 'virsh blockcopy --wait --pivot'
NONE = '-'


def contestants(quick):
    names = {OURS: []}
    if has_option('--fast') and not quick:
        names[f'{OURS} --fast'] = ['--fast']
    return {**names, PEER: None}


def measure(rig, options):
    with rig.ready() as guest:
        wait_windows(guest, 3)
        if options is None:
            sample, watch = rig.move_by_virsh(guest)
        else:
            sample, watch = rig.move_by_drayd(guest, '--keep-source', *options)
            sample.more['pause'] = (
                sample.more['job']['progress']['pauseMs'])
        sample.more['worst'] = writes_of(watch.all()).worst_us / 1000
    return sample


def rows(samples):
    peer = median(samples[PEER])
    for name, runs in samples.items():
        low, high = spread(runs)
        pause = NONE if name == PEER else (
            f'{median(runs, lambda run: run.more["pause"]):.0f}')
        yield [name, seconds(median(runs)), f'{seconds(low)}-{seconds(high)}',
               f'{median(runs) / peer:.2f}', own_seconds(runs), pause,
               f'{median(runs, lambda run: run.more["worst"]):.0f}',
               f'{spread(runs, lambda run: run.more["worst"])[1]:.0f}']


def verdict(samples):
    peer = median(samples[PEER])
    ours = {name: median(runs) / peer for name, runs in samples.items()
            if name != PEER}
    return ' '.join(f'{name} takes {ratio:.2f} of the time of virsh.'
                    for name, ratio in ours.items())


def section(bench):
    scale = bench.scale
    size = scale.live_mib * MIB
    lines = [
        f'A disk of {scale.live_mib} MiB, three quarters data, of a VM that '
        f'does nothing but {RATE} direct writes of 4 KiB a second; from XFS '
        'to ext4, source kept. Times are of the whole command, drayd\'s with '
        'its journal, leases and checks; both commands look only now and then '
        'whether it is done, virsh every half second. "Time" is relative to '
        'virsh; "job" is what drayd\'s job took. The pause is how '
        'long drayd has the VM suspended; virsh does not suspend it. The '
        'worst write is what the guest sees from the beginning to the end '
        '(median and highest of the runs), by its own clock, which stands '
        'still with it.']
    todo = contestants(scale.quick)
    for image_format in scale.live_formats:
        bench.say(f'live migration, {image_format}')
        image = make_source(bench, image_format, size, KINDS)
        rig = Rig(bench, 'b', image, RATE, 16)
        samples = interleaved(
            bench, todo, lambda name, _, rig=rig: measure(rig, todo[name]),
            {OURS, PEER})
        rig.reset(source=True)
        lines += ['', f'### {image_format}', verdict(samples), '',
                  *table(['', 's', 'from-to', 'time', 'job s', 'pause ms',
                          'worst write ms', 'highest'], rows(samples))]
    return lines
