# SPDX-License-Identifier: GPL-2.0-or-later
"""File domains on NFS 4.2: host1's, on two exports of host2."""
import pathlib
import re
import threading
import time

import pytest

from conftest import at_once
from host import wait_for
from moves import migrate, require_moved, start
from storage import MIB

EXPORTS = {'/srv/one': '/dev/vdb', '/srv/two': '/dev/vdc'}
PLACES = [pathlib.Path('/mnt/one'), pathlib.Path('/mnt/two')]


@pytest.fixture(scope='module')
def mounts(nodes):
    """Two exports of one server, where the client has them."""
    client, server = nodes
    server.sh('mkdir -p /srv; mount -t tmpfs tmpfs /srv')
    for place, device in EXPORTS.items():
        server.sh(f'mkfs.ext4 -q -F -b 4096 {device} 800M; mkdir {place};'
                  f' mount {device} {place}', timeout=120)
    server.sh(f'start_nfs_server /srv {" ".join(EXPORTS)}', timeout=120)
    client.sh('modprobe nfsv4')
    for place in PLACES:
        client.sh(f'mkdir -p {place}; mount -t nfs -o vers=4.2,timeo=20'
                  f' 192.0.2.2:/{place.name} {place}',
                  timeout=120)
    yield PLACES
    client.sh('umount /mnt/one /mnt/two', timeout=120)
    server.sh(f'stop_nfs_server; umount {" ".join(EXPORTS)} /srv')
    for device in EXPORTS.values():
        server.sh(f'blkdiscard -z -l 2M {device}')


@pytest.fixture(scope='module')
def drayd(nodes, drayds):
    # Storage that is gone for some seconds is no reason to lose the lease.
    drayds[0].stop()
    daemon = nodes[0].drayd(lease={'io_timeout': 10, 'require_watchdog': 'no'})
    yield daemon
    daemon.kill()
    drayds[0].start()


@pytest.fixture(scope='module')
def local(nodes):
    """Two file systems of the host's own."""
    places = [nodes[0].host.make_fs('ext4', 160) for _ in range(2)]
    yield places
    for place in places:
        nodes[0].host.drop_fs(place, lazy=True)


@pytest.fixture(scope='module')
def domains(nodes, drayd, mounts, local):
    """{name: domain}: one and two on NFS, near and far on the host."""
    places = dict(zip(['one', 'two', 'here', 'there'], [*mounts, *local]))
    joined = at_once(*(
        lambda name=name, place=place: nodes[0].domain(drayd, place, name)
        for name, place in places.items()))
    yield dict(zip(places, joined))
    at_once(*(lambda domain=domain: domain.call('StorageDomain.leave')
              for domain in joined))


def copies(node):
    """How many COPY requests of NFS 4.2 the host has made."""
    text = node.out('cat /proc/self/mountstats')
    return sum(int(n) for n in re.findall(r'\sCOPY: (\d+)', text))


def read_by(drayd, node):
    """Bytes that drayd itself has read from storage."""
    pid = drayd.service.process.pid
    return int(node.out(f"sed -n 's/^read_bytes: //p' /proc/{pid}/io"))


def test_the_server_copies_a_disk_that_moves(nodes, drayd, domains,
                                             make_guest):
    client = nodes[0]
    image = client.load('storage').make_image(
        domains['one'], ['RAW', 'COW'], size=128 * MIB, data=48 * MIB)
    guest = start(make_guest, image, size=4, rate=50)
    plan = drayd.call('Disk.plan', vmID=guest.name, disk='vda', domain='two')
    assert plan['possible'] and plan['mover'] == 'server', plan
    before = copies(client), read_by(drayd, client)
    job = migrate(drayd, guest, domains['two'], strategy='snapshot')
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done', info
    assert copies(client) > before[0]
    read = read_by(drayd, client) - before[1]
    assert read < 8 * MIB, f'{read} bytes of 48 MiB came to the client'
    require_moved(guest, image, domains['two'])
    assert domains['one'].images() == []
    guest.destroy()
    domains['two'].call('Image.delete', imageID=image.img)


@pytest.fixture
def server_hangs(nodes):
    """begin(), and end(): the server is there, but nothing reaches it."""
    class Hang:
        @staticmethod
        def begin():
            nodes[1].sh('ip link set eth0 down')

        @staticmethod
        def end():
            nodes[1].sh('ip link set eth0 up')
    yield Hang
    Hang.end()


def slowest(drayd, calls, until):
    """The longest that any of the calls took, made by turns."""
    worst, rounds = 0, 0
    while rounds < 3 or time.monotonic() < until:
        for method, members in calls:
            begin = time.monotonic()
            drayd.call(method, **members)
            worst = max(worst, time.monotonic() - begin)
        rounds += 1
    return worst


def test_a_hung_server_holds_up_nothing_else(nodes, drayd, domains,
                                             make_guest, server_hangs):
    """While a move to NFS stands still: verbs answer, a disk of the host's
    own moves; and then the first one goes on."""
    storage = nodes[0].load('storage')
    stuck = storage.make_image(domains['one'], ['RAW', 'COW'], data=16 * MIB)
    other = storage.make_image(domains['here'], ['RAW', 'COW'])
    guests = [start(make_guest, image, size=4, rate=50)
              for image in (stuck, other)]
    calls = [('Host.ping', {}), ('Job.list', {}), ('VM.list', {}),
             ('StorageDomain.list', {}),
             ('StorageDomain.getStats',
              {'storagedomainID': domains['here'].sd})]
    quiet = slowest(drayd, calls, 0)
    hung_job = migrate(drayd, guests[0], domains['two'], limit=4 * MIB)
    server_hangs.begin()
    waiting = threading.Thread(target=lambda: domains['two'].call(
        'StorageDomain.getImages'))
    waiting.start()
    job = migrate(drayd, guests[1], domains['there'])
    worst = slowest(drayd, calls, time.monotonic() + 3)
    wait_for('the other disk has moved', lambda: guests[1].disk_path() ==
             other.path(-1, domains['there']), 60)
    assert not drayd.call('Job.info', jobID=hung_job['id']).get('ended')
    server_hangs.end()
    assert worst < 10 * quiet + 1, f'{worst:.2f} s, {quiet:.2f} s before'
    waiting.join(60)
    assert not waiting.is_alive()
    drayd.call('Job.limit', jobID=hung_job['id'], limit=0)
    for one in (hung_job, job):
        info = drayd.wait_job(one['id'])
        assert info['state'] == 'done', info
    require_moved(guests[0], stuck, domains['two'])
    require_moved(guests[1], other, domains['there'])
    for guest in guests:
        guest.destroy()
    domains['two'].call('Image.delete', imageID=stuck.img)
    domains['there'].call('Image.delete', imageID=other.img)
