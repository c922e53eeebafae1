# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness itself: what all other integration tests stand on."""
import subprocess
import time

import pytest

from guest import Disk
from host import HERE, Failed, run, wait_for


def test_lockspace_is_joined_within_three_and_a_half_seconds(host, make_fs):
    ids = make_fs() / 'ids'
    ids.write_bytes(bytes(1 << 20))
    host.sanlock_client('init', '-s', f'harness:0:{ids}:0', '-o', '1')
    begin = time.monotonic()
    host.sanlock_client('add_lockspace', '-s', f'harness:1:{ids}:0', '-o', '1')
    assert time.monotonic() - begin < 3.5
    host.sanlock_client('rem_lockspace', '-s', f'harness:1:{ids}:0')


@pytest.mark.parametrize('kind', ['ext4', 'xfs'])
def test_guest_writes_and_verifies(host, make_fs, make_guest, kind):
    image = make_fs(kind) / 'disk.qcow2'
    host.qemu_img('create', '-q', '-f', 'qcow2', image, '64M')
    guest = make_guest([Disk(image, serial='s-1', alias='ua-disk')], size=8)
    guest.wait_acks(200)
    assert guest.verify()['vda']['ok'] >= 200
    assert guest.slowest_ms() > 0
    assert guest.disk_path() == image
    assert guest.disk_element().find('serial').text == 's-1'
    guest.power_off()
    assert not guest.console.errors
    guest.verify_image(image, 'qcow2')


def test_two_disks_write_side_by_side(host, make_fs, make_guest):
    mount = make_fs()
    disks = []
    for name in ('one', 'two'):
        host.qemu_img('create', '-q', '-f', 'raw', mount / name, '16M')
        disks.append(Disk(mount / name, 'raw'))
    guest = make_guest(disks, start=4, size=4)
    guest.wait_acks(100)
    assert set(guest.verify()) == {'vda', 'vdb'}
    guest.host.virsh('destroy', guest.name)
    guest.verify_image(mount / 'one', 'raw', 'vda')
    guest.verify_image(mount / 'two', 'raw', 'vdb')


def test_verification_notices_lost_and_stale_records(host, make_fs,
                                                     make_guest):
    image = make_fs() / 'disk'
    host.qemu_img('create', '-q', '-f', 'raw', image, '16M')
    guest = make_guest([Disk(image, 'raw')], size=1, rate=0)
    guest.wait_acks(600)
    old = image.read_bytes()
    guest.wait_acks(600)
    guest.power_off()
    guest.verify_image(image, 'raw')
    new = image.read_bytes()
    # One record as it was two rounds ago; one that is damaged.
    for damaged in (old[:4096] + new[4096:], b'x' + new[1:]):
        image.write_bytes(damaged)
        with pytest.raises(Failed):
            guest.verify_image(image, 'raw')


def test_guest_times_its_writes(host, make_fs, make_guest):
    image = make_fs() / 'disk'
    host.qemu_img('create', '-q', '-f', 'raw', image, '16M')
    guest = make_guest([Disk(image, 'raw')], size=8, rate=200, latency=100)
    windows = wait_for('five windows', lambda: guest.read().latency['vda'][5:])
    for window in windows:
        assert 0 < window['n'] <= 22
        assert 0 < window['sum_us'] / window['n'] <= window['max_us']
        assert window['max_us'] <= window['sum_us']
    apart = [b['ms'] - a['ms'] for a, b in zip(windows, windows[1:])]
    assert all(99 <= ms for ms in apart)
    assert image.stat().st_blocks > 0
    guest.power_off()


def test_power_button_ends_the_guest(host, make_fs, make_guest):
    image = make_fs() / 'disk'
    host.qemu_img('create', '-q', '-f', 'raw', image, '16M')
    guest = make_guest([Disk(image, 'raw')], size=4)
    host.virsh('shutdown', guest.name)
    deadline = time.monotonic() + 15
    while guest.state() != 'shut off':
        assert time.monotonic() < deadline
        time.sleep(0.1)
    guest.verify_image(image, 'raw')


def test_guest_survives_a_killed_libvirtd(host, make_fs, make_guest):
    image = make_fs() / 'disk'
    host.qemu_img('create', '-q', '-f', 'raw', image, '16M')
    guest = make_guest([Disk(image, 'raw')], size=4)
    host.restart_libvirtd(kill=True)
    guest.wait_acks(50)
    assert guest.state() == 'running'
    guest.power_off()


def test_killed_private_host_leaves_nothing(tmp_path):
    script = ('cd $DRAY_PRIVATE_HOST; truncate -s 64M i; mkfs.ext4 -q i; '
              'mkdir m; mount -o loop i m; losetup -j i; sleep 1000')
    process = subprocess.Popen([HERE / 'private-host', 'bash', '-c', script],
                               stdout=subprocess.PIPE, text=True)
    device = process.stdout.readline().split(':')[0]
    assert device.startswith('/dev/loop')
    process.kill()
    process.stdout.read()  # its end: nobody inside is left
    deadline = time.monotonic() + 5
    while run('losetup', device, check=False).returncode == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
