# SPDX-License-Identifier: GPL-2.0-or-later
"""ManagedVolume.*: what others manage is attached, kept over restarts, copied
to and from, detached; what cannot be detached is kept and tried again."""
import pathlib

import pytest

from drayd import Drayd, RpcError
from guest import Disk
from host import run, wait_for
from storage import MIB, empty, make_domain, make_image, new_uuid
from test_data import (SIZE, allocated, begin, div, done, filled, nbd, of,
                       refused, same)

NO_VOLUME, HELPER, ATTACHED, DEVICE, CONNECTION = 201, 926, 927, 928, 929
NONE, BUSY, PARAMS = 925, 103, -32602
IQN = 'iqn.2026-01.test:target'

# As far as drayd knows open-iscsi: sessions are files, LUNs links.
ISCSIADM = '''#!/bin/bash
set -eu
dir=$(dirname "$0")
echo "$*" >>"$dir/calls"
[ "$1 $2 $3 $5" = "-m node -T -p" ]
by_path=/dev/disk/by-path
case "${7-} ${8-}" in
" ") [ -e "$dir/node" ] || exit 21 ;;
"-o new") touch "$dir/node" ;;
"--login ") [ ! -e "$dir/fails" ] || { echo "no route" >&2; exit 8; }
    [ ! -e "$dir/session" ] || exit 15
    touch "$dir/session"; mkdir -p "$by_path"
    for lun in 0 1; do ln -sf "$dir/lun$lun" "$by_path/ip-$6-iscsi-$4-lun-$lun"
    done ;;
"--logout ") [ ! -e "$dir/fails" ] || { echo "it is in use" >&2; exit 9; }
    [ -e "$dir/session" ] || exit 21
    rm -f "$dir/session" "$by_path/ip-$6-iscsi-$4-lun-"* ;;
"-o delete") rm "$dir/node" ;;
*) exit 7 ;;
esac
'''


@pytest.fixture
def managed(host):
    """A drayd of its own, with an open-iscsi of ours."""
    daemon = Drayd(host, tools={'iscsiadm': host.work / 'iscsi/iscsiadm'})
    (host.work / 'iscsi').mkdir(exist_ok=True)
    daemon.start()
    yield daemon
    daemon.kill()


def attach(drayd, vol, driver, sd=None, **data):
    members = {'sd_id': sd} if sd else {}
    return drayd.call('ManagedVolume.attach_volume', vol_id=vol,
                      connection_info={'driver_volume_type': driver,
                                       'data': data}, **members)


def detach(drayd, vol, **members):
    assert drayd.call('ManagedVolume.detach_volume', vol_id=vol,
                      **members) is True


def volumes(drayd, *vols):
    members = {'vol_ids': list(vols)} if vols else {}
    return {v['vol_id']: v for v in
            drayd.call('ManagedVolume.volumes_info', **members)}


def external(vol, kind='raw', **more):
    return {'endpoint_type': 'managed', 'vol_id': vol, 'format': kind, **more}


def knows_vms(drayd):
    try:
        drayd.call('VM.list')
        return True
    except RpcError:
        return False


def test_a_local_one(managed, make_fs):
    vol, other, sd = new_uuid(), new_uuid(), new_uuid()
    disk = make_fs('ext4', 128) / 'disk'
    run('truncate', '-s', SIZE, disk)
    refused(DEVICE, attach, managed, vol, 'local', device_path='/none/such')
    refused(DEVICE, attach, managed, vol, 'local', device_path='/dev/null')
    assert volumes(managed) == {}
    made = attach(managed, vol, 'local', device_path=str(disk))
    assert made['path'] == made['managed_path'] == str(disk)
    assert made['vol_id'] == vol
    refused(ATTACHED, attach, managed, vol, 'local', device_path=str(disk))
    refused(CONNECTION, attach, managed, vol, 'local', device_path='/x')
    attach(managed, vol, 'local', sd=sd, device_path=str(disk))  # another one
    attach(managed, other, 'local', device_path=str(disk))
    for _ in range(2):
        found = volumes(managed, vol)
        assert list(found) == [vol]
        assert found[vol]['exists'] and found[vol]['state'] == 'attached'
        assert found[vol]['connection_info'] == {
            'driver_volume_type': 'local', 'data': {'device_path': str(disk)}}
        managed.restart()  # and it is there again
    wait_for('libvirt can be asked who has it', lambda: knows_vms(managed))
    for _ in range(2):
        detach(managed, vol)
        detach(managed, vol, sd_id=sd)
    assert list(volumes(managed)) == [other]
    disk.unlink()
    assert not volumes(managed)[other]['exists']
    run('truncate', '-s', SIZE, disk)
    detach(managed, other)
    managed.restart()
    assert volumes(managed) == {}


def test_wrong_connections(managed):
    vol = new_uuid()
    for driver, data in [
            ('local', {}), ('local', {'device_path': '/a/../b'}),
            ('nbd', {}), ('nbd', {'url': '/etc/passwd'}),
            ('nbd', {'url': 'json:{}'}), ('nbd', {'url': 'http://h/x'}),
            ('rbd', {}), ('rbd', {'name': '../x'}), ('iscsi', {}),
            ('iscsi', {'target_portal': '-x', 'target_iqn': IQN}),
            ('iscsi', {'target_portal': 'h:1', 'target_iqn': 'a b'}),
            ('fibre', {})]:
        refused(PARAMS, attach, managed, vol, driver, **data)
    refused(HELPER, attach, managed, vol, 'nbd',
            url='nbd+unix:///x?socket=/none')
    assert volumes(managed) == {}


def test_copies(host, managed, make_fs):
    domain = make_domain(managed, make_fs('ext4', 512), 'data')
    out = make_fs('xfs', 512)
    image = filled(domain, ['RAW', 'COW'])
    back = make_image(domain, ['RAW'], size=SIZE)
    local, remote = new_uuid(), new_uuid()
    for name in ('a', 'b'):
        run('truncate', '-s', SIZE, out / name)
    attach(managed, local, 'local', device_path=str(out / 'a'))
    done(managed, begin(managed, div(image), external(local)))
    same(of(image), (out / 'a', 'raw'))
    assert allocated(out / 'a') < 32 * MIB
    with nbd(host, out / 'b') as url:
        made = attach(managed, remote, 'nbd', url=url)
        assert made['path'] == url
        job_id = begin(managed, external(local), external(remote), limit=MIB)
        refused(BUSY, detach, managed, local)
        refused(BUSY, detach, managed, remote)
        managed.call('Job.cancel', jobID=job_id)
        assert managed.wait_job(job_id)['state'] == 'cancelled'
        done(managed, begin(managed, external(local), external(
            remote, is_zero=True)))
        done(managed, begin(managed, external(remote), div(back)))
        detach(managed, remote)
    same(of(image), of(back))
    refused(NO_VOLUME, begin, managed, external(remote), div(back))
    detach(managed, local)
    empty(host, domain)
    managed.call('StorageDomain.leave', storagedomainID=domain.sd, timeout=120)


def test_a_running_disk_moves_to_one(host, managed, make_fs, make_guest):
    domain = make_domain(managed, make_fs('ext4', 512), 'data')
    image = make_image(domain, ['RAW', 'COW'], size=SIZE)
    backing = make_fs('xfs', 512) / 'backing'
    run('truncate', '-s', SIZE, backing)
    loop = run('losetup', '-f', '--show', backing).stdout.strip()
    vol = new_uuid()
    try:
        path = attach(managed, vol, 'local', device_path=loop)['path']
        guest = make_guest([Disk(image.path(), 'qcow2', serial='s-1',
                                 alias='ua-1')], start=0, size=16)
        job = managed.call('Disk.migrate', vmID=guest.name, disk='vda',
                           domain=path, format='RAW', timeout=60)
        done(managed, job['id'])
        assert str(guest.disk_path()) == loop
        refused(203, detach, managed, vol)  # the VM has it
        guest.destroy()
        detach(managed, vol)
        assert allocated(backing) < 32 * MIB
    finally:
        run('losetup', '-d', loop)
    empty(host, domain)


def test_no_open_iscsi(host, managed):
    (host.work / 'iscsi/iscsiadm').unlink(missing_ok=True)
    refused(NONE, attach, managed, new_uuid(), 'iscsi', target_portal='h:3260',
            target_iqn=IQN)


@pytest.fixture
def iscsi(host):
    """Where our open-iscsi is."""
    path = host.work / 'iscsi'
    path.mkdir(exist_ok=True)
    (path / 'iscsiadm').write_text(ISCSIADM)
    (path / 'iscsiadm').chmod(0o755)
    for name in ('lun0', 'lun1'):
        run('truncate', '-s', SIZE, path / name)
    yield path
    for link in pathlib.Path('/dev/disk/by-path').glob(f'*{IQN}*'):
        link.unlink()
    for name in ('session', 'node', 'fails', 'calls'):
        (path / name).unlink(missing_ok=True)


def target(lun):
    return {'target_portal': '192.0.2.1:3260', 'target_iqn': IQN,
            'target_lun': lun}


def test_iscsi_luns_share_a_session(managed, iscsi):
    first, second = new_uuid(), new_uuid()
    made = attach(managed, first, 'iscsi', **target(0))
    assert made['path'].endswith(f'{IQN}-lun-0')
    assert made['attachment'] == target(0)
    attach(managed, second, 'iscsi', **target(1))
    detach(managed, first)
    assert (iscsi / 'session').exists()
    detach(managed, second)
    assert not (iscsi / 'session').exists()
    calls = (iscsi / 'calls').read_text().splitlines()
    assert [call.split()[6:] for call in calls] == [
        [], ['-o', 'new'], ['--login'], [], ['--login'],
        ['--logout'], ['-o', 'delete']]


def test_a_failed_attach_leaves_nothing(managed, iscsi):
    vol = new_uuid()
    (iscsi / 'fails').touch()
    error = refused(HELPER, attach, managed, vol, 'iscsi', **target(0))
    assert 'no route' in error.message
    (iscsi / 'fails').unlink()
    managed.restart()  # what was left is tried again then
    wait_for('it is gone', lambda: volumes(managed) == {})
    attach(managed, vol, 'iscsi', **target(0))
    detach(managed, vol)


def test_a_failed_detach_is_kept_and_tried_again(managed, iscsi):
    vol = new_uuid()
    attach(managed, vol, 'iscsi', **target(0))
    (iscsi / 'fails').touch()
    refused(HELPER, detach, managed, vol)
    for _ in range(2):
        # Again after a restart: as soon as libvirt can be asked.
        wait_for('it says why', lambda: 'it is in use' in
                 volumes(managed)[vol]['problem'])
        assert volumes(managed)[vol]['state'] == 'detaching'
        assert (iscsi / 'session').exists()
        managed.restart()
    refused(NO_VOLUME, begin, managed, external(vol), external(vol))
    (iscsi / 'fails').unlink()
    managed.restart()
    wait_for('it is detached', lambda: volumes(managed) == {})
    assert not (iscsi / 'session').exists()


def test_the_session_of_somebody_else_stays(managed, iscsi):
    first, second = new_uuid(), new_uuid()
    for words in (['-o', 'new'], ['--login']):
        run(iscsi / 'iscsiadm', '-m', 'node', '-T', IQN, '-p', '192.0.2.1:3260',
            *words)
    (iscsi / 'calls').unlink()
    attach(managed, first, 'iscsi', **target(0))
    attach(managed, second, 'iscsi', **target(1))
    managed.restart()
    wait_for('libvirt can be asked who has it', lambda: knows_vms(managed))
    detach(managed, first)
    detach(managed, second)
    assert volumes(managed) == {}
    assert (iscsi / 'session').exists() and (iscsi / 'node').exists()
    assert '--logout' not in (iscsi / 'calls').read_text()


def test_what_was_attached_in_part_may_be_somebody_elses(managed, iscsi):
    vol = new_uuid()
    attach(managed, vol, 'iscsi', **target(0))
    managed.kill()  # as if before it knew whose session that is
    record, = (managed.state_dir / 'managed').iterdir()
    record.write_text(record.read_text().replace('"attached"', '"attaching"')
                      .replace('true', 'false'))
    managed.start()
    wait_for('it is forgotten', lambda: volumes(managed) == {})
    assert (iscsi / 'session').exists()
    assert f'-T {IQN}' in managed.log_text()  # what may be left


def test_a_used_one_is_not_detached_at_last(managed, iscsi, make_guest):
    vol = new_uuid()
    path = attach(managed, vol, 'iscsi', **target(0))['path']
    guest = make_guest([Disk(path, 'raw', serial='s-1', alias='ua-1')],
                       start=0, size=16)
    refused(203, detach, managed, vol)
    managed.kill()
    record, = (managed.state_dir / 'managed').iterdir()
    record.write_text(record.read_text().replace('"attached"', '"detaching"'))
    managed.start()
    wait_for('it says who has it', lambda: guest.name in
             volumes(managed)[vol].get('problem', ''))
    assert (iscsi / 'session').exists()
    guest.destroy()
    wait_for('it is detached', lambda: volumes(managed) == {})
    assert not (iscsi / 'session').exists()
