# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems and data that are measured on.

The file systems are on loop devices with direct I/O, over files on the
machine's disk that have no name and were written once from end to end: the
disk underneath never allocates during a measurement, and whatever ends us
frees everything (the mounts are the private host's, the loop devices end with
their mounts, the files with their loop devices).
"""
import contextlib
import errno
import fcntl
import mmap
import os
import pathlib
import random
import shutil
import struct
import tempfile

from host import Failed, run

MIB = 1 << 20
BUFFER = 16 * MIB
PIECES = [MIB // 16, MIB // 4, MIB, 4 * MIB, 16 * MIB]

LOOP_CTL_GET_FREE, LOOP_CONFIGURE = 0x4C82, 0x4C0A
LO_FLAGS_AUTOCLEAR, LO_FLAGS_DIRECT_IO = 4, 16
# struct loop_config of <linux/loop.h>: file, block size, info, reserved.
LOOP_CONFIG = struct.Struct('=II40xIIII64s64x32x16x64x')


def scratch():
    """Where the data is: on the machine's disk."""
    return pathlib.Path(os.environ.get('DRAY_BENCH_DIR', '/var/tmp'))


def require_space(need_mib):
    free_mib = shutil.disk_usage(scratch()).free // MIB
    if free_mib < need_mib:
        raise Failed(f'{scratch()}: {free_mib} MiB are free, {need_mib} are '
                     'needed; DRAY_BENCH_DIR names another directory')


class Noise:
    """Random bytes for data that no layer below can shrink."""

    def __init__(self):
        self.buffer = mmap.mmap(-1, BUFFER)  # aligned, for direct I/O
        self.buffer.write(os.urandom(BUFFER))
        self.view = memoryview(self.buffer)
        self.zeros = memoryview(mmap.mmap(-1, BUFFER))

    def write(self, fd, at, size, zeros=False):
        """At an offset and size in blocks of 4 KiB; direct I/O will do."""
        source = self.zeros if zeros else self.view
        while size > 0:
            skip = at // 7 % (BUFFER // 2) // 4096 * 4096
            part = source[skip:skip + min(size, BUFFER - skip)]
            count = os.pwrite(fd, part, at)
            at, size = at + count, size - count


def open_direct(path, flags):
    return os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC, 0o600)


class Storage:
    """Makes file systems, and takes them away."""

    def __init__(self, host):
        self.host = host
        self.noise = Noise()
        self.direct = True  # all loop devices so far go round the page cache

    def _image(self, size):
        image = tempfile.TemporaryFile(dir=scratch())
        os.posix_fallocate(image.fileno(), 0, size)
        direct = fcntl.fcntl(image, fcntl.F_GETFL) | os.O_DIRECT
        fcntl.fcntl(image, fcntl.F_SETFL, direct)
        self.noise.write(image.fileno(), 0, size)
        os.fsync(image.fileno())
        return image

    def _loop(self, image):
        """An open loop device, its path."""
        config = LOOP_CONFIG.pack(image.fileno(), 0, 0, 0, 0,
                                  LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
                                  b'drayd-bench')
        for _ in range(100):
            with open('/dev/loop-control', 'rb') as control:
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            device = open(f'/dev/loop{number}', 'r+b', buffering=0)
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, config)
                return device, device.name
            except OSError as error:
                device.close()
                if error.errno != errno.EBUSY:  # taken since
                    raise
        raise Failed('no loop device is free')

    @contextlib.contextmanager
    def file_system(self, kind, size_mib):
        """A fresh, mounted file system: its mount point."""
        mount = self.host.work / self.host.unique(f'bench-{kind}-')
        mount.mkdir()
        with self._image(size_mib * MIB) as image:
            device, path = self._loop(image)
        with device:
            self._make(kind, path, mount)
        try:
            yield mount
        finally:
            if run('umount', mount, check=False).returncode != 0:
                run('umount', '-l', mount)  # freed when we end
            mount.rmdir()

    def _make(self, kind, path, mount):
        # No discard: it would give the written blocks back.
        options = {'ext4': ['-F', '-m', '0', '-E', 'nodiscard,'
                            'lazy_itable_init=0,lazy_journal_init=0'],
                   'xfs': ['-f', '-K', '-m', 'reflink=1']}
        run(f'mkfs.{kind}', '-q', *options[kind], path, timeout=300)
        run('mount', '-t', kind, path, mount)
        name = pathlib.Path(path).name
        state = pathlib.Path(f'/sys/block/{name}/loop/dio')
        self.direct = self.direct and state.read_text().strip() == '1'

    # data

    def pieces(self, size, kinds):
        """(kind, at, length) of pieces of mixed lengths, the same ones each
        time; all kinds get the same share of @size."""
        rng = random.Random(size)
        at = 0
        while at < size:
            length = rng.choice(PIECES)
            length = min(length, (size - at) // len(kinds) // 4096 * 4096)
            for kind in kinds:
                if length:
                    yield kind, at, length
                at += length or 4096

    def fill_raw(self, path, size, kinds):
        """@kinds of "data", "zeros" and "hole", up to @size."""
        fd = open_direct(path, os.O_WRONLY | os.O_CREAT)
        try:
            if os.fstat(fd).st_size < size:
                os.ftruncate(fd, size)
            for kind, at, length in self.pieces(size, kinds):
                if kind != 'hole':
                    self.noise.write(fd, at, length, kind == 'zeros')
            os.fsync(fd)
        finally:
            os.close(fd)

    def fill_qcow2(self, path, size, kinds):
        """The same in an image that is there, as a guest would write it."""
        with tempfile.NamedTemporaryFile() as pattern:
            pattern.write(self.noise.view)
            pattern.flush()
            source = {'data': f'-s {pattern.name}', 'zeros': '-P 0'}
            script = ''.join(f'write -q {source[kind]} {at} {length}\n'
                             for kind, at, length in self.pieces(size, kinds)
                             if kind != 'hole')
            run('qemu-io', '-f', 'qcow2', '-t', 'none', path, stdin=None,
                input=script + 'flush\n', timeout=600)

    def fill(self, path, image_format, size, kinds):
        if image_format == 'raw':
            self.fill_raw(path, size, kinds)
        else:
            self.fill_qcow2(path, size, kinds)
