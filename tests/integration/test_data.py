# SPDX-License-Identifier: GPL-2.0-or-later
"""SDM.copy_data, move_data, update_volume: volumes and what is outside of all
domains, right, wrong, repeated, cancelled, killed; bytes and holes compared."""
import contextlib
import pathlib
import random
import subprocess
import time

import pytest

from drayd import RpcError, drayctl
from host import run, wait_for
from storage import BLANK, MIB, fill, make_image, new_uuid

pytestmark = pytest.mark.usefixtures('nothing_left')

SIZE = 64 * MIB
JOB_EXISTS, TOO_SMALL, NO_VOLUME, EXISTS = 69, 79, 201, 212
CHILDREN, NOT_LEGAL, UPDATE, GENERATION = 204, 227, 235, 911
WRONG_PARENT, BUSY, UNSUPPORTED, VALUE = 921, 851, 2009, 1000
PARAMS = -32602
FORMATS = {'RAW': 'raw', 'COW': 'qcow2'}


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


def refused(code, call, *args, **members):
    with pytest.raises(RpcError) as error:
        call(*args, **members)
    assert error.value.code == code, error.value
    return error.value


def info(image, i=-1):
    return image.domain.call('Volume.getInfo', imageID=image.img,
                             volumeID=image.volumes[i])


def state(image, i=-1):
    now = info(image, i)
    return now['legality'], now['generation']


def div(image, i=-1, **more):
    return {'endpoint_type': 'div', 'sd_id': image.domain.sd,
            'img_id': image.img, 'vol_id': image.volumes[i], **more}


def outside(place, kind='raw', **more):
    return {'endpoint_type': 'external', 'url': str(place), 'format': kind,
            **more}


def filled(domain, formats, size=SIZE, data=8 * MIB):
    """Every layer has data."""
    image = make_image(domain, formats, size=size, data=data)
    fill(domain.prepared(image.img, image.volumes[-1]), formats[-1], size,
         data, seed=99)
    return image


def begin(drayd, source, destination, verb='copy_data', job_id=None, **more):
    job_id = job_id or new_uuid()
    assert drayd.call(f'SDM.{verb}', job_id=job_id, source=source,
                      destination=destination, **more) is True
    return job_id


def done(drayd, job_id):
    job = drayd.wait_job(job_id)
    assert job['state'] == 'done', job
    assert 'warning' not in job, job
    return job


def copy(drayd, source, destination, **more):
    return done(drayd, begin(drayd, source, destination, **more))


def same(a, b):
    """Of (path, format) each: what a guest would see."""
    run('qemu-img', 'compare', '-f', a[1], '-F', b[1], a[0], b[0])


def of(image, i=-1):
    return str(image.path(i)), FORMATS[image.formats[i]]


def allocated(path):
    return pathlib.Path(path).stat().st_blocks * 512


# --- volumes

@pytest.mark.parametrize('formats', [('RAW', 'RAW'), ('RAW', 'COW'),
                                     ('COW', 'RAW'), ('COW', 'COW')])
def test_volume_to_volume(drayd, domains, formats):
    src = filled(domains[0], formats[:1])
    dst = make_image(domains[1], formats[1:], size=SIZE)
    copy(drayd, div(src, generation=0), div(dst, generation=0))
    assert state(dst) == ('LEGAL', 1)
    assert state(src) == ('LEGAL', 0)
    same(of(src), of(dst))
    assert allocated(dst.path()) < 16 * MIB


def test_the_stale_data_of_a_volume_is_gone(drayd, domains):
    """What is copied has holes where the destination had data."""
    src = filled(domains[0], ['COW'])
    for kind in ('RAW', 'COW'):
        dst = filled(domains[1], [kind], data=16 * MIB)
        copy(drayd, div(src), div(dst))
        same(of(src), of(dst))
        copy(drayd, div(src), div(dst, generation=1))
        assert state(dst) == ('LEGAL', 2)


def test_a_chain_becomes_one_volume(drayd, domains):
    src = filled(domains[0], ['RAW', 'COW', 'COW'])
    for kind in ('RAW', 'COW'):
        dst = make_image(domains[1], [kind], size=SIZE)
        copy(drayd, div(src), div(dst), verify=True)
        same(of(src), of(dst))
        assert allocated(dst.path()) < 48 * MIB


def test_layer_by_layer(drayd, domains):
    """As an engine copies a disk: the same chain, each layer by itself."""
    src = filled(domains[0], ['RAW', 'COW', 'COW'])
    dst = make_image(domains[1], ['RAW', 'COW', 'COW'], size=SIZE, data=0)
    for i in range(3):
        copy(drayd, div(src, i), div(dst, i), verify=True)
        assert state(dst, i) == ('LEGAL', 1)
    same(of(src), of(dst))
    assert allocated(dst.path(2)) < 16 * MIB  # not the whole chain


def test_a_larger_volume_keeps_its_size(drayd, domains):
    src = filled(domains[0], ['RAW'])
    for kind in ('RAW', 'COW'):
        dst = make_image(domains[1], [kind], size=2 * SIZE)
        copy(drayd, div(src), div(dst))
        same(of(src), of(dst))  # the rest reads zeros
        assert info(dst)['capacity'] == str(2 * SIZE)
        size = run('qemu-img', 'info', '-f', FORMATS[kind], '--output=json',
                   dst.path()).stdout
        assert f'"virtual-size": {2 * SIZE}' in size


def test_inside_one_domain(drayd, domains):
    src = filled(domains[1], ['COW'])
    dst = make_image(domains[1], ['COW'], size=SIZE)
    copy(drayd, div(src), div(dst))
    same(of(src), of(dst))


def test_bitmaps(drayd, domains):
    src = filled(domains[0], ['COW', 'COW'])  # is converted
    run('qemu-img', 'bitmap', '--add', '-f', 'qcow2', src.path(), 'since')
    dst = make_image(domains[1], ['COW'], size=SIZE)
    raw = make_image(domains[1], ['RAW'], size=SIZE)
    copy(drayd, div(src), div(dst), copy_bitmaps=True)
    found = domains[1].call('Volume.getQemuImageInfo', imageID=dst.img,
                            volumeID=dst.volumes[0])['bitmaps']
    assert len(found) == 1
    refused(UNSUPPORTED, begin, drayd, div(src), div(raw), copy_bitmaps=True)


# --- what is refused

def test_another_generation_is_refused(drayd, domains):
    src, dst = filled(domains[0], ['RAW']), make_image(domains[1], ['RAW'])
    refused(GENERATION, begin, drayd, div(src), div(dst, generation=7))
    refused(GENERATION, begin, drayd, div(src, generation=3), div(dst))
    assert state(dst) == ('LEGAL', 0)
    assert allocated(dst.path()) < MIB


def test_wrong_ends(drayd, domains, make_fs):
    src, dst = filled(domains[0], ['COW']), make_image(domains[1], ['COW'])
    two = make_image(domains[1], ['COW', 'COW'])
    small = make_image(domains[1], ['RAW'], size=SIZE // 2)
    out = make_fs('ext4', 128)
    nothing = {**div(dst), 'vol_id': new_uuid()}
    (out / 'there').write_bytes(b'x' * 4096)
    run('truncate', '-s', SIZE, out / 'base')
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', out / 'base', '-F',
        'raw', out / 'top')
    for code, source, destination in [
            (VALUE, div(src), div(src)),
            (TOO_SMALL, div(src), div(small)),
            (TOO_SMALL, div(src), outside(out / 'there', create=False)),
            (NO_VOLUME, div(src), nothing),
            (NO_VOLUME, nothing, div(dst)),
            (NO_VOLUME, outside(out / 'none'), div(dst)),
            (NO_VOLUME, div(src), outside(out / 'none', create=False)),
            (EXISTS, div(src), outside(out / 'there')),
            (WRONG_PARENT, div(src), div(two)),
            (202, outside(out / 'top', 'qcow2'), div(dst)),
            (VALUE, div(src), outside(dst.path())),
            (PARAMS, div(src), outside('json:{"driver":"raw"}')),
            (PARAMS, div(src), outside('nbd:unix:/a/../b')),
            (PARAMS, div(src), outside('-x')),
            (PARAMS, div(src), {'endpoint_type': 'external', 'url': '/x'}),
            (PARAMS, {'endpoint_type': 'div', 'sd_id': src.domain.sd},
             div(dst)),
            (PARAMS, div(src), div(dst, generation=1000))]:
        refused(code, begin, drayd, source, destination)
    assert (out / 'there').read_bytes() == b'x' * 4096
    assert state(dst) == ('LEGAL', 0)


def test_a_source_without_its_data(drayd, domains):
    src, dst = filled(domains[0], ['RAW']), make_image(domains[1], ['RAW'])
    domains[0].call('Volume.setLegality', imageID=src.img,
                    volumeID=src.volumes[0], legality='ILLEGAL')
    refused(NOT_LEGAL, begin, drayd, div(src), div(dst))


def test_what_a_vm_writes_to(drayd, domains, make_guest):
    from guest import Disk
    src = make_image(domains[0], ['RAW', 'COW'], size=SIZE)
    make_guest([Disk(src.path(), 'qcow2')], start=0, size=16)
    dst = make_image(domains[1], ['RAW'], size=SIZE)
    refused(203, begin, drayd, div(src), div(dst))
    refused(203, begin, drayd, div(dst), div(src, 0))
    copy(drayd, div(src, 0), div(dst))  # below, nobody writes
    run('qemu-img', 'compare', '-U', '-f', 'raw', src.path(0), dst.path())


# --- repeated, together

def test_the_same_job_again(drayd, domains):
    src, dst = filled(domains[0], ['RAW']), make_image(domains[1], ['RAW'])
    job_id = new_uuid()
    for _ in range(2):
        copy(drayd, div(src), div(dst, generation=0), job_id=job_id)
    assert state(dst) == ('LEGAL', 1)
    refused(JOB_EXISTS, begin, drayd, div(src), div(dst, generation=1),
            job_id=job_id)
    refused(JOB_EXISTS, begin, drayd, div(dst), div(src), job_id=job_id)
    jobs = drayd.call('Host.getJobs', job_ids=[job_id])
    assert jobs[job_id]['status'] == 'done'
    assert jobs[job_id]['description'] == 'copy_data'


def slow(drayd, domains, formats=('RAW', 'RAW')):
    """A copy that has begun and takes for ever."""
    src = filled(domains[0], formats[:1], data=16 * MIB)
    dst = make_image(domains[1], formats[1:], size=SIZE)
    job_id = begin(drayd, div(src), div(dst, generation=0), limit=MIB)
    wait_for('the copy moves', lambda: drayd.call(
        'Job.info', jobID=job_id)['progress']['done'] > 0)
    return src, dst, job_id


def test_one_at_a_time(drayd, domains):
    src, dst, job_id = slow(drayd, domains)
    other = filled(domains[0], ['RAW'])
    third = make_image(domains[1], ['RAW'])
    assert state(dst) == ('ILLEGAL', 0)
    refused(BUSY, begin, drayd, div(other), div(dst))
    refused(NOT_LEGAL, begin, drayd, div(dst), div(third))
    refused(BUSY, begin, drayd, div(other), div(src))
    refused(103, domains[1].call, 'Image.delete', imageID=dst.img)
    copy(drayd, div(src), div(third))  # many may read
    refused(BUSY, drayd.call, 'SDM.update_volume', job_id=new_uuid(),
            vol_info={**volume(dst), 'generation': 0},
            vol_attr={'generation': 9})
    drayd.call('Job.limit', jobID=job_id, limit=0)
    done(drayd, job_id)
    same(of(src), of(dst))


@pytest.mark.parametrize('formats', [('RAW', 'RAW'), ('RAW', 'COW')])
def test_cancel(drayd, domains, formats):
    src, dst, job_id = slow(drayd, domains, formats)
    drayd.call('Job.cancel', jobID=job_id)
    assert drayd.wait_job(job_id)['state'] == 'cancelled'
    assert state(dst) == ('ILLEGAL', 0)
    assert state(src) == ('LEGAL', 0)
    copy(drayd, div(src), div(dst, generation=0))
    assert state(dst) == ('LEGAL', 1)
    same(of(src), of(dst))


@pytest.mark.parametrize('formats', [('RAW', 'RAW'), ('RAW', 'COW')])
def test_kill(drayd, domains, formats):
    src, dst, job_id = slow(drayd, domains, formats)
    drayd.restart()
    wait_for('it goes on', lambda: drayd.call(
        'Job.info', jobID=job_id)['state'] == 'syncing')
    assert state(dst) == ('ILLEGAL', 0)
    drayd.call('Job.limit', jobID=job_id, limit=0)
    done(drayd, job_id)
    assert state(dst) == ('LEGAL', 1)
    same(of(src), of(dst))


# --- outside

@contextlib.contextmanager
def nbd(host, image, kind='raw', *options):
    """A server, by its URI."""
    path = host.work / f'{new_uuid()[:8]}.sock'
    server = subprocess.Popen(['qemu-nbd', '-t', '-e', '4', '-f', kind, *options,
                               '-x', 'disk', '-k', path, image],
                              stdin=subprocess.DEVNULL)
    try:
        wait_for('qemu-nbd listens', path.exists)
        yield f'nbd+unix:///disk?socket={path}'
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_file_and_back(drayd, domains, make_fs, kind):
    out = make_fs('xfs', 512)
    src = filled(domains[0], ['RAW', 'COW'])
    back = make_image(domains[1], ['COW'], size=SIZE)
    copy(drayd, div(src), outside(out / 'disk', kind))
    same(of(src), (out / 'disk', kind))
    assert allocated(out / 'disk') < 32 * MIB
    copy(drayd, outside(out / 'disk', kind), div(back), verify=True)
    same(of(src), of(back))
    assert allocated(back.path()) < 32 * MIB


def test_a_file_that_is_there_keeps_its_size(drayd, domains, make_fs):
    out = make_fs('ext4', 512) / 'disk'
    src = filled(domains[0], ['RAW'])
    run('truncate', '-s', 2 * SIZE, out)
    run('qemu-io', '-f', 'raw', '-c', f'write -q -P 9 0 {16 * MIB}', out)
    copy(drayd, div(src), outside(out, create=False))
    assert out.stat().st_size == 2 * SIZE
    same(of(src), (out, 'raw'))
    assert allocated(out) < 16 * MIB


def test_file_to_file(drayd, domains, make_fs):
    out = make_fs('ext4', 512)
    run('qemu-img', 'create', '-q', '-f', 'qcow2', out / 'a', SIZE)
    run('qemu-io', '-f', 'qcow2', '-c', f'write -q -P 7 {MIB} {MIB}', out / 'a')
    copy(drayd, outside(out / 'a', 'qcow2'), outside(out / 'b'))
    same((out / 'a', 'qcow2'), (out / 'b', 'raw'))


@pytest.mark.parametrize('zero', [False, True])
def test_device(host, drayd, domains, make_fs, zero):
    backing = make_fs('ext4', 512) / 'device'
    run('truncate', '-s', 2 * SIZE, backing)
    if not zero:
        run('qemu-io', '-f', 'raw', '-c', f'write -q -P 9 0 {16 * MIB}',
            backing)
    src = filled(domains[0], ['COW'])
    back = make_image(domains[1], ['RAW'], size=2 * SIZE)
    loop = run('losetup', '-f', '--show', backing).stdout.strip()
    try:
        copy(drayd, div(src), outside(loop, is_zero=zero))
        copy(drayd, outside(loop), div(back))
    finally:
        run('losetup', '-d', loop)
    run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', *[
        path for path in (src.path(), back.path())])
    assert allocated(backing) < 16 * MIB


@pytest.mark.parametrize('zero', [False, True])
def test_nbd(host, drayd, domains, make_fs, zero):
    image = make_fs('ext4', 512) / 'image'
    run('truncate', '-s', SIZE, image)
    src = filled(domains[0], ['RAW', 'COW'])
    back = make_image(domains[1], ['COW'], size=SIZE)
    with nbd(host, image, 'raw', '--discard=unmap') as uri:
        path = uri.split('=')[1]
        copy(drayd, div(src), outside(uri, is_zero=zero), verify=True)
        copy(drayd, outside(f'nbd:unix:{path}:exportname=disk'), div(back))
    same(of(src), (image, 'raw'))
    same(of(src), of(back))
    assert allocated(image) < 32 * MIB


def test_a_server_that_goes(host, drayd, domains, make_fs):
    image = make_fs('ext4', 512) / 'image'
    run('truncate', '-s', SIZE, image)
    src = filled(domains[0], ['RAW'], data=16 * MIB)
    with nbd(host, image) as uri:
        job_id = begin(drayd, div(src), outside(uri), limit=MIB)
        wait_for('the copy moves', lambda: drayd.call(
            'Job.info', jobID=job_id)['progress']['done'] > 0)
    job = drayd.wait_job(job_id)
    assert job['state'] == 'failed' and 'convert' in job['error']['message']
    assert state(src) == ('LEGAL', 0)


@pytest.mark.parametrize('how', ['cancel', 'kill'])
@pytest.mark.parametrize('kind', ['raw', 'qcow2'])
def test_file_cut_off(drayd, domains, make_fs, how, kind):
    out = make_fs('xfs', 512) / 'disk'
    src = filled(domains[0], ['RAW'], data=16 * MIB)
    job_id = begin(drayd, div(src), outside(out, kind), limit=MIB)
    wait_for('the copy moves', lambda: drayd.call(
        'Job.info', jobID=job_id)['progress']['done'] > 0)
    if how == 'cancel':
        drayd.call('Job.cancel', jobID=job_id)
        assert drayd.wait_job(job_id)['state'] == 'cancelled'
        assert list(out.parent.glob('*disk*')) == []
        return
    drayd.restart()
    drayd.call('Job.limit', jobID=job_id, limit=0)
    done(drayd, job_id)
    same(of(src), (out, kind))


# --- moves

def test_move(drayd, domains):
    src = filled(domains[0], ['RAW', 'COW'])
    keep = make_image(domains[1], ['RAW'], size=SIZE)
    dst = make_image(domains[1], ['COW'], size=SIZE)
    copy(drayd, div(src), div(keep))
    job_id = begin(drayd, div(src), div(dst), 'move_data')
    done(drayd, job_id)
    assert domains[0].images() == []
    same(of(keep), of(dst))
    begin(drayd, div(src), div(dst), 'move_data', job_id)  # is done


def test_move_out(drayd, domains, make_fs):
    out = make_fs('ext4', 512) / 'disk'
    src = filled(domains[0], ['RAW'])
    keep = make_image(domains[1], ['RAW'], size=SIZE)
    copy(drayd, div(src), div(keep))
    done(drayd, begin(drayd, div(src), outside(out, 'qcow2'), 'move_data'))
    assert domains[0].images() == []
    same(of(keep), (out, 'qcow2'))


def test_what_cannot_be_moved(drayd, domains, make_fs):
    src = filled(domains[0], ['RAW', 'COW'])
    dst = make_image(domains[1], ['RAW'], size=SIZE)
    out = make_fs('ext4', 128) / 'disk'
    run('truncate', '-s', SIZE, out)
    refused(CHILDREN, begin, drayd, div(src, 0), div(dst), 'move_data')
    refused(UNSUPPORTED, begin, drayd, outside(out), div(dst), 'move_data')
    assert state(dst) == ('LEGAL', 0)


def test_a_move_that_is_killed(drayd, domains):
    src = filled(domains[0], ['RAW'], data=16 * MIB)
    keep, dst = (make_image(domains[1], ['RAW'], size=SIZE) for _ in range(2))
    copy(drayd, div(src), div(keep))
    job_id = begin(drayd, div(src), div(dst), 'move_data', limit=MIB)
    wait_for('the copy moves', lambda: drayd.call(
        'Job.info', jobID=job_id)['progress']['done'] > 0)
    drayd.restart()
    assert domains[0].images() == [src.img]
    drayd.call('Job.limit', jobID=job_id, limit=0)
    done(drayd, job_id)
    assert domains[0].images() == []
    same(of(keep), of(dst))


# --- at any moment

@pytest.mark.parametrize('verb', ['copy_data', 'move_data'])
def test_killed_at_many_moments(drayd, domains, verb):
    """The record never says more than what is there, and the job ends."""
    rng = random.Random(7)
    for formats in [('RAW', 'RAW'), ('COW', 'RAW'), ('RAW', 'COW')] * 2:
        src = filled(domains[0], formats[:1], data=4 * MIB)
        keep = make_image(domains[1], ['RAW'], size=SIZE)
        dst = make_image(domains[1], formats[1:], size=SIZE)
        copy(drayd, div(src), div(keep))
        job_id = begin(drayd, div(src), div(dst), verb, limit=32 * MIB)
        for _ in range(2):
            time.sleep(rng.random() * 0.3)  # the moment is what is tried
            drayd.kill()
            meta = dst.path().with_suffix('.meta').read_text()
            if 'LEGALITY=LEGAL' in meta and 'GEN=1' in meta:
                same(of(keep), of(dst))
            else:
                assert 'GEN=0' in meta
                assert src.path().exists()
            drayd.start()
        done(drayd, job_id)
        assert state(dst) == ('LEGAL', 1)
        same(of(keep), of(dst))
        assert (src.img in domains[0].images()) == (verb == 'copy_data')


# --- records

def volume(image, i=-1):
    return {'sd_id': image.domain.sd, 'img_id': image.img,
            'vol_id': image.volumes[i]}


def update(drayd, image, expected, job_id=None, **attr):
    job_id = job_id or new_uuid()
    assert drayd.call('SDM.update_volume', job_id=job_id, vol_info={
        **volume(image), 'generation': expected}, vol_attr=attr) is True
    return done(drayd, job_id)


def test_update(drayd, domains):
    image = make_image(domains[0], ['COW'])
    job_id = new_uuid()
    for _ in range(2):  # repeated: once
        update(drayd, image, 0, job_id, legality='ILLEGAL')
    assert state(image) == ('ILLEGAL', 1)
    update(drayd, image, 1, legality='LEGAL', generation=999,
           description='ä' * 200)
    assert state(image) == ('LEGAL', 999)
    assert info(image)['description'] == 'ä' * 105
    update(drayd, image, 999, type='SHARED')
    assert state(image) == ('LEGAL', 0)
    assert info(image)['voltype'] == 'SHARED'


def test_what_cannot_be_updated(drayd, domains):
    image = make_image(domains[0], ['RAW', 'COW'])

    def change(expected, **attr):
        return drayd.call('SDM.update_volume', job_id=new_uuid(), vol_info={
            **volume(image), 'generation': expected}, vol_attr=attr)

    refused(GENERATION, change, 5, legality='ILLEGAL')
    refused(GENERATION, change, None, legality='ILLEGAL')
    refused(UPDATE, change, 0, legality='LEGAL')
    refused(UPDATE, change, 0, type='SHARED')
    refused(PARAMS, change, 0)
    refused(PARAMS, change, 0, generation=1000)
    assert state(image) == ('LEGAL', 0)


def test_a_fenced_copy_loses(drayd, domains):
    """Another host counts the generation up while we copy."""
    src, dst, job_id = slow(drayd, domains)
    meta = dst.path().with_suffix('.meta')
    text = meta.read_text()
    assert 'GEN=0\n' in text
    meta.write_text(text.replace('GEN=0\n', 'GEN=4\n'))
    drayd.call('Job.limit', jobID=job_id, limit=0)
    job = drayd.wait_job(job_id)
    assert job['state'] == 'failed' and job['error']['code'] == GENERATION
    assert state(dst) == ('ILLEGAL', 4)


# --- drayctl

def test_volume_copy_and_move(drayd, domains, make_fs):
    src = filled(domains[0], ['RAW', 'COW'])
    dst = make_image(domains[1], ['RAW'], size=SIZE)
    out = make_fs('ext4', 512) / 'disk'

    def end(image):
        return f'{image.domain.name}/{image.img}/{image.volumes[-1]}'

    drayctl('volume', 'copy', end(src), out, '--to-format', 'qcow2', '--verify')
    same(of(src), (out, 'qcow2'))
    job_id = new_uuid()
    for _ in range(2):
        drayctl('volume', 'move', end(src), end(dst), '--job-id', job_id)
    same((out, 'qcow2'), of(dst))
    assert domains[0].images() == []
    assert drayctl('volume', 'copy', end(dst), out, check=False).returncode == 1
    drayctl('volume', 'copy', out, end(dst), '--from-format', 'qcow2')
    for words in [['a', 'b'], ['/a', 'a/b'], ['/a'],
                  ['/a', '/b', '--to-format', 'vdi'],
                  ['/a', '/b', '--job-id', 'x']]:
        assert drayctl('volume', 'copy', *words, check=False).returncode == 2


# --- events

def subscribe(drayd, since=None):
    rpc = drayd.rpc()
    params = {} if since is None else {'since': since}
    return rpc, rpc.call('Events.subscribe', params)


def hear_end(rpc, job_id):
    """The states of a job, with the numbers they came under."""
    heard = []
    while not heard or heard[-1][0] != 'done':
        method, params = rpc.next_event(timeout=60)
        if method == f'|jobs|status|{job_id}':
            heard.append((params['state'], params['seq']))
    return heard


def test_events_are_had_again(drayd, domains):
    src, dst = filled(domains[0], ['RAW']), make_image(domains[1], ['RAW'])
    first, answer = subscribe(drayd)
    assert not answer['missed']
    job_id = begin(drayd, div(src), div(dst))
    heard = hear_end(first, job_id)
    numbers = [seq for _, seq in heard]
    assert numbers == list(range(answer['seq'] + 1, numbers[-1] + 1))
    first.close()
    again, since = subscribe(drayd, heard[0][1])
    assert not since['missed'] and since['seq'] == numbers[-1]
    assert hear_end(again, job_id) == heard[1:]
    again.close()
    _, old = subscribe(drayd, 1)
    assert old['missed'] and old['oldest'] <= numbers[0]
    drayd.restart()
    _, after = subscribe(drayd, numbers[-1])
    assert after['missed'] and after['seq'] > numbers[-1]
