# SPDX-License-Identifier: GPL-2.0-or-later
"""The copier on real file systems and devices: which mover it takes, what it
leaves, and what it does after a kill."""
import os
import pathlib
import random
import signal
import subprocess
import time

import pytest

from drayd import build_dir
from host import run, wait_for

MIB = 1 << 20
KEY = '0a-1b'


def copy(src, dst, *formats, options=(), check=True, timeout=120):
    """(seconds, mover, bytes) of copy-bench."""
    done = run(build_dir() / 'tests/bench/copy-bench', *options, src, dst,
               *formats, check=check, timeout=timeout)
    if done.returncode:
        return done
    seconds, mover, total = done.stdout.split()
    return float(seconds), mover, int(total)


def compare(src, dst, *formats, **more):
    return copy(src, dst, *formats, options=['--compare'], **more)


def probe(src, directory):
    return run(build_dir() / 'tests/bench/copy-bench', '--probe', src,
               directory).stdout.strip()


def fill(path, size, pieces, seed=1):
    """A file of @size bytes with data at [(at, length)...]; no two MiB of it
    are the same."""
    block = random.Random(seed).randbytes(MIB)
    with open(path, 'r+b' if pathlib.Path(path).exists() else 'wb') as f:
        f.truncate(size)
        for at, length in pieces:
            f.seek(at)
            for done in range(0, length, MIB):
                piece = (at + done).to_bytes(8, 'big') + block[8:]
                f.write(piece[:length - done])
        f.flush()
        os.fsync(f.fileno())


def same(a, b):
    return run('cmp', a, b, check=False).returncode == 0


def allocated(path):
    return os.stat(path).st_blocks * 512


def free(mount):
    run('sync', '-f', mount)
    st = os.statvfs(mount)
    return st.f_bfree * st.f_frsize


PIECES = [(0, 5 * MIB), (20 * MIB + 4096, 3 * MIB), (60 * MIB, 777)]
SIZE = 60 * MIB + 777
DATA = 8 * MIB


@pytest.fixture
def xfs(make_fs):
    return make_fs('xfs', 512)


@pytest.fixture
def ext4(make_fs):
    return make_fs('ext4', 512)


@pytest.fixture
def device(host):
    """device(MiB) -> a loop device full of garbage; gone after the test."""
    made = []

    def make(size_bytes):
        image = host.work / f'{host.unique("device-")}.img'
        fill(image, size_bytes, [(0, size_bytes)], seed=99)
        made.append((run('losetup', '-f', '--show', image).stdout.strip(),
                     image))
        return pathlib.Path(made[-1][0])
    yield make
    for path, image in made:
        run('losetup', '-d', path)
        image.unlink()


def test_one_xfs_shares_its_blocks(xfs):
    src, dst = xfs / 'src', xfs / 'dst'
    fill(src, SIZE, PIECES)
    dst.touch()
    inode = dst.stat().st_ino
    before = free(xfs)
    assert probe(src, xfs) == 'reflink'
    assert sorted(p.name for p in xfs.iterdir()) == ['dst', 'src']
    assert copy(src, dst)[1] == 'reflink'
    assert same(src, dst)
    assert before - free(xfs) < MIB
    assert dst.stat().st_ino == inode
    compare(src, dst)


def test_sharing_minds_no_limit_and_replaces_what_was_there(xfs):
    src, dst = xfs / 'src', xfs / 'dst'
    fill(src, SIZE, PIECES)
    fill(dst, 2 * SIZE, [(0, 2 * SIZE)], seed=2)
    seconds, mover, _ = copy(src, dst, options=['--limit', '1000'])
    assert mover == 'reflink' and seconds < 5
    assert same(src, dst)


def test_sharing_takes_many_gigabytes_in_steps(xfs):
    src, dst = xfs / 'src', xfs / 'dst'
    size = (5 << 30) + 12345
    fill(src, size, [(0, MIB), ((1 << 30) - 4096, 8192), (4 << 30, 4096),
                     (size - 12345, 12345)])
    assert copy(src, dst)[1] == 'reflink'
    assert dst.stat().st_size == size
    compare(src, dst)


@pytest.mark.parametrize('size', [0, 1, 4095, 4096, 4097])
def test_sharing_tiny_files(xfs, size):
    src, dst = xfs / 'src', xfs / 'dst'
    fill(src, size, [(0, size)])
    assert copy(src, dst)[1] == 'reflink'
    assert same(src, dst)
    assert probe(src, xfs) == 'reflink'


def test_a_preallocated_copy_stays_reserved(xfs):
    src, dst = xfs / 'src', xfs / 'dst'
    fill(src, SIZE, PIECES)
    dst.touch()
    run('fallocate', '-l', SIZE, dst)
    assert copy(src, dst)[1] == 'reflink'
    assert same(src, dst)
    assert allocated(dst) >= SIZE


def test_a_shared_copy_is_its_own(xfs):
    """Who writes to one does not change the other."""
    src, dst = xfs / 'src', xfs / 'dst'
    fill(src, SIZE, PIECES)
    copy(src, dst)
    with open(dst, 'r+b') as f:
        f.seek(MIB)
        f.write(b'changed')
    done = compare(src, dst, check=False)
    assert done.returncode == 1
    assert f'484 {dst} differs' in done.stderr
    assert f'offset {MIB}' in done.stderr
    assert 'source is unchanged' in done.stderr


@pytest.mark.parametrize('there', [('xfs', 'ext4'), ('ext4', 'xfs'),
                                   ('ext4', 'ext4'), ('xfs', 'xfs')])
def test_between_file_systems_data_moves(make_fs, there):
    a, b = (make_fs(kind, 512) for kind in there)
    src, dst = a / 'src', b / 'dst'
    fill(src, SIZE, PIECES)
    assert probe(src, b) == 'direct'
    _, mover, total = copy(src, dst)
    assert mover == 'direct' and DATA <= total < DATA + 8192
    assert same(src, dst)
    assert allocated(dst) <= allocated(src) + 8192
    compare(src, dst)


def test_one_ext4_cannot_share(ext4):
    src, dst = ext4 / 'src', ext4 / 'dst'
    fill(src, SIZE, PIECES)
    assert probe(src, ext4) == 'direct'
    assert copy(src, dst)[1] == 'direct'
    assert same(src, dst)


def test_memory_has_neither(host, ext4):
    src, dst = ext4 / 'src', host.work / host.unique('memory-')
    fill(src, SIZE, PIECES)
    assert probe(src, host.work) == 'direct'
    assert copy(src, dst)[1] == 'direct'
    assert same(src, dst)
    assert allocated(dst) <= DATA + 8192
    compare(src, dst)
    back = ext4 / 'back'
    copy(dst, back)
    assert same(src, back)
    dst.unlink()


def test_a_terabyte_of_nothing(xfs, ext4):
    src, dst = xfs / 'src', ext4 / 'dst'
    fill(src, 1 << 40, [])
    seconds, _, _ = copy(src, dst)
    assert seconds < 1
    assert dst.stat().st_size == 1 << 40 and allocated(dst) < 8192
    assert compare(src, dst)[0] < 1
    assert copy(src, xfs / 'shared')[0] < 1


def test_a_full_file_system(make_fs, ext4):
    small = make_fs('ext4', 32)
    src, dst = ext4 / 'src', small / 'dst'
    fill(src, SIZE, [(0, SIZE)])
    done = copy(src, dst, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith('copy-bench: 397 write ')
    assert str(dst) in done.stderr and 'free space' in done.stderr


# devices

def test_a_device_reads_zeros_where_the_source_has_holes(ext4, device):
    src, dst = ext4 / 'src', device(64 * MIB)
    fill(src, SIZE, PIECES)
    assert copy(src, dst)[1] == 'direct'
    assert run('cmp', '-n', SIZE, src, dst).returncode == 0
    compare(src, dst)


def test_written_zeros_reach_a_device(ext4, device):
    src, dst = ext4 / 'src', device(16 * MIB)
    with open(src, 'wb') as f:
        f.write(b'a' * MIB + bytes(14 * MIB) + b'z' * MIB)
        os.fsync(f.fileno())
    copy(src, dst)
    assert same(src, dst)


def test_a_device_is_copied_into_a_sparse_file(ext4, device):
    src, dst = device(16 * MIB), ext4 / 'dst'
    with open(src, 'r+b') as f:
        f.seek(4 * MIB)
        f.write(bytes(8 * MIB))
        os.fsync(f.fileno())
    assert probe(src, ext4) == 'direct'
    copy(src, dst)
    assert same(src, dst)
    assert 8 * MIB <= allocated(dst) <= 9 * MIB
    compare(src, dst)


def test_a_device_by_a_link_and_device_to_device(ext4, device):
    src, dst = device(8 * MIB), device(12 * MIB)
    link = ext4 / 'lv'
    link.symlink_to(dst)
    with open(src, 'r+b') as f:
        f.write(b'different')
        os.fsync(f.fileno())
    copy(src, link)
    assert run('cmp', '-n', 8 * MIB, src, dst).returncode == 0
    with open(dst, 'r+b') as f:
        f.seek(5 * MIB + 3)
        f.write(b'!')
    done = compare(src, link, check=False)
    assert done.returncode == 1
    assert f'offset {5 * MIB + 3}' in done.stderr


def qcow2(path, *writes, size='1G'):
    """On a file, or over what a device held before."""
    run('qemu-img', 'create', '-q', '-f', 'qcow2', path, size)
    for write in writes:
        run('qemu-io', '-f', 'qcow2', '-c', write, path)


def test_a_qcow2_ends_before_its_device(ext4, device):
    src, dst = device(64 * MIB), ext4 / 'dst'
    qcow2(src, 'write -P 7 0 3M', 'write -P 8 900M 2M')
    assert copy(src, dst, 'qcow2', 'qcow2')[1] == 'direct'
    assert 5 * MIB < os.stat(dst).st_size < 7 * MIB
    run('qemu-img', 'check', '-q', '-f', 'qcow2', dst)
    run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'qcow2', src, dst)
    compare(src, dst, 'qcow2', 'qcow2')


def test_a_qcow2_needs_no_more_of_a_device_than_it_has(ext4, device):
    src, middle, dst = ext4 / 'src', device(16 * MIB), device(8 * MIB)
    qcow2(src, 'write -P 7 0 3M', 'write -P 8 900M 2M')
    copy(src, middle, 'qcow2', 'qcow2')
    copy(middle, dst, 'qcow2', 'qcow2')
    for there in middle, dst:
        run('qemu-img', 'check', '-q', '-f', 'qcow2', there)
        compare(src, there, 'qcow2', 'qcow2')
    compare(middle, dst, 'qcow2', 'qcow2')
    small = device(4 * MIB)
    done = copy(src, small, 'qcow2', 'qcow2', check=False)
    assert done.returncode == 1 and '397' in done.stderr


def test_raw_becomes_qcow2_on_a_device(ext4, device):
    src, dst = ext4 / 'src', device(16 * MIB)
    fill(src, SIZE + MIB - 777, PIECES)
    qcow2(dst, size=str(SIZE + MIB - 777))
    copy(src, dst, 'raw', 'qcow2')
    run('qemu-img', 'check', '-q', '-f', 'qcow2', dst)
    run('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', src, dst)


def test_nothing_old_is_left_at_the_end_of_a_raw_device(ext4, device):
    src, dst = ext4 / 'src', device(8 * MIB)
    fill(src, 5 * MIB + 100, [(0, 5 * MIB + 100)])
    copy(src, dst)
    with open(dst, 'rb') as f:
        f.seek(5 * MIB + 100)
        assert f.read() == bytes(3 * MIB - 100)


def test_a_small_device_is_refused_untouched(ext4, device):
    src, dst = ext4 / 'src', device(8 * MIB)
    fill(src, 8 * MIB + 1, [(0, 8 * MIB + 1)])
    before = dst.read_bytes()
    done = copy(src, dst, check=False)
    assert done.returncode == 1 and '397' in done.stderr
    assert dst.read_bytes() == before


def test_a_mounted_device_is_refused(ext4, make_fs):
    mounted = make_fs('ext4', 64)
    dst = run('findmnt', '-no', 'SOURCE', mounted).stdout.strip()
    src = ext4 / 'src'
    fill(src, MIB, [(0, MIB)])
    done = copy(src, dst, check=False)
    assert done.returncode == 1 and 'busy' in done.stderr


# kills

def start(src, dst, state, limit):
    return subprocess.Popen(
        [build_dir() / 'tests/bench/copy-bench', '--state', state, '--key',
         KEY, '--limit', str(limit), src, dst], stdout=subprocess.DEVNULL)


def is_resumable(src, dst, state):
    return run(build_dir() / 'tests/bench/copy-bench', '--resumable',
               '--state', state, '--key', KEY, src, dst).stdout == 'yes\n'


def bytes_read(device_name):
    """By the device under a file system, since it was made."""
    text = pathlib.Path(f'/sys/block/{device_name}/stat').read_text()
    return int(text.split()[2]) * 512


@pytest.mark.parametrize('there', [('xfs', 'ext4'), ('ext4', 'xfs')])
def test_kills_cost_little(make_fs, host, there):
    """Killed three times: what was read twice is at most 64 MiB each."""
    a, b = (make_fs(kind, 768) for kind in there)
    state = host.work / host.unique('state-')
    state.mkdir()
    src, dst = a / 'src', b / 'dst'
    size = 320 * MIB
    fill(src, size, [(MIB, size - MIB)])
    device_name = run('findmnt', '-no', 'SOURCE', a).stdout.strip()
    device_name = device_name.removeprefix('/dev/')
    run('sync', '-f', a)
    pathlib.Path('/proc/sys/vm/drop_caches').write_text('1')
    before = bytes_read(device_name)
    for goal in (80, 160, 240):
        process = start(src, dst, state, 200 * MIB)
        wait_for(f'{goal} MiB are there',
                 lambda goal=goal: dst.exists()
                 and allocated(dst) >= goal * MIB, 30, 0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_resumable(src, dst, state)
    copy(src, dst, options=['--state', state, '--key', KEY])
    read = bytes_read(device_name) - before
    assert same(src, dst)
    assert not is_resumable(src, dst, state)
    assert not list((state / 'copies').iterdir())
    assert size - MIB <= read <= size + 3 * 64 * MIB + 16 * MIB


def test_a_kill_while_a_device_is_filled(ext4, device, host):
    state = host.work / host.unique('state-')
    state.mkdir()
    src, dst = ext4 / 'src', device(160 * MIB)
    fill(src, 160 * MIB, [(0, 40 * MIB), (100 * MIB, 60 * MIB)])
    process = start(src, dst, state, 100 * MIB)
    time.sleep(0.6)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_resumable(src, dst, state)
    copy(src, dst, options=['--state', state, '--key', KEY])
    assert same(src, dst)
    assert not is_resumable(src, dst, state)
