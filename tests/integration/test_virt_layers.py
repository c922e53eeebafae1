# SPDX-License-Identifier: GPL-2.0-or-later
"""The virt room: snapshots, commits, network disks, larger devices, and what is
true after a libvirtd that died in between. As in test_virt.py."""
import json
import os
import pathlib
import signal
import subprocess
import urllib.parse
import xml.etree.ElementTree as ET

import pytest

from host import run, wait_for
from test_virt import (DISK_BUSY, MIB, NO_DISK, NONRESP, NOT_READY, REPLICA,
                       machine, refused, virt)

__all__ = ['machine', 'virt']  # fixtures
SNAPSHOT, MERGE, PARAMETER, NOT_IN_CHAIN = 48, 52, 91, 920
SLOW = 1  # byte per second: what has some MiB to copy does not end


def layers(virt, machine, target):
    return [pathlib.Path(path).name for path in
            virt.call('disk_layers', machine.uuid, target)['layers']]


def xml_layers(host, machine, target):
    """What libvirt says."""
    root = ET.fromstring(host.virsh('dumpxml', machine.name).stdout)
    for disk in root.iter('disk'):
        if disk.find('target').get('dev') == target:
            found = []
            while disk is not None and disk.find('source') is not None:
                found.append(disk.find('source').get('file'))
                disk = disk.find('backingStore')
            return found
    return None


def qemu_io(image, command, kind='qcow2'):
    run('qemu-io', '-f', kind, '-c', command, image)


def backing(host, image):
    done = host.qemu_img('info', '-U', '--output=json', image)
    return json.loads(done.stdout).get('backing-filename')


def wait_gone(machine, target):
    return wait_for(f'{target} without job',
                    lambda: (i := machine.info(target))['kind'] == 'none'
                    and i, 20, 0.01)


def snapshot(virt, machine, *overlays, quiesce=0):
    flat = [item for overlay in overlays for item in overlay]
    return virt.call('snapshot', machine.uuid, quiesce, *flat)


def commit(virt, machine, target, base, top, limit=0):
    return virt.call('commit_start', machine.uuid, target, machine.dir / base,
                     machine.dir / top, limit)


# --- snapshots ----------------------------------------------------------


def test_disks_go_to_their_overlays(host, virt, machine):
    over = machine.image('over', 'qcow2', 64, 'leaf')
    other = machine.dir / 'other'
    host.qemu_img('create', '-q', '-f', 'qcow2', '-b', machine.dir / 'a.raw',
                  '-F', 'raw', other)
    snapshot(virt, machine, ('vdb', over))
    assert machine.truth('vdb') == ['over', 'over', 'over']
    assert machine.truth('vda') == ['a.raw', 'a.raw', 'a.raw']
    # the disk that is there already is left out, the other one goes
    snapshot(virt, machine, ('vdb', over), ('vda', other))
    snapshot(virt, machine, ('vdb', over), ('vda', other))
    assert layers(virt, machine, 'vdb') == ['over', 'leaf', 'mid', 'base']
    assert layers(virt, machine, 'vda') == ['other', 'a.raw']
    for target in ('vda', 'vdb', 'sda'):
        assert virt.call('disk_layers', machine.uuid, target)['layers'] == \
            xml_layers(host, machine, target)
    assert backing(host, over) == 'leaf'
    before = (machine.dir / 'leaf').read_bytes()
    machine.write('vdb', 0, '1M')
    assert (machine.dir / 'leaf').read_bytes() == before
    assert over.stat().st_blocks * 512 > MIB
    assert not host.virsh('snapshot-list', '--name',
                          machine.name).stdout.strip()
    # a file in any layer is used
    for name in ('over', 'leaf', 'base', 'other', 'a.raw'):
        user = virt.call('path_user', machine.dir / name)['user']
        assert user == machine.name


@pytest.mark.parametrize('bad', ['missing', 'not qcow2', 'locked'])
def test_all_disks_or_none(host, virt, machine, bad):
    good = machine.image('good', 'qcow2', 64, 'leaf')
    other = machine.dir / 'other'
    if bad == 'not qcow2':
        other.write_bytes(bytes(MIB))
    elif bad == 'locked':
        other = machine.dir / 's.raw'
    error = refused(snapshot, virt, machine, ('vdb', good), ('vda', other))
    assert error.code == SNAPSHOT and 'libvirt gives no reason' not in str(error)
    assert machine.truth('vdb') == ['leaf', 'leaf', 'leaf']
    assert machine.truth('vda') == ['a.raw', 'a.raw', 'a.raw']
    assert layers(virt, machine, 'vdb') == ['leaf', 'mid', 'base']
    snapshot(virt, machine, ('vdb', good))  # nothing was left locked
    assert machine.truth('vdb') == ['good', 'good', 'good']


def test_what_cannot_be_snapshot(host, virt, machine):
    over = machine.image('over', 'qcow2', 64, 'leaf')
    assert refused(snapshot, virt, machine, ('vdz', over)).code == SNAPSHOT
    assert refused(snapshot, virt, machine, ('vdb', 'over')).code == SNAPSHOT
    quiet = refused(snapshot, virt, machine, ('vdb', over), quiesce=1)
    assert quiet.code == SNAPSHOT and 'agent' in str(quiet) and quiet.next
    machine.mirror('vdb', machine.image('n', 'qcow2', 64), 'qcow2', limit=1)
    assert refused(snapshot, virt, machine, ('vdb', over)).code == SNAPSHOT
    host.virsh('destroy', machine.name)
    off = refused(snapshot, virt, machine, ('vdb', over))
    assert off.code == SNAPSHOT and 'not running' in str(off)
    assert machine.truth('vdb') == ['', '', 'leaf']


def loop_device(path, mib):
    with open(path, 'wb') as image:
        image.truncate(mib * MIB)
    return wait_for('a loop device', lambda: run(
        'losetup', '--find', '--show', path, check=False).stdout.strip(), 20,
        0.2)


def test_an_overlay_may_be_a_block_device(host, virt, machine):
    device = loop_device(machine.dir / 'lv', 80)
    try:
        host.qemu_img('create', '-q', '-f', 'qcow2', '-b',
                      machine.dir / 'leaf', '-F', 'qcow2', device)
        snapshot(virt, machine, ('vdb', device))
        disk = virt.call('vm_disks', machine.uuid)['disks']['vdb']
        assert disk['type'] == 'block' and disk['path'] == device
        found = virt.call('disk_truth', machine.uuid, 'vdb')
        assert found['xml'] == found['qemu'] == found['persistent'] == device
    finally:
        machine.destroy()
        run('losetup', '-d', device)


# --- commits -------------------------------------------------------------


@pytest.fixture
def held(host, virt, machine):
    """The machine, vdb on the overlay "over" with 8 MiB in it."""
    snapshot(virt, machine, ('vdb', machine.image('over', 'qcow2', 64,
                                                  'leaf')))
    machine.write('vdb', 0, '8M', 9)
    return machine


def test_an_active_commit_from_start_to_pivot(host, virt, held):
    commit(virt, held, 'vdb', 'leaf', 'over', SLOW)
    commit(virt, held, 'vdb', 'leaf', 'over', SLOW)  # the same: no error
    assert refused(commit, virt, held, 'vdb', 'mid', 'over').code == DISK_BUSY
    assert refused(commit, virt, held, 'vdb', 'base', 'mid').code == DISK_BUSY
    info = held.info('vdb')
    assert info['kind'] == 'active-commit' and not info['job']
    assert not info['ready'] and info['done'] < info['total']
    assert pathlib.Path(info['disk_path']).name == 'over'
    assert pathlib.Path(info['mirror_path']).name == 'leaf'
    disk = virt.call('vm_disks', held.uuid)['disks']['vdb']
    assert disk['job'] and not disk['mirror'] and disk['mirror_path'] == ''
    early = refused(virt.call, 'mirror_pivot', held.uuid, 'vdb')
    assert early.code == NOT_READY and early.next
    assert refused(held.mirror, 'vdb', held.image('n', 'qcow2', 64),
                   'qcow2').code == DISK_BUSY
    assert held.truth('vdb') == ['over', 'over', 'over']
    virt.call('mirror_limit', held.uuid, 'vdb', 0)
    held.wait_ready('vdb')
    assert held.truth('vdb') == ['over', 'over', 'over']
    virt.call('mirror_pivot', held.uuid, 'vdb')
    info = wait_gone(held, 'vdb')
    assert pathlib.Path(info['disk_path']).name == 'leaf'
    assert held.truth('vdb') == ['leaf', 'leaf', 'leaf']
    assert layers(virt, held, 'vdb') == ['leaf', 'mid', 'base']
    assert (held.dir / 'over').exists()  # ours to remove
    virt.call('mirror_abort', held.uuid, 'vdb')
    assert virt.call('mirror_failure', held.uuid, 'vdb')['reason'] == ''
    host.virsh('destroy', held.name)
    qemu_io(held.dir / 'leaf', 'read -P 9 0 8M')
    assert backing(host, held.dir / 'leaf') == 'mid'


def test_several_layers_at_once(host, virt, held):
    commit(virt, held, 'vdb', 'mid', 'over')
    held.wait_ready('vdb')
    virt.call('mirror_pivot', held.uuid, 'vdb')
    wait_gone(held, 'vdb')
    assert layers(virt, held, 'vdb') == ['mid', 'base']
    assert held.truth('vdb') == ['mid', 'mid', 'mid']
    host.virsh('destroy', held.name)
    qemu_io(held.dir / 'mid', 'read -P 9 0 8M')


@pytest.mark.parametrize('ready', [False, True], ids=['copying', 'ready'])
def test_an_aborted_commit_leaves_the_chain(host, virt, held, ready):
    commit(virt, held, 'vdb', 'leaf', 'over', 0 if ready else SLOW)
    if ready:
        held.wait_ready('vdb')
    for _ in range(2):
        virt.call('mirror_abort', held.uuid, 'vdb')
    assert wait_gone(held, 'vdb')['mirror_path'] == ''
    assert held.truth('vdb') == ['over', 'over', 'over']
    assert layers(virt, held, 'vdb') == ['over', 'leaf', 'mid', 'base']
    # and once more, to the end
    commit(virt, held, 'vdb', 'leaf', 'over')
    held.wait_ready('vdb')
    virt.call('mirror_pivot', held.uuid, 'vdb')
    wait_gone(held, 'vdb')
    assert held.truth('vdb') == ['leaf', 'leaf', 'leaf']


@pytest.fixture
def filled(host, virt, machine):
    """The machine, 20 MiB in vdb's "mid"."""
    host.virsh('destroy', machine.name)
    qemu_io(machine.dir / 'mid', 'write -P 5 0 20M')
    host.virsh('start', machine.name)
    return machine


def test_an_internal_commit_ends_by_itself(host, virt, filled):
    commit(virt, filled, 'vdb', 'base', 'mid', SLOW)
    info = filled.info('vdb')
    assert info['kind'] == 'commit' and not info['job'] and not info['ready']
    assert 0 <= info['done'] < info['total']
    assert pathlib.Path(info['mirror_path']).name == 'base'
    commit(virt, filled, 'vdb', 'base', 'mid', SLOW)  # the same: no error
    assert refused(commit, virt, filled, 'vdb', 'mid',
                   'leaf').code == DISK_BUSY
    assert refused(commit, virt, filled, 'vdb', 'base',
                   'leaf').code == DISK_BUSY
    assert refused(virt.call, 'mirror_pivot', filled.uuid, 'vdb')
    assert virt.call('vm_disks', filled.uuid)['disks']['vdb']['job']
    virt.call('mirror_limit', filled.uuid, 'vdb', 0)
    wait_gone(filled, 'vdb')
    assert layers(virt, filled, 'vdb') == ['leaf', 'base']
    assert filled.truth('vdb') == ['leaf', 'leaf', 'leaf']
    assert backing(host, filled.dir / 'leaf') == 'base'  # not absolute
    again = refused(commit, virt, filled, 'vdb', 'base', 'mid')
    assert again.code == NOT_IN_CHAIN
    host.virsh('destroy', filled.name)
    qemu_io(filled.dir / 'leaf', 'read -P 5 0 20M')


def test_an_internal_commit_can_be_aborted(host, virt, filled):
    commit(virt, filled, 'vdb', 'base', 'mid', SLOW)
    virt.call('mirror_abort', filled.uuid, 'vdb')
    wait_gone(filled, 'vdb')
    assert layers(virt, filled, 'vdb') == ['leaf', 'mid', 'base']
    assert backing(host, filled.dir / 'leaf') == 'mid'


def test_absolute_names_stay_absolute(host, virt, filled):
    host.virsh('destroy', filled.name)
    for child, parent in (('mid', 'base'), ('leaf', 'mid')):
        host.qemu_img('rebase', '-u', '-b', filled.dir / parent, '-F',
                      'qcow2', filled.dir / child)
    host.virsh('start', filled.name)
    commit(virt, filled, 'vdb', 'base', 'mid')
    wait_gone(filled, 'vdb')
    assert backing(host, filled.dir / 'leaf') == str(filled.dir / 'base')


def test_what_cannot_be_committed(host, virt, held):
    def code(*args):
        return refused(commit, virt, held, *args).code
    assert code('vdz', 'leaf', 'over') == NO_DISK
    assert code('vdb', 'a.raw', 'over') == NOT_IN_CHAIN
    assert code('vdb', 'leaf', 'no') == NOT_IN_CHAIN
    assert code('vdb', 'over', 'leaf') == MERGE
    assert code('vdb', 'leaf', 'leaf') == MERGE
    host.virsh('destroy', held.name)
    assert code('vdb', 'leaf', 'over') == NOT_IN_CHAIN
    assert held.truth('vdb') == ['', '', 'over']


# --- places ----------------------------------------------------------------


def test_one_spelling_of_a_place(virt):
    def place(text):
        return virt.call('place', text)['place']
    assert place('/dir/file') == '/dir/file'
    assert place('nbd:unix:/run/a b:exportname=x') == \
        place('NBD+unix:///x?socket=/run/a%20b') == \
        'nbd+unix:///x?socket=/run/a%20b'
    for bad in ('', 'x', 'nbd://', 'nbd+unix:///x', 'http://u:p@h/x'):
        assert refused(virt.call, 'place', bad).code == PARAMETER


class Nbd:
    """qemu-nbd of an image on a unix socket; as often as asked."""

    def __init__(self, machine, image, export, kind='raw'):
        self.socket = machine.dir.with_name(f'{machine.name} {export[:4]}.s')
        with open(os.devnull, 'wb') as null:
            self.process = subprocess.Popen(
                ['qemu-nbd', '-t', '-f', kind, '-x', export, '-k',
                 self.socket, '-e', '4', '--discard=unmap', image],
                stdout=null)
        wait_for('qemu-nbd', self.socket.exists)
        self.uri = (f'nbd+unix:///{urllib.parse.quote(export)}?socket='
                    + urllib.parse.quote(str(self.socket)))

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)


@pytest.fixture
def nbd(machine):
    servers = []

    def serve(*args, **kwargs):
        servers.append(Nbd(machine, *args, **kwargs))
        return servers[-1]
    yield serve
    machine.destroy()
    for server in servers:
        server.end()


@pytest.mark.parametrize('export', ['exp', 'a %41b'])
def test_a_disk_goes_to_the_network_and_back(host, virt, machine, nbd,
                                             export):
    machine.write('vda', 0, '4M', 3)
    server = nbd(machine.image('remote', 'raw', 32), export)
    other_spelling = server.uri.replace('nbd+unix', 'NBD+UNIX', 1)
    machine.mirror('vda', other_spelling, limit=1)
    info = machine.info('vda')
    assert info['job'] and info['mirror_path'] == server.uri
    assert virt.call('path_user', server.uri)['user'] == machine.name
    virt.call('mirror_limit', machine.uuid, 'vda', 0)
    machine.wait_ready('vda')
    virt.call('mirror_pivot', machine.uuid, 'vda')
    assert machine.wait_no_job('vda')['disk_path'] == server.uri
    found = virt.call('disk_truth', machine.uuid, 'vda')
    assert found['xml'] == found['qemu'] == found['persistent'] == server.uri
    assert virt.call('disk_layers', machine.uuid, 'vda')['layers'] == \
        [server.uri]
    disk = virt.call('vm_disks', machine.uuid)['disks']['vda']
    assert disk['type'] == 'network' and disk['path'] == server.uri
    assert disk['serial'] == 'S-A' and disk['capacity'] == 32 * MIB
    machine.write('vda', 4 * MIB, '1M', 4)

    back = machine.image('back', 'raw', 32)
    machine.mirror('vda', back)
    machine.wait_ready('vda')
    virt.call('mirror_pivot', machine.uuid, 'vda')
    machine.wait_no_job('vda')
    assert machine.truth('vda') == ['back', 'back', 'back']
    host.virsh('destroy', machine.name)
    qemu_io(back, 'read -P 3 0 4M', 'raw')
    qemu_io(back, 'read -P 4 4M 1M', 'raw')
    server.end()
    host.qemu_img('compare', machine.dir / 'remote', back)


def test_layers_on_the_network(host, virt, machine, nbd):
    """A qcow2 on NBD with a backing file here: json names."""
    over = machine.dir / 'over'
    host.qemu_img('create', '-q', '-f', 'qcow2', '-b', machine.dir / 'leaf',
                  '-F', 'qcow2', over)
    os.truncate(over, 80 * MIB)  # it cannot grow over there
    server = nbd(over, 'over')
    shallow = refused(machine.mirror, 'vdb', server.uri, 'qcow2', 1)
    assert shallow.code == REPLICA and 'backing chain' in str(shallow)
    for _ in range(2):
        snapshot(virt, machine, ('vdb', server.uri))
    found = virt.call('disk_truth', machine.uuid, 'vdb')
    assert found['xml'] == found['qemu'] == found['persistent'] == server.uri
    assert virt.call('disk_layers', machine.uuid, 'vdb')['layers'] == [
        server.uri] + [str(machine.dir / n) for n in ('leaf', 'mid', 'base')]
    machine.write('vdb', 0, '1M', 6)
    virt.call('commit_start', machine.uuid, 'vdb', machine.dir / 'leaf',
              server.uri, 0)
    machine.wait_ready('vdb')
    virt.call('mirror_pivot', machine.uuid, 'vdb')
    wait_gone(machine, 'vdb')
    assert machine.truth('vdb') == ['leaf', 'leaf', 'leaf']
    host.virsh('destroy', machine.name)
    qemu_io(machine.dir / 'leaf', 'read -P 6 0 1M')


def test_a_network_destination_that_is_not_there(virt, machine):
    gone = refused(machine.mirror, 'vda', 'nbd+unix:///x?socket=/nonexistent')
    assert gone.code == REPLICA
    gone = refused(machine.mirror, 'vda', 'nbd://127.0.0.1:1/x')
    assert gone.code == REPLICA
    for bad in ('gopher://h/x', 'nbd://u@h/x', 'nbd:'):
        assert refused(machine.mirror, 'vda', bad).code == REPLICA
    assert machine.truth('vda') == ['a.raw', 'a.raw', 'a.raw']


def test_the_persistent_source_goes_to_the_network(host, virt, machine):
    uri = 'nbd://[::1]:10810/an%20export'
    for _ in range(2):
        virt.call('disk_set_persistent', machine.uuid, 'vda', uri, 'raw')
        found = virt.call('disk_truth', machine.uuid, 'vda')
        assert found['persistent'] == uri
    xml = host.virsh('dumpxml', '--inactive', '--security-info',
                     machine.name).stdout
    assert "name='an export'" in xml and "port='10810'" in xml
    assert "passwd='secret'" in xml and 'S-A' in xml
    virt.call('disk_set_persistent', machine.uuid, 'vda',
              machine.dir / 'a.raw', 'raw')
    assert machine.truth('vda') == ['a.raw', 'a.raw', 'a.raw']
    assert 'nbd' not in host.virsh('dumpxml', '--inactive',
                                   machine.name).stdout


def test_a_larger_device_is_used_as_far_as_the_disk_goes(host, virt, machine):
    device = loop_device(machine.dir / 'lv', 48)
    try:
        machine.write('vda', 0, '4M', 3)
        machine.mirror('vda', device, 'raw', 0, 0, 0, 32 * MIB)
        machine.wait_ready('vda')
        virt.call('mirror_pivot', machine.uuid, 'vda')
        machine.wait_no_job('vda')
        found = virt.call('disk_truth', machine.uuid, 'vda')
        assert found['xml'] == found['qemu'] == found['persistent'] == device
        assert virt.call('disk_layers', machine.uuid, 'vda')['layers'] == \
            [device]
        disk = virt.call('vm_disks', machine.uuid)['disks']['vda']
        assert disk['capacity'] == 32 * MIB and disk['type'] == 'block'
        # named again from elsewhere: the disk does not grow
        virt.call('disk_set_persistent', machine.uuid, 'vda',
                  machine.dir / 'a.raw', 'raw')
        virt.call('disk_set_persistent', machine.uuid, 'vda', device, 'raw')
        host.virsh('destroy', machine.name)
        host.virsh('start', machine.name)
        disk = virt.call('vm_disks', machine.uuid)['disks']['vda']
        assert disk['capacity'] == 32 * MIB and disk['path'] == device
        # back to a file of the disk's size
        machine.mirror('vda', machine.image('back', 'raw', 32))
        machine.wait_ready('vda')
        virt.call('mirror_pivot', machine.uuid, 'vda')
        machine.wait_no_job('vda')
        assert machine.truth('vda') == ['back', 'back', 'back']
    finally:
        machine.destroy()
        run('losetup', '-d', device)
    qemu_io(machine.dir / 'back', 'read -P 3 0 4M', 'raw')


# --- counters and layers ---------------------------------------------------


def test_requests_are_counted(host, virt, machine):
    def counted():
        wanted = '/machine/peripheral/virtio-disk0/virtio-backend'
        for device in host.qmp(machine.name, 'query-blockstats'):
            if device.get('qdev') == wanted:
                return device['stats']
        return None
    wait_for('the BIOS reads', lambda: counted()['rd_operations'])
    found, stats = wait_for('a quiet moment', lambda: (
        (s := counted()) and (f := virt.call('disk_io', machine.uuid, 'vda'))
        and f['reads'] == s['rd_operations'] and (f, s)))
    assert found['read_us'] == stats['rd_total_time_ns'] // 1000 > 0
    assert found['writes'] == found['write_bytes'] == found['write_us'] == 0
    assert refused(virt.call, 'disk_io', machine.uuid, 'vdz').code == NO_DISK
    host.virsh('destroy', machine.name)
    assert refused(virt.call, 'disk_io', machine.uuid, 'vda')
    assert virt.call('disk_layers', machine.uuid, 'vda')['layers'] == []


def test_layers_whose_names_are_cut_off(host, virt, machine):
    deep = machine.dir
    for _ in range(3):
        deep = deep / ('d' * 200)
        deep.mkdir()
    below, wanted = machine.dir / 'leaf', ['leaf', 'mid', 'base']
    for i in range(8):
        host.qemu_img('create', '-q', '-f', 'qcow2', '-b', below, '-F',
                      'qcow2', deep / f'{i}')
        below = deep / f'{i}'
        wanted.insert(0, f'{i}')
    machine.xml.write_text(machine.xml.read_text().replace(
        f'{machine.dir / "leaf"}', str(below)))
    host.virsh('destroy', machine.name)
    host.virsh('undefine', machine.name)
    machine.start()
    assert layers(virt, machine, 'vdb') == wanted
    assert virt.call('disk_layers', machine.uuid, 'vdb')['layers'] == \
        xml_layers(host, machine, 'vdb')


def test_layers_of_a_stopped_vm_are_in_use(host, virt, machine):
    def user(path):
        return virt.call('path_user', path)['user']
    elsewhere = machine.dir / 'elsewhere'
    elsewhere.mkdir()
    over = elsewhere / 'over'
    host.qemu_img('create', '-q', '-f', 'qcow2', '-b', machine.dir / 'leaf',
                  '-F', 'qcow2', over)
    snapshot(virt, machine, ('vdb', over))
    link = machine.dir.with_name(machine.dir.name + '-link')
    link.symlink_to(machine.dir)
    for running in (True, False):
        if not running:
            # libvirt knows the uppermost only
            host.virsh('destroy', machine.name)
            virt.call('disk_set_persistent', machine.uuid, 'vdb',
                      machine.dir / 'a.raw', 'raw')
            assert user(machine.dir / 'leaf') == ''
            virt.call('disk_set_persistent', machine.uuid, 'vdb', over,
                      'qcow2')
        for name in ('leaf', 'mid', 'base', 'elsewhere'):
            assert user(machine.dir / name) == machine.name
            assert user(link / name) == machine.name
        assert user(machine.dir / 'bas') == ''
    link.unlink()
    over.unlink()  # a VM whose disk is gone holds up nobody
    assert user(machine.dir / 'leaf') == ''
    assert user(over) == machine.name


# --- libvirtd dies ------------------------------------------------------------


@pytest.fixture
def die(host, virt):
    """die(MOMENT): libvirtd dies there, see die-at.c; back() after that."""
    order = pathlib.Path(host.work, 'die')
    env = host.libvirtd.env
    env.update(DRAYD_DIE_AT=str(order), LD_PRELOAD=str(pathlib.Path(
        os.environ['DRAY_BUILD'], 'tests/integration/die-at.so')))
    host.restart_libvirtd(kill=True)
    wait_for('connected again', virt.connected)

    class Die:
        def __call__(self, moment):
            order.write_text(moment)

        def back(self):
            host.libvirtd.process.wait(10)
            order.unlink()
            host.restart_libvirtd(kill=True)
            wait_for('connected again', virt.connected)
    yield Die()
    order.unlink(missing_ok=True)
    del env['LD_PRELOAD'], env['DRAYD_DIE_AT']
    host.restart_libvirtd(kill=True)


STATUS, CONFIG = '/run/libvirt/qemu/', '/etc/libvirt/qemu/'


@pytest.mark.parametrize('moment,truth', [
    ('write 1 transaction', ['leaf', 'leaf', 'leaf']),
    (f'rename 1 {STATUS}\ntransaction', ['leaf', 'over', 'leaf']),
    (f'renamed 1 {STATUS}\ntransaction', ['over', 'over', 'leaf']),
    (f'renamed 1 {CONFIG}\ntransaction', ['over', 'over', 'over'])])
def test_libvirtd_dies_during_a_snapshot(host, virt, machine, die, moment,
                                         truth):
    over = machine.image('over', 'qcow2', 64, 'leaf')
    die(moment)
    assert refused(snapshot, virt, machine, ('vdb', over)).code == NONRESP
    die.back()
    assert machine.truth('vdb') == truth
    on_overlay = ['over'] if truth[1] == 'over' else []
    assert layers(virt, machine, 'vdb') == on_overlay + ['leaf', 'mid', 'base']
    assert virt.call('path_user', machine.dir / 'leaf')['user'] == machine.name
    if moment.startswith('write '):
        # qemu has the new file open already, so this cannot be repeated
        assert refused(snapshot, virt, machine, ('vdb', over)).code == SNAPSHOT
        assert machine.truth('vdb') == truth
    elif truth[0] == truth[1]:
        snapshot(virt, machine, ('vdb', over))
        assert machine.truth('vdb')[:2] == ['over', 'over']
        commit(virt, machine, 'vdb', 'leaf', 'over')
        machine.wait_ready('vdb')
    else:
        # libvirt would copy the frozen layer without a word
        for error in (refused(snapshot, virt, machine, ('vdb', over)),
                      refused(commit, virt, machine, 'vdb', 'base', 'mid'),
                      refused(machine.mirror, 'vdb',
                              machine.image('n', 'qcow2', 64), 'qcow2')):
            assert 'qemu writes to' in str(error) and error.next
        # at least the next start must not lose what was written
        virt.call('disk_set_persistent', machine.uuid, 'vdb', over, 'qcow2')
        assert machine.truth('vdb') == ['leaf', 'over', 'over']


@pytest.mark.parametrize('moment,truth', [
    ('write 1 job-complete', ['over', 'over', 'over']),
    (f'rename 1 {STATUS}\njob-complete', ['leaf', 'leaf', 'leaf']),
    ('write 1 job-dismiss', ['leaf', 'leaf', 'leaf']),
    (f'rename 1 {STATUS}\njob-dismiss', ['over', 'leaf', 'over']),
    ('write 1 blockdev-del', None),
    (f'rename 1 {STATUS}\nblockdev-del', None),
    (f'renamed 1 {STATUS}\nblockdev-del', ['leaf', 'leaf', 'over']),
    (f'renamed 1 {CONFIG}\nblockdev-del', ['leaf', 'leaf', 'leaf'])])
def test_libvirtd_dies_during_the_pivot_of_a_commit(host, virt, held, die,
                                                    moment, truth):
    commit(virt, held, 'vdb', 'leaf', 'over')
    held.wait_ready('vdb')
    pid = held.pid()
    die(moment)
    try:  # the late moments come when the call is back
        virt.call('mirror_pivot', held.uuid, 'vdb')
    except Exception as error:
        assert error.code == NONRESP
    die.back()
    if truth is None:
        over = held.dir / 'over'
        for call in (('disk_truth', 'vdb'), ('disk_layers', 'vdb'),
                     ('mirror_info', 'vdb'), ('disk_io', 'vdb'),
                     ('mirror_pivot', 'vdb'), ('mirror_limit', 'vdb', 0),
                     ('mirror_start', 'vdb', over, 'raw'),
                     ('commit_start', 'vdb', held.dir / 'leaf', over),
                     ('snapshot', 0, 'vdb', over)):
            unsure = refused(virt.call, call[0], held.uuid, *call[1:])
            assert unsure.code == NONRESP and unsure.next, call
        os.kill(pid, signal.SIGKILL)
        return
    # the new libvirtd may be about to finish the pivot
    wait_for(f'{truth}', lambda: held.truth('vdb') == truth, 5, 0.02)
    on_overlay = ['over'] if truth[1] == 'over' else []
    assert layers(virt, held, 'vdb') == on_overlay + ['leaf', 'mid', 'base']
    info = held.info('vdb')
    if truth[0] != truth[1]:
        assert not info['job'] and not info['ready']
        assert 'qemu writes to' in str(refused(commit, virt, held, 'vdb',
                                               'base', 'mid'))
    elif on_overlay:
        assert info['kind'] == 'active-commit' and info['ready']
        virt.call('mirror_pivot', held.uuid, 'vdb')
        wait_gone(held, 'vdb')
        assert held.truth('vdb') == ['leaf', 'leaf', 'leaf']
    else:
        assert info['kind'] == 'none'
    virt.call('disk_set_persistent', held.uuid, 'vdb', held.dir / 'leaf',
              'qcow2')
    assert held.truth('vdb')[1:] == ['leaf', 'leaf']
