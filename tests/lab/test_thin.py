# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests on block domains: thin disks that grow as they are written, moves in
all mixtures of file and block, and what goes wrong meanwhile."""
import pathlib
import re
import time

import pytest

from conftest import CHUNK, EXTENT, LUNS, MORE, at_once
from drayd import RpcError
from host import wait_for
from moves import migrate, require_moved, start
from storage import MIB

NO_SPACE = 397


def volumes(node, domain):
    """{LV of a volume: (bytes, active here)}."""
    rows = node.out('lvs --noheadings --nosuffix --units b --separator " " -o'
                    f' lv_name,lv_size,lv_active {domain.sd}').splitlines()
    rows = [row.split() for row in rows]
    return {row[0]: (int(row[1]), row[2:] == ['active']) for row in rows
            if len(row[0]) == 36}


def dm_name(domain, vol):
    return '-'.join(word.replace('-', '--') for word in (domain.sd, vol))


def used_extents(node, domains):
    """{VG: how many}."""
    rows = node.out('vgs --noheadings -o vg_name,vg_extent_count,vg_free_count '
                    + ' '.join(domain.sd for domain in domains)).splitlines()
    return {name: int(count) - int(free)
            for name, count, free in map(str.split, rows)}


def on_luns(domains):
    return [domains[name] for name in LUNS]


def require_nothing(node, domains):
    """No LV of a volume, and none active."""
    out = node.out('dmsetup ls; lvs --noheadings -o lv_name '
                   + ' '.join(domain.sd for domain in domains))
    for domain in domains:
        mangled = domain.sd.replace('-', '--')
        active = re.findall(f'^{mangled}-(\\S+)', out, re.M)
        assert [name for name in active if '--' in name] == []
    assert re.findall(r'^\s+\S{36}\s*$', out, re.M) == []


def delete_images(domain):
    for img in domain.images():
        domain.call('Image.delete', imageID=img)


@pytest.fixture(scope='module')
def used_at_first(nodes, domains):
    return used_extents(nodes[0], on_luns(domains))


@pytest.fixture(autouse=True)
def nothing_left(nodes, domains, used_at_first, make_guest):
    """No LV that nobody uses, no space lost, nothing to mend. (make_guest: its
    guests go before.)"""
    luns = on_luns(domains)
    yield
    at_once(*(lambda node=node: node.load('storage').end_vms(node.host)
              for node in nodes))
    at_once(*(lambda domain=domain: delete_images(domain)
              for domain in domains.values()))
    at_once(*(lambda node=node: require_nothing(node, luns)
              for node in nodes))
    assert at_once(*(lambda domain=domain: domain.call('StorageDomain.audit')
                     for domain in luns)) == [{'findings': []}] * 2
    assert used_extents(nodes[0], luns) == used_at_first


@pytest.fixture
def make_image(nodes):
    """make_image(domain, ['COW'], mib): its leaf is as small as can be."""
    return lambda domain, formats, mib=1024, **options: nodes[0].load(
        'storage').make_image(domain, formats, size=mib * MIB,
                              initial=EXTENT, **options)


@pytest.fixture
def make_thin(make_image, make_guest):
    """make_thin(domain): (image, guest) that writes as fast as it can all over
    its disk: nearly each block of 4 KiB into a cluster of its own."""
    def make(domain, mib=1024, **options):
        image = make_image(domain, ['COW'], mib, data=0)
        image.domain.prepared(image.img, image.volumes[-1])
        options = {'size': mib, 'rate': 0, 'batch': 32, **options}
        return image, start(make_guest, image, **options)
    return make


def stats(drayd):
    return drayd.call('Host.getStats')


def mark(drayd, guest):
    """The watermark of what the guest writes to."""
    mine = [one for one in drayd.call('VM.getDiskWatermarks',
                                      vmID=guest.name)
            if one['role'] == 'source']
    return mine[0] if mine else {'allocation': 0, 'size': 0}


def has_written(guest, mib, disk='vda'):
    """Whether its leaf has about so much data."""
    return guest.read().acked[disk] >= mib * 16


@pytest.mark.parametrize('rate, mib', [
    (0, 300),
    # An extension may take eight seconds, on a machine that is busy.
    pytest.param(120, 200, marks=pytest.mark.check)])
def test_a_guest_that_writes_never_waits(nodes, drayds, domains, make_thin,
                                         rate, mib):
    before = stats(drayds[0])
    image, guest = make_thin(domains['one'], rate=rate)
    wait_for('it has written', lambda: has_written(guest, mib), 60, 0.5)
    count = before['extensions']['count']
    wait_for('it has grown', lambda: stats(
        drayds[0])['extensions']['count'] > count, 30, 0.5)
    after = stats(drayds[0])
    assert after['pauses'] == before['pauses']
    extensions = after['extensions']
    assert extensions['failures'] == before['extensions']['failures']
    print(extensions)
    now = mark(drayds[0], guest)
    assert now['allocation'] > mib * 2 // 3 * MIB, now
    guest.verify()
    guest.power_off()
    assert stats(drayds[0])['pauses'] == before['pauses']
    size, active = volumes(nodes[0], domains['one'])[image.volumes[0]]
    assert active and size >= now['size']


def formats(image, domain):
    """What the volumes are there: on LVs nothing raw is thin, so a sparse raw
    one has become COW."""
    return [domain.call('Volume.getInfo', imageID=image.img,
                        volumeID=vol)['format'] for vol in image.volumes]


# Formats, and which of them are preallocated; the last: a base on LVs.
CHAINS = {'raw': (['RAW'], [0], 'RAW'), 'sparse': (['RAW'], [], 'COW'),
          'chain': (['RAW', 'COW', 'COW'], [], 'COW')}
ALL_THREE = ['one', 'two', 'files']


@pytest.mark.parametrize('chain, strategy, way', [
    pytest.param('raw', 'mirror', ALL_THREE, marks=pytest.mark.check),
    ('chain', 'snapshot', ['one', 'files']),
    *(pytest.param(*both, ALL_THREE, marks=pytest.mark.long) for both in [
        ('raw', 'snapshot'), ('chain', 'mirror'), ('chain', 'snapshot'),
        ('sparse', 'mirror'), ('sparse', 'snapshot')])])
def test_a_disk_goes_round(nodes, drayds, domains, make_image, make_guest,
                           chain, strategy, way):
    """From files to a VG, to another VG, and back."""
    storage = nodes[0].load('storage')
    pauses = stats(drayds[0])['pauses']
    given, preallocate, base = CHAINS[chain]
    image = make_image(domains['files'], given, mib=160,
                       preallocate=preallocate)
    before = storage.hashes(image)
    guest = start(make_guest, image, size=24, rate=40)
    here = domains['files']
    for name in way:
        job = migrate(drayds[0], guest, domains[name], strategy=strategy)
        info = drayds[0].wait_job(job['id'])
        assert info['state'] == 'done' and not info.get('warning'), info
        assert here.images() == []
        here = domains[name]
        for domain in on_luns(domains):
            lvs = volumes(nodes[0], domain)
            assert set(lvs) == set(image.volumes if domain.sd == here.sd
                                   else []), (name, lvs)
            assert all(active for _, active in lvs.values()), lvs
        assert guest.disk_path() == image.path(-1, here)
        assert formats(image, here)[0] == base
    moved = require_moved(guest, image, here, formats(image, here))
    assert stats(drayds[0])['pauses'] == pauses
    guest.power_off()
    guest.verify_image(moved.path(), image.leaf_format())
    assert storage.hashes(moved) == before
    storage.check_clean(moved)


def wait_for_mirror(drayd, job):
    wait_for('the mirror runs', lambda: drayd.call(
        'Job.info', jobID=job['id'])['progress']['done'] > 0, 60, 0.5)


# The destination comes and goes before the move has it open.
SAMPLER = '''
    end=$((SECONDS + $3))
    size() {
        numbers=$(stat -Lc '0x%t 0x%T' $1 2>/dev/null) &&
            cat /sys/dev/block/$(printf '%d:%d' $numbers)/size 2>/dev/null
    }
    last=
    until [ -e /run/enough ] || [ $SECONDS -ge $end ]; do
        if x=$(size $1) && y=$(size $2) && [ "$x $y" != "$last" ]; then
            last="$x $y"
            echo "$last"
        fi
        sleep 0.05
    done'''


@pytest.mark.long
def test_the_destination_grows_before_the_source(nodes, drayds, domains,
                                                 make_thin):
    """Seen from outside, in the sizes that the kernel has: whenever the
    source has grown, its destination has before. No more than data and two
    chunks are allocated in the end."""
    before = stats(drayds[0])
    image, guest = make_thin(domains['one'], 3072, rate=200)
    paths = [f'/dev/{domains[name].sd}/{image.volumes[0]}' for name in LUNS]
    nodes[0].sh('rm -f /run/enough')
    sampler = nodes[0].start(SAMPLER, *paths, 240, timeout=600)
    job = migrate(drayds[0], guest, domains['two'], strategy='mirror',
                  limit=4 * MIB)
    wait_for_mirror(drayds[0], job)
    size = mark(drayds[0], guest)['size']
    wait_for('it has grown', lambda: mark(drayds[0], guest)['size'] > size,
             60, 0.5)
    drayds[0].call('Job.limit', jobID=job['id'], limit=0)
    nodes[0].sh('touch /run/enough')
    pairs = [[int(word) for word in line.split()]
             for line in sampler.wait().out.splitlines()]
    assert len({source for source, _ in pairs}) > 1, pairs
    assert all(destination >= source for source, destination in pairs), pairs
    info = drayds[0].wait_job(job['id'])
    assert info['state'] == 'done', info
    assert stats(drayds[0])['pauses'] == before['pauses']
    require_moved(guest, image, domains['two'])
    now = mark(drayds[0], guest)
    assert now['size'] <= now['allocation'] + 2 * 2 * CHUNK + EXTENT, now


def dray_lvm(node, domain, signal, check=True):
    return node.sh(f"pkill -{signal} -f '[d]ray-lvm {domain.sd}'",
                   check=check).rc == 0


def test_a_pause_for_want_of_space_is_ended(nodes, drayds, domains,
                                            make_thin):
    """dray-lvm stands still until the guest has run into the end."""
    before = stats(drayds[0])
    rpc = drayds[0].rpc()
    rpc.call('Events.subscribe')
    image, guest = make_thin(domains['one'])
    dray_lvm(nodes[0], domains['one'], 'STOP')
    wait_for('it is paused', lambda: guest.state() == 'paused', 30, 0.5)
    dray_lvm(nodes[0], domains['one'], 'CONT', check=False)
    wait_for('it runs again', lambda: guest.state() == 'running', 30, 0.5)
    guest.wait_acks(500)
    guest.verify()
    assert stats(drayds[0])['pauses'] > before['pauses']
    kinds = []
    while 'resumed' not in kinds:
        kinds.append(rpc.next_event()[0].split('|')[2])
    assert 'paused' in kinds
    rpc.close()


def test_alarms_that_are_lost(nodes, drayds, domains, make_thin):
    """Somebody disarms them: the guest finds space, at the latest after it
    has paused."""
    before = stats(drayds[0])['extensions']
    image, guest = make_thin(domains['one'], rate=150)
    nodes[0].sh('rm -f /run/enough')
    thief = nodes[0].start(f'''
        until [ -e /run/enough ]; do
            virsh -q domblkthreshold {guest.name} vda 0
            sleep 0.2
        done''', check=False)
    wait_for('it has written', lambda: has_written(guest, 300), 60, 0.5)
    nodes[0].sh('touch /run/enough')
    thief.wait()
    after = stats(drayds[0])['extensions']
    assert after['count'] > before['count']
    assert after['failures'] == before['failures']
    wait_for('it runs', lambda: guest.state() == 'running', 30, 0.5)
    guest.verify()


def fill(host, domain, leave):
    """All extents of a VG but @leave."""
    host.sh(f'''
        free=$(vgs --noheadings -o vg_free_count {domain.sd})
        lvcreate -qq -y -an -Wn -Zn -n filler -l $((free - {leave})) {domain.sd}
        ''', timeout=120)


def test_a_vg_that_fills_while_a_disk_moves_there(nodes, drayds, domains,
                                                  make_thin):
    """The move fails, its guest notices nothing."""
    host, drayd, domain = nodes[0], drayds[0], domains['two']
    image, guest = make_thin(domains['one'], rate=100)
    wait_for('it has written', lambda: has_written(guest, 50), 60, 0.5)
    pauses = stats(drayd)['pauses']
    job = migrate(drayd, guest, domain, strategy='mirror', limit=2 * MIB)
    wait_for_mirror(drayd, job)
    fill(host, domain, leave=0)
    try:
        drayd.call('Job.limit', jobID=job['id'], limit=0)
        info = drayd.wait_job(job['id'])
    finally:
        host.sh(f'lvremove -qq -y {domain.sd}/filler', timeout=120)
    assert stats(drayd)['pauses'] == pauses
    assert info['state'] == 'failed', info
    assert 'free' in str(info['error']), info
    assert guest.disk_path() == image.path()
    assert domain.images() == []
    guest.wait_acks(30)
    guest.verify()


def test_a_full_vg_is_told_before_the_guest_pauses(nodes, drayds, domains,
                                                   make_thin, make_image):
    domain, host = domains['two'], nodes[0]
    image, guest = make_thin(domain, rate=300)
    spare = make_image(domains['files'], ['RAW'], mib=300)
    rpc = drayds[0].rpc(60)
    rpc.call('Events.subscribe')
    fill(host, domain, leave=1)
    try:
        words = None
        while words is None:
            method, event = rpc.next_event(60)
            assert '|paused|' not in method, event
            words = event.get('problem') if '|failed|' in method else None
        assert 'free' in words, words
        with pytest.raises(RpcError) as error:
            domains['files'].call('Image.copy', imageID=spare.img,
                                  dstSdUUID=domain.sd)
        assert error.value.code == NO_SPACE, error.value
        wait_for('it is paused', lambda: guest.state() == 'paused', 30, 0.5)
        domain.call('StorageDomain.extend', devlist=[MORE], timeout=120)
        wait_for('it runs again', lambda: guest.state() == 'running', 30, 0.5)
        guest.wait_acks(500)
        guest.verify()
    finally:
        host.sh(f'lvremove -qq -y {domain.sd}/filler', timeout=120)
    rpc.close()


def test_a_destination_that_hangs(nodes, drayds, domains, make_thin):
    """Suspended by somebody in the middle of a move."""
    host, drayd = nodes[0], drayds[0]
    image, guest = make_thin(domains['one'], rate=100)
    wait_for('it has written', lambda: has_written(guest, 50), 60, 0.5)
    job = migrate(drayd, guest, domains['two'], strategy='mirror',
                  limit=2 * MIB)
    wait_for_mirror(drayd, job)
    host.sh('dmsetup suspend --noflush --nolockfs ' + dm_name(
        domains['two'], image.volumes[0]))
    calls = ['Host.ping', 'Job.list', 'VM.list', 'StorageDomain.list']
    slowest = 0
    for method in calls * 3:
        begin = time.monotonic()
        drayd.call(method)
        slowest = max(slowest, time.monotonic() - begin)
    guest.wait_acks(100)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'failed', info
    assert slowest < 3, slowest
    assert guest.disk_path() == image.path()
    guest.wait_acks(30)
    guest.verify()


@pytest.mark.long
def test_two_hosts_grow_disks_of_one_vg_while_dray_lvm_dies(
        nodes, drayds, domains, make_thin, make_guest):
    """On both, at any moment; what both hosts wrote is there."""
    one = domains['one']
    theirs = nodes[1].load('storage').BlockDomain(
        drayds[1], one.sd, 'one', pathlib.Path('/run/drayd/storage'))
    image, guest = make_thin(one, rate=150)
    other = nodes[1].load('storage').make_image(
        theirs, ['COW'], size=1024 * MIB, data=0, initial=EXTENT)
    theirs.prepared(other.img, other.volumes[0])
    guests = [guest, start(make_guest, other, node=nodes[1], size=1024,
                           rate=150, batch=32)]
    kills = 0
    deadline = time.monotonic() + 400
    while not all(has_written(one, 200) for one in guests):
        assert time.monotonic() < deadline, [one.state() for one in guests]
        time.sleep(2)
        kills += sum(dray_lvm(node, one, 'KILL', check=False)
                     for node in nodes)
    assert kills > 0
    for one in guests:
        wait_for('it runs', lambda one=one: one.state() == 'running', 30)
        one.verify()
    lvs = volumes(nodes[0], domains['one'])
    assert lvs.keys() == {image.volumes[0], other.volumes[0]}
    nodes[0].sh(f'vgck {domains["one"].sd}')
    guests[1].destroy()
    theirs.call('Image.teardown', imageID=other.img)
