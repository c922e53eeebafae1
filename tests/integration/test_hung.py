# SPDX-License-Identifier: GPL-2.0-or-later
"""A storage that hangs holds up nobody who has nothing to do with it: it is a
FUSE file system whose server never answers. The VM on it that is off, and the
one that runs, and whose qemu answers nobody either, are drayd's neighbours:
it has to look at their disks to know whether they use what it deletes."""
import ctypes
import os
import signal
import time
import uuid

import pytest

from drayd import RpcError
from guest import Disk
from host import run, wait_for
from moves import migrate, start
from storage import make_image

pytestmark = pytest.mark.usefixtures('nothing_left')

libc = ctypes.CDLL(None, use_errno=True)

# An answer that waits for nobody, on a busy machine.
AT_ONCE = 0.5


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


class Hung:
    """Whoever looks below @where waits, until the end."""

    def __init__(self, where):
        self.where = where
        self.fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        options = f'fd={self.fd},rootmode=40000,user_id=0,group_id=0'
        if libc.mount(b'hung', str(where).encode(), b'fuse', 0,
                      options.encode()) != 0:
            os.close(self.fd)
            raise OSError(ctypes.get_errno(), 'mount')

    def end(self):
        os.close(self.fd)  # all who wait get an error
        run('umount', '-l', self.where)


class Neighbour:
    """A VM with disks of the formats in @kinds."""

    def __init__(self, host, directory, *kinds):
        self.host, self.name = host, host.unique('neighbour-')
        paths = {kind: directory / f'{self.name}.{kind}' for kind in kinds}
        for kind, path in paths.items():
            host.qemu_img('create', '-q', '-f', kind, path, '8M')
        disks = ''.join(f"""<disk type='file' device='disk'>
<driver name='qemu' type='{kind}'/><source file='{path}'/>
<target dev='vd{letter}' bus='virtio'/></disk>"""
                        for letter, (kind, path) in zip('ab', paths.items()))
        self.xml = host.work / f'{self.name}.xml'
        self.xml.write_text(f"""
<domain type='qemu'><name>{self.name}</name><uuid>{uuid.uuid4()}</uuid>
<memory unit='MiB'>16</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices>{disks}</devices></domain>""")
        host.virsh('define', self.xml)

    def start(self):
        self.host.virsh('start', self.name)
        with open(f'/run/libvirt/qemu/{self.name}.pid') as f:
            self.pid = int(f.read())
        return self

    def signal(self, number):
        os.kill(self.pid, number)


@pytest.fixture
def neighbours(host, make_fs):
    directory = make_fs('ext4', 128)
    off = Neighbour(host, directory, 'raw')
    running = Neighbour(host, directory, 'raw', 'qcow2').start()
    hung = Hung(directory)
    running.signal(signal.SIGSTOP)
    yield off, running
    running.signal(signal.SIGCONT)
    hung.end()
    host.virsh('destroy', running.name)
    for vm in off, running:
        host.virsh('undefine', vm.name)


def seconds(drayd, method, **members):
    begin = time.monotonic()
    drayd.call(method, **members)
    return time.monotonic() - begin


def make_and_delete(domain):
    image = make_image(domain, ['RAW'])
    begin = time.monotonic()
    domain.call('Image.delete', imageID=image.img)
    return time.monotonic() - begin


def test_others_are_answered_at_once(host, drayd, domains, make_guest,
                                     neighbours):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    guest = start(make_guest, image)
    make_and_delete(dst)  # finds out what hangs
    slow = {}
    for _ in range(3):
        for method, members in (
                ('Host.ping', {}), ('VM.list', {}), ('StorageDomain.list', {}),
                ('VM.getDisks', {'vmID': guest.name}),
                ('StorageDomain.getStats', {'storagedomainID': src.sd}),
                ('Volume.getInfo', {'storagedomainID': src.sd,
                                    'imageID': image.img,
                                    'volumeID': image.volumes[0]}),
                ('Disk.plan', {'vmID': guest.name, 'disk': 'vda',
                               'domain': dst.name})):
            slow.setdefault(method, []).append(
                seconds(drayd, method, **members))
        slow.setdefault('Image.delete', []).append(make_and_delete(dst))
    slow = {method: took for method, took in slow.items()
            if sorted(took)[1] > AT_ONCE}
    assert not slow
    assert host.virsh('list', '--all', timeout=5).returncode == 0


def test_a_disk_moves(drayd, domains, make_guest, neighbours):
    """The source is looked at and goes: what hangs is waited for once, until
    it is sure that it is not only slow."""
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst)
    wait_for('the source is released', lambda: drayd.call(
        'Job.info', jobID=job['id'])['state'] == 'releasing' or
        drayd.call('Job.info', jobID=job['id']).get('ended'), 60, 0.01)
    begin = time.monotonic()
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    assert time.monotonic() - begin < 15
    assert src.images() == []
    guest.verify()


def test_an_image_is_copied(drayd, domains, neighbours):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    begin = time.monotonic()
    job = src.call('Image.copy', imageID=image.img, dstSdUUID=dst.sd)
    info = drayd.wait_job(job)
    assert info['state'] == 'done', info
    assert time.monotonic() - begin < 15


def test_nothing_goes_that_a_vm_may_need(host, drayd, domains, make_fs):
    """What is below the qcow2 of a VM that is off, only its header tells."""
    [domain, _] = domains
    directory = make_fs('ext4', 128)
    off = Neighbour(host, directory, 'raw', 'qcow2')
    image = make_image(domain, ['RAW'])
    hung = Hung(directory)
    try:
        [raw, cow] = drayd.call('VM.getDisks', vmID=off.name)
        assert raw['path'].endswith('.raw') and cow['path'].endswith('.qcow2')
        with pytest.raises(RpcError) as refused:
            domain.call('Image.delete', imageID=image.img)
        message = str(refused.value)
        assert off.name in message and cow['path'] in message
        assert domain.images() == [image.img]
    finally:
        hung.end()
    domain.call('Image.delete', imageID=image.img)
    host.virsh('undefine', off.name)


def test_what_a_neighbour_has_is_told(drayd, domains, neighbours):
    off, running = neighbours
    names = {vm['vmName']: vm['status'] for vm in drayd.call('VM.list')}
    assert names[off.name] == 'shutoff' and names[running.name] == 'running'
