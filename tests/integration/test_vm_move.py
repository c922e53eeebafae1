# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM moves to another host with its disks: two libvirtds, two drayds."""
import pathlib
import time

import pytest

from drayd import RpcError
from guest import Disk
from host import Host, wait_for
from hosts import Pair, Traveller, ctl
from storage import (BLANK, MIB, Image, chain_of, check_clean, fill,
                     make_domain, make_image, new_uuid)


class World(Pair):
    """... and a domain on each."""

    def __init__(self):
        machine = Host()
        mounts = [machine.make_fs(), machine.make_fs()]
        super().__init__()
        self.here = make_domain(self.drayd_a, mounts[0], 'here')
        self.there = make_domain(self.drayd_b, mounts[1], 'there')
        self.guests = []

    def guest(self, *formats, **options):
        """One disk per format (RAW+COW: two layers), on @here; it has begun to
        write."""
        return self.guest_on([make_image(self.here, f.split('+'), **options)
                              for f in formats])

    def guest_on(self, images):
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
            images = domain.images()
            # A template goes after what was made from it.
            for img in sorted(images, key=lambda img: is_shared(domain, img)):
                domain.call('Image.delete', imageID=img)


def volumes(domain, img):
    """Name -> Volume.getInfo."""
    names = domain.call('StorageDomain.getVolumes', imageID=img)
    return {vol: domain.call('Volume.getInfo', imageID=img, volumeID=vol)
            for vol in names}


def is_shared(domain, img):
    """A template; what was made from one has other volumes, too."""
    return all(volume['voltype'] == 'SHARED'
               for volume in volumes(domain, img).values())


@pytest.fixture(scope='module')
def shared_world():
    made = World()
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
                                  volumeID=image.volumes[-1])
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


# --- several layers ------------------------------------------------------

def lower_layers(image):
    """What their files hold."""
    return [image.path(i).read_bytes() for i in range(len(image.volumes) - 1)]


def require_chain(world, guest, images, below):
    """The VM is there, and so is all that lay below its disks."""
    formats = [image.formats[-1] for image in images]
    for image, data in zip(images, below):
        moved = image.in_domain(world.there)
        assert lower_layers(moved) == data
        assert [pathlib.Path(name).name for name in chain_of(moved.path())] \
            == image.volumes[::-1]
        for name, vol in volumes(world.there, image.img).items():
            assert vol['legality'] == 'LEGAL', vol
            assert vol['voltype'] in (
                ('LEAF',) if name == image.volumes[-1]
                else ('INTERNAL', 'SHARED')), vol
    require_moved(world, guest, images, formats)


@pytest.mark.parametrize('formats', [
    ['RAW+COW'], ['COW+COW+COW+COW', 'RAW', 'RAW+COW+COW']], ids='-'.join)
def test_chains_stay_chains(world, formats):
    guest, images = world.guest(*formats)
    below = [lower_layers(image) for image in images]
    job = world.migrate(guest)
    info = world.drayd_a.wait_job(job['id'], 180)
    assert info['state'] == 'done', info
    assert not info.get('warning'), info
    assert world.here.images() == []
    require_chain(world, guest, images, below)


def template(domain, data=6 * MIB):
    """A template with some content."""
    image = make_image(domain, ['COW'])
    fill(image.path(), 'COW', 64 * MIB, data, seed=7)
    make_shared(image)
    return image


def make_shared(image):
    job_id = new_uuid()
    image.domain.drayd.call('SDM.update_volume', job_id=job_id, vol_info={
        'sd_id': image.domain.sd, 'img_id': image.img,
        'vol_id': image.volumes[-1], 'generation': 0},
        vol_attr={'type': 'SHARED', 'description': 'golden'})
    assert image.domain.drayd.wait_job(job_id)['state'] == 'done'


def linked_clone(base, layers=1):
    """An image on a template."""
    image = Image(base.domain, new_uuid(), [*base.volumes],
                  [*base.formats, *['COW'] * layers])
    for i in range(layers):
        vol = new_uuid()
        base.domain.call(
            'Volume.create', volumeID=vol, imageID=image.img,
            size=str(64 * MIB), volFormat='COW', preallocate='SPARSE',
            desc='', srcImgUUID=image.img if i else base.img,
            srcVolUUID=image.volumes[-1], sequence=i + 1)
        image.volumes.append(vol)
    return image


def copy_template(base, domain):
    """The same on the other host."""
    domain.call('Volume.create', volumeID=base.volumes[0], imageID=base.img,
                size=str(64 * MIB), volFormat='COW', preallocate='SPARSE',
                desc='', srcImgUUID=BLANK, srcVolUUID=BLANK)
    there = base.in_domain(domain)
    there.path().write_bytes(base.path().read_bytes())
    make_shared(there)
    return there


@pytest.mark.parametrize('present', [False, True], ids=['absent', 'present'])
def test_linked_clones_stay_linked(world, present):
    base = template(world.here)
    if present:
        copy_template(base, world.there)
    images = [linked_clone(base), linked_clone(base, layers=2)]
    guest, images = world.guest_on(images)
    below = [lower_layers(image) for image in images]
    job = world.migrate(guest)
    info = world.drayd_a.wait_job(job['id'], 180)
    assert info['state'] == 'done', info
    assert not info.get('warning'), info
    assert world.here.images() == [base.img]
    assert sorted(world.there.images()) == sorted(
        [base.img, *[image.img for image in images]])
    assert is_shared(world.there, base.img)
    assert volumes(world.there, base.img)[base.volumes[0]]['description'] == \
        'golden'
    require_chain(world, guest, images, below)


def test_another_template_of_the_same_name(world):
    base = template(world.here)
    there = copy_template(base, world.there)
    with open(there.path(), 'r+b') as f:
        f.seek(-1, 2)
        last = f.read(1)
        f.seek(-1, 2)
        f.write(bytes([last[0] ^ 1]))
    guest, images = world.guest_on([linked_clone(base)])
    job = world.migrate(guest)
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert f'template {base.img} of disk vda is another' in \
        info['error']['message']
    wait_for('the other host has cleaned up', lambda: world.drayd_b.call(
        'Job.info', jobID=job['id']).get('ended'), 60)
    assert world.there.images() == [base.img]
    require_runs_here(world, guest, images)


def test_a_template_that_another_host_makes_is_left_to_it(world):
    base = template(world.here)
    guest, images = world.guest_on([linked_clone(base)])
    job = world.migrate(guest, limit=MIB)
    meta = base.in_domain(world.there).path().with_suffix('.meta')
    mark = f"made by job {job['id']}"
    wait_for('it is being filled', lambda: meta.exists() and
             mark in meta.read_text(), 30)
    # As if a third host had been the first to make it.
    meta.write_text(meta.read_text().replace(job['id'], new_uuid()))
    world.drayd_a.call('Job.limit', jobID=job['id'], limit=0)
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert f'template {base.img}' in info['error']['message']
    assert 'another job' in info['error']['message']
    wait_for('the other host has cleaned up', lambda: world.drayd_b.call(
        'Job.info', jobID=job['id']).get('ended'), 60)
    assert world.there.images() == [base.img]
    require_runs_here(world, guest, images)


@pytest.mark.parametrize('after_s', [0.5, 4])
def test_cancel_takes_the_template_back(world, after_s):
    base = template(world.here)
    guest, images = world.guest_on([linked_clone(base, layers=2)])
    job = world.migrate(guest, limit=4 * MIB)
    time.sleep(after_s)  # a moment, not a condition
    world.drayd_a.call('Job.cancel', jobID=job['id'])
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'cancelled', info
    require_back(world, guest, images, job['id'])


@pytest.mark.parametrize('victim', ['drayd-a', 'drayd-b'])
def test_layers_are_whole_whoever_dies(world, victim):
    guest, images = world.guest('COW+COW+COW', data=8 * MIB)
    below = [lower_layers(image) for image in images]
    job = world.migrate(guest, limit=4 * MIB)
    wait_for('some of them is there', lambda: world.drayd_a.call(
        'Job.info', jobID=job['id'])['progress']['done'] > 0, 30)
    kill(world, victim)
    world.drayd_a.call('Job.limit', jobID=job['id'], limit=0)
    info = world.drayd_a.wait_job(job['id'], 180)
    assert info['state'] == 'done', info
    require_chain(world, guest, images, below)


# --- what was asked for --------------------------------------------------

SLOW = 12 * MIB  # bytes/s: a move lasts for some seconds


def test_source_is_kept_on_request(world):
    guest, images = world.guest('COW')
    job = world.migrate(guest, keepSource=True, jobID=new_uuid())
    again = world.migrate(guest, keepSource=True, jobID=job['id'])
    assert again['id'] == job['id']
    assert world.drayd_a.wait_job(job['id'])['state'] == 'done'
    assert world.here.images() == [images[0].img]
    require_moved(world, guest, images, ['COW'])
    check_clean(images[0])


def test_drayctl_shows_a_plan_and_moves(world):
    guest, images = world.guest('COW')
    plan = ctl(world.drayd_a, 'vm', 'plan', guest.name, 'b', 'vda=there')
    assert 'nothing speaks against the move' in plan.stdout
    done = ctl(world.drayd_a, 'vm', 'migrate', guest.name, 'b', 'vda=there',
               '--limit', '64')
    assert done.returncode == 0
    require_moved(world, guest, images, ['COW'])


# --- what speaks against it ----------------------------------------------

def obstacles(world, guest, **members):
    plan = world.drayd_a.call('VM.planMigrate', {
        'vmID': guest.name, 'host': 'b', 'domain': 'there', **members})
    assert not plan['possible']
    with pytest.raises(RpcError) as error:
        world.migrate(guest, **members)
    assert error.value.data['obstacles'] == plan['obstacles']
    return [o['message'] for o in plan['obstacles']]


def require_untouched(world, guest, images):
    """It runs here, and nothing of it is there."""
    assert world.there.images() == []
    require_runs_here(world, guest, images)


def require_runs_here(world, guest, images):
    assert guest.state() == 'running'
    assert world.b.virsh('list', '--all', '--name').stdout.split() == []
    for i, image in enumerate(images):
        assert guest.disk_path(guest.disks[i].target) == image.path()
    guest.wait_acks(20)
    guest.verify()


def test_all_obstacles_are_told_at_once(world):
    guest, images = world.guest('COW', 'COW')
    other = world.b.work / 'other.xml'
    other.write_text(f"<domain type='{world.b.accel()}'><name>{guest.name}"
                     '</name><memory>65536</memory><os><type>hvm</type></os>'
                     '</domain>')
    world.b.virsh('define', other)
    full = world.there.mount / 'full'
    free = world.there.call('StorageDomain.getStats')['diskfree']
    world.b.run('fallocate', '-l', str(int(free) - MIB), full)
    try:
        told = obstacles(world, guest,
                         disks=[{'disk': 'vdb', 'domain': 'nowhere'}])
    finally:
        full.unlink()
        world.b.virsh('undefine', guest.name)
    assert len(told) == 3, told
    assert any(f'another VM has the name {guest.name}' in t for t in told)
    assert any('nowhere' in t for t in told)
    assert any('MiB are needed' in t for t in told)
    require_untouched(world, guest, images)


def test_unknown_host_and_unreachable_host(world):
    guest, images = world.guest('COW')
    with pytest.raises(RpcError, match='host nobody is not known here'):
        world.migrate(guest, host='nobody')
    world.drayd_b.kill()
    try:
        told = obstacles(world, guest)
    finally:
        world.drayd_b.start()
    assert len(told) == 1 and 'cannot reach drayd' in told[0]
    require_untouched(world, guest, images)


def test_cpu_emulator_network_that_are_not_there(world):
    cpu = ''.join(f"<feature policy='require' name='{name}'/>"
                  for name in ('svm', 'avx512f', 'amx-tile'))
    xml = f'''<domain type='{world.b.accel()}'><name>x</name>
<uuid>{new_uuid()}</uuid><memory unit='KiB'>99999999999</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<cpu match='exact'><model>qemu64</model>{cpu}</cpu><devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
<interface type='network'><source network='lan'/></interface>
<interface type='bridge'><source bridge='br7'/></interface>
</devices></domain>'''

    def check(xml):
        disk = {'disk': 'vda', 'domain': 'there', 'imageID': new_uuid(),
                'volumeID': new_uuid(), 'format': 'COW', 'capacity': str(MIB)}
        verdict = world.drayd_b.call('Peer.check', {
            'jobID': new_uuid(), 'from': 'a', 'vmID': new_uuid(),
            'vmName': 'x', 'xml': xml, 'disks': [disk]})
        assert verdict['domains'] == [world.there.sd]
        return [o['message'] for o in verdict['obstacles']]

    told = check(xml)
    assert len(told) == 4, told
    for text in ('CPU', 'memory', 'network lan', 'bridge br7'):
        assert any(text in line for line in told), told
    told = check(xml.replace("machine='pc'", "machine='pc-i440fx-99.0'"))
    assert any('machine pc-i440fx-99.0' in line for line in told), told


# --- ends that leave the VM here -----------------------------------------

def require_back(world, guest, images, job_id):
    wait_for('the other host has cleaned up', lambda: world.drayd_b.call(
        'Job.info', jobID=job_id).get('ended'), 60)
    require_untouched(world, guest, images)


@pytest.mark.parametrize('after_s', [0, 0.3, 1.5, 3, 5])
def test_cancel(world, after_s):
    guest, images = world.guest('COW', 'RAW')
    job = world.migrate(guest, limit=SLOW)
    time.sleep(after_s)  # a moment, not a condition
    world.drayd_a.call('Job.cancel', jobID=job['id'])
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'cancelled', info
    require_back(world, guest, images, job['id'])


def test_timeout(world):
    guest, images = world.guest('COW')
    job = world.migrate(guest, limit=2 * MIB, timeout=3)
    info = world.drayd_a.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert info['error']['cause'] == 'ResourceTimeout'
    assert 'migration_wait' in info['error']['message']
    assert info['error']['phase'] == 'converging'
    require_back(world, guest, images, job['id'])


def test_limit_changes_while_it_runs(world):
    guest, images = world.guest('COW')
    job = world.migrate(guest, limit=MIB)
    wait_for('it is being sent', lambda: world.drayd_a.call(
        'Job.info', jobID=job['id'])['progress']['done'] > 0, 30)
    world.drayd_a.call('Job.limit', jobID=job['id'], limit=0)
    info = world.drayd_a.wait_job(job['id'], 40)  # else it takes minutes
    assert info['state'] == 'done', info
    assert info['disks'][0]['done'] == info['disks'][0]['total'] >= 64 * MIB
    require_moved(world, guest, images, ['COW'])


def test_the_host_it_comes_to_cannot_cancel_it(world):
    guest, images = world.guest('COW')
    job = world.migrate(guest, limit=SLOW)
    wait_for('the other host has the job', lambda: any(
        j['id'] == job['id'] for j in world.drayd_b.call('Job.list')))
    with pytest.raises(RpcError, match='led by host'):
        world.drayd_b.call('Job.cancel', jobID=job['id'])
    assert world.drayd_a.wait_job(job['id'])['state'] == 'done'
    require_moved(world, guest, images, ['COW'])


# --- who dies ------------------------------------------------------------

def kill(world, victim):
    """SIGKILL, and a restart."""
    host = world.a if victim.endswith('a') else world.b
    if victim.startswith('libvirtd'):
        host.restart_libvirtd(kill=True)
    else:
        (world.drayd_a if host is world.a else world.drayd_b).restart()


def running(world):
    return [host.name for host in (world.a, world.b)
            if host.virsh('list', '--state-running', '--name').stdout.split()]


@pytest.mark.parametrize('after_s', [0.1, 1, 2.5, 4, 5.5, 7])
@pytest.mark.parametrize('victim', ['drayd-a', 'drayd-b', 'libvirtd-a',
                                    'libvirtd-b'])
def test_one_vm_runs_whoever_dies(world, victim, after_s):
    guest, images = world.guest('COW')
    job = world.migrate(guest, limit=32 * MIB)
    time.sleep(after_s)  # a moment, not a condition
    kill(world, victim)
    info = world.drayd_a.wait_job(job['id'], 180)
    wait_for('the other host has ended it, too', lambda: world.drayd_b.call(
        'Job.info', jobID=job['id']).get('ended'), 60)
    if info['state'] == 'done':
        assert running(world) == ['b']
        require_moved(world, guest, images, ['COW'])
        assert world.here.images() == []
    else:
        assert info['state'] == 'failed', info
        assert running(world) == ['a']
        require_back(world, guest, images, job['id'])
