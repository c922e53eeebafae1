# SPDX-License-Identifier: GPL-2.0-or-later
"""The virt room: how full the layers of disks are, and who is told. A loop
device stands for a thin LV: it is full at its end, and grows while it is in
use. As in test_virt.py."""
import os

import pytest

from host import run, wait_for
from test_virt import MIB, NO_DISK, NO_VM, machine, refused, virt
from test_virt_layers import Nbd

__all__ = ['machine', 'virt']  # fixtures


class Lv:
    """What behaves like a thin LV that is active here."""

    def __init__(self, host, mib):
        self.file = host.work / host.unique('lv-')
        with open(self.file, 'wb') as f:
            f.truncate(mib * MIB)
        self.path = wait_for('a loop device', lambda: run(
            'losetup', '--find', '--show', self.file,
            check=False).stdout.strip(), 20, 0.2)

    def size(self):
        return int(run('blockdev', '--getsize64', self.path).stdout)

    def extend(self, mib):
        os.truncate(self.file, self.file.stat().st_size + mib * MIB)
        run('losetup', '--set-capacity', self.path)

    def remove(self):
        run('losetup', '-d', self.path, check=False)
        self.file.unlink()


@pytest.fixture
def make_lv(host):
    made = []

    def make(mib, *options, size='64M'):
        made.append(Lv(host, mib))
        if options:
            host.qemu_img('create', '-q', *options, made[-1].path, size)
        return made[-1]
    yield make
    for lv in made:
        lv.remove()


@pytest.fixture
def alarms(virt):
    """Those that came since the last look."""
    virt.call('alarms')
    return lambda: virt.call('alarms')['alarms']


def wait_alarm(alarms, timeout=20, **wanted):
    """The first one that is as @wanted; those before it are dropped."""
    def look():
        return next((a for a in alarms()
                     if all(a[k] == v for k, v in wanted.items())), None)
    return wait_for(f'an alarm {wanted}', look, timeout, 0.02)


def layers(virt, vm):
    """By their places."""
    found = virt.call('layer_stats', vm)['layers']
    assert len({layer['node'] for layer in found}) == len(found)
    return {layer['path']: layer for layer in found}


def subset(layer, **wanted):
    return {name: layer[name] for name in wanted} == wanted


@pytest.fixture
def thin(host, virt, machine, make_lv):
    """The machine with vdb on a qcow2 on an LV above "leaf"; it is the one that
    test_virt.py describes in all else."""
    machine.lv = make_lv(8, '-f', 'qcow2', '-b', machine.dir / 'leaf', '-F',
                         'qcow2')
    machine.destroy()
    old = machine.disk('leaf', 'qcow2', 'vdb', 'virtio')
    new = old.replace("type='file'", "type='block'").replace(
        f"file='{machine.dir / 'leaf'}'", f"dev='{machine.lv.path}'")
    machine.xml.write_text(machine.xml.read_text().replace(old, new))
    yield machine.start()
    machine.destroy()


def test_files_need_no_watch(virt, machine):
    """What they would say is not asked."""
    assert virt.call('layer_stats', machine.uuid)['layers'] == []


def test_layers_have_sizes(virt, thin):
    found = virt.call('layer_stats', thin.uuid)['layers']
    assert [(layer['target'], layer['depth'], layer['replica'],
             layer['format'], layer['path']) for layer in found] == [
        ('vda', 0, False, 'raw', str(thin.dir / 'a.raw')),
        ('vdb', 0, False, 'qcow2', thin.lv.path),
        ('vdb', 1, False, 'qcow2', str(thin.dir / 'leaf')),
        ('vdb', 2, False, 'qcow2', str(thin.dir / 'mid')),
        ('vdb', 3, False, 'qcow2', str(thin.dir / 'base')),
        ('sda', 0, False, 'raw', str(thin.dir / 's.raw'))]
    leaf = layers(virt, thin.uuid)[thin.lv.path]
    assert subset(leaf, capacity=64 * MIB, physical=8 * MIB, threshold=0,
                  allocation=0)
    thin.write('vdb', 0, '3M')
    thin.write('vda', '16M', '1M')
    found = layers(virt, thin.uuid)
    assert 3 * MIB < found[thin.lv.path]['allocation'] < 4 * MIB
    assert found[str(thin.dir / 'leaf')]['allocation'] == 0
    assert found[str(thin.dir / 'a.raw')]['allocation'] == 17 * MIB
    thin.lv.extend(4)
    assert layers(virt, thin.uuid)[thin.lv.path]['physical'] == 12 * MIB
    thin.host.virsh('destroy', thin.name)
    assert virt.call('layer_stats', thin.uuid)['layers'] == []
    thin.host.virsh('undefine', thin.name)
    assert refused(virt.call, 'layer_stats', thin.uuid).code == NO_VM


def test_a_threshold_is_told_once(virt, thin, alarms):
    node = layers(virt, thin.uuid)[thin.lv.path]['node']
    virt.call('threshold_set', thin.uuid, node, 1 * MIB)
    virt.call('threshold_set', thin.uuid, node, 2 * MIB)
    assert layers(virt, thin.uuid)[thin.lv.path]['threshold'] == 2 * MIB
    alarms()
    thin.write('vdb', 0, '3M')
    alarm = wait_alarm(alarms, kind='threshold')
    assert alarm['vm'] == thin.uuid and alarm['node'] == node
    assert 0 < alarm['excess'] <= 3 * MIB
    assert layers(virt, thin.uuid)[thin.lv.path]['threshold'] == 0
    virt.call('threshold_set', thin.uuid, node, 4 * MIB)
    virt.call('threshold_set', thin.uuid, node, 0)  # disarmed
    thin.write('vdb', '3M', '3M')
    # all events come in order: the one of this is behind what there was
    virt.call('vm_suspend', thin.uuid)
    heard = []
    wait_for('suspended', lambda: heard.extend(alarms()) or
             any(a['kind'] == 'changed' for a in heard), 20, 0.02)
    assert [a for a in heard if a['kind'] == 'threshold'] == []


def test_layers_that_are_gone_have_no_threshold(host, virt, thin):
    for node in ('vdb[99]', 'vdz[1]', 'vdb[x]', 'vdb[1', 'vdb[]', '[1]',
                 'vdb[1]x', 'vdz', ''):
        error = refused(virt.call, 'threshold_set', thin.uuid, node, 1)
        assert error.code == NO_DISK and error.next
    host.virsh('destroy', thin.name)
    gone = refused(virt.call, 'threshold_set', thin.uuid, 'vdb[1]', 1)
    assert gone.code == NO_DISK


def test_a_replica_is_seen_and_watched(virt, thin, make_lv, alarms):
    """Held at a byte per second it is there with its number, before it can be
    full; then it gets its space as it asks for it."""
    thin.lv.extend(16)
    thin.write('vdb', 0, '14M')
    dest = make_lv(4, '-f', 'qcow2', '-b', thin.dir / 'leaf', '-F', 'qcow2')
    thin.mirror('vdb', dest.path, 'qcow2', 1, limit=1, buffer=MIB)
    found = virt.call('layer_stats', thin.uuid)['layers']
    replicas = [layer for layer in found if layer['replica']]
    assert [(layer['depth'], layer['path'], layer['target'])
            for layer in replicas] == [
        (0, dest.path, 'vdb'), (1, str(thin.dir / 'leaf'), 'vdb'),
        (2, str(thin.dir / 'mid'), 'vdb'), (3, str(thin.dir / 'base'), 'vdb')]
    assert subset(replicas[0], capacity=64 * MIB, physical=4 * MIB,
                  format='qcow2')
    assert [layer['capacity'] for layer in replicas[1:]] == [0, 0, 0]
    assert [layer['path'] for layer in found
            if layer['target'] == 'vdb' and not layer['replica']][0] == \
        thin.lv.path

    node = replicas[0]['node']
    virt.call('threshold_set', thin.uuid, node, dest.size() - 3 * MIB)
    virt.call('mirror_limit', thin.uuid, 'vdb', 2 * MIB)
    for _ in range(3):
        assert wait_alarm(alarms, kind='threshold')['node'] == node
        dest.extend(4)
        virt.call('threshold_set', thin.uuid, node, dest.size() - 3 * MIB)
    thin.wait_ready('vdb')
    assert layers(virt, thin.uuid)[dest.path]['allocation'] > 14 * MIB
    assert layers(virt, thin.uuid)[thin.lv.path]['replica'] is False

    virt.call('mirror_pivot', thin.uuid, 'vdb')
    thin.wait_no_job('vdb')
    found = layers(virt, thin.uuid)
    assert thin.lv.path not in found
    assert subset(found[dest.path], node=node, replica=False, depth=0)
    assert found[str(thin.dir / 'leaf')]['capacity'] == 64 * MIB


def test_the_base_of_a_commit_is_watched(virt, thin, alarms):
    thin.lv.extend(40)
    thin.write('vdb', 0, '38M')
    virt.call('commit_start', thin.uuid, 'vdb', thin.dir / 'leaf',
              thin.lv.path, 1)
    found = layers(virt, thin.uuid)
    leaf = found[str(thin.dir / 'leaf')]
    assert leaf['allocation'] < 20 * MIB  # a buffer full went at once
    assert not any(layer['replica'] for layer in found.values())
    assert len(found) == 6 and leaf['depth'] == 1
    virt.call('threshold_set', thin.uuid, leaf['node'], 30 * MIB)
    virt.call('mirror_limit', thin.uuid, 'vdb', 0)
    assert wait_alarm(alarms, kind='threshold')['node'] == leaf['node']


def test_a_full_replica_is_told(virt, thin, make_lv, alarms):
    thin.write('vdb', 0, '7M')
    dest = make_lv(4, '-f', 'qcow2')
    thin.mirror('vdb', dest.path, 'qcow2')
    alarm = wait_alarm(alarms, kind='no-space')
    assert alarm['vm'] == thin.uuid and alarm['node'] == 'vdb'
    thin.wait_no_job('vdb')
    pause = virt.call('paused_for_space', thin.uuid)
    assert pause['paused'] is False and pause['target'] == ''


def test_layers_on_the_network(virt, thin, alarms):
    server = Nbd(thin, thin.image('remote', 'raw', 32), 'exp')
    try:
        thin.mirror('vda', server.uri)
        thin.wait_ready('vda')
        thin.write('vda', 0, '2M')
        found = layers(virt, thin.uuid)[server.uri]
        assert subset(found, target='vda', replica=True, depth=0,
                      format='raw', capacity=32 * MIB, physical=32 * MIB)
        virt.call('threshold_set', thin.uuid, found['node'], 4 * MIB)
        thin.write('vda', '6M', '1M')
        assert wait_alarm(alarms, kind='threshold')['node'] == found['node']
        virt.call('mirror_abort', thin.uuid, 'vda')
        thin.wait_no_job('vda')
        gone = refused(virt.call, 'threshold_set', thin.uuid, found['node'], 1)
        assert gone.code == NO_DISK
    finally:
        thin.destroy()
        server.end()


def test_a_thin_disk_runs_full(host, virt, alarms, make_lv, make_guest):
    lv = make_lv(16, '-f', 'qcow2')
    guest = make_guest([{'path': lv.path}], size=48, rate=0)
    vm = virt.call('vm_find', guest.name)['vm']['uuid']
    node = layers(virt, vm)[lv.path]['node']
    virt.call('threshold_set', vm, node, lv.size() - 4 * MIB)
    for _ in range(2):
        heard = []
        wait_for('no space', lambda: heard.extend(alarms()) or any(
            a['kind'] == 'no-space' for a in heard), 60, 0.05)
        # told before it is full, and once; then that it is
        mine = [a for a in heard if a['vm'] == vm]
        told = [a['kind'] for a in mine if a['kind'] != 'changed']
        assert told[:2] == ['threshold', 'no-space']
        assert told.count('threshold') == 1
        assert {a['node'] for a in mine if a['kind'] == 'no-space'} == {''}
        pause = virt.call('paused_for_space', vm)
        assert pause['paused'] and pause['target'] == 'vda'
        full = layers(virt, vm)[lv.path]
        assert full['allocation'] > lv.size() - MIB
        assert full['physical'] == lv.size() and full['threshold'] == 0
        lv.extend(16)
        virt.call('threshold_set', vm, node, lv.size() - 4 * MIB)
        virt.call('vm_resume', vm)
        assert virt.call('paused_for_space', vm)['paused'] is False
    lv.extend(32)
    guest.wait_acks(2000, timeout=60)
    guest.verify()
    virt.call('vm_suspend', vm)
    assert virt.call('paused_for_space', vm)['paused'] is False
    guest.destroy()


def test_who_comes_back_is_told_to_look(host, virt, thin, alarms):
    node = layers(virt, thin.uuid)[thin.lv.path]['node']
    virt.call('threshold_set', thin.uuid, node, 2 * MIB)
    alarms()
    host.restart_libvirtd(kill=True)
    wait_alarm(alarms, kind='changed', vm='', node='')
    wait_for('connected', virt.connected)
    assert layers(virt, thin.uuid)[thin.lv.path]['threshold'] == 2 * MIB
    thin.write('vdb', 0, '3M')
    assert wait_alarm(alarms, kind='threshold')['node'] == node


def test_nobody_is_told_after_the_end(virt, thin, alarms):
    virt.call('alarms', 'off')
    virt.call('vm_suspend', thin.uuid)
    wait_for('the hint', lambda: virt.call('hints')['vm'] > 0, 20, 0.02)
    assert virt.call('alarms', 'off')['alarms'] == []
