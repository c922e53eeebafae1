# SPDX-License-Identifier: GPL-2.0-or-later
"""A running guest's disk moves between two file domains."""
import time

import pytest

from drayd import RpcError
from host import QEMU_CONF
from moves import migrate, require_moved, start
from storage import (MIB, check_clean, hashes, make_domain, make_image,
                     new_uuid, no_job_leases)

pytestmark = pytest.mark.usefixtures('nothing_left')

CHAINS = {
    'raw': ['RAW'],
    'qcow2': ['COW'],
    'raw-qcow2': ['RAW', 'COW'],
    'five': ['RAW', 'COW', 'COW', 'COW', 'COW'],
}


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


STRATEGIES = ['mirror', 'snapshot']


@pytest.mark.parametrize('chain', CHAINS)
@pytest.mark.parametrize('there', [0, 1], ids=['to-ext4', 'to-xfs'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_disk_moves_while_the_guest_writes(host, drayd, domains, make_guest,
                                           chain, there, strategy):
    src, dst = domains[1 - there], domains[there]
    image = make_image(src, CHAINS[chain])
    guest = start(make_guest, image, size=4, rate=1000)
    guest.wait_acks(1100)  # all its 1024 blocks are written
    before, allocated = hashes(image), image.allocated()
    job = migrate(drayd, guest, dst, strategy=strategy)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert not info.get('warning'), info
    assert info['strategy'] == strategy
    assert 0 < info['progress']['pauseMs'] < 3000
    # Nobody else has been on these disks: no lease tells of the job.
    assert drayd.call('Lease.list', sd_id=dst.sd) == []
    moved = require_moved(guest, image, dst)
    guest.power_off()
    guest.verify_image(moved.path(), image.leaf_format())
    assert hashes(moved) == before
    check_clean(moved)
    assert moved.allocated() <= allocated * 1.02 + 65536
    assert src.images() == []


@pytest.mark.parametrize('there', [0, 1], ids=['to-ext4', 'to-xfs'])
@pytest.mark.parametrize('chain', ['raw', 'qcow2', 'raw-qcow2'])
def test_sparse_disk_stays_sparse(drayd, domains, make_guest, chain, there):
    """Written in scattered blocks, which is what file systems do."""
    src, dst = domains[1 - there], domains[there]
    image = make_image(src, CHAINS[chain], size=512 * MIB)
    guest = start(make_guest, image, size=256, rate=400)
    guest.wait_acks(800)
    job = migrate(drayd, guest, dst, keepSource=True)
    assert drayd.wait_job(job['id'])['state'] == 'done'
    guest.destroy()
    moved = image.in_domain(dst)
    assert moved.allocated() <= image.allocated() * 1.02 + 8 * MIB
    if chain == 'raw':
        assert moved.allocated() < 12 * MIB


@pytest.mark.parametrize('formats', [['RAW'], ['RAW', 'COW']])
def test_raw_base_becomes_qcow2(drayd, domains, make_guest, formats):
    src, dst = domains
    image = make_image(src, formats)
    guest = start(make_guest, image)
    before = hashes(image)
    job = migrate(drayd, guest, dst, format='COW')
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    moved = require_moved(guest, image, dst, ['COW'] * len(formats))
    guest.power_off()
    guest.verify_image(moved.path(), 'qcow2')
    assert hashes(moved) == before
    check_clean(moved)
    volume = dst.call('Volume.getInfo', imageID=image.img,
                      volumeID=image.volumes[0])
    assert volume['format'] == 'COW' and volume['legality'] == 'LEGAL'


def test_there_and_back_again(drayd, domains, make_guest):
    image = make_image(domains[0], ['RAW', 'COW'])
    guest = start(make_guest, image)
    for target in (domains[1], domains[0], domains[1]):
        job = migrate(drayd, guest, target)
        assert drayd.wait_job(job['id'])['state'] == 'done'
        require_moved(guest, image, target)


def test_source_is_kept_on_request(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, keepSource=True)
    assert drayd.wait_job(job['id'])['state'] == 'done'
    require_moved(guest, image, dst)
    assert src.images() == [image.img]
    check_clean(image)
    src.call('Image.delete', imageID=image.img)


def test_request_may_be_repeated(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['COW'])
    guest = start(make_guest, image)
    job_id = new_uuid()
    first = migrate(drayd, guest, dst, jobID=job_id)
    assert first['id'] == job_id
    assert migrate(drayd, guest, dst, jobID=job_id)['id'] == job_id
    drayd.wait_job(job_id)
    again = migrate(drayd, guest, dst, jobID=job_id)
    assert again['state'] == 'done'
    with pytest.raises(RpcError) as error:
        migrate(drayd, guest, dst, jobID=job_id, keepSource=True)
    assert error.value.code == 69


def test_limit_holds_and_changes(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], size=256 * MIB, data=96 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, limit=8 * MIB)
    time.sleep(3)
    info = drayd.call('Job.info', jobID=job['id'])
    assert not info.get('ended')
    assert info['progress']['done'] < 60 * MIB
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    assert drayd.wait_job(job['id'], 20)['state'] == 'done'
    require_moved(guest, image, dst)


def test_plan_reports_all_obstacles(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['COW'], size=2048 * MIB)
    guest = start(make_guest, image)
    plan = drayd.call('Disk.plan', vmID=guest.name, disk='vda',
                      domain=dst.name)
    assert plan['possible'] and plan['obstacles'] == []
    same = drayd.call('Disk.plan', vmID=guest.name, disk='vda',
                      domain=src.name)
    assert not same['possible'] and same['obstacles'][0]['next']
    with pytest.raises(RpcError):
        migrate(drayd, guest, src)
    guest.destroy()


@pytest.mark.parametrize('chain', ['raw', 'raw-qcow2'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_cancel_at_random_moments(host, drayd, domains, make_guest, chain,
                                  strategy):
    src, dst = domains
    image = make_image(src, CHAINS[chain], data=16 * MIB)
    guest = start(make_guest, image)
    for i in range(8):
        job = migrate(drayd, guest, dst, limit=16 * MIB, strategy=strategy)
        time.sleep(i * 0.15)
        try:
            drayd.call('Job.cancel', jobID=job['id'])
        except RpcError as error:
            assert error.code in (75, 84), error
        info = drayd.wait_job(job['id'])
        if info['state'] == 'done':
            src, dst = dst, src
            image = image.in_domain(src)
        else:
            assert info['state'] == 'cancelled', info
        require_moved(guest, image, src)
        assert dst.images() == []
        no_job_leases(host)


def test_two_jobs_on_one_disk_are_refused(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=32 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, limit=4 * MIB)
    with pytest.raises(RpcError) as error:
        migrate(drayd, guest, dst)
    assert job['id'] in error.value.message
    with pytest.raises(RpcError):
        src.call('Image.delete', imageID=image.img)
    drayd.call('Job.cancel', jobID=job['id'])
    drayd.wait_job(job['id'])


def test_guest_that_dies_leaves_the_source(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=32 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, limit=4 * MIB)
    time.sleep(1)
    drayd.host.virsh('destroy', guest.name)
    info = drayd.wait_job(job['id'], 30)
    assert info['state'] == 'failed'
    assert guest.name in info['error']['message']
    guest.verify_image(image.path(), 'qcow2')
    assert dst.images() == []


def test_destination_too_small(drayd, domains, make_fs, make_guest):
    small = make_domain(drayd, make_fs('ext4', 64), 'too-small')
    image = make_image(domains[0], ['RAW', 'COW'], size=256 * MIB,
                       data=96 * MIB)
    guest = start(make_guest, image)
    with pytest.raises(RpcError) as error:
        migrate(drayd, guest, small)
    assert error.value.code == 397
    assert small.images() == []
    small.call('StorageDomain.leave')


def test_destination_that_fills_up(drayd, domains, make_fs, make_guest):
    small = make_domain(drayd, make_fs('ext4', 96), 'small')
    image = make_image(domains[0], ['RAW', 'COW'], size=64 * MIB,
                       data=24 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, small, limit=4 * MIB)
    free = drayd.host.work / small.mount / 'filler'
    with open(free, 'wb') as f:
        try:
            while True:
                f.write(bytes(MIB))
                f.flush()
        except OSError:
            pass
    info = drayd.wait_job(job['id'], 60)
    assert info['state'] == 'failed', info
    guest.wait_acks(30)
    guest.verify()
    assert guest.disk_path() == image.path()
    assert small.images() == []
    small.call('StorageDomain.leave')


@pytest.fixture
def debians_libvirtd(host):
    """libvirtd as Debian sets it up: qemu runs as a user of its own and
    libvirt gives it the files it may open."""
    mode = host.work.stat().st_mode
    host.work.chmod(0o1777)  # the console's socket is made there
    host.restart_libvirtd(conf='security_driver = "none"\n'
                          'stdio_handler = "file"\n'
                          'cgroup_controllers = []\n')
    yield
    host.work.chmod(mode)
    host.restart_libvirtd(conf=QEMU_CONF)


@pytest.mark.usefixtures('debians_libvirtd')
def test_with_debians_own_libvirtd(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    guest = start(make_guest, image)
    assert image.path().owner() == 'libvirt-qemu'
    job = migrate(drayd, guest, dst)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    require_moved(guest, image, dst)
    guest.destroy()
