# SPDX-License-Identifier: GPL-2.0-or-later
"""Bulk copies of images that nobody uses, from one file system to another."""
import dataclasses
import os
import shutil

from disks import MIB
from drayd import build_dir
from host import Failed, run
from measure import interleaved, median, mib, seconds, spread, table, timed

NAME, TITLE = 'copy', 'Bulk copy'
GUESTS = False
OURS, DD = 'drayd', 'dd, O_DIRECT'
THIRDS = ['data', 'zeros', 'hole']
CONVERT = ['qemu-img', 'convert', '-n', '-W', '-m', '16', '-t', 'none',
           '-T', 'none']
NBDCOPY = ['nbdcopy', '--destination-is-zero', '--request-size=4194304',
           '--flush']
SERVER = ['qemu-nbd', '--persistent', '--shared=16', '--cache=none',
          '--aio=native', '-f', 'qcow2']


@dataclasses.dataclass
class DataSet:
    name: str
    format: str
    size: int
    kinds: list  # empty: one hole
    full: bool = False


def data_sets(scale):
    size = scale.copy_mib * MIB
    return [
        DataSet('raw, a third each of data, written zeroes, holes', 'raw',
                size, THIRDS),
        DataSet('qcow2, a third each of data, written zeroes, holes', 'qcow2',
                size, THIRDS),
        DataSet('raw, full of data', 'raw', size, ['data'], full=True),
        DataSet(f'raw, empty, {scale.empty_gib} GiB', 'raw',
                scale.empty_gib << 30, []),
    ]


def contestants(data, src, dst):
    """{name: command}"""
    commands = {
        OURS: [build_dir() / 'tests/bench/copy-bench', src, dst, data.format,
               data.format],
        'qemu-img convert': [*CONVERT, '-f', data.format, '-O', data.format,
                             src, dst],
        'qemu-img convert, target is zero': [
            *CONVERT, '--target-is-zero', '-f', data.format, '-O',
            data.format, src, dst],
        'nbdcopy': [*NBDCOPY, src, dst] if data.format == 'raw' else
        [*NBDCOPY, '--', '[', *SERVER, '--read-only', src, ']', '[', *SERVER,
         dst, ']'],
        # sync writes back what the other ones have written when they end
        'cp --sparse=always': [
            'sh', '-c', 'cp --sparse=always "$0" "$1" && sync "$1"', src, dst],
    }
    if data.full:
        commands[DD] = ['dd', f'if={src}', f'of={dst}', 'bs=4M',
                        'iflag=direct', 'oflag=direct', 'conv=fsync',
                        'status=none']
    if not shutil.which('nbdcopy'):
        del commands['nbdcopy']
    return commands


def forget_pages(path):
    """The file is read from the disk again."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


class Contest:
    """One data set, copied by everybody from @source to @target."""

    def __init__(self, storage, data, source, target):
        self.storage, self.data = storage, data
        self.src, self.dst = source / 'source', target / 'copy'
        self.commands = contestants(data, self.src, self.dst)

    def create(self, path):
        # By default qemu-img has XFS allocate a MiB at a time.
        run('qemu-img', 'create', '-q', '-f', self.data.format, '-o',
            'extent_size_hint=0', path, self.data.size)

    def measure(self, name, turn):
        forget_pages(self.src)
        if name != DD and not name.startswith('cp'):
            self.create(self.dst)
        run('sync', '-f', self.dst.parent)
        try:
            sample = timed(self.commands[name])
            sample.more['allocated'] = self.dst.stat().st_blocks * 512
            if turn == 0:
                self.require_equal(name)
        finally:
            self.dst.unlink(missing_ok=True)
            run('sync', '-f', self.dst.parent)
        return sample

    def require_equal(self, name):
        done = run('qemu-img', 'compare', '-T', 'none', '-f',
                   self.data.format, '-F', self.data.format, self.src,
                   self.dst, check=False, timeout=600)
        if done.returncode != 0:
            raise Failed(f'{name} made a copy that differs: {done.stdout}'
                         f'{done.stderr}')

    def run(self, bench):
        self.create(self.src)
        self.storage.fill(self.src, self.data.format, self.data.size,
                          self.data.kinds or ['hole'])
        try:
            return interleaved(bench, self.commands, self.measure,
                               {OURS, 'qemu-img convert'})
        finally:
            self.src.unlink()


def rows(samples):
    ours = median(samples[OURS])
    for name, runs in samples.items():
        low, high = spread(runs)
        yield [name, seconds(median(runs)), f'{seconds(low)}-{seconds(high)}',
               f'{median(runs) / ours:.2f}',
               seconds(median(runs, lambda run: run.cpu)),
               f'{median(runs, lambda run: run.peak_kib) / 1024:.0f}',
               mib(median(runs, lambda run: run.more['allocated']))]


def verdict(data, samples):
    """What the numbers say, in a sentence or two."""
    ours = median(samples[OURS])
    peers = {name: median(runs) for name, runs in samples.items()
             if name.startswith(('qemu-img', 'nbdcopy'))}
    best = min(peers, key=peers.get)
    mover = samples[OURS][0].output.split()[1]
    text = (f'drayd (mover: {mover}) takes {ours / peers[best]:.2f} of the '
            f'time of the fastest of qemu-img and nbdcopy, here {best} (the '
            'goal is at most 1).')
    if DD in samples:
        text += (f' It takes {ours / median(samples[DD]):.2f} of what reading '
                 'and writing in a row with O_DIRECT takes (the goal is at '
                 'most 1.10).')
    if not data.kinds:
        text += f' Its {seconds(ours)} s are to be less than 1.'
    return text


def section(bench):
    scale, storage = bench.scale, bench.storage
    size = scale.copy_mib * 9 // 8 + 320
    lines = [
        f'Images of {scale.copy_mib} MiB, in pieces of 64 KiB to 16 MiB. Each '
        'program copies to a new file on the other file system, and what it '
        'wrote is on the disk when it ends. The source is read from the disk, '
        'not from memory. "Time" is relative to drayd: above 1 is slower. '
        'Memory is that of the largest process; the page cache, which cp and '
        'nbdcopy fill and the other ones leave alone, does not count.']
    with storage.file_system('xfs', size) as xfs, \
            storage.file_system('ext4', size) as ext4:
        for source, target, where in ((xfs, ext4, 'XFS to ext4'),
                                      (ext4, xfs, 'ext4 to XFS'))[
                                          :scale.directions]:
            for data in data_sets(scale):
                bench.say(f'{data.name}, {where}')
                samples = Contest(storage, data, source, target).run(bench)
                lines += ['', f'### {data.name[0].upper()}{data.name[1:]}; '
                          f'{where}', verdict(data, samples), '', *table(
                    ['', 's', 'from-to', 'time', 'CPU s', 'peak MiB',
                     'allocated MiB'], rows(samples))]
    return lines
