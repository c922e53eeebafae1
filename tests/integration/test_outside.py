# SPDX-License-Identifier: GPL-2.0-or-later
"""Places outside of domains that a unit test cannot have: block devices, NBD
servers, full file systems. storage-check is the domain room's hand."""
import contextlib
import json
import os
import socket
import subprocess
import time

import pytest

from drayd import build_dir
from host import run, wait_for
from storage import MIB

BUSY, TOO_SMALL, NO_SPACE, NOT_RESPONDING, STORAGE = 203, 79, 397, 19, 200


@pytest.fixture
def check(tmp_path):
    """check(OPERATION, ...) -> its line, in words."""
    def call(*args):
        done = run(build_dir() / 'tests/integration/storage-check', tmp_path,
                   *args)
        return done.stdout.split()
    return call


@pytest.fixture
def device(tmp_path):
    """A block device of 64 MiB."""
    path = tmp_path / 'device'
    path.touch()
    os.truncate(path, 64 * MIB)
    name = run('losetup', '-f', '--show', path).stdout.strip()
    yield name
    run('losetup', '-d', name, check=False)


def expect_error(words, number, text):
    assert words[:2] == ['error', str(number)], words
    assert text in ' '.join(words)


def found(block=0, network=0, size=0):
    return ['1', str(block), str(network), str(size), str(size)]


def test_a_device_is_taken_as_it_is(check, device, tmp_path):
    whole = found(block=1, size=64 * MIB)
    assert check('info', device, 'RAW', 0) == whole
    assert check('create', device, 'RAW', 64 * MIB) == whole
    expect_error(check('create', device, 'RAW', 64 * MIB + 1), TOO_SMALL,
                 device)
    link = tmp_path / 'by-id'
    link.symlink_to(device)
    assert check('create', link, 'RAW', MIB) == whole
    assert check('create', link, 'COW', 32 * MIB) == whole
    info = json.loads(run('qemu-img', 'info', '--output=json', '-f', 'qcow2',
                          device).stdout)
    assert info['virtual-size'] == 32 * MIB
    run('qemu-img', 'check', '-q', '-f', 'qcow2', device)
    assert check('keep', device, 'RAW', 0) == whole
    check('remove', device, 'RAW', 0)
    assert os.path.exists(device) and link.is_symlink()


def test_a_device_in_use_is_left_alone(check, device, tmp_path):
    run('mkfs.ext4', '-q', device)
    mount = tmp_path / 'mount'
    mount.mkdir()
    run('mount', device, mount)
    try:
        expect_error(check('create', device, 'RAW', MIB), BUSY, device)
        expect_error(check('create', device, 'COW', MIB), BUSY, device)
        (mount / 'still').write_text('there')
    finally:
        run('umount', mount)
    run('e2fsck', '-fn', device)


@contextlib.contextmanager
def nbd_server(image, image_format, path):
    server = subprocess.Popen(['qemu-nbd', '-f', image_format, '-t', '-x',
                               'disk', '-k', path, image],
                              stdin=subprocess.DEVNULL)
    try:
        wait_for('qemu-nbd listens', lambda: os.path.exists(path))
        yield f'nbd+unix:///disk?socket={path}'
    finally:
        server.kill()
        server.wait()


def test_a_servers_disk_has_a_size(check, tmp_path):
    image = tmp_path / 'image'
    image.touch()
    os.truncate(image, 5 * MIB)
    with nbd_server(image, 'raw', tmp_path / 'sock') as uri:
        assert check('info', uri, 'RAW', 0) == found(network=1, size=5 * MIB)
        assert check('create', uri, 'RAW', MIB)[0] == '1'
        check('remove', uri, 'RAW', 0)
        wrong = uri.replace('/disk?', '/other?')
        expect_error(check('info', wrong, 'RAW', 0), STORAGE, wrong)
    assert image.stat().st_size == 5 * MIB


def test_a_dead_server_holds_nobody(check, tmp_path):
    path = tmp_path / 'dead'
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
        uri = f'nbd+unix:///disk?socket={path}'
        begun = time.monotonic()
        expect_error(check('info', uri, 'RAW', 0), NOT_RESPONDING, uri)
        assert 9 < time.monotonic() - begun < 15


@pytest.mark.parametrize('kind', ['ext4', 'xfs'])
def test_a_volume_on_a_full_file_system(check, make_fs, kind):
    assert check('full', make_fs(kind, 512)) == [str(NO_SPACE), 'same']
