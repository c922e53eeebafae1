# SPDX-License-Identifier: GPL-2.0-or-later
"""The virt room while a mirror's destination, or the qemu of a VM, hangs. The
destination is an NBD export whose server is stopped: what was sent to it stays
in flight. As in test_virt.py."""
import os
import signal
import subprocess
import time
import uuid

import pytest

from host import wait_for
from test_virt import MIB, NONRESP, Refused, machine, refused, virt
from test_virt_layers import nbd
from test_virt_space import make_lv, thin

__all__ = ['machine', 'make_lv', 'nbd', 'thin', 'virt']  # fixtures

# An answer that waits for nobody: far more than it takes, less than any of the
# deadlines that it would wait for else.
AT_ONCE = 1.9


def seconds(call, *args):
    """What it took, and its answer, which may be a refusal."""
    begin = time.monotonic()
    try:
        answer = call(*args)
    except Refused as error:
        answer = error
    return time.monotonic() - begin, answer


def answers(virt, call, vm, *args):
    """It does, while others hang; what it took. A busy machine may need more
    than one try."""
    return wait_for(f'{call} of {vm}', lambda: (
        found := seconds(virt.call, call, vm, *args)) and not isinstance(
            found[1], Refused) and found, 9)[0]


class Small:
    """A VM with one raw disk, a device."""

    def __init__(self, host, device, xml):
        self.host, self.name = host, host.unique('small-')
        self.uuid = str(uuid.uuid4())
        xml.write_text(f"""
<domain type='qemu'><name>{self.name}</name><uuid>{self.uuid}</uuid>
<memory unit='MiB'>16</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='block' device='disk'><driver name='qemu' type='raw'/>
<source dev='{device}'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>""")
        host.virsh('create', xml)
        with open(f'/run/libvirt/qemu/{self.name}.pid') as f:
            self.pid = int(f.read())

    def stop(self, number=signal.SIGSTOP):
        os.kill(self.pid, number)

    def destroy(self):
        self.host.virsh('destroy', self.name, check=False)


@pytest.fixture
def small(host, make_lv, tmp_path):
    """small() -> a VM."""
    made = []

    def make():
        made.append(Small(host, make_lv(8).path, tmp_path / 'small.xml'))
        return made[-1]
    yield make
    for vm in made:
        try:
            vm.stop(signal.SIGKILL)
        except ProcessLookupError:
            pass
    for vm in made:
        vm.destroy()


@pytest.fixture
def hung(thin, nbd):
    """The machine, the mirror of vda on its way to a server that hangs."""
    machine = thin
    machine.write('vda', 0, '30M')
    server = nbd(machine.image('remote', 'raw', 32), 'exp')
    machine.mirror('vda', server.uri, limit=4 * MIB, buffer=MIB)
    wait_for('the mirror moves', lambda: machine.info('vda')['done'] > 2 * MIB)
    os.kill(server.process.pid, signal.SIGSTOP)
    machine.server = server
    yield machine
    server.process.send_signal(signal.SIGCONT)


def go_on(vm):
    os.kill(vm.server.process.pid, signal.SIGCONT)


def test_a_destination_that_hangs_is_seen(virt, hung):
    """All that a decision needs is answered, and nothing has to be ended for
    it: the mirror stands still."""
    wait_for('it stands still', lambda: (
        before := hung.info('vda')['done'], time.sleep(0.5),
        hung.info('vda')['done'] == before)[2])
    for call in (('mirror_info', 'vda'), ('layer_stats',), ('vm_disks',),
                 ('disk_truth', 'vda'), ('disk_layers', 'vda'),
                 ('disk_io', 'vda'), ('mirror_limit', 'vda', 1),
                 ('mirror_limit', 'vda', 0), ('paused_for_space',)):
        answers(virt, call[0], hung.uuid, *call[1:])
    info = hung.info('vda')
    assert info['job'] and not info['ready']
    go_on(hung)
    hung.wait_ready('vda')


def test_a_vm_that_hangs_holds_up_nobody(host, virt, hung, small):
    """A suspension waits for the destination inside qemu, and is given up."""
    other = small()
    virsh = subprocess.Popen(
        ['virsh', '-c', 'qemu:///system', 'suspend', hung.name],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for('it hangs', lambda: isinstance(seconds(
        virt.call, 'layer_stats', hung.uuid)[1], Refused), 20, 0)
    took, answer = seconds(virt.call, 'layer_stats', hung.uuid)
    assert answer.code == NONRESP and answer.next and took < 3
    virt.call('later', 'mirror_info', hung.uuid, 'vda')
    for call in (('layer_stats',), ('mirror_info', 'vda'), ('vm_disks',),
                 ('vm_suspend',), ('vm_resume',), ('vm_find',),
                 ('disk_truth', 'vda')):
        answers(virt, call[0], other.uuid, *call[1:])
    virt.call('vm_list')
    virt.call('path_user', '/nonexistent')
    # the first one is given up after its time, all others fail at once then
    def is_refused_at_once():
        took, answer = seconds(virt.call, 'layer_stats', hung.uuid)
        return 'earlier call' in str(answer) and took < AT_ONCE
    wait_for('the call was given up', is_refused_at_once, 30)
    for call in (('mirror_info', 'vda'), ('mirror_abort', 'vda'),
                 ('vm_resume',), ('threshold_set', 'vda[1]', 1)):
        took, answer = seconds(virt.call, call[0], hung.uuid, *call[1:])
        assert answer.code == NONRESP and took < AT_ONCE, call
    assert virt.call('vm_find', hung.uuid)['vm']['name'] == hung.name
    go_on(hung)
    virsh.wait(30)
    wait_for('it answers again', lambda: not isinstance(seconds(
        virt.call, 'mirror_info', hung.uuid, 'vda')[1], Refused), 30)
    virt.call('vm_resume', hung.uuid)
    virt.call('mirror_limit', hung.uuid, 'vda', 0)
    hung.wait_ready('vda')
    assert hung.truth('vda') == ['a.raw', 'a.raw', 'a.raw']


def test_many_vms_that_hang_hold_up_nobody(host, virt, small):
    """More of them than libvirtd answers calls of one connection at once."""
    other, many = small(), [small() for _ in range(7)]
    for vm in many:
        vm.stop()
        virt.call('later', 'disk_io', vm.uuid, 'vda')
    took = sorted(answers(virt, call[0], other.uuid, *call[1:]) for call in (
        ('layer_stats',), ('disk_io', 'vda'), ('vm_disks',), ('vm_find',),
        ('disk_truth', 'vda')) * 5)
    assert took[len(took) // 2] < 0.5, took
    for vm in many:
        vm.stop(signal.SIGCONT)
    for vm in many:
        wait_for('it answers again', lambda: not isinstance(seconds(
            virt.call, 'layer_stats', vm.uuid)[1], Refused), 30)


def test_what_was_given_up_may_still_happen(virt, small):
    vm = small()
    vm.stop()
    virt.call('later', 'vm_suspend', vm.uuid)
    time.sleep(1)  # nobody tells when it is under way
    assert refused(virt.call, 'layer_stats', vm.uuid).code == NONRESP
    vm.stop(signal.SIGCONT)
    wait_for('suspended', lambda: virt.call('vm_find', vm.uuid)['vm']['state']
             == 'paused', 20)
