# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies under a lease: two hosts on one machine, each with its own sanlock and
drayd, on one domain. What an engine learns of a job when its host is not there,
and what is left of a job whose host, or whose processes, died."""
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import time

import pytest

from drayd import RpcError
from host import PATIENCE, Host, run, wait_for
from hosts import Pair, ctl
from storage import MIB, fill, make_domain, make_image, new_uuid

SIZE = 64 * MIB
SLOW = MIB  # bytes/s: a copy of DATA lasts for half a minute
DATA = 32 * MIB
NOT_ACTIVE, JOB_EXISTS, EXISTS, HELD = 84, 69, 212, 651
GENERATION, STATUS, UNSUPPORTED, NO_LEASE = 911, 912, 2009, 936


class World(Pair):
    """... that share a domain, and a file system for what is outside."""

    def __init__(self):
        machine = Host()
        mount = machine.make_fs('ext4', 1024)
        self.out = machine.make_fs('ext4', 512)
        super().__init__()
        self.domain = make_domain(self.drayd_a, mount, 'shared')
        self.join(self.drayd_b)
        self.image = make_image(self.domain, ['RAW'], size=SIZE)
        fill(self.image.path(), 'RAW', SIZE, DATA, seed=1)

    def join(self, drayd):
        drayd.call('StorageDomain.join', storagedomainID=self.domain.sd,
                   typeArgs=str(self.domain.mount))

    def source(self):
        return div(self.image)


def div(image, **more):
    return {'endpoint_type': 'div', 'sd_id': image.domain.sd,
            'img_id': image.img, 'vol_id': image.volumes[-1], **more}


def outside(place, **more):
    return {'endpoint_type': 'external', 'url': str(place), 'format': 'raw',
            **more}


@pytest.fixture(scope='module')
def shared_world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def world(shared_world):
    """Every job ends with its processes, and gives its lease back."""
    made = shared_world
    yield made
    for drayd in (made.drayd_a, made.drayd_b):
        for job in drayd.call('Job.list'):
            if not job.get('ended'):
                drayd.call('Job.cancel', jobID=job['id'])
            drayd.wait_job(job['id'])
    for host in (made.a, made.b):
        wait_for('no dray-job is left', lambda h=host: not holders(h), 30)
    sd = made.domain.sd
    for item in made.drayd_b.call('Lease.list', sd_id=sd):
        assert item['owners'] == [], item
        made.drayd_b.call('Lease.delete', lease={
            'sd_id': sd, 'lease_id': item['lease_id']})
    for img in made.domain.images():
        if img != made.image.img:
            made.domain.call('Image.delete', imageID=img)


def holders(host):
    """Process ids inside of @host."""
    return host.run('pgrep', '-x', 'dray-job', check=False).stdout.split()


def signal_holders(host, name):
    for pid in holders(host):
        host.run('kill', f'-{name}', pid, check=False)


class Job:
    """A job with a lease of its own, to be begun on any host."""

    def __init__(self, world, place=None, generation=0, **more):
        self.world, self.id = world, new_uuid()
        self.lease = {'sd_id': world.domain.sd, 'lease_id': self.id}
        self.generation = generation
        self.place = place or world.out / self.id
        self.to = outside(self.place, lease=self.lease, generation=generation,
                          **more)
        world.drayd_b.call('Lease.create', lease=self.lease, metadata={
            'type': 'JOB', 'job_id': self.id, 'job_status': 'PENDING',
            'generation': generation})

    def begin(self, drayd, verb='copy_data', **more):
        return drayd.call(f'SDM.{verb}', job_id=self.id,
                          source=more.pop('source', self.world.source()),
                          destination=self.to, **more)

    def status(self, drayd=None):
        return (drayd or self.world.drayd_b).call('Lease.status',
                                                  lease=self.lease)

    def record(self):
        status = self.status()
        assert status['owners'] == [], status
        return status['metadata']['job_status'], \
            status['metadata']['generation']

    def until_owned(self, *owners):
        wait_for(f'owners {owners}',
                 lambda: self.status()['owners'] == list(owners), 30)

    def until_copying(self, drayd):
        wait_for('bytes are copied', lambda: drayd.call(
            'Job.info', jobID=self.id)['progress']['done'] > 0, 30)

    def seen_by(self, drayd):
        return drayd.call('Job.info', jobID=self.id)['state']

    def fence(self, drayd):
        return drayd.call('Lease.fence', lease=self.lease, metadata={
            'type': 'JOB', 'job_id': self.id, 'job_status': 'PENDING',
            'generation': self.generation})


def poll(drayd, job):
    """What an engine does when it cannot ask the job's host."""
    status = job.status(drayd)
    if status['owners']:
        return 'running'
    record = status['metadata']
    if record['job_status'] == 'SUCCEEDED':
        return 'done'
    if record['job_status'] == 'PENDING':
        job.fence(drayd)
        return poll(drayd, job)
    return 'failed'


def refused(code, call, *args, **members):
    with pytest.raises(RpcError) as error:
        call(*args, **members)
    assert error.value.code == code, error.value
    return error.value


def same(a, b):
    run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', a, b)


# --- how a job ends ------------------------------------------------------

def test_a_copy_that_succeeds(world):
    job = Job(world, generation=7)
    assert job.begin(world.drayd_a, limit=SLOW) is True
    job.until_owned(1)
    assert poll(world.drayd_b, job) == job.seen_by(world.drayd_b) == 'running'
    refused(HELD, job.fence, world.drayd_b)
    refused(HELD, world.drayd_b.call, 'Job.takeover', jobID=job.id)
    world.drayd_a.call('Job.limit', jobID=job.id, limit=0)
    assert world.drayd_a.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 8)
    assert poll(world.drayd_b, job) == 'done'
    assert job.seen_by(world.drayd_b) == 'succeeded'
    refused(NOT_ACTIVE, world.drayd_b.call, 'Job.takeover', jobID=job.id)
    assert job.begin(world.drayd_a, limit=SLOW) is True  # the same one
    refused(STATUS, job.begin, world.drayd_b)
    same(world.image.path(), job.place)
    job.place.unlink()


def test_a_copy_that_is_cancelled(world):
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    world.drayd_a.call('Job.cancel', jobID=job.id)
    assert world.drayd_a.wait_job(job.id)['state'] == 'cancelled'
    assert job.record() == ('FAILED', 0)
    assert poll(world.drayd_b, job) == 'failed'
    assert not job.place.exists()


def test_a_move_gives_the_lease_back_last(world):
    image = make_image(world.domain, ['RAW'], size=SIZE)
    fill(image.path(), 'RAW', SIZE, DATA, seed=3)
    job = Job(world)
    job.begin(world.drayd_a, 'move_data', source=div(image))
    assert world.drayd_a.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 1)
    assert image.img not in world.domain.images()
    job.place.unlink()


def test_what_the_record_must_say(world):
    job = Job(world, generation=3)
    stranger = Job(world)
    nowhere = {'sd_id': world.domain.sd, 'lease_id': new_uuid()}
    blank = {'sd_id': world.domain.sd, 'lease_id': new_uuid()}
    world.drayd_a.call('Lease.create', lease=blank)
    for code, change in [(GENERATION, {'generation': 4}),
                         (NO_LEASE, {'lease': nowhere}),
                         (UNSUPPORTED, {'lease': blank}),
                         (UNSUPPORTED, {'lease': stranger.lease})]:
        right, job.to = job.to, {**job.to, **change}
        refused(code, job.begin, world.drayd_a)
        job.to = right
    job.fence(world.drayd_b)
    refused(STATUS, job.begin, world.drayd_a)
    assert not job.place.exists() and not holders(world.a)


def test_the_source_has_the_lease(world):
    """Its record is the job's, when it is; else it is only held."""
    image = make_image(world.domain, ['RAW'], size=SIZE)
    place = world.out / 'source'
    run('truncate', '-s', SIZE, place)
    job = Job(world, place)
    job.to = div(image)
    job.begin(world.drayd_a, source=outside(place, lease=job.lease,
                                            generation=0))
    assert world.drayd_a.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 1)
    other = Job(world, place)
    stranger = Job(world)
    other.to = div(image, generation=1)
    other.begin(world.drayd_a, source=outside(place, lease=stranger.lease))
    assert world.drayd_a.wait_job(other.id)['state'] == 'done'
    assert stranger.record() == ('PENDING', 0)
    place.unlink()


# --- who dies ------------------------------------------------------------

@pytest.mark.parametrize('kill', [True, False], ids=['killed', 'stopped'])
def test_the_copy_outlives_drayd(world, kill):
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    before = holders(world.a)
    assert len(before) == 1
    world.drayd_a.kill() if kill else world.drayd_a.stop()
    assert holders(world.a) == before
    assert poll(world.drayd_b, job) == 'running'
    world.drayd_a.start()
    assert holders(world.a) == before
    world.drayd_a.call('Job.limit', jobID=job.id, limit=0)
    assert world.drayd_a.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 1)
    same(world.image.path(), job.place)
    job.place.unlink()


def test_dray_job_dies_alone(world):
    """Its drayd starts another one: the record is as it was."""
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    signal_holders(world.a, 'KILL')
    world.drayd_a.call('Job.limit', jobID=job.id, limit=0)
    assert world.drayd_a.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 1)
    same(world.image.path(), job.place)
    job.place.unlink()


def die(world, job):
    """Host a loses the job's processes, and its drayd."""
    world.drayd_a.kill()
    signal_holders(world.a, 'KILL')
    job.until_owned()


def test_a_dead_job_is_fenced_and_its_host_comes_back(world):
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    die(world, job)
    assert job.seen_by(world.drayd_b) == 'dead'
    assert poll(world.drayd_b, job) == 'failed'
    assert job.record() == ('FENCED', 1)
    left = job.place.read_bytes()
    world.drayd_a.start()
    ended = world.drayd_a.wait_job(job.id)
    assert ended['state'] == 'failed' and 'FENCED' in ended['error']['message']
    assert job.place.read_bytes() == left  # the old job does nothing
    assert job.record() == ('FENCED', 1)
    job.place.unlink()


def test_a_volume_is_taken_over(world):
    """Another host undoes it; the late owner finds that it was."""
    image = make_image(world.domain, ['RAW'], size=SIZE)
    job = Job(world)
    job.to = div(image, generation=0, lease=job.lease)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    die(world, job)
    done = ctl(world.drayd_b, 'job', 'takeover', job.id, check=False)
    assert done.returncode == 0, done.stderr
    assert world.drayd_b.wait_job(job.id)['state'] == 'failed'
    assert job.record() == ('FENCED', 1)
    world.domain.drayd = world.drayd_b
    info = world.domain.call('Volume.getInfo', imageID=image.img,
                             volumeID=image.volumes[0])
    assert (info['legality'], info['generation']) == ('ILLEGAL', 3)
    world.drayd_b.call('Job.takeover', jobID=job.id)  # the same one
    world.domain.drayd = world.drayd_a
    world.drayd_a.start()
    assert world.drayd_a.wait_job(job.id)['state'] == 'failed'
    refused(JOB_EXISTS, world.drayd_a.call, 'Job.takeover', jobID=job.id)
    assert job.record() == ('FENCED', 1)


def test_a_copy_that_was_done_is_finished(world):
    """Its host died between the volume's last write and the record's."""
    image = make_image(world.domain, ['RAW'], size=SIZE)
    job = Job(world)
    job.to = div(image, lease=job.lease)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    die(world, job)
    settle = new_uuid()
    volume = {k: v for k, v in div(image, generation=0).items()
              if k != 'endpoint_type'}
    world.drayd_b.call('SDM.update_volume', job_id=settle, vol_info=volume,
                       vol_attr={'legality': 'LEGAL', 'generation': 1})
    assert world.drayd_b.wait_job(settle)['state'] == 'done'
    world.drayd_b.call('Job.takeover', jobID=job.id)
    assert world.drayd_b.wait_job(job.id)['state'] == 'done'
    assert job.record() == ('SUCCEEDED', 1)
    world.drayd_a.start()  # it was about to copy: too late
    assert world.drayd_a.wait_job(job.id)['state'] == 'failed'
    assert job.record() == ('SUCCEEDED', 1)
    info = world.domain.call('Volume.getInfo', imageID=image.img,
                             volumeID=image.volumes[0])
    assert (info['legality'], info['generation']) == ('LEGAL', 1)


def test_a_fenced_job_is_cleaned_up(world):
    image = make_image(world.domain, ['RAW'], size=SIZE)
    job = Job(world)
    job.to = div(image, lease=job.lease)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    die(world, job)
    job.fence(world.drayd_b)
    world.drayd_b.call('Job.takeover', jobID=job.id)
    assert world.drayd_b.wait_job(job.id)['state'] == 'failed'
    assert job.record() == ('FENCED', 1)
    world.drayd_a.start()
    world.drayd_a.wait_job(job.id)
    info = world.domain.call('Volume.getInfo', imageID=image.img,
                             volumeID=image.volumes[0])
    assert (info['legality'], info['generation']) == ('ILLEGAL', 3)


# --- who wins, who stops -------------------------------------------------

def outcome(drayd, job):
    """True: it was this host's job, and is done."""
    try:
        job.begin(drayd)
    except RpcError as error:
        assert error.code in (HELD, STATUS), error
        return False
    ended = drayd.wait_job(job.id)
    if ended['state'] == 'done':
        return True
    assert ended['error']['code'] in (HELD, STATUS, EXISTS), ended
    return False


def test_both_hosts_start_one_job(world):
    """Exactly one has it, and what it copied is right."""
    until, rounds = time.monotonic() + 12 * PATIENCE, 0
    small = make_image(world.domain, ['RAW'], size=4 * MIB)
    fill(small.path(), 'RAW', 4 * MIB, MIB, seed=5)
    won = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        while rounds < 3 or time.monotonic() < until:
            job = Job(world)
            begin = job.begin
            job.begin = lambda drayd, b=begin: b(drayd, source=div(small))
            drayds = [world.drayd_a, world.drayd_b]
            random.shuffle(drayds)
            done = list(pool.map(lambda d, j=job: outcome(d, j), drayds))
            assert sorted(done) == [False, True], done
            won[drayds[done.index(True)].socket] += 1
            assert job.record() == ('SUCCEEDED', 1)
            same(small.path(), job.place)
            job.place.unlink()
            rounds += 1
    print(f'{rounds} races: {sorted(won.values())}')


def writers(place):
    """Who has it open, on whichever host."""
    found = set()
    for fd in pathlib.Path('/proc').glob('[0-9]*/fd/*'):
        with contextlib.suppress(OSError):
            if os.path.samefile(fd, place):  # by name it may be elsewhere
                found.add(fd.parts[2])
    return found


def test_no_writer_outlives_the_lease(world):
    """qemu-img does the copy; whoever of them is killed, a free lease means
    that nobody writes."""
    cow = make_image(world.domain, ['COW'], size=SIZE)
    fill(cow.path(), 'COW', SIZE, DATA, seed=7)
    for victim in ('dray-job', 'qemu-img'):
        job = Job(world)
        job.begin(world.drayd_a, source=div(cow), limit=SLOW)
        job.until_copying(world.drayd_a)
        world.drayd_a.kill()
        assert writers(job.place)
        world.a.run('pkill', '-9', '-x', victim)
        if victim == 'qemu-img':
            signal_holders(world.a, 'KILL')
        job.until_owned()
        assert not writers(job.place)
        assert job.record() == ('PENDING', 0)
        world.drayd_a.start()
        world.drayd_a.call('Job.limit', jobID=job.id, limit=0)
        assert world.drayd_a.wait_job(job.id)['state'] == 'done'
        assert job.record() == ('SUCCEEDED', 1)
        job.place.unlink()


def test_killed_at_any_moment(world):
    """The record is true each time."""
    rng = random.Random(11)
    until = time.monotonic() + 15 * PATIENCE
    states = collections.Counter()
    while time.monotonic() < until:
        job = Job(world)
        job.begin(world.drayd_a, limit=rng.choice([0, 64 * MIB, 16 * MIB]))
        time.sleep(rng.random() * 0.6)
        if rng.random() < 0.3:
            with contextlib.suppress(RpcError):
                world.drayd_a.call('Job.cancel', jobID=job.id)
        victims = rng.choice(['drayd', 'dray-job', 'both'])
        if victims != 'dray-job':
            world.drayd_a.kill()
        if victims != 'drayd':
            signal_holders(world.a, 'KILL')
        if victims != 'dray-job':
            world.drayd_a.start()
        state = world.drayd_a.wait_job(job.id)['state']
        states[state] += 1
        if state == 'done':
            assert job.record() == ('SUCCEEDED', 1)
            same(world.image.path(), job.place)
            job.place.unlink()
        else:
            assert state == 'cancelled', state
            # before it had the lease there was nothing to say
            assert job.record() in (('FAILED', 0), ('PENDING', 0))
            assert not job.place.exists()
    print(dict(states))


def rejoin(world):
    """Host a's sanlock is another one, which frees what the last one held."""
    ids = world.domain.root() / 'dom_md/ids'
    world.a.start_sanlock()
    world.a.run('sanlock', 'client', 'add_lockspace', '-s',
                f'{world.domain.sd}:1:{ids}:0', '-o', '1', timeout=120)


def test_power_off_in_the_middle_of_a_copy(world):
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    world.a.sanlock.kill()
    world.drayd_a.kill()
    signal_holders(world.a, 'KILL')
    assert poll(world.drayd_b, job) == 'running'  # as far as anybody knows
    refused(HELD, world.drayd_b.call, 'Job.takeover', jobID=job.id)
    rejoin(world)
    job.until_owned()
    assert job.seen_by(world.drayd_b) == 'dead'
    world.drayd_b.call('Job.takeover', jobID=job.id)
    assert world.drayd_b.wait_job(job.id)['state'] == 'failed'
    assert job.record() == ('FENCED', 1)
    world.drayd_a.start()
    assert world.drayd_a.wait_job(job.id)['state'] == 'failed'
    assert job.record() == ('FENCED', 1)


def looks(place):
    status = place.stat()
    return place.read_bytes(), status.st_mtime_ns


def test_a_host_that_stood_still_writes_nothing_more(world):
    """Past the expiry of its lease, which is 68 s after its last renewal."""
    job = Job(world)
    job.begin(world.drayd_a, limit=SLOW)
    job.until_copying(world.drayd_a)
    for name in ('STOP', 'CONT'):
        if name == 'CONT':
            wait_for('the lease is free', lambda: job.status()['owners'] == [],
                     100)
            assert poll(world.drayd_b, job) == 'failed'
            before = looks(job.place)
        for process in ('drayd', 'dray-job', 'sanlock'):
            world.a.run('pkill', f'-{name}', '-x', process)
    for service in (world.drayd_a.service, world.a.sanlock):
        service.process.send_signal(signal.SIGCONT)  # nsenter stops, too
    ended = world.drayd_a.wait_job(job.id)
    assert ended['state'] == 'failed', ended
    wait_for('dray-job has ended', lambda: not holders(world.a), 60)
    assert looks(job.place) == before
    assert job.record() == ('FENCED', 1)
    job.place.unlink()
