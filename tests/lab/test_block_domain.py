# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains on shared LUNs: made, joined on two hosts, grown, broken off, left."""
import random
import time
import uuid

import pytest

from conftest import LUNS, SMALL, at_once
from drayd import RpcError

FIRST, WITH_4K = LUNS['one'], '/dev/vdb'
FCP = 2


def wipe(host, *devices):
    """Whatever is on them is nothing any more."""
    for device in devices:
        host.sh(f'wipefs -qaf {device}; blkdiscard -z -l 2M {device}')


def create(drayd, name, *devices, sd=None, **members):
    sd = sd or str(uuid.uuid4())
    drayd.call('StorageDomain.create', storagedomainID=sd, domainType=FCP,
               name=name, devices=list(devices), timeout=120, **members)
    return sd


def refused(call, *args, **members):
    with pytest.raises(RpcError) as error:
        call(*args, **members)
    return error.value


def answer_of(call, *args, **members):
    """None when drayd says no, or dies."""
    try:
        return call(*args, **members)
    except (RpcError, OSError):
        return None


def domain(drayd, method, sd, **members):
    return drayd.call(f'StorageDomain.{method}', storagedomainID=sd,
                      timeout=120, **members)


def state(drayd, sd):
    for one in drayd.call('StorageDomain.list'):
        if one['uuid'] == sd:
            return one
    return None


def wait_joined(drayd, sd):
    deadline = time.monotonic() + 180
    while state(drayd, sd)['status'] != 'joined':
        assert time.monotonic() < deadline, state(drayd, sd)
        time.sleep(0.5)


def active(node, sd):
    """LVs of the domain that are active on the host."""
    mangled = sd.replace('-', '--')
    return {line.split('\t')[0][len(mangled) + 1:]
            for line in node.out('dmsetup ls').splitlines()
            if line.startswith(f'{mangled}-')}


SPECIAL = {'metadata', 'ids', 'inbox', 'outbox', 'leases', 'xleases'}


@pytest.fixture
def shared(domains):
    """A domain that both have joined: its UUID."""
    return domains['one'].sd


@pytest.mark.check
def test_both_hosts_see_what_was_made(nodes, drayds, shared):
    for node, drayd in zip(nodes, drayds):
        info = domain(drayd, 'getInfo', shared)
        assert (info['name'], info['type'], info['class']) == (
            'one', 'FCP', 'Data')
        assert info['block_size'] == 512 and info['alignment'] == 1 << 20
        assert info['devices'] == [FIRST]
        assert info['hostId'] == node.number
        assert active(node, shared) == SPECIAL
        stats = domain(drayd, 'getStats', shared)
        # 24 GiB, two metadata areas and the first MiB; 28 extents of LVs.
        assert int(stats['disktotal']) == 189 * 128 << 20
        assert int(stats['diskfree']) == (189 - 28) * 128 << 20
        assert stats['mdavalid'] and stats['mdathreshold']
        assert domain(drayd, 'audit', shared) == {'findings': []}
    assert nodes[0].out(
        'vgs --noheadings -o vg_autoactivation,vg_extent_size --units m'
        f' {shared}').split() == ['128.00m']
    tags = nodes[0].out(f'vgs --noheadings -o vg_tags {shared}').split(',')
    assert 'RHAT_storage_domain' in tags
    assert not any('UNREADY' in tag for tag in tags)
    out = nodes[0].out('lvs --noheadings -o lv_name,lv_size,devices --units m'
                       f' --nosuffix {shared}')
    rows = {row.split()[0]: row.split()[1:] for row in out.splitlines()}
    assert rows['metadata'] == ['128.00', f'{FIRST}(0)']
    assert rows['leases'][0] == '2048.00' and rows['xleases'][0] == '1024.00'


MAKERS = {
    'ext4': f'mkfs.ext4 -qF {SMALL}',
    'a PV of LVM': f'pvcreate -qy {SMALL}',
    # One partition, in the first sector.
    'dos partitions':
        f'printf "\\x80\\0\\0\\0\\x83\\0\\0\\0\\0\\x08\\0\\0\\0\\x10\\0\\0" |'
        f' dd of={SMALL} bs=1 seek=446 conv=notrunc status=none;'
        f' printf "\\x55\\xaa" |'
        f' dd of={SMALL} bs=1 seek=510 conv=notrunc status=none',
}


def test_a_device_that_holds_something_is_refused(nodes, drayds, shared):
    host, drayd = nodes[0], drayds[0]
    for what, make in MAKERS.items():
        wipe(host, SMALL)
        host.sh(make, timeout=120)
        before = host.out(f'head -c 2M {SMALL} | sha256sum')
        error = refused(domain, drayd, 'extend', shared, devlist=[SMALL])
        assert error.code == 351 and f'{SMALL} holds {what}' in \
            error.message, error
        assert host.out(f'head -c 2M {SMALL} | sha256sum') == before
    wipe(host, SMALL)
    host.sh(f'mkfs.ext4 -qF {SMALL}; mkdir -p /mnt/busy;'
            f' mount {SMALL} /mnt/busy', timeout=120)
    error = refused(domain, drayd, 'extend', shared, devlist=[SMALL],
                    force=True)
    host.sh('umount /mnt/busy')
    assert error.code == 351 and 'in use' in error.message, error
    # A domain's own device; one that is used here; one that is too small.
    error = refused(create, drayd, 'again', FIRST)
    assert error.code == 351 and shared in error.message, error
    error = refused(create, drayd, 'again', FIRST, force=True)
    assert 'in use' in error.message, error
    error = refused(create, drayd, 'tiny', SMALL, force=True)
    assert error.code == 504 and 'MiB' in error.message, error
    assert domain(drayd, 'audit', shared) == {'findings': []}


@pytest.mark.check
def test_a_domain_grows_and_the_other_host_finds_the_device(nodes, drayds,
                                                            shared):
    free = int(domain(drayds[1], 'getStats', shared)['diskfree'])
    domain(drayds[0], 'extend', shared, devlist=[SMALL], force=True)
    more = 5 * 128 << 20
    for drayd in drayds:
        stats = domain(drayd, 'getStats', shared)
        assert int(stats['diskfree']) == free + more
        assert domain(drayd, 'getInfo', shared)['devices'] == [FIRST, SMALL]
    # It is a change that needs all PVs: this host makes one, too.
    domain(drayds[1], 'extend', shared, devlist=[SMALL])
    tags = nodes[0].out(f'vgs --noheadings -o vg_tags {shared}')
    assert 'MDT_PV1=pv:vdg&44&' in tags and 'mapoffset:189' in tags
    assert 'MDT_PV2' not in tags
    used = nodes[0].out('pvs --noheadings -o pv_mda_used_count'
                        f' {SMALL}')
    assert used == '0'
    assert domain(drayds[1], 'audit', shared) == {'findings': []}


def test_a_domain_comes_back_after_a_crash_and_a_leave(nodes, drayds, shared):
    host, drayd = nodes[1], drayds[1]
    drayd.restart()
    wait_joined(drayd, shared)
    # An LV of a volume that somebody has open keeps it.
    vol = str(uuid.uuid4())
    host.sh(f'lvcreate -qy -an -Zn -Wn -L 128m -n {vol} {shared} {FIRST};'
            f' lvchange -ay {shared}/{vol}', timeout=120)
    opened = host.start(f'exec 5<>/dev/{shared}/{vol}; echo $$ >/run/opener;'
                        ' sleep 600', check=False)
    host.sh('wait_for 20 test -s /run/opener')
    error = refused(domain, drayd, 'leave', shared)
    assert error.code == 662 and vol in error.message, error
    assert state(drayd, shared)['status'] == 'joined'
    host.sh('kill -9 $(cat /run/opener); pkill -9 -P $(cat /run/opener);'
            ' rm /run/opener', check=False)
    opened.wait()
    host.sh(f'wait_for 20 lvremove -qy {shared}/{vol}', timeout=120)
    domain(drayd, 'leave', shared)
    assert active(host, shared) == set()
    assert state(drayd, shared)['status'] == 'left'
    domain(drayd, 'leave', shared)  # again: nothing to do
    # By a device this time.
    assert drayd.call('StorageDomain.join', typeArgs=SMALL,
                      timeout=120) == shared
    assert active(host, shared) == SPECIAL


def test_sectors_of_4_kib_have_leases_of_8_mib(nodes, drayds):
    error = refused(create, drayds[0], 'large', WITH_4K, maxHosts=250)
    assert 'LVB' in error.message, error
    error = refused(create, drayds[0], 'large', WITH_4K, blockSize=512)
    assert '4096' in error.message, error
    error = refused(create, drayds[0], 'mixed', WITH_4K, SMALL, force=True)
    assert 'sectors' in error.message, error
    sd = create(drayds[0], 'large', WITH_4K)
    domain(drayds[1], 'join', sd)
    for drayd in drayds:
        info = domain(drayd, 'getInfo', sd)
        assert (info['block_size'], info['alignment']) == (4096, 8 << 20)
    assert domain(drayds[1], 'audit', sd) == {'findings': []}
    domain(drayds[1], 'leave', sd)
    assert [active(node, sd) for node in nodes] == [set(), set()]


def test_a_creation_that_is_killed_is_made_again(nodes, drayds, shared):
    host, drayd = nodes[0], drayds[0]
    wipe(host, WITH_4K)
    sd = str(uuid.uuid4())
    begin = time.monotonic()
    create(drayd, 'whole', WITH_4K)
    at = random.uniform(0.1, 0.9) * (time.monotonic() - begin)
    wipe(host, WITH_4K)

    def kill():
        time.sleep(at)
        drayd.restart()

    at_once(lambda: answer_of(create, drayd, 'broken', WITH_4K, sd=sd), kill)
    # It is no domain for anybody, or a whole one.
    found = answer_of(drayds[1].call, 'StorageDomain.join', typeArgs=WITH_4K,
                      timeout=120)
    if found:
        assert found == sd, f'killed after {at:.1f} s'
        domain(drayds[1], 'leave', sd)
    if random.choice([True, False]):  # by another name
        sd = create(drayd, 'broken', WITH_4K, force=True)
    else:
        create(drayd, 'broken', WITH_4K, sd=sd)
    info = domain(drayd, 'getInfo', sd)
    assert info['name'] == 'broken', f'killed after {at:.1f} s'
    assert not active(host, sd)
    host.sh(f'vgremove -qff -y {sd}; pvremove -qff -y {WITH_4K}', timeout=120)


@pytest.fixture
def pulled(nodes):
    """pulled(node): a host's second LUN, to be taken away and given back. It
    has its name again after the test; while an LV on it is active it comes
    back with another."""
    taken = []

    class Lun:
        def __init__(self, node):
            self.node, self.name = node, WITH_4K
            taken.append(self)

        def take(self):
            name = self.name[5:]
            self.node.sh(f'''
                echo 1 >/sys/block/{name}/device/../remove
                wait_for 20 test ! -e /dev/{name}''')

        def give(self):
            self.name = self.node.out('''
                echo 1 >/sys/bus/pci/rescan
                wait_for 20 sh -c 'grep -qx lun1 /sys/block/vd*/serial'
                udevadm settle
                for disk in /sys/block/vd*; do
                    grep -qx lun1 $disk/serial && echo /dev/${disk##*/}
                done || true''')
    yield Lun
    for lun in taken:
        lun.give()
        if lun.name != WITH_4K:
            lun.take()
            lun.give()
        assert lun.name == WITH_4K


def test_a_lun_that_is_not_there_holds_up_nobody(nodes, drayds, shared,
                                                 pulled):
    """On the host that starts without it; it comes back by itself."""
    sd = create(drayds[0], 'away', WITH_4K, force=True)
    drayd, lun = drayds[1], pulled(nodes[1])
    domain(drayd, 'join', sd)
    drayd.stop()
    lun.take()
    drayd.start(60)
    wait_joined(drayd, shared)
    missing = state(drayd, sd)
    assert missing['status'] == 'missing', missing
    assert sd in missing['problem'] or WITH_4K in missing['problem'], missing
    lun.give()
    wait_joined(drayd, sd)
    domain(drayd, 'leave', sd)
    assert active(nodes[1], sd) == set()
