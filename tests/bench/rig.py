# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM whose disk is moved by drayd or by a peer, and what it notices.

The guest times single direct 4 KiB writes all the while (guest/writer.c). Each
run begins with a fresh boot of the VM on the same source.
"""
import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import threading
import time

from disks import MIB
from drayd import Drayd, build_dir
from guest import Disk, Guest
from host import Failed, run, wait_for
from measure import timed
from storage import make_domain, make_image

WINDOW_MS = 100
DATA_MIB = 384  # of a disk that is moved within one file system


@dataclasses.dataclass
class Stage:
    """What moves happen on: domains "a" and "c" on one XFS, "b" on ext4."""
    xfs: pathlib.Path
    ext4: pathlib.Path
    domains: dict


def set_stage(bench):
    """For as long as the benchmark runs; the private host takes it away."""
    size = max(bench.scale.live_mib * 3 // 4, bench.scale.latency_mib // 2,
               2 * DATA_MIB) + 640
    xfs, ext4 = (bench.exits.enter_context(
        bench.storage.file_system(kind, size)) for kind in ('xfs', 'ext4'))
    bench.host.start_sanlock()
    bench.host.start_libvirtd()
    daemon = Drayd(bench.host).start()
    bench.exits.callback(daemon.kill)
    places = {'a': xfs / 'a', 'b': ext4 / 'b', 'c': xfs / 'c'}
    for place in places.values():
        place.mkdir()
    # Joining takes seconds, so at once.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        domains = list(pool.map(
            lambda name: make_domain(daemon, places[name], name), places))
    return Stage(xfs, ext4, dict(zip(places, domains)))


def make_source(bench, image_format, size, kinds, filled=None):
    """An image of one volume in domain "a", filled (up to @filled bytes)."""
    image = make_image(bench.stage.domains['a'],
                       [{'raw': 'RAW', 'qcow2': 'COW'}[image_format]],
                       size=size, data=0)
    bench.storage.fill(image.path(), image_format, filled or size, kinds)
    return image


def wait_windows(guest, count):
    wait_for(f'{guest.name} reports {count} times', lambda: len(
        guest.read().latency.get('vda', [])) >= count, 60, log=guest.log)


def has_option(option):
    done = run(build_dir() / 'src/cli/drayctl', 'disk', 'migrate', '--help',
               check=False)
    return option in done.stdout


@dataclasses.dataclass
class Writes:
    """What the guest's writes took in some windows of time."""
    count: int
    average_us: float
    worst_us: int


def writes_of(windows):
    count = sum(window['n'] for window in windows)
    if not count:
        raise Failed('the guest wrote nothing while its disk was moved')
    return Writes(count, sum(window['sum_us'] for window in windows) / count,
                  max(window['max_us'] for window in windows))


class Watch:
    """Notes, while a move runs, how far the guest's report and the copy are.
    Looks at files only, so that it costs the VM nothing."""

    def __init__(self, guest, copy):
        self.guest, self.copy = guest, copy
        self.notes = []  # (windows so far, blocks of the copy)
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _blocks(self):
        try:
            return self.copy.stat().st_blocks
        except FileNotFoundError:
            return 0

    def _note(self):
        self.notes.append((len(self.guest.read().latency['vda']),
                           self._blocks()))

    def _run(self):
        while not self.end.wait(0.02):
            self._note()

    def __enter__(self):
        self._note()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self._note()

    def all(self):
        """The windows that the move touched."""
        time.sleep(2 * WINDOW_MS / 1000)  # its last one is reported later
        latency = self.guest.read().latency['vda']
        return latency[self.notes[0][0]:self.notes[-1][0] + 1]

    def copying(self):
        """The windows in which the copy grew: after a start that is held
        back, before anything that only waits. At least one."""
        grew = [i for i in range(1, len(self.notes))
                if self.notes[i][1] > self.notes[i - 1][1] + MIB // 512]
        if not grew:
            return self.all()
        first, last = self.notes[grew[0]][0], self.notes[grew[-1]][0]
        self.all()
        latency = self.guest.read().latency['vda']
        # The first one began before; one that is cut at the end counts only
        # when there is no other.
        return latency[first + 1:last] or latency[first:last + 1]


class Rig:
    """An image in domain "a" that moves to domain @there. With small data one
    guest serves all runs: the second move begins where the first one ended."""

    def __init__(self, bench, there, image, rate, region_mib):
        self.host, self.image = bench.host, image
        self.domains = bench.stage.domains
        self.there = bench.stage.domains[there]
        self.keep, self.guest = bench.scale.quick, None
        self.copy = self.there.mount / 'copy'  # where peers move it
        self.rate, self.region_mib = rate, region_mib

    @contextlib.contextmanager
    def ready(self, reset_source=False):
        """A guest that runs on the image; what it leaves goes away, with its
        source if wanted."""
        if not self.guest:
            disk = Disk(self.image.path(), self.image.leaf_format())
            self.guest = Guest(self.host, [disk], rate=self.rate,
                               size=self.region_mib, latency=WINDOW_MS)
            self.guest.start()
        keep = False
        try:
            yield self.guest
            keep = self.keep
        finally:
            if not keep:
                self.reset(reset_source)

    def move_by_drayd(self, guest, *options):
        """(Sample, Watch); Sample.more has the job."""
        copy = self.image.path(domain=self.there)
        with Watch(guest, copy) as watch:
            sample = timed([build_dir() / 'src/cli/drayctl', '--json', 'disk',
                            'migrate', guest.name, 'vda', self.there.name,
                            *options])
        job = sample.more['job'] = json.loads(sample.output)
        sample.more['job_s'] = (job['ended'] - job['created']) / 1000
        self._require_on(guest, copy)
        return sample, watch

    def move_by_virsh(self, guest, *options):
        with Watch(guest, self.copy) as watch:
            sample = timed(['virsh', '-q', 'blockcopy', guest.name, 'vda',
                            '--dest', self.copy, '--format',
                            self.image.leaf_format(), '--transient-job',
                            '--wait', '--pivot', *options])
        self._require_on(guest, self.copy)
        return sample, watch

    @staticmethod
    def _require_on(guest, path):
        if guest.disk_path() != path:
            raise Failed(f'{guest.name} is on {guest.disk_path()}, not on '
                         f'{path}')

    def reset(self, source=False):
        """No guest; only the source is there, or not even that."""
        if self.guest:
            self.guest.destroy()
        self.guest = None
        for domain in [self.there] + [self.domains['a']] * source:
            for img in domain.images():
                domain.call('Image.delete', imageID=img)
        self.copy.unlink(missing_ok=True)
        for domain in self.domains.values():
            run('sync', '-f', domain.mount)
