# SPDX-License-Identifier: GPL-2.0-or-later
"""The watermark monitor against real libvirtd and qemu: loop devices stand for
thin LVs (watch-check has the pool that they grow out of). What needs real LVs
is in tests/lab."""
import json
import os
import pathlib
import subprocess
import time

import pytest

from drayd import Drayd, Rpc, drayctl
from host import run, wait_for
from storage import make_image
from test_virt import MIB, Refused, Virt, machine, virt
from test_virt_space import layers, make_lv, thin

__all__ = ['machine', 'make_lv', 'thin', 'virt']  # fixtures
NO_SPACE = 397


class Watch(Virt):
    """A running watch-check. With chunks of 8 MiB it extends when less than
    6.4 MiB are left; both are doubled while replicating."""

    def __init__(self, log, poll_ms, chunk):  # pylint: disable=super-init-not-called
        path = pathlib.Path(os.environ['DRAY_BUILD'],
                            'tests/integration/watch-check')
        with open(log, 'ab') as err:
            self.process = subprocess.Popen(
                [path, str(chunk), str(poll_ms)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=err, text=True)
        self.heard = []

    def add(self, lv):
        self.call('lv', lv.path, lv.file)
        return lv

    def mark(self, role='source'):
        return next((m for m in self.call('marks')['marks']
                     if m['role'] == role), None)

    def wait_mark(self, role='source', **wanted):
        def look():
            mark = self.mark(role)
            return mark and all(mark[k] == v for k, v in wanted.items()) \
                and mark
        return wait_for(f'{role} with {wanted}', look, 20, 0.02)

    def wait_armed(self):
        return wait_for('armed', lambda: (self.mark() or {}).get('threshold'),
                        20, 0.02)

    def events(self):
        self.heard += self.call('events')['events']
        return self.heard

    def wait_event(self, kind, timeout=30):
        return wait_for(f'the event {kind}', lambda: next(
            (e for e in self.events() if e['kind'] == kind), None),
            timeout, 0.02)


@pytest.fixture
def make_watch(host):
    made = []

    def make(*lvs, poll_ms=60000, chunk=8):
        made.append(Watch(host.new_log('watch-check'), poll_ms, chunk))
        for lv in lvs:
            made[-1].add(lv)
        return made[-1]
    yield make
    for watch in made:
        assert watch.close() == 0


def test_an_event_extends(make_watch, thin):
    """The poll is far away: alarms do it."""
    watch = make_watch(thin.lv)
    assert 1 * MIB < watch.wait_armed() < 2 * MIB
    thin.write('vdb', 0, '2M')
    event = watch.wait_event('extended')
    assert event['vm'] == thin.uuid and event['target'] == 'vdb'
    assert event['size'] == 16 * MIB and thin.lv.size() == 16 * MIB
    assert event['took_ms'] < 10000
    watch.wait_mark(size=16 * MIB)
    assert watch.wait_armed() > 9 * MIB
    thin.write('vdb', '2M', '8M')
    # By a chunk; by more, or once more, after writes that came fast.
    wait_for('it grows again', lambda: watch.mark()['size'] >= 24 * MIB, 20)
    assert thin.lv.size() >= 24 * MIB
    stats = watch.call('stats')
    # What comes while a threshold is moved is found by the look after that.
    assert stats['alarms'] >= 1
    assert stats['alarms'] + stats['polled'] == stats['extensions'] >= 2
    assert stats['failures'] == stats['pauses'] == 0


def test_what_was_disarmed_by_hand_is_found(make_watch, virt, thin):
    watch = make_watch(thin.lv, poll_ms=300)
    watch.wait_armed()
    node = layers(virt, thin.uuid)[thin.lv.path]['node']
    virt.call('threshold_set', thin.uuid, node, 0)
    thin.write('vdb', 0, '2M')
    watch.wait_mark(size=16 * MIB)


def test_libvirtd_is_away_and_comes_back(host, make_watch, thin):
    """The alarm comes when nobody listens."""
    watch = make_watch(thin.lv)
    watch.wait_armed()
    host.libvirtd.kill()
    socket = next(pathlib.Path('/var/lib/libvirt/qemu').glob(
        f'domain-*-{thin.name}/monitor.sock'))
    run('python3', '-c', f'''
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect({str(socket)!r})
f = s.makefile('rw')
for command, args in (('qmp_capabilities', {{}}), ('human-monitor-command', {{
        'command-line': 'qemu-io -d /machine/peripheral/virtio-disk1/'
                        'virtio-backend "write 0 2M"'}})):
    f.write(json.dumps({{'execute': command, 'arguments': args}}))
    f.flush()
    while 'return' not in json.loads(f.readline()):
        pass
''')
    assert watch.mark()['size'] == 8 * MIB
    host.start_libvirtd()
    watch.wait_mark(size=16 * MIB)
    assert watch.wait_mark('source')['problem'] == ''


def test_a_mirror_gets_room_before_it_runs(make_watch, virt, thin, make_lv):
    """Both double at once, then the destination follows the copy."""
    thin.lv.extend(32)
    dest = make_lv(4, '-f', 'qcow2', '-b', thin.dir / 'leaf', '-F', 'qcow2')
    watch = make_watch(thin.lv, dest)
    watch.wait_armed()
    thin.write('vdb', 0, '30M')
    thin.mirror('vdb', dest.path, 'qcow2', 1, limit=1, buffer=MIB)
    watch.call('begin', thin.uuid, 'vdb')
    assert dest.size() >= 20 * MIB and thin.lv.size() >= 56 * MIB
    found = layers(virt, thin.uuid)
    for lv in dest, thin.lv:
        assert 0 < found[lv.path]['threshold'] <= lv.size() - 12 * MIB
    grown = watch.call('events')['grown']
    assert grown.index(dest.path) < grown.index(thin.lv.path)
    virt.call('mirror_limit', thin.uuid, 'vdb', 20 * MIB)
    thin.wait_ready('vdb')
    assert 30 * MIB < dest.size() <= 64 * MIB
    virt.call('mirror_pivot', thin.uuid, 'vdb')
    thin.wait_no_job('vdb')
    watch.call('end', thin.uuid, 'vdb')
    mark = wait_for('the new leaf', lambda: (m := watch.mark()) and
                    m['allocation'] > 30 * MIB and not watch.mark('replica')
                    and m, 20, 0.02)
    assert mark['size'] == dest.size()


def test_a_mirror_without_room_is_refused(make_watch, thin, make_lv):
    dest = make_lv(4, '-f', 'qcow2', '-b', thin.dir / 'leaf', '-F', 'qcow2')
    watch = make_watch(thin.lv, dest)
    watch.wait_mark(size=8 * MIB)
    watch.call('free', 1)
    thin.mirror('vdb', dest.path, 'qcow2', 1, limit=1, buffer=MIB)
    with pytest.raises(Refused) as refused:
        watch.call('begin', thin.uuid, 'vdb')
    assert refused.value.code == NO_SPACE
    thin.virt.call('mirror_abort', thin.uuid, 'vdb')


def test_the_base_of_a_commit_has_room(make_watch, virt, thin, make_lv):
    """An active commit, into a base that is as full as its LV. It is told
    before the start: held at a byte per second, qemu writes 16 MiB at once."""
    over = make_lv(40, '-f', 'qcow2', '-b', thin.lv.path, '-F', 'qcow2')
    watch = make_watch(thin.lv, over, chunk=16)
    virt.call('snapshot', thin.uuid, 0, 'vdb', over.path)
    thin.write('vdb', 0, '30M')
    watch.call('begin', thin.uuid, 'vdb', thin.lv.path)
    assert watch.mark('base')['size'] >= 40 * MIB
    virt.call('commit_start', thin.uuid, 'vdb', thin.lv.path, over.path, 1)
    virt.call('mirror_limit', thin.uuid, 'vdb', 20 * MIB)
    thin.wait_ready('vdb')
    virt.call('mirror_pivot', thin.uuid, 'vdb')
    thin.wait_no_job('vdb')
    watch.call('end', thin.uuid, 'vdb')
    wait_for('no base', lambda: not watch.mark('base'), 20, 0.02)
    assert thin.lv.size() > 30 * MIB


def test_a_guest_without_space_gets_it_and_runs(make_watch, make_lv,
                                                make_guest):
    """The pool is full when the guest needs it: told before it stops."""
    lv = make_lv(16, '-f', 'qcow2')
    watch = make_watch(lv, poll_ms=500)
    watch.call('free', 0)
    guest = make_guest([{'path': lv.path}], size=48, rate=400)
    failed = watch.wait_event('failed', 60)
    assert failed['free'] > 0 and 'bytes left' in failed['text']
    watch.wait_event('paused', 60)
    kinds = [event['kind'] for event in watch.events()]
    assert kinds.index('failed') < kinds.index('paused')
    assert kinds.count('failed') == 1  # told again after a minute only
    assert guest.state() == 'paused'

    watch.call('free', 1)  # one extent: it goes to who stands still
    wait_for('another extent', lambda: lv.size() == 17 * MIB, 30, 0.02)
    watch.call('free', 200)
    wait_for('running', lambda: guest.state() == 'running' and
             lv.size() > 20 * MIB, 30, 0.05)
    guest.wait_acks(500, timeout=60)
    guest.verify()
    assert watch.wait_event('resumed')['target'] == 'vda'
    assert watch.call('stats')['pauses'] >= 1
    guest.destroy()


def test_a_vm_paused_by_a_user_stays_so(host, make_watch, thin):
    watch = make_watch(thin.lv, poll_ms=200)
    watch.wait_armed()
    host.virsh('suspend', thin.name)
    thin.write('vdb', 0, '2M')
    watch.wait_mark(size=16 * MIB)
    watch.wait_mark(size=16 * MIB, problem='')
    assert host.virsh('domstate', thin.name).stdout.strip() == 'paused'
    assert watch.call('stats')['pauses'] == 0
    host.virsh('destroy', thin.name)
    wait_for('forgotten', lambda: not watch.call('marks')['marks'], 20, 0.05)


# --- drayd ------------------------------------------------------------------


def test_drayd_starts_without_libvirtd(host):
    host.libvirtd.kill()
    daemon = Drayd(host).start()
    try:
        with Rpc() as rpc:
            began = time.monotonic()
            assert rpc.call('VM.getDiskWatermarks') == []
            assert rpc.call('Host.getStats')['watched'] == 0
            assert time.monotonic() - began < 5
        host.start_libvirtd()
        wait_for('connected', lambda: daemon.call(
            'Host.getCapabilities')['hypervisorConnected'], 30, 0.1)
        daemon.stop()
    finally:
        daemon.kill()
        if not host.libvirtd.running():
            host.start_libvirtd()


def test_files_are_not_watched_and_the_verbs_answer(shared_drayd, domains,
                                                    make_guest):
    image = make_image(domains[0], ['RAW', 'COW'], size=64 * MIB)
    guest = make_guest([{'path': image.path(),
                         'format': image.leaf_format()}], size=8)
    assert shared_drayd.call('VM.getDiskWatermarks', vmID=guest.name) == []
    assert shared_drayd.call('VM.getDiskWatermarks') == []
    stats = shared_drayd.call('Host.getStats')
    assert stats['watched'] == stats['pauses'] == 0
    assert stats['extensions']['count'] == 0
    assert stats['domains']['joined'] == 2 and stats['clients'] >= 1
    assert drayctl('vm', 'watermarks', guest.name).stdout == ''
    assert json.loads(drayctl('vm', 'watermarks', '--all', '--json').stdout) \
        == []
    assert 'extensions.p99Ms' in drayctl('host', 'stats').stdout
    guest.destroy()
