# SPDX-License-Identifier: GPL-2.0-or-later
"""The virt room against real libvirtd and qemu (virt-check is its hand).

The VMs have no operating system: what a guest would write is written by
qemu's own "qemu-io" through the guest's device.
"""
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

from host import Failed, wait_for

MIB = 1 << 20
ENOTCONN = -107
NO_VM, NO_DISK, NONRESP, NOT_READY, REPLICA = 1, 13, 19, 40, 55
DISK_BUSY = 103


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(answer['message'])
        self.rc, self.code = answer['rc'], answer['code']
        self.next = answer['next']


class Virt:
    """A running virt-check."""

    def __init__(self, log):
        path = pathlib.Path(os.environ['DRAY_BUILD'],
                            'tests/integration/virt-check')
        with open(log, 'ab') as err:
            self.process = subprocess.Popen(
                [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=err, text=True)

    def call(self, operation, *args):
        line = '\t'.join([operation, *map(str, args)])
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failed(f'virt-check died at: {line}: '
                         f'{self.process.wait(5)}')
        answer = json.loads(answer)
        if answer['rc'] < 0:
            raise Refused(answer)
        return answer

    def connected(self):
        try:
            return self.call('connected')['rc'] == 0
        except Refused as refused:
            assert refused.rc == ENOTCONN
            return False

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)


class Machine:
    """A VM without an operating system, its disks in @dir: vda raw, vdb the
    leaf of three qcow2 layers, sda (with an alias of its own) raw, hda an
    empty CD drive."""

    def __init__(self, host, virt, directory):
        self.host, self.virt, self.dir = host, virt, directory
        self.name, self.uuid = host.unique('virt-'), str(uuid.uuid4())
        self.image('a.raw', 'raw', 32)
        self.chain('', 64)
        self.image('s.raw', 'raw', 16)
        self.xml = directory / 'vm.xml'
        self.xml.write_text(f"""
<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
{self.disk('a.raw', 'raw', 'vda', 'virtio', '<serial>S-A</serial>')}
{self.disk('leaf', 'qcow2', 'vdb', 'virtio')}
{self.disk('s.raw', 'raw', 'sda', 'scsi', "<alias name='ua-s'/>")}
<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
<controller type='scsi' model='virtio-scsi'/>
<graphics type='vnc' port='-1' passwd='secret'/>
</devices></domain>""")

    def disk(self, name, kind, target, bus, more=''):
        return (f"<disk type='file' device='disk'><driver name='qemu' "
                f"type='{kind}' cache='none'/>"
                f"<source file='{self.dir / name}'/>"
                f"<target dev='{target}' bus='{bus}'/>{more}</disk>")

    def image(self, name, kind, mib, backing=None):
        more = ['-b', backing, '-F', 'qcow2'] if backing else []
        self.host.qemu_img('create', '-q', '-f', kind, *more,
                           self.dir / name, f'{mib}M')
        return self.dir / name

    def chain(self, prefix, mib):
        self.image(prefix + 'base', 'qcow2', mib)
        self.image(prefix + 'mid', 'qcow2', mib, prefix + 'base')
        return self.image(prefix + 'leaf', 'qcow2', mib, prefix + 'mid')

    def start(self):
        self.host.virsh('define', self.xml)
        self.host.virsh('start', self.name)
        return self

    def write(self, device, offset, size, pattern=7):
        """As the guest would."""
        qdev = {'vda': '/machine/peripheral/virtio-disk0/virtio-backend',
                'vdb': '/machine/peripheral/virtio-disk1/virtio-backend',
                'sda': 'ua-s'}[device]
        self.host.virsh('qemu-monitor-command', self.name, '--hmp',
                        f'qemu-io -d {qdev} '
                        f'"write -P {pattern} {offset} {size}"')

    def mirror(self, target, path, kind='raw', shallow=0, limit=0, buffer=0,
               capacity=0):
        return self.virt.call('mirror_start', self.uuid, target, path, kind,
                              shallow, limit, buffer, capacity)

    def info(self, target):
        return self.virt.call('mirror_info', self.uuid, target)

    def truth(self, target):
        found = self.virt.call('disk_truth', self.uuid, target)
        return [pathlib.Path(found[k]).name
                for k in ('xml', 'qemu', 'persistent')]

    def wait_ready(self, target):
        return wait_for(f'{target} ready',
                        lambda: (i := self.info(target))['ready'] and i, 20,
                        0.02)

    def wait_no_job(self, target):
        return wait_for(f'{target} without job',
                        lambda: not (i := self.info(target))['job'] and i, 20,
                        0.02)

    def pid(self):
        return int(pathlib.Path('/run/libvirt/qemu',
                                self.name + '.pid').read_text())

    def destroy(self):
        for command in ('destroy', 'undefine'):
            self.host.virsh(command, self.name, check=False)


@pytest.fixture
def virt(host):
    if not host.libvirtd.running():
        host.restart_libvirtd(kill=True)  # after a test that failed
    the_virt = Virt(host.new_log('virt-check'))
    wait_for('connected', the_virt.connected)
    yield the_virt
    assert the_virt.close() == 0


@pytest.fixture
def machine(host, virt, make_fs):
    the_machine = Machine(host, virt, make_fs('ext4', 256))
    the_machine.start()
    yield the_machine
    the_machine.destroy()


def refused(call, *args, **kwargs):
    with pytest.raises(Refused) as caught:
        call(*args, **kwargs)
    return caught.value


def test_vms_are_listed_and_found(host, virt, machine):
    def listed():
        return {vm['name']: vm for vm in virt.call('vm_list')['vms']}
    me = listed()[machine.name]
    assert me == {'name': machine.name, 'uuid': machine.uuid,
                  'state': 'running', 'persistent': True}
    assert virt.call('vm_find', machine.uuid)['vm'] == me
    assert virt.call('vm_find', machine.uuid.upper())['vm'] == me
    virt.call('vm_suspend', machine.uuid)
    virt.call('vm_suspend', machine.uuid)
    assert listed()[machine.name]['state'] == 'paused'
    virt.call('vm_resume', machine.uuid)
    virt.call('vm_resume', machine.uuid)
    assert listed()[machine.name]['state'] == 'running'
    host.virsh('undefine', machine.name)
    assert not listed()[machine.name]['persistent']
    host.virsh('define', machine.xml)
    host.virsh('destroy', machine.name)
    assert listed()[machine.name]['state'] == 'shutoff'
    host.virsh('undefine', machine.name)
    assert machine.name not in listed()
    gone = refused(virt.call, 'vm_find', machine.uuid)
    assert gone.code == NO_VM and gone.next


def test_a_name_may_look_like_a_uuid(host, virt, machine):
    other = machine.dir / 'other.xml'
    other.write_text(f"""<domain type='qemu'><name>{machine.uuid}</name>
        <memory>32768</memory><os><type>hvm</type></os></domain>""")
    host.virsh('define', other)
    assert virt.call('vm_find', machine.uuid)['vm']['name'] == machine.name
    host.virsh('destroy', machine.name)
    host.virsh('undefine', machine.name)
    assert virt.call('vm_find', machine.uuid)['vm']['name'] == machine.uuid
    host.virsh('undefine', machine.uuid)


def test_disks_of_a_running_and_a_stopped_vm(host, virt, machine):
    disks = virt.call('vm_disks', machine.uuid)['disks']
    assert list(disks) == ['vda', 'vdb', 'sda', 'hda']
    assert disks['vda'] == {
        'target': 'vda', 'device': 'disk', 'type': 'file',
        'path': str(machine.dir / 'a.raw'), 'format': 'raw', 'serial': 'S-A',
        'alias': 'virtio-disk0', 'read_only': False, 'shareable': False,
        'transient': False, 'chain_n': 1, 'capacity': 32 * MIB, 'job': False,
        'mirror': False, 'ready': False, 'mirror_path': ''}
    assert disks['vdb']['chain_n'] == 3
    assert disks['vdb']['capacity'] == 64 * MIB
    assert disks['hda']['device'] == 'cdrom'
    assert disks['hda']['path'] == '' and disks['hda']['read_only']
    machine.mirror('vda', machine.image('n.raw', 'raw', 32), limit=1)
    vda = virt.call('vm_disks', machine.uuid)['disks']['vda']
    assert vda['job'] and vda['mirror'] and not vda['ready']
    assert vda['mirror_path'] == str(machine.dir / 'n.raw')
    host.virsh('destroy', machine.name)
    disks = virt.call('vm_disks', machine.uuid)['disks']
    assert disks['vdb']['chain_n'] == 0
    assert disks['vdb']['capacity'] == 64 * MIB
    assert not disks['vda']['job'] and not disks['vda']['mirror']


@pytest.mark.parametrize('target,source,kind', [
    ('vda', 'a.raw', 'raw'), ('vdb', 'leaf', 'qcow2'),
    ('sda', 's.raw', 'qcow2')])
def test_a_mirror_from_start_to_pivot(host, virt, machine, target, source,
                                      kind):
    machine.write(target, 0, '12M')
    if target == 'vdb':
        dest, shallow = machine.chain('n-', 64), 1
    else:
        size = {'vda': 32, 'sda': 16}[target]
        dest, shallow = machine.image('n-leaf', kind, size), 0
    assert machine.truth(target) == [source, source, source]
    assert machine.info(target)['job'] is False
    virt.call('hints')

    machine.mirror(target, dest, kind, shallow, limit=1, buffer=MIB)
    info = machine.info(target)
    assert info['job'] and not info['ready']
    assert info['done'] < info['total']
    assert info['disk_path'] == str(machine.dir / source)
    assert info['mirror_path'] == str(dest)
    assert machine.truth(target) == [source, source, source]
    early = refused(virt.call, 'mirror_pivot', machine.uuid, target)
    assert early.code == NOT_READY
    again = refused(machine.mirror, target, dest, kind, shallow)
    assert again.code == DISK_BUSY and again.next
    assert 'already in active block job' in str(again)

    virt.call('mirror_limit', machine.uuid, target, 0)
    machine.wait_ready(target)
    info = machine.info(target)  # until it is ready libvirt takes one off
    assert info['done'] == info['total'] >= 12 * MIB
    assert machine.truth(target) == [source, source, source]

    virt.call('vm_suspend', machine.uuid)
    virt.call('mirror_pivot', machine.uuid, target)
    info = machine.wait_no_job(target)
    assert info['disk_path'] == str(dest) and info['mirror_path'] == ''
    assert machine.truth(target) == ['n-leaf', 'n-leaf', 'n-leaf']
    virt.call('vm_resume', machine.uuid)
    assert virt.call('hints')['vm'] > 0
    assert refused(virt.call, 'mirror_pivot', machine.uuid, target)
    virt.call('mirror_abort', machine.uuid, target)
    reason = virt.call('mirror_failure', machine.uuid, target)['reason']
    assert reason == ''

    host.virsh('destroy', machine.name)
    if target != 'vdb':  # its frozen layers were not copied: all empty
        host.qemu_img('compare', machine.dir / source, dest)


def test_a_limit_holds(virt, machine):
    machine.write('vdb', 0, '60M')
    dest = machine.image('n', 'qcow2', 64)
    machine.mirror('vdb', dest, 'qcow2', limit=4 * MIB, buffer=MIB)
    time.sleep(1)
    before = machine.info('vdb')['done']
    virt.call('mirror_limit', machine.uuid, 'vdb', 2 * MIB)
    start = time.monotonic()
    time.sleep(2)
    took = time.monotonic() - start
    done = machine.info('vdb')['done'] - before
    assert 0 < done <= 2 * MIB * (took + 1.5)
    assert machine.info('vdb')['done'] < 60 * MIB


@pytest.mark.parametrize('ready', [False, True], ids=['copying', 'ready'])
def test_an_abort_leaves_the_source(virt, machine, ready):
    machine.write('vdb', 0, '40M')
    machine.mirror('vdb', machine.chain('n-', 64), 'qcow2', 1,
                   limit=0 if ready else 1)
    if ready:
        machine.wait_ready('vdb')
    for _ in range(3):
        virt.call('mirror_abort', machine.uuid, 'vdb')
    assert machine.wait_no_job('vdb')['mirror_path'] == ''
    virt.call('mirror_abort', machine.uuid, 'vdb')
    assert machine.truth('vdb') == ['leaf', 'leaf', 'leaf']


def test_an_abort_spares_other_jobs(host, virt, machine):
    host.virsh('destroy', machine.name)
    base = machine.dir / 'base'
    subprocess.run(['qemu-io', '-f', 'qcow2', '-c', 'write 0 20M', base],
                   check=True, stdout=subprocess.DEVNULL)
    host.virsh('start', machine.name)
    host.virsh('blockpull', machine.name, 'vdb', '--bandwidth', '1', '--bytes')
    disk = virt.call('vm_disks', machine.uuid)['disks']['vdb']
    assert disk['job'] and not disk['mirror']
    info = machine.info('vdb')
    assert info['job'] is False and info['kind'] == 'other'
    virt.call('mirror_abort', machine.uuid, 'vdb')
    assert refused(virt.call, 'mirror_pivot', machine.uuid, 'vdb')
    assert host.virsh('blockjob', machine.name, 'vdb', '--raw').stdout
    busy = refused(machine.mirror, 'vdb', machine.image('n', 'qcow2', 64))
    assert busy.code == DISK_BUSY


def test_what_cannot_be_mirrored(virt, machine):
    dest = machine.image('n', 'raw', 32)
    assert refused(machine.mirror, 'vdz', dest).code == NO_DISK
    assert refused(machine.mirror, 'vda', machine.dir / 'no').code == REPLICA
    assert refused(machine.mirror, 'vda', machine.dir).code == REPLICA
    assert refused(machine.mirror, 'vda', 'relative').code == REPLICA
    assert refused(machine.mirror, 'vda', machine.dir / 'a.raw').code == \
        REPLICA
    short = machine.image('short', 'raw', 16)
    try:  # qemu finds out after the start, or before we are back
        machine.mirror('vda', short)
    except Refused as error:
        assert error.code == REPLICA
    machine.wait_no_job('vda')
    reason = virt.call('mirror_failure', machine.uuid, 'vda')['reason']
    assert 'different sizes' in reason
    assert refused(virt.call, 'mirror_limit', machine.uuid, 'vda', 1).code \
        == REPLICA
    assert machine.truth('vda') == ['a.raw', 'a.raw', 'a.raw']
    # and after all that:
    machine.mirror('vda', dest)
    machine.wait_ready('vda')


def test_a_full_destination_gives_the_reason(virt, machine, make_fs):
    machine.write('vdb', 0, '60M')
    small = make_fs('ext4', 24)
    dest = small / 'n'
    machine.host.qemu_img('create', '-q', '-f', 'qcow2', dest, '64M')
    machine.mirror('vdb', dest, 'qcow2')
    machine.wait_no_job('vdb')
    reason = virt.call('mirror_failure', machine.uuid, 'vdb')['reason']
    assert reason == 'No space left on device'
    assert machine.truth('vdb') == ['leaf', 'leaf', 'leaf']
    # the next job's end is another story
    machine.mirror('vdb', machine.image('m', 'qcow2', 64), 'qcow2', limit=1)
    virt.call('mirror_abort', machine.uuid, 'vdb')
    machine.wait_no_job('vdb')
    reason = virt.call('mirror_failure', machine.uuid, 'vdb')['reason']
    assert reason == ''


@pytest.mark.parametrize('ready', [False, True], ids=['copying', 'ready'])
def test_libvirtd_dies_during_a_mirror(host, virt, machine, ready):
    machine.write('vdb', 0, '20M')
    dest = machine.chain('n-', 64)
    machine.mirror('vdb', dest, 'qcow2', 1, limit=0 if ready else 1)
    if ready:
        machine.wait_ready('vdb')
    virt.call('hints')
    host.libvirtd.kill()
    wait_for('loss noticed', lambda: not virt.connected(), 5, 0.01)
    for operation in ('vm_list', 'vm_find', 'vm_disks', 'mirror_info',
                      'mirror_abort', 'mirror_pivot', 'disk_truth'):
        away = refused(virt.call, operation, machine.uuid, 'vdb')
        assert away.rc == ENOTCONN and away.code == NONRESP and away.next
    host.restart_libvirtd(kill=True)
    wait_for('connected again', virt.connected, 5, 0.01)
    wait_for('a reconnect hint', lambda: virt.call('hints')['reconnect'], 5,
             0.01)
    info = machine.info('vdb')
    assert info['job'] and info['ready'] == ready
    assert info['mirror_path'] == str(dest)
    assert machine.truth('vdb') == ['leaf', 'leaf', 'leaf']
    virt.call('mirror_limit', machine.uuid, 'vdb', 0)
    machine.wait_ready('vdb')
    virt.call('mirror_pivot', machine.uuid, 'vdb')
    machine.wait_no_job('vdb')
    assert machine.truth('vdb') == ['n-leaf', 'n-leaf', 'n-leaf']
    assert virt.call('hints')['vm'] > 0  # events are registered again


def test_calls_meet_a_dying_libvirtd(host, virt, machine):
    """At any moment: an error or an answer, never a crash or a hang."""
    for round_ in range(5):
        host.libvirtd.process.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 0.05 * round_
        while True:
            try:
                virt.call('vm_disks', machine.uuid)
            except Refused as error:
                assert error.rc == ENOTCONN, error
            if time.monotonic() > deadline:
                break
        host.libvirtd.process.wait(10)
        host.restart_libvirtd(kill=True)
        wait_for('connected again', virt.connected, 5, 0.01)
    assert virt.call('vm_find', machine.uuid)['vm']['state'] == 'running'


def test_a_hanging_libvirtd_does_not_hold_up_the_end(host, virt):
    host.libvirtd.process.send_signal(signal.SIGSTOP)
    try:
        other = Virt(host.new_log('virt-check'))
        fds = pathlib.Path(f'/proc/{other.process.pid}/fd')
        wait_for('it hangs in libvirt', lambda: any(
            os.readlink(fd).startswith('socket:') for fd in fds.iterdir()), 5)
        assert not other.connected()
        assert refused(other.call, 'vm_list').rc == ENOTCONN
        assert other.close() == 0
    finally:
        host.libvirtd.process.send_signal(signal.SIGCONT)


def test_qemu_dies_during_a_mirror(virt, machine):
    machine.write('vdb', 0, '20M')
    machine.mirror('vdb', machine.chain('n-', 64), 'qcow2', 1, limit=1)
    virt.call('hints')
    os.kill(machine.pid(), signal.SIGKILL)
    wait_for('a hint', lambda: virt.call('hints')['vm'], 5, 0.01)
    info = machine.wait_no_job('vdb')
    assert info['mirror_path'] == '' and not info['ready']
    assert info['disk_path'] == str(machine.dir / 'leaf')
    assert machine.truth('vdb') == ['', '', 'leaf']
    assert virt.call('mirror_failure', machine.uuid, 'vdb')['reason'] == ''
    virt.call('mirror_abort', machine.uuid, 'vdb')
    assert refused(virt.call, 'mirror_pivot', machine.uuid, 'vdb')
    assert refused(virt.call, 'vm_suspend', machine.uuid)
    state = virt.call('vm_find', machine.uuid)['vm']['state']
    assert state == 'shutoff'


@pytest.mark.parametrize('persistent', [True, False],
                         ids=['persistent', 'transient'])
def test_a_vm_that_libvirt_forgot_is_not_taken_for_stopped(
        host, virt, machine, persistent):
    """As after a libvirtd that died in the last step of a pivot."""
    if not persistent:
        host.virsh('undefine', machine.name)
    pid = machine.pid()
    host.libvirtd.kill()
    pathlib.Path('/run/libvirt/qemu', machine.name + '.xml').unlink()
    host.restart_libvirtd(kill=True)
    wait_for('connected again', virt.connected, 5, 0.01)
    assert bool(host.virsh('list', '--all', '--name').stdout.split()) == \
        persistent
    for operation in ('disk_truth', 'mirror_info', 'mirror_abort',
                      'vm_disks'):
        unsure = refused(virt.call, operation, machine.uuid, 'vdb')
        assert unsure.code == NONRESP and unsure.next
        assert str(pid) in str(unsure)
        written = str(unsure).split('writing to ')[1].split(', ')
        assert str(machine.dir / 'leaf') in written
        assert str(machine.dir / 'mid') not in written
    os.kill(pid, signal.SIGKILL)
    wait_for('its end', lambda: not os.path.exists(f'/proc/{pid}/exe'), 5,
             0.01)
    if persistent:
        wait_for('its end', lambda: machine.truth('vdb') == ['', '', 'leaf'],
                 5, 0.01)
        assert not machine.info('vdb')['job']
    else:
        assert refused(virt.call, 'disk_truth', machine.uuid, 'vdb').code == \
            NO_VM


def test_who_uses_a_path(host, virt, machine):
    def user(path):
        return virt.call('path_user', path)['user']
    link = machine.dir.with_name(machine.dir.name + '-link')
    link.symlink_to(machine.dir)
    for name in ('a.raw', 'leaf', 'mid', 'base', ''):
        assert user(machine.dir / name) == machine.name
        assert user(link / name) == machine.name
    for name in ('a.ra', 'a.raw2', 'other', 'leaf/x'):
        assert user(machine.dir / name) == ''
    dest = machine.chain('n-', 64)
    assert user(dest) == ''
    machine.mirror('vdb', dest, 'qcow2', 1, limit=1)
    assert user(dest) == machine.name
    assert user(machine.dir / 'n-base') == machine.name
    virt.call('mirror_abort', machine.uuid, 'vdb')
    machine.wait_no_job('vdb')
    # a definition alone counts as well
    virt.call('disk_set_persistent', machine.uuid, 'vda', dest, 'raw')
    assert user(dest) == machine.name
    assert user(machine.dir / 'a.raw') == machine.name
    host.virsh('destroy', machine.name)
    assert user(machine.dir / 'leaf') == machine.name
    assert user(machine.dir / 'a.raw') == ''
    link.unlink()


def test_the_persistent_source_is_replaced(host, virt, machine):
    new = machine.dir / "it's <new> & \u00e4"
    new.write_bytes(b'')
    for _ in range(2):
        virt.call('disk_set_persistent', machine.uuid, 'vdb', new, 'raw')
    assert machine.truth('vdb') == ['leaf', 'leaf', new.name]
    xml = host.virsh('dumpxml', '--inactive', '--security-info',
                     machine.name).stdout
    assert "passwd='secret'" in xml and 'S-A' in xml
    assert refused(virt.call, 'disk_set_persistent', machine.uuid, 'vdb',
                   machine.dir / 'no', 'raw')
    host.virsh('undefine', machine.name)
    virt.call('disk_set_persistent', machine.uuid, 'vdb', new, 'raw')
    assert machine.truth('vdb') == ['leaf', 'leaf', '']
    info = virt.call('vm_find', machine.uuid)['vm']
    assert not info['persistent']


def test_qemu_is_right_when_names_are_cut_off(host, virt, machine):
    """qemu shows at most 4 KiB of a chain's names."""
    deep = machine.dir
    for _ in range(3):
        deep = deep / ('d' * 200)
        deep.mkdir()
    below = machine.dir / 'leaf'
    for i in range(8):
        top = deep / f'{i}'
        host.qemu_img('create', '-q', '-f', 'qcow2', '-b', below, '-F',
                      'qcow2', top)
        below = top
    xml = machine.xml.read_text()
    xml = xml.replace(f'{machine.dir / "leaf"}', str(top))
    machine.xml.write_text(xml)
    host.virsh('destroy', machine.name)
    host.virsh('undefine', machine.name)
    machine.start()
    blocks = json.dumps(host.qmp(machine.name, 'query-block'))
    assert '...' in blocks  # else this tests nothing
    found = virt.call('disk_truth', machine.uuid, 'vdb')
    assert found['qemu'] == found['xml'] == str(top)
