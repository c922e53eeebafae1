# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM moves to another host with its disks: two libvirtds, two drayds."""
import pytest

import pki as pki_module
from drayd import RpcError
from guest import Disk
from host import Host
from hosts import Neighbour, Traveller, ctl, start_drayd
from storage import MIB, check_clean, make_domain, make_image, new_uuid


class World:
    """Hosts a and b, a drayd on each, a domain on each."""

    def __init__(self, work_pki):
        machine = Host()
        # Before the hosts: what is mounted later they do not see.
        mounts = [machine.make_fs(), machine.make_fs()]
        self.a, self.b = Neighbour('a'), Neighbour('b')
        for host in (self.a, self.b):
            host.start_sanlock()
            host.start_libvirtd()
        self.pki = work_pki(self.a.common)
        self.drayd_a = start_drayd(self.a, self.b, self.pki)
        self.drayd_b = start_drayd(self.b, self.a, self.pki)
        self.here = make_domain(self.drayd_a, mounts[0], 'here')
        self.there = make_domain(self.drayd_b, mounts[1], 'there')
        self.guests = []

    def guest(self, *formats, **options):
        """One disk per format, on @here; it has begun to write."""
        images = [make_image(self.here, [f], **options) for f in formats]
        disks = [Disk(image.path(), image.leaf_format(),
                      serial=f'serial-{i}', alias=f'ua-disk-{i}')
                 for i, image in enumerate(images)]
        guest = Traveller(self.a, disks, start=0, size=16, rate=200)
        self.guests.append(guest)
        return guest.start(), images

    def migrate(self, guest, **members):
        return self.drayd_a.call('VM.migrate', {
            'vmID': guest.name, 'host': 'b', 'domain': 'there', **members})

    def clean(self):
        for host in (self.a, self.b):
            for name in host.virsh('list', '--all', '--name').stdout.split():
                host.virsh('destroy', name, check=False)
                host.virsh('undefine', name, check=False)
        for domain in (self.here, self.there):
            for img in domain.images():
                domain.call('Image.delete', imageID=img)

    def close(self):
        self.drayd_a.kill()
        self.drayd_b.kill()
        self.a.close()
        self.b.close()


@pytest.fixture(scope='module')
def shared_world():
    made = World(lambda work: pki_module.Pki(work / 'move-pki').make(
        'localhost,127.0.0.1'))
    yield made
    made.close()


@pytest.fixture
def world(shared_world):
    yield shared_world
    shared_world.clean()


def require_moved(world, guest, images, formats):
    """It runs there, has lost nothing, and nothing of it is here."""
    guest.arrived(world.b)
    guest.wait_acks(30)
    guest.verify()
    assert world.a.virsh('list', '--all', '--name').stdout.split() == []
    for i, image in enumerate(images):
        moved = image.in_domain(world.there)
        target = guest.disks[i].target
        for inactive in (False, True):
            disk = guest.disk_element(target, inactive)
            assert disk.find('serial').text == f'serial-{i}'
            assert disk.find('alias').get('name') == f'ua-disk-{i}'
            assert guest.disk_path(target, inactive).resolve() == \
                moved.path()
        volume = world.there.call('Volume.getInfo', imageID=image.img,
                                  volumeID=image.volumes[0])
        assert volume['legality'] == 'LEGAL'
        assert volume['format'] == formats[i]
    guest.power_off()
    for i, image in enumerate(images):
        moved = image.in_domain(world.there)
        guest.verify_image(moved.path(), moved.leaf_format(),
                           guest.disks[i].target)
        check_clean(moved)


@pytest.mark.parametrize('formats', [['RAW'], ['COW'], ['RAW', 'COW', 'COW']],
                         ids='-'.join)
def test_vm_moves_while_the_guest_writes(world, formats):
    guest, images = world.guest(*formats)
    job = world.migrate(guest)
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert not info.get('warning'), info
    assert world.here.images() == []
    require_moved(world, guest, images, formats)
    assert world.drayd_b.call('Job.info', jobID=job['id'])['state'] == 'done'
