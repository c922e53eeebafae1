# SPDX-License-Identifier: GPL-2.0-or-later
"""Several disks in one job, verified copies, disks outside of all domains."""
import contextlib
import json
import os
import pathlib
import time

import pytest

from drayd import RpcError
from guest import Disk
from host import Service, answers, run, wait_for
from storage import MIB, check_clean, hashes, make_image, no_job_leases

pytestmark = pytest.mark.usefixtures('nothing_left')


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


@pytest.fixture
def device(tmp_path):
    """A block device of 64 MiB."""
    path = tmp_path / 'device'
    path.touch()
    os.truncate(path, 64 * MIB)
    name = run('losetup', '-f', '--show', path).stdout.strip()
    yield name
    run('losetup', '-d', name, check=False)


def start_two(make_guest, images):
    disks = [Disk(image.path(), image.leaf_format(), serial=f'serial-{i}')
             for i, image in enumerate(images)]
    return make_guest(disks, start=0, size=8)


def move_both(drayd, guest, domain, **members):
    return drayd.call('Disk.migrate', vmID=guest.name, domain=domain.name,
                      disks=[{'disk': 'vda'}, {'disk': 'vdb'}], **members)


def where(guest):
    return [guest.disk_path(target) for target in ('vda', 'vdb')]


def paths(images):
    return [image.path() for image in images]


def test_two_disks_move_in_one_suspension(drayd, domains, make_guest):
    src, dst = domains
    images = [make_image(src, ['RAW']), make_image(src, ['RAW', 'COW'])]
    guest = start_two(make_guest, images)
    guest.wait_acks(50)
    job = move_both(drayd, guest, dst)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert not info.get('warning'), info
    assert info['strategy'] == 'snapshot' and len(info['disks']) == 2
    moved = [image.in_domain(dst) for image in images]
    assert where(guest) == paths(moved)
    guest.verify()
    assert src.images() == []
    guest.power_off()
    for image in moved:
        vols = dst.call('StorageDomain.getVolumes', imageID=image.img)
        assert sorted(vols) == sorted(image.volumes)
        check_clean(image)


def test_second_pivot_fails_and_both_stay(host, drayd, domains, make_guest):
    """A layer of the second loses its name: qemu cannot open it to pivot."""
    src, dst = domains
    images = [make_image(src, ['RAW']), make_image(src, ['COW'])]
    guest = start_two(make_guest, images)
    guest.wait_acks(50)
    job = move_both(drayd, guest, dst, limit=2 * MIB)
    wait_for('the mirrors', lambda: drayd.call(
        'Job.info', jobID=job['id'])['state'] == 'converging', 60, 0.001)
    leaf = images[1].in_domain(dst).path()
    hidden = leaf.with_name('hidden')
    leaf.rename(hidden)
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    info = drayd.wait_job(job['id'])
    hidden.unlink(missing_ok=True)
    assert info['state'] == 'failed', info
    assert where(guest) == paths(images)
    guest.wait_acks(20)
    guest.verify()
    no_job_leases(host)
    for image in images:
        vols = src.call('StorageDomain.getVolumes', imageID=image.img)
        assert vols == image.volumes


# --- verified ---

def test_verified_move(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=16 * MIB)
    guest = start_two(make_guest, [image])
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, verify=True)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and info['verify'], info
    guest.verify()


def test_flipped_bit_is_caught(drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=24 * MIB)
    guest = start_two(make_guest, [image])
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, verify=True, limit=8 * MIB)
    wait_for('verifying', lambda: drayd.call(
        'Job.info', jobID=job['id'])['state'] == 'verifying', 60, 0.005)
    base = image.in_domain(dst).path(0)
    flip_last_data_byte(base)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert info['error']['code'] == 484, info
    assert guest.disk_path() == image.path()
    guest.verify()
    assert dst.images() == []


def flip_last_data_byte(path):
    extents = json.loads(run('qemu-img', 'map', '-U', '--output=json', '-f',
                             'raw', path).stdout)
    last = [e for e in extents if e['data'] and not e['zero']][-1]
    offset = last['start'] + last['length'] - 1
    with open(path, 'r+b') as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))
        f.flush()
        run('sync', '-d', path)


# --- a domain in use ---

def test_a_domain_that_a_vm_runs_on_stays(drayd, domains, make_guest):
    src = domains[0]
    image = make_image(src, ['RAW', 'COW'])
    guest = start_two(make_guest, [image])
    with pytest.raises(RpcError) as error:
        src.call('StorageDomain.leave')
    assert error.value.code == 662 and guest.name in error.value.message
    guest.wait_acks(20)
    guest.power_off()
    src.call('StorageDomain.leave')
    src.call('StorageDomain.join')
    assert src.images() == [image.img]


# --- cut off ---

def test_killed_copy_goes_on_where_it_was(host, drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], size=512 * MIB)
    with open(image.path(0), 'r+b') as f:
        f.seek(64 * MIB)
        for _ in range(320):
            f.write(os.urandom(MIB))
    before = hashes(image)
    guest = start_two(make_guest, [image])
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, limit=64 * MIB)

    def done():
        info = drayd.call('Job.info', jobID=job['id'])
        if info['state'] in ('planned', 'preparing', 'freezing'):
            return 0
        assert info['state'] == 'syncing', info
        return info['progress']['done']
    wait_for('some of it is copied', lambda: done() > 160 * MIB, 30)
    drayd.kill()
    copied = done_of(dst, image)
    drayd.start()
    wait_for('it goes on', lambda: done() > 0, 10)
    assert done() >= copied - 64 * MIB - 16 * MIB
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    assert drayd.wait_job(job['id'])['state'] == 'done'
    guest.verify()
    assert hashes(image.in_domain(dst)) == before


def done_of(domain, image):
    """Bytes that are on the disk there."""
    return image.in_domain(domain).path(0).stat().st_blocks * 512


# --- outside ---

@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_import_of_a_plain_disk(host, drayd, domains, make_guest, make_fs,
                                kind):
    plain = make_fs('ext4', 256) / f'plain.{kind}'
    run('qemu-img', 'create', '-q', '-f', kind, plain, '64M')
    guest = make_guest([Disk(plain, kind, serial='serial-1')], start=0,
                       size=16)
    guest.wait_acks(50)
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=domains[0].name)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert plain.exists()
    [img] = domains[0].images()
    assert str(guest.disk_path()).startswith(str(domains[0].root()))
    assert guest.disk_path(inactive=True) == guest.disk_path()
    guest.verify()
    guest.power_off()
    guest.verify_image(guest.disk_path(inactive=True), kind)
    assert img in str(guest.disk_path(inactive=True))


@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_export_to_a_file(drayd, domains, make_guest, make_fs, kind):
    src = domains[0]
    image = make_image(src, ['RAW', 'COW'])
    guest = start_two(make_guest, [image])
    guest.wait_acks(50)
    out = make_fs('ext4', 256) / 'out.img'
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=str(out), format=kind == 'raw' and 'RAW' or 'COW')
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert guest.disk_path() == out
    guest.verify()
    assert src.images() == []
    guest.power_off()
    guest.verify_image(out, kind)


def test_cancelled_export_leaves_nothing(drayd, domains, make_guest, make_fs):
    src = domains[0]
    image = make_image(src, ['RAW', 'COW'], data=24 * MIB)
    guest = start_two(make_guest, [image])
    out = make_fs('ext4', 256) / 'out.img'
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=str(out), limit=2 * MIB)
    time.sleep(0.5)
    drayd.call('Job.cancel', jobID=job['id'])
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'cancelled', info
    assert not out.exists()
    assert guest.disk_path() == image.path()
    guest.verify()


def test_export_refuses_a_file_that_is_there(drayd, domains, make_guest,
                                             make_fs):
    image = make_image(domains[0], ['COW'])
    guest = start_two(make_guest, [image])
    out = make_fs('ext4', 64) / 'precious'
    out.write_text('do not touch')
    with pytest.raises(RpcError) as error:
        drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                   domain=str(out))
    assert error.value.code == 212
    assert out.read_text() == 'do not touch'


def test_export_leaves_a_device_of_another_vm_alone(
        host, drayd, domains, make_guest, make_fs, device):
    """qemu's locks would not keep us from formatting it."""
    image = make_image(domains[0], ['COW'])
    guest = start_two(make_guest, [image])
    other = make_guest([Disk(device, 'raw')], start=0, size=8)
    other.wait_acks(50)
    for members in ({'format': 'COW'}, {'format': 'RAW'}):
        with pytest.raises(RpcError) as error:
            drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                       domain=device, **members)
        assert error.value.code == 203
        assert other.name in error.value.message
    other.wait_acks(20)
    other.power_off()
    other.verify_image(device, 'raw')
    error = drayd.call('Disk.plan', vmID=guest.name, disk='vda',
                       domain=device)['obstacles'][0]
    assert other.name in error['message']  # it is off, and has it still


def test_export_needs_room(drayd, domains, make_guest, make_fs, host):
    image = make_image(domains[0], ['RAW', 'COW'], data=0)
    run('qemu-io', '-f', 'raw', '-c', f'write -q -P 7 {16 * MIB} {40 * MIB}',
        image.path(0))
    guest = start_two(make_guest, [image])
    small = make_fs('ext4', 32)
    plan = drayd.call('Disk.plan', vmID=guest.name, disk='vda',
                      domain=str(small / 'out'))
    assert [o['code'] for o in plan['obstacles']] == [397]
    assert plan['destination']['free'] < plan['destination']['required']


def test_export_to_nbd_and_back(host, drayd, domains, make_guest, make_fs):
    src, dst = domains
    image = make_image(src, ['COW'])
    guest = start_two(make_guest, [image])
    guest.wait_acks(50)
    backing = make_fs('ext4', 256) / 'nbd.raw'
    run('qemu-img', 'create', '-q', '-f', 'raw', backing, '64M')
    sock = pathlib.Path('/run/drayd-test/nbd.sock')
    server = Service('nbd', ['qemu-nbd', '-t', '-e', '4', '-f', 'raw', '-x',
                             'disk', '-k', str(sock), str(backing)],
                     host.new_log('nbd'))
    server.start(lambda: answers(sock))
    uri = f'nbd+unix:///disk?socket={sock}'
    try:
        job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                         domain=uri, format='RAW')
        info = drayd.wait_job(job['id'])
        assert info['state'] == 'done', info
        guest.verify()
        [disk] = drayd.call('VM.getDisks', vmID=guest.name)
        assert disk['path'] == uri
        job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                         domain=dst.name)
        info = drayd.wait_job(job['id'])
        assert info['state'] == 'done', info
        guest.verify()
    finally:
        server.kill()


# --- outside, verified ---

def leftovers(*directories):
    return [name for directory in directories
            for name in os.listdir(directory) if name.startswith('drayd-')]


@contextlib.contextmanager
def nbd_server(host, backing, clients):
    sock = pathlib.Path('/run/drayd-test/verify.sock')
    server = Service('nbd', ['qemu-nbd', '-t', '-e', str(clients), '-f', 'raw', '-x',
                             'disk', '-k', str(sock), str(backing)],
                     host.new_log('nbd'))
    server.start(lambda: answers(sock))
    try:
        yield f'nbd+unix:///disk?socket={sock}'
    finally:
        server.kill()
        sock.unlink(missing_ok=True)


@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_verified_export_and_import(drayd, domains, make_guest, make_fs, kind):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=8 * MIB)
    guest = start_two(make_guest, [image])
    guest.wait_acks(50)
    out = make_fs('ext4', 256) / 'out, "1".img'
    wish = {'vmID': guest.name, 'disk': 'vda', 'domain': str(out),
            'format': 'RAW' if kind == 'raw' else 'COW', 'verify': True}
    plan = drayd.call('Disk.plan', **wish)
    assert plan['strategy'] == 'snapshot' and not plan['obstacles'], plan
    info = drayd.wait_job(drayd.call('Disk.migrate', **wish)['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    assert guest.disk_path() == guest.disk_path(inactive=True) == out
    guest.wait_acks(50)
    guest.verify()
    assert src.images() == [] and leftovers(out.parent) == []
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, verify=True)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    guest.wait_acks(50)
    guest.verify()
    assert out.exists() and leftovers(out.parent) == []
    [img] = dst.images()
    assert len(dst.call('StorageDomain.getVolumes', imageID=img)) == 1
    guest.power_off()
    guest.verify_image(guest.disk_path(inactive=True), kind)


@pytest.mark.parametrize('format', ['RAW', 'COW'])
def test_flipped_bit_of_an_export_is_caught(drayd, domains, make_guest,
                                            make_fs, format):
    src = domains[0]
    image = make_image(src, ['RAW', 'COW'], data=24 * MIB)
    guest = start_two(make_guest, [image])
    out = make_fs('ext4', 256) / 'out.img'
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=str(out), format=format, verify=True,
                     limit=8 * MIB)
    wait_for('verifying', lambda: drayd.call(
        'Job.info', jobID=job['id'])['state'] == 'verifying', 60, 0.005)
    flip_last_data_byte(out)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert info['error']['code'] == 484, info
    assert guest.disk_path() == guest.disk_path(inactive=True) == image.path()
    guest.wait_acks(50)
    guest.verify()
    assert not out.exists() and leftovers(out.parent) == []
    vols = src.call('StorageDomain.getVolumes', imageID=image.img)
    assert sorted(vols) == sorted(image.volumes)


def test_flipped_bit_of_an_import_is_caught(drayd, domains, make_guest,
                                            make_fs):
    dst = domains[0]
    plain = make_fs('ext4', 256) / 'plain.raw'
    run('qemu-img', 'create', '-q', '-f', 'raw', plain, '64M')
    run('qemu-io', '-f', 'raw', '-c', f'write -q -P 7 {24 * MIB} {24 * MIB}',
        plain)
    guest = make_guest([Disk(plain, 'raw')], start=0, size=16)
    guest.wait_acks(50)
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, verify=True, limit=8 * MIB)
    wait_for('verifying', lambda: drayd.call(
        'Job.info', jobID=job['id'])['state'] == 'verifying', 60, 0.005)
    [img] = dst.images()
    vols = dst.call('StorageDomain.getVolumes', imageID=img)
    [base] = [path for vol in vols
              for path in [dst.root() / 'images' / img / vol]
              if path.stat().st_size == 64 * MIB]
    flip_last_data_byte(base)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert info['error']['code'] == 484, info
    assert guest.disk_path() == guest.disk_path(inactive=True) == plain
    assert dst.images() == [] and leftovers(plain.parent) == []
    guest.wait_acks(50)
    guest.verify()
    guest.power_off()
    guest.verify_image(plain, 'raw')


def test_verified_export_to_a_device_and_back(drayd, domains, make_guest,
                                              device):
    src, dst = domains
    image = make_image(src, ['COW'], data=8 * MIB)
    guest = start_two(make_guest, [image])
    guest.wait_acks(50)
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=device, format='RAW', verify=True)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    assert str(guest.disk_path()) == device
    guest.wait_acks(50)
    guest.verify()
    job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                     domain=dst.name, verify=True)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    guest.wait_acks(50)
    guest.verify()
    assert leftovers(src.root().parent, dst.root().parent) == []


@pytest.mark.parametrize('clients', [1, 4])
def test_verified_export_to_nbd_and_back(host, drayd, domains, make_guest,
                                         make_fs, clients):
    """With the guest there a server of one client answers nobody else."""
    src, dst = domains
    image = make_image(src, ['COW'], data=8 * MIB)
    guest = start_two(make_guest, [image])
    guest.wait_acks(50)
    backing = make_fs('ext4', 256) / 'nbd.raw'
    run('qemu-img', 'create', '-q', '-f', 'raw', backing, '64M')
    with nbd_server(host, backing, clients) as uri:
        job = drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                         domain=uri, format='RAW', verify=True)
        info = drayd.wait_job(job['id'])
        assert info['state'] == 'done' and not info.get('warning'), info
        [disk] = drayd.call('VM.getDisks', vmID=guest.name)
        assert disk['path'] == uri and src.images() == []
        guest.wait_acks(50)
        wish = {'vmID': guest.name, 'disk': 'vda', 'domain': dst.name,
                'verify': True}
        if clients == 1:
            plan = drayd.call('Disk.plan', **wish)
            assert [o['code'] for o in plan['obstacles']] == [19], plan
        else:
            job = drayd.call('Disk.migrate', **wish)
            info = drayd.wait_job(job['id'])
            assert info['state'] == 'done', info
            assert not info.get('warning'), info
            guest.wait_acks(50)
        guest.verify()
        guest.power_off()
    assert leftovers(src.root().parent, dst.root().parent) == []
