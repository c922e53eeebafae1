# SPDX-License-Identifier: GPL-2.0-or-later
"""Thin disks on LUNs: from the alarm to usable space, against one lvextend, on
a host of the lab (tests/lab)."""
import contextlib
import pathlib
import statistics
import sys

from drayd import build_dir
from measure import table

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / 'lab'))

from lab import Lab, Lun  # noqa: E402
from node import Node  # noqa: E402

NAME, TITLE = 'extend', 'Extension of a thin disk'
GUESTS = True
OURS, PEER = 'drayd, from the alarm on', 'lvextend, the command'
LVS, EACH = 200, 5
MIB = 1 << 20
CHUNK = 128

FILL = '''
    for n in $(seq $2); do
        echo "lvcreate -qq -y -Wn -Zn -an -n other$n -l 1 --addtag MD_$((n + 9))\\
 --addtag IU_$(cat /proc/sys/kernel/random/uuid)\\
 --addtag PU_00000000-0000-0000-0000-000000000000 $1"
    done | lvm >/dev/null
    lvchange -ay $1/other1'''
COMMANDS = '''
    for n in $(seq $2); do
        start=$EPOCHREALTIME
        lvextend -qq --autobackup n -l +1 $1/other1 >&2
        echo "$start $EPOCHREALTIME"
    done'''


class Setting:
    """A VG with 200 LVs, and a guest that writes to a thin disk in it."""

    def __init__(self, node):
        self.node = node
        self.drayd = node.drayd(
            lease={'io_timeout': 4, 'require_watchdog': 'no'},
            monitor={'chunk_mib': CHUNK, 'utilization_percent': 50})
        storage = node.load('storage')
        self.domain = storage.make_block_domain(self.drayd, 'one', '/dev/vda')
        node.sh(FILL, self.domain.sd, LVS, timeout=900)
        image = storage.make_image(self.domain, ['COW'], size=16384 * MIB,
                                   data=0, initial=CHUNK * MIB)
        path = self.domain.prepared(image.img, image.volumes[0])
        self.events = self.drayd.rpc(120)
        self.events.call('Events.subscribe')
        self.guest = node.guest([node.load('guest').Disk(path)], size=8192,
                                rate=400, batch=16).start()

    def by_drayd(self, count):
        """Milliseconds of the next extensions."""
        self.node.host.virsh('resume', self.guest.name)
        times = []
        while len(times) < count:
            method, event = self.events.next_event()
            if method.startswith('|watermark|extended|'):
                times.append(event['tookMs'])
        self.node.host.virsh('suspend', self.guest.name)
        return times

    def by_command(self, count):
        out = self.node.out(COMMANDS, self.domain.sd, count, timeout=300)
        pairs = (line.split() for line in out.splitlines())
        return [1000 * (float(end) - float(start)) for start, end in pairs]

    def pauses(self):
        return self.drayd.call('Host.getStats')['pauses']


def percentile(times, percent):
    return sorted(times)[min(len(times) - 1, len(times) * percent // 100)]


def rows(samples):
    base = statistics.median(samples[PEER])
    for name, times in samples.items():
        p50 = statistics.median(times)
        yield [name, str(len(times)), f'{p50:.0f}',
               f'{percentile(times, 99):.0f}', f'{p50 / base:.2f}']


def measure(bench, exits):
    lab = exits.enter_context(Lab(1, [Lun(48)], 2048, limit_s=3600))
    node = Node(lab.hosts[0], build_dir())
    node.start_services()
    setting = Setting(node)
    samples = {OURS: [], PEER: []}
    for turn in range(bench.scale.runs):
        node.host.virsh('suspend', setting.guest.name)
        samples[PEER] += setting.by_command(EACH)
        samples[OURS] += setting.by_drayd(EACH)
        bench.say(f'  run {turn + 1} of {bench.scale.runs}: '
                  f'{[row[2] for row in rows(samples)]} ms at p50')
    return samples, setting.pauses()


def section(bench):
    bench.say('extend')
    with contextlib.ExitStack() as exits:
        samples, pauses = measure(bench, exits)
    p50 = {name: statistics.median(times) for name, times in samples.items()}
    return [
        f'On an emulated host, so that only the ratio counts. A VG with {LVS} '
        f'LVs; a guest fills a qcow2 on a thin LV that grows by {CHUNK} MiB at '
        'least. drayd: from qemu\'s event to the LV\'s new size in the '
        'kernel, under the VG\'s lease. The command: one LV by one extent, '
        f'without a lease. By turns, {EACH} of each.', '',
        f'drayd takes {p50[OURS] / p50[PEER]:.2f} of the time of the command '
        f'(the goal is at most 0.6). The guest paused {pauses} times.', '',
        *table(['', 'extensions', 'p50 ms', 'p99 ms', 'ratio'],
               rows(samples))]
