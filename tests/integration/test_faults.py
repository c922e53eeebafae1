# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage and VMs that fail or go away while a disk moves.

The domain `frail` is seen through a bind mount, so that it can be taken away
with `umount -l` and given back, while its file system stays what it is.
"""
import time

import pytest

from drayd import RpcError
from guest import Disk
from host import Failed, run, wait_for
from moves import migrate, require_moved, start
from storage import (MIB, check_clean, empty, fill, hashes, make_domain,
                     make_image, no_job_leases)


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


@pytest.fixture(scope='module')
def frail(host, shared_drayd):
    hidden = host.make_fs('ext4', 512)
    view = host.work / 'frail'
    view.mkdir()
    run('mount', '--bind', hidden, view)
    yield make_domain(shared_drayd, view, 'frail')
    run('umount', '-l', view, check=False)
    host.drop_fs(hidden, lazy=True)


def take_away(domain):
    run('umount', '-l', domain.mount)


def give_back(host, domain):
    hidden = next(p for p in sorted(host.work.iterdir())
                  if (p / domain.sd).is_dir())
    run('mount', '--bind', hidden, domain.mount)


@pytest.fixture(autouse=True)
def nothing_left(host, drayd, domains):
    """No lease is held, no job runs, and the next test finds empty domains."""
    yield
    no_job_leases(host)
    for domain in domains:
        empty(host, domain)
        assert sorted(domain.root().glob('images/*')) == []


def wait_state(drayd, job_id, *states, timeout=30):
    def there():
        info = drayd.call('Job.info', jobID=job_id)
        if info.get('ended') and info['state'] not in states:
            raise Failed(f'ended before: {info}')
        return info['state'] in states
    wait_for(f'the job is {states}', there, timeout, 0.01)


def answers_quickly(drayd):
    begin = time.monotonic()
    drayd.call('Host.ping')
    drayd.call('Host.getJobs')
    assert time.monotonic() - begin < 0.5


def finish(drayd, job_id, timeout=60):
    """Job.info at the end; the daemon answers all the time."""
    deadline = time.monotonic() + timeout
    while True:
        answers_quickly(drayd)
        info = drayd.call('Job.info', jobID=job_id)
        if info.get('ended'):
            return info
        if time.monotonic() > deadline:
            raise Failed(f'job has not ended: {info}')
        time.sleep(0.1)


# --- the destination ---

AWAY = {  # moment: chain, limit in MiB/s
    'syncing': (['RAW', 'COW'], 2),
    'converging': (['COW'], 4),
}


def leaf_with_data(domain, chain, mib=24):
    """The leaf has data that the mirror needs some time for."""
    image = make_image(domain, chain, data=8 * MIB)
    fill(image.path(), chain[-1], 64 * MIB, mib * MIB, seed=7)
    return image


def leave_nothing(frail, image, info):
    """The domain is back. What the job named is no image, and can go."""
    assert frail.sd in info['warning'] and image.img in info['warning']
    assert frail.images() == [image.img]
    for vol in frail.call('StorageDomain.getVolumes', imageID=image.img):
        volume = frail.call('Volume.getInfo', imageID=image.img, volumeID=vol)
        assert volume['legality'] == 'ILLEGAL'
    frail.call('Image.delete', imageID=image.img)
    assert frail.images() == []


@pytest.mark.parametrize('moment', AWAY)
def test_destination_unmounted(host, drayd, domains, frail, make_guest,
                               moment):
    chain, limit = AWAY[moment]
    image = leaf_with_data(domains[0], chain)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, frail, limit=limit * MIB)
    wait_state(drayd, job['id'], moment)
    take_away(frail)
    try:
        if moment == 'converging':
            drayd.call('Job.cancel', jobID=job['id'])
        info = finish(drayd, job['id'])
        require_moved(guest, image, image.domain)
        no_job_leases(host)
        if moment == 'converging':
            assert info['state'] == 'cancelled', info
        else:
            assert info['state'] == 'failed', info
            assert info['error']['next'] == 'is the storage mounted?', info
    finally:
        give_back(host, frail)
    leave_nothing(frail, image, info)


def test_destination_read_only(drayd, domains, frail, make_guest):
    image = make_image(domains[0], ['RAW', 'COW'])
    guest = start(make_guest, image)
    run('mount', '-o', 'remount,bind,ro', frail.mount)
    try:
        with pytest.raises(RpcError) as error:
            migrate(drayd, guest, frail)
        assert 'read-only' in error.value.message.lower()
    finally:
        run('mount', '-o', 'remount,bind,rw', frail.mount)
    require_moved(guest, image, domains[0])
    assert frail.images() == []


def test_destination_dies(host, drayd, domains, make_fs, make_guest):
    """As a file system does that found an error: no write works any more."""
    doomed = make_domain(drayd, make_fs('xfs', 512), 'doomed')
    image = make_image(domains[0], ['RAW', 'COW'], data=16 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, doomed, limit=4 * MIB)
    wait_state(drayd, job['id'], 'syncing')
    run('xfs_io', '-x', '-c', 'shutdown', doomed.mount)
    info = finish(drayd, job['id'])
    assert info['state'] == 'failed', info
    assert 'Input/output error' in info['error']['message'], info
    assert image.img in info['warning'], info
    require_moved(guest, image, domains[0])


# --- the VM ---

@pytest.mark.parametrize('state, end', [
    ('syncing', 'power off'), ('converging', 'kill'),
    ('pivoting', 'power off'), ('pivoting', 'kill')])
def test_vm_ends(host, drayd, domains, make_guest, state, end):
    src, dst = domains
    image = leaf_with_data(src, ['RAW', 'COW'] if state == 'syncing' else
                           ['COW'])
    guest = start(make_guest, image)
    limit = {'syncing': 4, 'converging': 8, 'pivoting': 0}[state]
    job = migrate(drayd, guest, dst, limit=limit * MIB)
    wait_state(drayd, job['id'], state, 'pivoted', 'releasing', 'done')
    if end == 'kill':
        pid = run('pgrep', '-f', f'guest={guest.name},').stdout.split()[0]
        run('kill', '-9', pid)
    elif end == 'destroy':
        host.virsh('destroy', guest.name)
    else:
        guest.power_off()
    info = finish(drayd, job['id'])
    assert state == 'pivoting' or info['state'] == 'failed', info
    check_ended(guest, image, src, dst, info)


def check_ended(guest, image, src, dst, info):
    """One right copy, which the definition names and which has it all."""
    if info['state'] == 'done':
        kept = ' kept' if info.get('warning') else ''
        assert src.images() == ([image.img] if kept else []), info
        src, dst = dst, src
    else:
        assert info['state'] == 'failed', info
        assert guest.name in info['error']['message'], info
        assert not info.get('warning'), info
        assert dst.images() == []
    image = image.in_domain(src)
    assert guest.disk_path(inactive=True) == image.path()
    guest.verify_image(image.path(), 'qcow2')


def test_vm_paused_by_an_admin(host, drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=8 * MIB)
    guest = start(make_guest, image)
    for before in (True, False):
        if before:
            host.virsh('suspend', guest.name)
        job = migrate(drayd, guest, dst, limit=16 * MIB)
        if not before:
            wait_state(drayd, job['id'], 'syncing')
            host.virsh('suspend', guest.name)
        info = finish(drayd, job['id'])
        assert info['state'] == 'done', info
        assert guest.state() == 'paused'
        assert guest.disk_path() == image.in_domain(dst).path()
        host.virsh('resume', guest.name)
        image = require_moved(guest, image, dst)
        src, dst = dst, src


def test_transient_vm(host, drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'])
    guest = start(make_guest, image, persistent=False)
    info = finish(drayd, migrate(drayd, guest, dst)['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    guest.verify()
    assert guest.disk_path() == image.in_domain(dst).path()
    assert src.images() == []
    job = migrate(drayd, guest, src, limit=MIB)
    wait_state(drayd, job['id'], 'syncing')
    host.virsh('destroy', guest.name)
    info = finish(drayd, job['id'])
    assert info['state'] == 'failed', info
    assert not info.get('warning'), info
    assert src.images() == []


def test_vm_undefined_meanwhile(host, drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=8 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, limit=4 * MIB)
    wait_state(drayd, job['id'], 'syncing')
    host.virsh('undefine', guest.name)
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    info = finish(drayd, job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    guest.verify()
    assert guest.disk_path() == image.in_domain(dst).path()
    assert src.images() == []


# --- much at once ---

def test_disks_of_one_vm_at_the_same_time(host, drayd, domains, make_guest):
    src, dst = domains
    images = [make_image(src, ['RAW', 'COW']), make_image(src, ['RAW'])]
    guest = make_guest([Disk(i.path(), i.leaf_format()) for i in images],
                       start=0, size=16)
    for together in (True, False):
        jobs = []
        for target in ('vda', 'vdb'):
            jobs.append(drayd.call('Disk.migrate', vmID=guest.name,
                                   disk=target, domain=dst.name))
            if not together:
                finish(drayd, jobs[-1]['id'])
        for job in jobs:
            info = finish(drayd, job['id'])
            assert info['state'] == 'done' and not info.get('warning'), info
        for target, image in zip(('vda', 'vdb'), images):
            path = image.in_domain(dst).path()
            assert guest.disk_path(target) == path
            assert guest.disk_path(target, inactive=True) == path
        guest.verify()
        assert src.images() == []
        src, dst = dst, src
        images = [image.in_domain(src) for image in images]


def test_two_vms_cross(drayd, domains, make_guest):
    """One there, one back, at the same time."""
    images = [make_image(domain, ['RAW', 'COW'], data=8 * MIB)
              for domain in domains]
    guests = [start(make_guest, image) for image in images]
    jobs = [migrate(drayd, guest, domain)
            for guest, domain in zip(guests, reversed(domains))]
    for job in jobs:
        info = finish(drayd, job['id'])
        assert info['state'] == 'done' and not info.get('warning'), info
    for guest, image, domain in zip(guests, images, reversed(domains)):
        require_moved(guest, image, domain)
        assert domain.images() == [image.img]


def test_chain_of_twenty(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW'] + 19 * ['COW'], data=MIB)
    before = hashes(image)[-1]
    guest = start(make_guest, image)
    info = finish(drayd, migrate(drayd, guest, dst)['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    moved = require_moved(guest, image, dst)
    assert hashes(moved)[-1] == before
    guest.power_off()  # a leaf that is written to has no one moment to check
    check_clean(moved)


@pytest.mark.parametrize('chain', [['RAW'], ['RAW', 'COW']])
def test_preallocated_stays_so(drayd, domains, make_guest, chain):
    src, dst = domains
    image = make_image(src, chain, preallocate=(0,))
    guest = start(make_guest, image)
    info = finish(drayd, migrate(drayd, guest, dst)['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    moved = require_moved(guest, image, dst)
    assert moved.path(0).stat().st_blocks * 512 >= 64 * MIB
    volume = dst.call('Volume.getInfo', imageID=image.img,
                      volumeID=image.volumes[0])
    assert volume['type'] == 'PREALLOCATED'
