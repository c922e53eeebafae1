# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs that nobody gave a lease, on domains that two hosts have: each makes its
own, so the other host sees how it stands, and what to do when its host died."""
import contextlib

import pytest

from drayd import RpcError
from guest import Disk
from host import Host, wait_for
from hosts import Pair, Traveller
from storage import (BLANK, MIB, check_clean, fill, make_domain, make_image,
                     new_uuid)

SIZE = 64 * MIB
SLOW = MIB  # bytes/s: nothing ends by itself while the test looks
HELD, NO_JOB = 651, 1


class World(Pair):
    """... that share two domains."""

    def __init__(self):
        machine = Host()
        mounts = [machine.make_fs('ext4', 512), machine.make_fs('ext4', 512)]
        super().__init__()
        self.one = make_domain(self.drayd_a, mounts[0], 'one')
        self.two = make_domain(self.drayd_a, mounts[1], 'two')
        for domain in (self.one, self.two):
            self.drayd_b.call('StorageDomain.join', storagedomainID=domain.sd,
                              typeArgs=str(domain.mount))

    def image(self):
        """Its copy takes half a minute at SLOW."""
        image = make_image(self.one, ['RAW'], size=SIZE)
        fill(image.path(), 'RAW', SIZE, 32 * MIB, seed=1)
        return image

    def guest(self, image, **options):
        disk = Disk(image.path(), image.leaf_format(), serial='serial-1')
        return Traveller(self.a, [disk], start=0, size=16, rate=200,
                         **options).start()

    def seen(self, job):
        """By the host that it is not on."""
        return self.drayd_b.call('Job.info', jobID=job)

    def leases(self, domain):
        return [item['lease_id'] for item in self.drayd_b.call(
            'Lease.list', sd_id=domain.sd)]

    def forget(self, drayd, job):
        drayd.call('Host.deleteJobs', job_ids=[job])

    def join_again(self):
        for domain in (self.one, self.two):
            self.a.run('sanlock', 'client', 'add_lockspace', '-s',
                       lockspace(domain), '-o', '1', timeout=120)


def lockspace(domain):
    return f'{domain.sd}:1:{domain.root()}/dom_md/ids:0'


@pytest.fixture(scope='module')
def shared_world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def world(shared_world):
    """Every job has given its lease back, and is forgotten with it."""
    yield shared_world
    for host, drayd in ((shared_world.a, shared_world.drayd_a),
                        (shared_world.b, shared_world.drayd_b)):
        for name in host.virsh('list', '--all', '--name').stdout.split():
            host.virsh('destroy', name, check=False)
            host.virsh('undefine', name, check=False)
        for job in drayd.call('Job.list'):
            if not job.get('ended'):
                with contextlib.suppress(RpcError):
                    drayd.call('Job.cancel', jobID=job['id'])
            drayd.wait_job(job['id'])
            shared_world.forget(drayd, job['id'])
        wait_for('no dray-job is left', lambda h=host: not holders(h), 30)
    for domain in (shared_world.one, shared_world.two):
        wait_for('no lease is left',
                 lambda d=domain: shared_world.leases(d) == [], 30)
        for img in domain.images():
            domain.call('Image.delete', imageID=img)


def holders(host):
    return host.run('pgrep', '-x', 'dray-job', check=False).stdout.split()


def begin(world, guest, **more):
    job = world.drayd_a.call('Disk.migrate', vmID=guest.name, disk='vda',
                             domain='two', **more)['id']
    until(world.drayd_a, job, 'converging')
    return job


def until(drayd, job, state):
    wait_for(f'job {job} is {state}', lambda: drayd.call(
        'Job.info', jobID=job)['state'] == state, 60)


def test_a_live_move_is_seen(world):
    image = world.image()
    guest = world.guest(image)
    job = begin(world, guest, limit=SLOW)
    seen = world.seen(job)
    assert (seen['state'], seen['hostId']) == ('running', 1)
    assert seen['lease'] == {'sd_id': world.two.sd, 'lease_id': job}
    assert 'warning' not in world.drayd_a.call('Job.info', jobID=job)
    with pytest.raises(RpcError) as error:
        world.drayd_b.call('Job.takeover', jobID=job)
    assert error.value.code == HELD
    world.drayd_a.call('Job.limit', jobID=job, limit=0)
    ended = world.drayd_a.wait_job(job)
    assert ended['state'] == 'done' and 'warning' not in ended, ended
    assert world.seen(job)['state'] == 'succeeded'
    assert world.leases(world.two) == [job]
    guest.wait_acks(30)
    guest.verify()
    world.forget(world.drayd_a, job)
    wait_for('its lease is gone', lambda: world.leases(world.two) == [], 30)


def test_a_live_move_is_cancelled(world):
    image = world.image()
    guest = world.guest(image)
    job = begin(world, guest, limit=SLOW)
    for _ in range(2):
        for pid in holders(world.a):
            world.a.run('kill', '-KILL', pid)
        # It is taken again: the job lives.
        wait_for('it runs', lambda: world.seen(job)['state'] == 'running', 30)
    world.drayd_a.call('Job.cancel', jobID=job)
    assert world.drayd_a.wait_job(job)['state'] == 'cancelled'
    assert world.seen(job)['state'] == 'failed'
    assert world.two.images() == []
    guest.wait_acks(30)


def power_off(world):
    """Host a is gone, as its guests, and is known to be."""
    world.drayd_a.kill()
    for name in ('qemu-system-x86', 'dray-job'):
        world.a.run('pkill', '-KILL', '-x', name, check=False)
    wait_for('no dray-job is left', lambda: not holders(world.a), 30)


def test_its_host_dies(world):
    image = world.image()
    guest = world.guest(image)
    job = begin(world, guest, limit=SLOW)
    power_off(world)
    wait_for('it is dead', lambda: world.seen(job)['state'] == 'dead', 30)
    with pytest.raises(RpcError) as error:
        world.drayd_b.call('Job.takeover', jobID=job)
    assert 'not dead' in str(error.value)
    for domain in (world.one, world.two):
        world.a.run('sanlock', 'client', 'rem_lockspace', '-s',
                    lockspace(domain), timeout=120)

    def taken_over():
        with contextlib.suppress(RpcError):
            return world.drayd_b.call('Job.takeover', jobID=job)
    wait_for('host a is known to be gone', taken_over, 60)
    ended = world.drayd_b.wait_job(job)
    assert ended['state'] == 'failed' and 'starting' in ended['error'][
        'message'], ended
    assert world.two.images() == []
    status = world.drayd_b.call('Lease.status', lease={
        'sd_id': world.two.sd, 'lease_id': job})
    assert status['metadata']['job_status'] == 'FENCED'
    assert status['metadata']['generation'] == 1
    # Somebody begins anew, with the same names.
    world.two.drayd = world.drayd_b
    world.two.call('Volume.create', volumeID=image.volumes[0],
                   imageID=image.img, size=str(SIZE), volFormat='RAW',
                   preallocate='SPARSE', srcImgUUID=BLANK, srcVolUUID=BLANK)
    world.two.drayd = world.drayd_a
    # And host a is back: the old job does nothing.
    world.join_again()
    world.drayd_a.start()
    late = world.drayd_a.wait_job(job)
    assert late['state'] == 'failed' and 'nothing more' in late['warning'], late
    assert world.two.images() == [image.img]
    check_clean(image)


def test_one_id_on_two_hosts(world):
    """The copy of an image is whose host was first."""
    image = world.image()
    job = new_uuid()
    world.one.call('Image.copy', imageID=image.img, dstSdUUID=world.two.sd,
                   limit=SLOW, jobID=job)
    until(world.drayd_a, job, 'syncing')
    assert world.seen(job)['state'] == 'running'
    world.drayd_a.call('Job.limit', jobID=job, limit=0)
    assert world.drayd_a.wait_job(job)['state'] == 'done'
    assert world.seen(job)['state'] == 'succeeded'
