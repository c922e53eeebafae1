# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine moves a running guest's disk itself, verb by verb, as oVirt's
does; each verb repeated, in wrong order, across crashes, with wrong disks."""
import time

import pytest

from drayd import RpcError
from guest import Disk
from host import run, wait_for
from moves import require_moved
from storage import (BLANK, check_clean, hashes, make_image, new_uuid,
                     no_job_leases)

pytestmark = pytest.mark.usefixtures('nothing_left')

NOT_READY, SNAPSHOT, MERGE, REPLICA = 40, 48, 52, 55
NO_VM, NO_DISK, NO_REPLICATION, PARAMETER = 1, 13, 88, 91
JOB_EXISTS, DISK_BUSY = 69, 103
NO_DOMAIN, NO_IMAGE, ILLEGAL, SOURCE, DESTINATION = 358, 268, 227, 259, 260
NOT_IMPLEMENTED, UNSUPPORTED, RESIZE, VOLUME_BUSY = 2000, 2009, 232, 203


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


def refused(code, call, *args, **members):
    with pytest.raises(RpcError) as error:
        call(*args, **members)
    assert error.value.code == code, error.value
    return error.value


class Engine:
    """What oVirt's engine knows of one disk, and the calls it makes."""

    def __init__(self, drayd, guest, image, dst):
        self.drayd, self.guest, self.image = drayd, guest, image
        self.src, self.dst = image.domain, dst

    def drive(self, domain, vol=None):
        return {'device': 'disk', 'poolID': BLANK, 'domainID': domain.sd,
                'imageID': self.image.img,
                'volumeID': vol or self.image.volumes[-1]}

    def vm(self, verb, **members):
        return self.drayd.call(f'VM.{verb}', {'vmID': self.guest.name,
                                              **members}, timeout=150)

    def done(self, job_id):
        info = self.drayd.wait_job(job_id)
        assert info['state'] == 'done', info
        return info

    # --- the steps

    def create_overlay(self, vol=None):
        vol = vol or new_uuid()
        size = self.src.call('Volume.getInfo', imageID=self.image.img,
                             volumeID=self.image.volumes[-1])['capacity']
        self.src.call('Volume.create', imageID=self.image.img, volumeID=vol,
                      size=size, volFormat='COW', preallocate='SPARSE',
                      srcImgUUID=self.image.img,
                      srcVolUUID=self.image.volumes[-1])
        return vol

    def snapshot(self, vol, job_id=None, **members):
        job_id = job_id or new_uuid()
        drive = {'baseVolumeID': self.image.volumes[-1],
                 'imageID': self.image.img, 'domainID': self.src.sd,
                 'volumeID': vol}
        assert self.vm('snapshot', snapDrives=[drive], jobUUID=job_id,
                       **members) is True
        return job_id

    def take_snapshot(self):
        vol = self.create_overlay()
        self.done(self.snapshot(vol))
        self.image.volumes.append(vol)
        self.image.formats.append('COW')
        return vol

    def image_call(self, verb, **members):
        return self.src.call(f'Image.{verb}', imageID=self.image.img,
                             dstSdUUID=self.dst.sd, **members)

    def clone(self, **members):
        self.done(self.image_call('cloneStructure', **members))

    def sync(self, kind='INTERNAL', **members):
        self.done(self.image_call('syncData', syncType=kind, **members))

    def start(self, dst=None, **members):
        return self.vm('diskReplicateStart', srcDisk=self.drive(self.src),
                       dstDisk=self.drive(dst or self.dst), **members)

    def finish(self, dst=None):
        return self.vm('diskReplicateFinish', srcDisk=self.drive(self.src),
                       dstDisk=self.drive(dst or self.dst))

    def abort(self):
        return self.finish(self.src)

    def pivot(self, timeout=60):
        """Asks until it is not 40 any more, as the engine does."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.finish()
            except RpcError as error:
                if error.code != NOT_READY or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def arrived(self):
        """The engine's own book-keeping."""
        self.image = self.image.in_domain(self.dst)
        self.src, self.dst = self.dst, self.src

    def merge(self, base, top, job_id=None, **members):
        job_id = job_id or new_uuid()
        assert self.vm('merge', drive=self.drive(self.src), baseVolUUID=base,
                       topVolUUID=top, jobUUID=job_id, **members) is True
        return job_id

    def replica_job(self):
        jobs = [job for job in self.drayd.call('Job.list')
                if job['kind'] == 'disk_replicate' and not job.get('ended')]
        return jobs[-1] if jobs else None

    def legality(self, domain, i):
        return domain.call('Volume.getInfo', imageID=self.image.img,
                           volumeID=self.image.volumes[i])['legality']


@pytest.fixture
def make_engine(drayd, domains, make_guest):
    def make(formats=('RAW', 'COW'), there=1, **options):
        src, dst = domains[1 - there], domains[there]
        image = make_image(src, formats)
        disk = Disk(image.path(), image.leaf_format(), serial='serial-1',
                    alias='ua-disk-1')
        guest = make_guest([disk], **{'start': 0, 'size': 16, **options})
        return Engine(drayd, guest, image, dst)
    return make


def back(drayd):
    """drayd answers after a crash, and libvirtd answers it."""
    def answers():
        try:
            return drayd.call('Host.getCapabilities')['hypervisorConnected']
        except RpcError:  # still recovering
            return False
    wait_for('drayd and libvirt are back', answers, 20, log=drayd.log)


def make_slow(engine):
    """A replica that does not converge: 64 KiB/s."""
    return engine.start(limit=65536)


def volume_files(domain, img):
    return {p.name for p in (domain.root() / 'images' / img).iterdir()
            if '.' not in p.name}


def require_no_mirror(engine):
    for inactive in (False, True):
        disk = engine.guest.disk_element(inactive=inactive)
        assert disk.find('mirror') is None


# --- the flow ----------------------------------------------------------------

@pytest.mark.parametrize('there', [0, 1], ids=['to-ext4', 'to-xfs'])
@pytest.mark.parametrize('formats', [['RAW'], ['COW'], ['RAW', 'COW', 'COW']],
                         ids=['raw', 'qcow2', 'three'])
def test_engine_moves_a_disk(host, make_engine, formats, there):
    engine = make_engine(formats, there)
    src, dst, guest = engine.src, engine.dst, engine.guest
    base = engine.image.volumes[-1]
    top = engine.take_snapshot()
    before = hashes(engine.image)
    engine.clone()
    assert engine.legality(dst, 0) == 'ILLEGAL'
    assert engine.start() is True
    engine.sync()
    assert engine.pivot() is True
    engine.arrived()
    guest.wait_acks(30)
    assert guest.disk_path() == engine.image.path()
    assert src.images() == [engine.image.img]
    src.call('Image.delete', imageID=engine.image.img)
    assert src.images() == []
    assert hashes(engine.image) == before
    info = engine.done(engine.merge(base, top))
    assert info['kind'] == 'merge'
    assert engine.legality(dst, -1) == 'ILLEGAL'
    dst.call('Volume.delete', imageID=engine.image.img, volumeID=top)
    engine.image.volumes.pop()
    engine.image.formats.pop()
    require_moved(guest, engine.image, dst)
    assert volume_files(dst, engine.image.img) == set(engine.image.volumes)
    guest.power_off()
    check_clean(engine.image)
    guest.verify_image(engine.image.path(), engine.image.leaf_format())
    assert [engine.legality(dst, i)
            for i in range(len(formats))] == ['LEGAL'] * len(formats)
    no_job_leases(host)


def test_flow_may_be_repeated_at_every_step(make_engine):
    """Every answer gets lost once."""
    engine = make_engine()
    src, dst = engine.src, engine.dst
    job = {name: new_uuid() for name in ('snap', 'clone', 'sync', 'merge')}
    base, vol = engine.image.volumes[-1], engine.create_overlay()
    for _ in range(2):
        engine.done(engine.snapshot(vol, job['snap']))
    engine.done(engine.snapshot(vol))  # the disk is there already
    engine.image.volumes.append(vol)
    engine.image.formats.append('COW')
    for _ in range(2):
        engine.clone(jobID=job['clone'])
    assert engine.start() is True
    assert engine.start() is True
    for _ in range(2):
        engine.sync(jobID=job['sync'])
    assert engine.pivot() is True
    assert engine.finish() is True
    assert engine.finish() is True
    engine.arrived()
    src.call('Image.delete', imageID=engine.image.img)
    refused(NO_IMAGE, src.call, 'Image.delete', imageID=engine.image.img)
    for _ in range(2):
        engine.done(engine.merge(base, vol, job['merge'], deleteTop=True))
    engine.image.volumes.pop()
    engine.image.formats.pop()
    require_moved(engine.guest, engine.image, dst)
    assert volume_files(dst, engine.image.img) == set(engine.image.volumes)
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(), 'qcow2')


@pytest.mark.parametrize('victim', ['drayd', 'libvirtd', 'both'])
def test_flow_survives_restarts_between_all_steps(host, drayd, make_engine,
                                                  victim):
    engine = make_engine()
    src, dst = engine.src, engine.dst
    base = engine.image.volumes[-1]

    def crash():
        if victim in ('libvirtd', 'both'):
            host.restart_libvirtd()
        if victim in ('drayd', 'both'):
            drayd.restart()
        back(drayd)

    top = engine.take_snapshot()
    crash()
    engine.clone()
    crash()
    assert engine.start() is True
    crash()
    assert engine.start() is True  # the same one
    engine.sync()
    crash()
    assert engine.pivot() is True
    crash()
    assert engine.finish() is True
    engine.arrived()
    src.call('Image.delete', imageID=engine.image.img)
    engine.done(engine.merge(base, top, deleteTop=True))
    engine.image.volumes.pop()
    engine.image.formats.pop()
    require_moved(engine.guest, engine.image, dst)
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(), 'qcow2')


# --- replicas ----------------------------------------------------------------

def test_replica_is_aborted_at_any_time(make_engine):
    engine = make_engine(size=48, rate=2000)
    engine.guest.wait_acks(4000)
    engine.clone()
    for _ in range(2):
        assert make_slow(engine) is True
        assert engine.replica_job()['state'] == 'converging'
        refused(NOT_READY, engine.finish)
        assert engine.abort() is True
        assert engine.abort() is True
        require_no_mirror(engine)
        assert engine.replica_job() is None
        refused(NO_REPLICATION, engine.finish)
    engine.dst.call('Image.delete', imageID=engine.image.img)
    engine.guest.wait_acks(30)
    assert engine.guest.disk_path() == engine.image.path()
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(), 'qcow2')


def test_replica_is_aborted_after_a_crash(host, drayd, make_engine):
    engine = make_engine(size=48, rate=2000)
    engine.guest.wait_acks(4000)
    engine.clone()
    assert make_slow(engine) is True
    drayd.restart()
    host.restart_libvirtd()
    back(drayd)
    assert engine.replica_job() is not None
    refused(NOT_READY, engine.finish)
    assert engine.abort() is True
    require_no_mirror(engine)
    engine.guest.wait_acks(30)


def test_pivot_waits_for_what_is_below(make_engine):
    engine = make_engine()
    engine.clone()
    assert engine.start() is True
    job = engine.replica_job()
    wait_for('the mirror is ready', lambda: engine.guest.disk_element().find(
        'mirror').get('ready') == 'yes', 30)
    error = refused(ILLEGAL, engine.finish)
    assert 'syncData' in error.data['next']
    assert engine.replica_job()['id'] == job['id']  # nothing was changed
    assert engine.guest.disk_path() == engine.image.path()
    engine.sync()
    assert engine.pivot() is True
    engine.arrived()
    require_moved(engine.guest, engine.image, engine.src)


def test_engine_may_fill_what_is_below_itself(make_engine):
    engine = make_engine()
    engine.clone()
    assert engine.start() is True
    run('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw',
        engine.image.path(0), engine.image.path(0, engine.dst))
    engine.dst.call('Volume.setLegality', imageID=engine.image.img,
                    volumeID=engine.image.volumes[0], legality='LEGAL')
    refused(DISK_BUSY, engine.dst.call, 'Volume.setLegality',
            imageID=engine.image.img, volumeID=engine.image.volumes[-1],
            legality='LEGAL')
    assert engine.pivot() is True
    engine.arrived()
    require_moved(engine.guest, engine.image, engine.src)


def test_pivot_waits_for_a_running_sync(make_engine):
    """The interlock: 40 while a copy to the destination runs."""
    engine = make_engine(['RAW', 'COW'])
    path = engine.image.path(0)
    run('qemu-io', '-f', 'raw', '-c', 'write -q -P 7 32M 24M', '-U', path,
        check=False)
    engine.clone()
    assert engine.start() is True
    wait_for('the mirror is ready', lambda: engine.guest.disk_element().find(
        'mirror').get('ready') == 'yes', 30)
    job = engine.image_call('syncData', syncType='INTERNAL')
    codes = set()
    while not engine.drayd.call('Job.info', jobID=job).get('ended'):
        try:
            engine.finish()
            break
        except RpcError as error:
            codes.add(error.code)
    assert codes <= {NOT_READY, ILLEGAL}
    assert engine.pivot() is True
    assert engine.drayd.call('Job.info', jobID=job)['state'] == 'done'
    assert engine.legality(engine.dst, 0) == 'LEGAL'


def test_wrong_replicas(drayd, domains, make_engine):
    engine = make_engine()
    nowhere = type('Nowhere', (), {'sd': new_uuid()})
    refused(NO_REPLICATION, engine.finish)
    refused(NO_REPLICATION, engine.abort)
    refused(REPLICA, engine.start)  # nothing is there
    engine.clone()
    refused(REPLICA, engine.start, nowhere)
    refused(REPLICA, engine.start, engine.src)
    drive = engine.drive(engine.src)
    there = engine.drive(engine.dst)
    refused(NO_VM, drayd.call, 'VM.diskReplicateStart', vmID=new_uuid(),
            srcDisk=drive, dstDisk=there)
    refused(NO_VM, drayd.call, 'VM.diskReplicateFinish', vmID=new_uuid(),
            srcDisk=drive, dstDisk=there)
    for member in ('domainID', 'imageID', 'volumeID'):
        wrong = {**drive, member: new_uuid()}
        refused(NO_DISK, engine.vm, 'diskReplicateStart', srcDisk=wrong,
                dstDisk=there)
        refused(NO_DISK, engine.vm, 'diskReplicateFinish', srcDisk=wrong,
                dstDisk=there)
        refused(REPLICA, engine.vm, 'diskReplicateStart', srcDisk=drive,
                dstDisk={**there, member: new_uuid()})
    job = new_uuid()
    assert engine.start(jobID=job) is True
    assert engine.start(jobID=job) is True
    refused(REPLICA, engine.start, nowhere)
    refused(REPLICA, engine.finish, nowhere)
    assert engine.replica_job()['id'] == job
    refused(JOB_EXISTS, engine.image_call, 'syncData', syncType='INTERNAL',
            jobID=job)
    refused(MERGE, engine.merge, *engine.image.volumes)
    refused(DISK_BUSY, engine.dst.call, 'Image.delete',
            imageID=engine.image.img)
    refused(DISK_BUSY, engine.src.call, 'Volume.create',
            imageID=engine.image.img, volumeID=new_uuid(), size='1048576',
            volFormat='RAW', preallocate='SPARSE')
    for kind in ('LEAF', 'ALL'):
        refused(SOURCE, engine.image_call, 'syncData', syncType=kind)
    assert engine.abort() is True
    engine.guest.destroy()
    refused(NO_VM, engine.start)
    refused(NO_VM, engine.finish)


def test_guest_that_dies_ends_its_replica(make_engine):
    engine = make_engine()
    engine.clone()
    assert engine.start() is True
    job = engine.replica_job()['id']
    engine.guest.destroy()
    info = engine.drayd.wait_job(job)
    assert info['state'] == 'failed'
    assert info['error']['code'] == REPLICA
    engine.dst.call('Image.delete', imageID=engine.image.img)


@pytest.mark.parametrize('after', [0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_drayd_dies_inside_the_pivot(drayd, make_engine, after):
    engine = make_engine(rate=1000)
    src, dst, path = engine.src, engine.dst, engine.image.path()
    engine.clone()
    engine.sync()
    assert engine.start() is True
    wait_for('the mirror is ready', lambda: engine.guest.disk_element().find(
        'mirror').get('ready') == 'yes', 30)
    with drayd.rpc() as rpc:
        rpc.send({'jsonrpc': '2.0', 'id': 1,
                  'method': 'VM.diskReplicateFinish',
                  'params': {'vmID': engine.guest.name,
                             'srcDisk': engine.drive(src),
                             'dstDisk': engine.drive(dst)}})
        time.sleep(after)
        drayd.restart()
    back(drayd)
    assert engine.pivot() is True
    assert engine.finish() is True
    assert engine.guest.disk_path() != path
    engine.arrived()
    require_moved(engine.guest, engine.image, dst)
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(), 'qcow2')


# --- snapshot and merge ------------------------------------------------------

def test_two_disks_in_one_snapshot(drayd, domains, make_guest):
    images = [make_image(domains[0], ['RAW', 'COW']) for _ in range(2)]
    guest = make_guest([Disk(image.path(), 'qcow2') for image in images],
                       start=0, size=8)
    engines = [Engine(drayd, guest, image, domains[1]) for image in images]
    vols = [engine.create_overlay() for engine in engines]
    drives = [{'baseVolumeID': e.image.volumes[-1], 'imageID': e.image.img,
               'domainID': domains[0].sd, 'volumeID': vol}
              for e, vol in zip(engines, vols)]
    wrong = [drives[0], {**drives[1], 'volumeID': new_uuid()}]
    refused(SNAPSHOT, engines[0].vm, 'snapshot', snapDrives=wrong)
    assert guest.disk_path('vda') == images[0].path()
    job = new_uuid()
    assert engines[0].vm('snapshot', snapDrives=drives, jobUUID=job) is True
    assert drayd.wait_job(job)['state'] == 'done'
    for target, image, vol in zip(('vda', 'vdb'), images, vols):
        assert guest.disk_path(target).name == vol
    guest.wait_acks(30)
    guest.verify()


def test_wrong_snapshots(drayd, make_engine):
    engine = make_engine()
    vol = engine.create_overlay()
    drive = {'baseVolumeID': engine.image.volumes[-1],
             'imageID': engine.image.img, 'domainID': engine.src.sd,
             'volumeID': vol}

    def snapshot(**members):
        return engine.vm('snapshot', **{'snapDrives': [drive], **members})

    refused(PARAMETER, snapshot, timeout=0)
    refused(PARAMETER, snapshot, freeze_timeout=0)
    refused(UNSUPPORTED, snapshot, snapMemory='a,b,c,d')
    refused(NO_VM, drayd.call, 'VM.snapshot', vmID=new_uuid(),
            snapDrives=[drive])
    for member in drive:
        refused(SNAPSHOT, snapshot,
                snapDrives=[{**drive, member: new_uuid()}])
    assert engine.guest.disk_path() == engine.image.path()


def test_merges(drayd, make_engine):
    engine = make_engine(['RAW', 'COW', 'COW'])
    low, mid, old = engine.image.volumes
    before = hashes(engine.image)
    refused(MERGE, engine.merge, low, old)
    refused(MERGE, engine.merge, mid, low)
    refused(MERGE, engine.merge, new_uuid(), old)
    refused(NO_DISK, engine.vm, 'merge', drive=engine.drive(engine.dst),
            baseVolUUID=low, topVolUUID=mid)
    refused(NO_VM, drayd.call, 'VM.merge', vmID=new_uuid(),
            drive=engine.drive(engine.src), baseVolUUID=low, topVolUUID=mid)
    job = engine.merge(low, mid)  # internal
    info = engine.done(job)
    assert info['progress']['percent'] == 100
    engine.src.call('Volume.delete', imageID=engine.image.img, volumeID=mid)
    engine.image.volumes.remove(mid)
    engine.image.formats.pop()
    assert hashes(engine.image)[0] == before[1]
    assert engine.src.call('Volume.getInfo', imageID=engine.image.img,
                           volumeID=old)['parent'] == low
    engine.guest.wait_acks(30)
    refused(MERGE, engine.merge, low, mid)
    engine.done(engine.merge(low, old))  # active
    refused(NO_DISK, engine.merge, low, old)
    engine.image.volumes.remove(old)
    engine.image.formats.pop()
    engine.src.call('Volume.delete', imageID=engine.image.img, volumeID=old)
    engine.guest.wait_acks(30)
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(), 'raw')
    assert volume_files(engine.src, engine.image.img) == {low}


def test_merge_is_cancelled(drayd, make_engine):
    engine = make_engine(['RAW', 'COW'], size=48, rate=4000)
    low, top = engine.image.volumes
    engine.guest.wait_acks(8000)
    job = engine.merge(low, top, bandwidth=1)
    wait_for('it commits', lambda: drayd.call(
        'Job.info', jobID=job)['progress']['done'] > 0, 20)
    drayd.call('Job.cancel', jobID=job)
    assert drayd.wait_job(job)['state'] == 'cancelled'
    require_no_mirror(engine)
    assert engine.guest.disk_path() == engine.image.path()
    assert engine.legality(engine.src, -1) == 'LEGAL'
    engine.guest.wait_acks(30)
    engine.done(engine.merge(low, top, deleteTop=True))
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(0), 'raw')
    assert volume_files(engine.src, engine.image.img) == {low}


@pytest.mark.parametrize('victim', ['drayd', 'both'])
def test_merge_goes_on_after_a_crash(host, drayd, make_engine, victim):
    engine = make_engine(['RAW', 'COW'], size=48, rate=4000)
    low, top = engine.image.volumes
    engine.guest.wait_acks(8000)
    job = engine.merge(low, top, bandwidth=4)
    wait_for('it commits', lambda: drayd.call(
        'Job.info', jobID=job)['progress']['done'] > 0, 20)
    drayd.kill()
    if victim == 'both':
        host.restart_libvirtd()
    drayd.start()
    back(drayd)
    assert engine.merge(low, top, job, bandwidth=4) == job
    drayd.call('Job.limit', jobID=job, limit=0)
    engine.done(job)
    engine.src.call('Volume.delete', imageID=engine.image.img, volumeID=top)
    engine.guest.wait_acks(30)
    engine.guest.power_off()
    engine.guest.verify_image(engine.image.path(0), 'raw')
    assert volume_files(engine.src, engine.image.img) == {low}


def test_refresh(make_engine):
    engine = make_engine()
    for verb in ('refreshDisk', 'refresh_disk'):
        least = engine.image.path().stat().st_size  # the guest writes
        sizes = engine.vm(verb, drive=engine.drive(engine.src))
        most = engine.image.path().stat().st_size
        assert least <= int(sizes['apparentsize']) <= most
        assert int(sizes['truesize']) > 0
    refused(1640, engine.vm, 'refreshDisk', drive=engine.drive(engine.dst))


# --- images ------------------------------------------------------------------

@pytest.mark.parametrize('operation', ['copy', 'move', 'move1', 'move2'])
def test_image_goes_without_a_guest(drayd, domains, operation):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW', 'COW'])
    before = hashes(image)
    members = {} if operation == 'copy' else {
        'operation': 1 if operation == 'move1' else 2}
    if operation == 'move':
        members['verify'] = True
    job = new_uuid()
    verb = 'copy' if operation == 'copy' else 'move'
    for _ in range(2):
        assert src.call(f'Image.{verb}', imageID=image.img, dstSdUUID=dst.sd,
                        jobID=job, **members) == job
    info = drayd.wait_job(job)
    assert info['state'] == 'done' and not info.get('warning'), info
    moved = image.in_domain(dst)
    assert hashes(moved) == before
    check_clean(moved)
    kept = operation in ('copy', 'move1')
    assert src.images() == ([image.img] if kept else [])
    for vol in image.volumes:
        volume = dst.call('Volume.getInfo', imageID=image.img, volumeID=vol)
        assert volume['legality'] == 'LEGAL'
    if kept:
        refused(DESTINATION, src.call, 'Image.copy', imageID=image.img,
                dstSdUUID=dst.sd)


def test_preallocated_copy_takes_its_space(drayd, domains):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], preallocate=[0])
    job = src.call('Image.copy', imageID=image.img, dstSdUUID=dst.sd)
    assert drayd.wait_job(job)['state'] == 'done'
    stat = image.path(0, dst).stat()
    assert stat.st_blocks * 512 >= stat.st_size


def test_image_of_a_running_guest_stays(make_engine):
    engine = make_engine()
    for verb, members in (('copy', {}), ('move', {'operation': 2})):
        error = refused(SOURCE, engine.image_call, verb, **members)
        assert engine.guest.name in str(error)


def test_wrong_images(drayd, domains):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    other = new_uuid()

    def call(verb, **members):
        return drayd.call(f'Image.{verb}', **{
            'imageID': image.img, 'storagedomainID': src.sd,
            'dstSdUUID': dst.sd, **members})

    for verb, more in (('cloneStructure', {}), ('copy', {}),
                       ('syncData', {'syncType': 'ALL'}),
                       ('move', {'operation': 2})):
        refused(NO_DOMAIN, call, verb, storagedomainID=other, **more)
        refused(NO_DOMAIN, call, verb, dstSdUUID=other, **more)
        refused(NO_IMAGE, call, verb, imageID=other, **more)
    refused(NOT_IMPLEMENTED, call, 'syncData', syncType='MOST')
    refused(DESTINATION, call, 'syncData', syncType='ALL')
    drayd.wait_job(call('cloneStructure'))
    refused(DESTINATION, call, 'cloneStructure')
    dst.call('Volume.delete', imageID=image.img, volumeID=image.volumes[-1])
    refused(DESTINATION, call, 'syncData', syncType='ALL')


@pytest.mark.parametrize('kinds', [['ALL'], ['INTERNAL', 'LEAF'],
                                   ['ALL', 'ALL', 'INTERNAL']],
                         ids='-'.join)
def test_sync_again_copies_again(drayd, domains, kinds):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW', 'COW'])
    drayd.wait_job(src.call('Image.cloneStructure', imageID=image.img,
                            dstSdUUID=dst.sd))
    moved = image.in_domain(dst)
    for i, kind in enumerate(kinds):
        if i and kind != 'LEAF':  # rotten meanwhile
            run('qemu-io', '-f', 'raw', '-c', 'write -q -P 99 0 64k',
                moved.path(0))
        info = drayd.wait_job(src.call(
            'Image.syncData', imageID=image.img, dstSdUUID=dst.sd,
            syncType=kind))
        assert info['state'] == 'done', info
    assert hashes(moved) == hashes(image)
    check_clean(moved)
    assert all(dst.call('Volume.getInfo', imageID=image.img,
                        volumeID=vol)['legality'] == 'LEGAL'
               for vol in image.volumes)


def test_chain_is_reconciled(domains, make_engine):
    """A merge of somebody else, when the guest is off."""
    engine = make_engine(['RAW', 'COW', 'COW'])
    low, mid, old = engine.image.volumes
    src, img = engine.src, engine.image.img
    assert set(src.call('Image.getVolumes', imageID=img)) == {low, mid, old}
    refused(VOLUME_BUSY, src.call, 'Image.reconcileVolumeChain', imageID=img,
            leafVolID=old)
    engine.guest.destroy()
    assert src.call('Image.reconcileVolumeChain', imageID=img,
                    leafVolID=old) == [low, mid, old]
    run('qemu-img', 'commit', '-q', '-d', '-f', 'qcow2', '-b', low,
        engine.image.path(1), check=False)
    run('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', 'raw', '-b', low,
        engine.image.path(2))
    assert src.call('Image.reconcileVolumeChain', imageID=img,
                    leafVolID=old) == [low, old]
    assert src.call('Volume.getInfo', imageID=img,
                    volumeID=old)['parent'] == low
    src.call('Image.deleteVolumes', imageID=img, volumeList=[mid])
    src.call('Volume.setLegality', imageID=img, volumeID=old,
             legality='ILLEGAL')
    assert src.call('Image.reconcileVolumeChain', imageID=img,
                    leafVolID=old) == [low]
    assert src.call('Volume.getInfo', imageID=img,
                    volumeID=low)['voltype'] == 'LEAF'


# --- volumes -----------------------------------------------------------------

def test_volume_sizes(domains):
    src = domains[0]
    image = make_image(src, ['RAW', 'COW'])
    raw, cow = image.volumes

    def call(verb, vol, **members):
        return src.call(f'Volume.{verb}', imageID=image.img, volumeID=vol,
                        **members)

    size = int(call('getInfo', raw)['capacity'])
    assert call('extendSize', raw, newSize=str(size + 4097))
    assert int(call('getInfo', raw)['capacity']) == size + 8192
    assert image.path(0).stat().st_size == size + 8192
    refused(RESIZE, call, 'extendSize', raw, newSize=str(size))
    assert call('extendSize', cow, newSize=str(size * 4))  # nothing to do
    assert int(call('getInfo', cow)['capacity']) == size
    measured = call('measure', cow, dstVolFormat='COW')
    assert 0 < measured['required'] < measured['fully-allocated']
    alone = call('measure', cow, dstVolFormat='COW', backing_chain=False)
    assert alone['required'] < measured['required']
    assert call('measure', cow, dstVolFormat='COW',
                baseID=raw)['required'] == measured['required']
    refused(UNSUPPORTED, call, 'measure', cow, dstVolFormat='COW',
            baseID=new_uuid())
    info = call('getQemuImageInfo', cow)
    assert info['format'] == 'qcow2' and info['virtualsize'] == size
    assert info['backingfile'].endswith(raw) and info['clustersize'] == 65536
    assert call('getQemuImageInfo', raw)['format'] == 'raw'
    for legality in ('ILLEGAL', 'ILLEGAL', 'LEGAL'):
        assert call('setLegality', cow, legality=legality) is True
        assert call('getInfo', cow)['legality'] == legality
