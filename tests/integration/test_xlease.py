# SPDX-License-Identifier: GPL-2.0-or-later
"""External leases on real sanlocks: one host, two hosts, many leases."""
import contextlib
import json
import subprocess
import time

import pytest

from drayd import Drayd, RpcError, drayctl
from host import PATIENCE, Service, answers, wait_for
from storage import MIB, new_uuid

LVB = 2002 * 512
MANY = 256


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


def lease_of(domain, lease=None):
    return {'sd_id': domain.sd, 'lease_id': lease or new_uuid()}


def job_of(lease, generation=0, status='PENDING'):
    return {'type': 'JOB', 'job_id': lease['lease_id'],
            'generation': generation, 'job_status': status}


def refused(drayd, code, method, **params):
    with pytest.raises(RpcError) as refusal:
        drayd.call(method, **params)
    assert refusal.value.code == code, refusal.value
    return refusal.value


def sector(info, offset=LVB):
    with open(info['path'], 'rb') as volume:
        volume.seek(info['offset'] + offset)
        return volume.read(512)


@contextlib.contextmanager
def held(info, env=None):
    """Somebody holds the lease: sanlock's client, which becomes a sleep."""
    place = info['path'].replace(':', '\\:')
    holder = subprocess.Popen(
        ['env', *(f'{k}={v}' for k, v in (env or {}).items()),
         'sanlock', 'client', 'command', '-r',
         f'{info["sd_id"]}:{info["lease_id"]}:{place}:{info["offset"]}',
         '-c', '/bin/sleep', '1000'])
    try:
        yield holder
    finally:
        holder.kill()
        holder.wait()


def owners(drayd, lease):
    return drayd.call('Lease.status', lease=lease)['owners']


def until_owned(drayd, lease, expected):
    wait_for(f'owners {expected}', lambda: owners(drayd, lease) == expected)


def test_life_of_a_lease(drayd, domains):
    lease = lease_of(domains[0])
    before = int(time.time())
    assert drayd.call('Lease.create', lease=lease, metadata={
        'job_id': lease['lease_id'], 'job_status': 'PENDING', 'type': 'JOB',
        'generation': 999}) == lease['lease_id']
    status = drayd.call('Lease.status', lease=lease)
    assert status['owners'] == [] and status['version'] >= 1
    record = status['metadata']
    assert record['host_hardware_id'] and record['created'] >= before
    assert record == {**job_of(lease, 999), 'created': record['created'],
                      'modified': record['created'],
                      'host_hardware_id': record['host_hardware_id']}
    info = drayd.call('Lease.info', lease=lease)
    assert info['path'] == str(domains[0].root() / 'dom_md/xleases')
    on_disk = json.loads(sector(info).rstrip(b'\0'))
    del on_disk['crc']
    assert on_disk == record

    refused(drayd, 911, 'Lease.fence', lease=lease, metadata=job_of(lease, 1))
    refused(drayd, 912, 'Lease.fence', lease=lease,
            metadata=job_of(lease, 999, 'FAILED'))
    refused(drayd, 2009, 'Lease.fence', lease=lease,
            metadata={**job_of(lease, 999), 'job_id': new_uuid()})
    assert drayd.call('Lease.status', lease=lease)['metadata'] == record
    # that it only looked shows in the version, which counts acquisitions
    version = drayd.call('Lease.status', lease=lease)['version']
    assert drayd.call('Lease.status', lease=lease)['version'] == version
    assert drayd.call('Lease.fence', lease=lease,
                      metadata=job_of(lease, 999)) is True
    fenced = drayd.call('Lease.status', lease=lease)['metadata']
    assert (fenced['job_status'], fenced['generation']) == ('FENCED', 0)
    assert fenced['created'] == record['created'] <= fenced['modified']
    refused(drayd, 912, 'Lease.fence', lease=lease,
            metadata=job_of(lease, 999))

    assert drayd.call('Lease.delete', lease=lease) is True
    assert drayd.call('Lease.delete', lease=lease) is True
    for verb in ('Lease.info', 'Lease.status'):
        refused(drayd, 936, verb, lease=lease)
    assert sector(info) == bytes(512)


def test_a_lease_without_a_job(drayd, domains):
    lease = lease_of(domains[1])
    for _ in range(2):
        drayd.call('Lease.create', lease=lease)
    assert drayd.call('Lease.status', lease=lease)['metadata'] == {}
    refused(drayd, 2009, 'Lease.fence', lease=lease, metadata=job_of(lease))
    info = drayd.call('Lease.info', lease=lease)
    with held(info) as holder:
        until_owned(drayd, lease, [1])
        assert 'metadata' not in drayd.call('Lease.status', lease=lease)
        refused(drayd, 651, 'Lease.fence', lease=lease, metadata=job_of(lease))
        refused(drayd, 651, 'Lease.delete', lease=lease)
        assert [(i['lease_id'], i['owners']) for i in
                drayd.call('Lease.list', sd_id=domains[1].sd)] == \
            [(lease['lease_id'], [1])]
        holder.kill()
        until_owned(drayd, lease, [])
    drayd.call('Lease.delete', lease=lease)


def test_drayctl(drayd, domains):
    domain = domains[0]
    lease = lease_of(domain)
    drayd.call('Lease.create', lease=lease, metadata=job_of(lease, 7))
    words = [domain.name, lease['lease_id']]
    assert 'PENDING, dead or not begun' in drayctl(
        'lease', 'list', domain.name).stdout
    assert str(domain.root()) in drayctl('lease', 'info', *words).stdout
    assert 'FENCED' in drayctl('lease', 'fence', *words).stdout
    again = drayctl('lease', 'fence', *words, check=False)
    assert again.returncode == 1 and 'FENCED already' in again.stderr
    shown = drayctl('lease', 'status', *words).stdout
    assert 'FENCED' in shown and '8' in shown
    assert 'kept' in drayctl('lease', 'rebuild', domain.name).stdout
    drayd.call('Lease.delete', lease=lease)


def test_a_damaged_index(drayd, domains):
    domain = domains[0]
    leases = [lease_of(domain) for _ in range(3)]
    for lease in leases:
        drayd.call('Lease.create', lease=lease, metadata=job_of(lease))
    before = drayd.call('Lease.list', sd_id=domain.sd)
    with open(domain.root() / 'dom_md/xleases', 'r+b') as volume:
        volume.seek(MIB + 60)
        volume.write(bytes(600))
    assert 'lease rebuild' in \
        refused(drayd, 753, 'Lease.status', lease=leases[0]).data['next']
    refused(drayd, 753, 'Lease.create', lease=lease_of(domain))
    assert drayd.call('Lease.rebuild', sd_id=domain.sd)['restored'] == 3
    assert drayd.call('Lease.list', sd_id=domain.sd) == before
    for lease in leases:
        drayd.call('Lease.delete', lease=lease)
    assert drayd.call('Lease.rebuild_leases', sd_id=domain.sd) == {
        'kept': 0, 'restored': 0, 'made': 0, 'freed': 0, 'cleared': 0}


@pytest.fixture
def other(host, domains):
    """Another host: a sanlock and a drayd of its own, on the same storage."""
    run_dir = host.work / host.unique('host-b')
    run_dir.mkdir()
    env = {'SANLOCK_RUN_DIR': str(run_dir)}
    sanlock = Service('the other sanlock',
                      ['sanlock', 'daemon', '-D', '-w', '0', '-U', 'root',
                       '-G', 'root', '-e', 'host-b'],
                      host.new_log('sanlock-b'), env)
    sanlock.start(lambda: answers(run_dir / 'sanlock.sock'))
    daemon = Drayd(host, host_id=2, env=env, host={'name': 'host-b'},
                   daemon={'socket': run_dir / 'drayd.sock',
                           'run_dir': run_dir}).start()
    daemon.env = env
    daemon.call('StorageDomain.join', storagedomainID=domains[0].sd,
                typeArgs=str(domains[0].mount))
    yield daemon
    daemon.kill()
    sanlock.kill()


def poll(drayd, lease):
    """What an engine does when the host of the job does not answer."""
    status = drayd.call('Lease.status', lease=lease)
    if status['owners']:
        return 'running'
    record = status['metadata']
    if record['job_status'] == 'PENDING':
        drayd.call('Lease.fence', lease=lease,
                   metadata={k: record[k] for k in job_of(lease)})
        return 'fenced'
    return record['job_status']


def test_two_hosts(drayd, domains, other):
    lease = lease_of(domains[0])
    other.call('Lease.create', lease=lease, metadata=job_of(lease, 3))
    info = drayd.call('Lease.info', lease=lease)
    assert other.call('Lease.info', lease=lease) == info
    with held(info, other.env) as holder:
        until_owned(drayd, lease, [2])
        job = drayd.call('Job.info', jobID=lease['lease_id'])
        assert (job['state'], job['hostId']) == ('running', 2)
        assert poll(drayd, lease) == poll(other, lease) == 'running'
        refused(drayd, 651, 'Lease.fence', lease=lease,
                metadata=job_of(lease, 3))
        refused(drayd, 651, 'Lease.delete', lease=lease)
        holder.kill()
        until_owned(drayd, lease, [])
    assert drayd.call('Job.info', jobID=lease['lease_id'])['state'] == 'dead'
    assert poll(drayd, lease) == 'fenced'
    assert other.call('Job.info', jobID=lease['lease_id'])['state'] == 'fenced'
    for host in (drayd, other):
        assert poll(host, lease) == 'FENCED'
        refused(host, 912, 'Lease.fence', lease=lease,
                metadata=job_of(lease, 3))
    record = other.call('Lease.status', lease=lease)['metadata']
    assert record['generation'] == 4
    drayd.call('Lease.delete', lease=lease)
    refused(other, 936, 'Lease.status', lease=lease)


def test_both_hosts_make_leases_at_once(drayd, domains, other):
    """None is lost, none is made twice, each has its own place."""
    leases = [lease_of(domains[0]) for _ in range(20)]
    with drayd.rpc() as one, other.rpc() as two:
        for number, lease in enumerate(leases):
            for rpc in (one, two):
                rpc.send({'jsonrpc': '2.0', 'id': number,
                          'method': 'Lease.create',
                          'params': {'lease': lease,
                                     'metadata': job_of(lease)}})
        for rpc in (one, two):
            for _ in leases:
                assert 'error' not in rpc.receive(timeout=60)
    listed = drayd.call('Lease.list', sd_id=domains[0].sd)
    assert sorted(item['lease_id'] for item in listed) == \
        sorted(lease['lease_id'] for lease in leases)
    assert len({item['offset'] for item in listed}) == len(leases)
    assert all(item['metadata']['job_id'] == item['lease_id']
               for item in listed)
    for lease in leases:
        other.call('Lease.delete', lease=lease)
    assert drayd.call('Lease.list', sd_id=domains[0].sd) == []


def test_many_leases_are_listed_at_once(drayd, domains):
    sd = domains[0].sd
    leases = [lease_of(domains[0]) for _ in range(MANY)]
    with drayd.rpc() as rpc:
        began = time.monotonic()
        for lease in leases:
            rpc.call('Lease.create', lease=lease, metadata=job_of(lease))
        made = time.monotonic() - began
        times = []
        for _ in range(5):
            began = time.monotonic()
            listed = rpc.call('Lease.list', sd_id=sd)
            times.append(time.monotonic() - began)
        began = time.monotonic()
        for lease in leases:
            rpc.call('Lease.delete', lease=lease)
        removed = time.monotonic() - began
    print(f'{MANY} leases made in {made:.2f} s, listed in {min(times):.3f} s, '
          f'removed in {removed:.2f} s')
    assert [item['lease_id'] for item in listed] == \
        [lease['lease_id'] for lease in leases]
    assert min(times) < 1 * PATIENCE
