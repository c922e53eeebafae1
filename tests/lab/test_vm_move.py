# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM goes from one host to the other and back, between files and LVs."""
import pathlib

import pytest

from conftest import at_once
from host import wait_for
from storage import MIB

LUNS = {'one': '/dev/vda', 'two': '/dev/vdd'}
FILES = ['/dev/vdc', '/dev/vde']
ADDRESSES = ['192.0.2.1', '192.0.2.2']
CHUNK = EXTENT = 128 * MIB
PKI = '/run/drayd-test/pki'


def make_pki(nodes):
    """The same on both."""
    names = [f'{node.name},{address}'
             for node, address in zip(nodes, ADDRESSES)]
    made = nodes[0].load('pki').Pki(pathlib.Path(PKI)).make(*names)
    data = nodes[0].out(f'tar -C {PKI} -cz . | base64 -w0')
    nodes[1].sh(f'mkdir -p {PKI}; echo {data} | base64 -d |'
                f' tar -C {PKI} -xz')
    return made


def start_drayd(nodes, i, pki):
    other = 1 - i
    there = ADDRESSES[other]
    return nodes[i].drayd(
        lease={'io_timeout': 4, 'require_watchdog': 'no'},
        monitor={'chunk_mib': CHUNK // MIB, 'utilization_percent': 50},
        tls={'listen': ADDRESSES[i], **pki.settings(nodes[i].name)},
        peers={nodes[other].name:
               f'{there} qemu+tcp://{there}/system tcp://{there}'},
        **{'tls-roles': {node.name: 'full' for node in nodes}})


@pytest.fixture(scope='module')
def drayds(nodes):
    pki = make_pki(nodes)
    # A libvirtd asks each qemu what it can do when it first needs to know.
    at_once(*(lambda node=node: node.host.virsh('domcapabilities')
              for node in nodes))
    both = at_once(*(lambda i=i: start_drayd(nodes, i, pki) for i in (0, 1)))
    yield both
    for drayd in both:
        drayd.kill()


def view(node, drayd, domain):
    """Another host's view of a domain on LUNs."""
    return node.load('storage').BlockDomain(
        drayd, domain.sd, domain.name, pathlib.Path('/run/drayd/storage'))


def make_files(node, drayd, device):
    node.sh(f'mkfs.ext4 -qF {device}; mkdir -p /mnt/files;'
            f' mount {device} /mnt/files')
    return node.domain(drayd, pathlib.Path('/mnt/files'), 'files')


@pytest.fixture(scope='module')
def domains(nodes, drayds):
    """Of each host {name: domain}: both have joined one and two, on LUNs;
    each has files of its own."""
    make = nodes[0].load('storage').make_block_domain
    blocks = [make(drayds[0], name, lun) for name, lun in LUNS.items()]
    files = at_once(*(lambda i=i: make_files(nodes[i], drayds[i], FILES[i])
                      for i in (0, 1)))
    for name in LUNS:
        drayds[1].call('StorageDomain.join', name=name, timeout=120)
    theirs = [view(nodes[1], drayds[1], domain) for domain in blocks]
    yield [dict(zip([*LUNS, 'files'], [*those, own]))
           for those, own in zip([blocks, theirs], files)]
    for domain in [*theirs, *blocks, *files]:
        domain.call('StorageDomain.leave')
    at_once(*(lambda node=node: node.sh('umount /mnt/files')
              for node in nodes))
    for domain, lun in zip(blocks, LUNS.values()):
        nodes[0].sh(f'vgremove -q -f {domain.sd}; pvremove -q -f {lun};'
                    f' blkdiscard -z -l 1G {lun}')
    for node, device in zip(nodes, FILES):
        node.sh(f'wipefs -qaf {device}; blkdiscard -z -l 2M {device}')


def volumes(node, domain):
    """{LV of a volume: (bytes, active here)}."""
    rows = node.out('lvs --noheadings --nosuffix --units b --separator " " -o'
                    f' lv_name,lv_size,lv_active {domain.sd}').splitlines()
    rows = [row.split() for row in rows]
    return {row[0]: (int(row[1]), row[2:] == ['active']) for row in rows
            if len(row[0]) == 36}


@pytest.fixture(autouse=True)
def nothing_left(nodes, domains, make_guest):
    yield
    at_once(*(lambda node=node: node.load('storage').end_vms(node.host)
              for node in nodes))
    for of_host in domains:
        for domain in of_host.values():
            for img in domain.images():
                domain.call('Image.delete', imageID=img)
    for name in LUNS:
        for node, of_host in zip(nodes, domains):
            assert volumes(node, of_host[name]) == {}
        assert domains[0][name].call('StorageDomain.audit') == \
            {'findings': []}


class Traveller:
    """A guest that is on host @at, in a domain called @name; one disk per
    format (RAW+COW: two layers)."""

    def __init__(self, nodes, make_guest, domain, formats, images=None,
                 mib=160, **options):
        self.nodes, self.at, self.name = nodes, 0, domain.name
        self.options = {'start': 0, 'size': 24, 'rate': 40, **options}
        make = nodes[0].load('storage').make_image
        # As plain data: objects of a host are of no use on the other one.
        self.images = images or [
            (image.img, image.volumes) for image in [
                make(domain, f.split('+'), size=mib * MIB, initial=EXTENT)
                for f in formats]]
        for img, vols in self.images:
            domain.prepared(img, vols[-1])
        self.guest = make_guest(self._disks(domain, formats), **self.options)
        self.blocks = self.guest.read().blocks

    def _disks(self, domain, formats):
        words = {'RAW': 'raw', 'COW': 'qcow2'}
        return [{'path': str(domain.path(img, vols[-1])),
                 'format': words[f.split('+')[-1]],
                 'serial': f'serial-{i}', 'alias': f'ua-disk-{i}'}
                for i, ((img, vols), f) in enumerate(zip(self.images,
                                                         formats))]

    def arrived(self, domain, formats):
        """On the other host."""
        self.at, self.name = 1 - self.at, domain.name
        node = self.nodes[self.at]
        self.guest = node.load('guest').Guest(
            node.host, self._disks(domain, formats), name=self.guest.name,
            **self.options).came(self.blocks)
        return self.guest

    def hashes(self, domain, formats):
        """Of the layers below the leaves."""
        storage = self.nodes[self.at].load('storage')
        return [storage.hashes(storage.Image(domain, img, vols,
                                             f.split('+')))
                for (img, vols), f in zip(self.images, formats)]


def move(drayds, traveller, name, **members):
    return drayds[traveller.at].call('VM.migrate', {
        'vmID': traveller.guest.name, 'host': f'host{2 - traveller.at}',
        'domain': name, **members})


def require_lvs(nodes, domains, now, name, vols):
    """All of @vols are in the domain called @name, active on host @now."""
    for lun in LUNS:
        lvs = [volumes(node, of_host[lun])
               for node, of_host in zip(nodes, domains)]
        assert set(lvs[0]) == set(lvs[1]) == (vols if lun == name else set())
        assert all(active for _, active in lvs[now].values()), lvs
        assert not any(active for _, active in lvs[1 - now].values()), lvs


def require_moved(nodes, domains, traveller, name, formats):
    """It runs on the other host, in domain @name, has lost nothing, and
    nothing of it is where it was."""
    was, before = traveller.at, traveller.name
    domain = domains[1 - was][name]
    guest = traveller.arrived(domain, formats)
    guest.wait_acks(30)
    guest.verify()
    assert nodes[was].host.virsh('list', '--all', '--name').stdout.split() \
        == []
    assert not set(domains[was][before].images()) & \
        {img for img, _ in traveller.images}
    for i, (img, vols) in enumerate(traveller.images):
        for inactive in (False, True):
            disk = guest.disk_element(f'vd{"abc"[i]}', inactive)
            assert disk.find('serial').text == f'serial-{i}'
            path = guest.disk_path(f'vd{"abc"[i]}', inactive)
            nodes[1 - was].sh(f'test {path} -ef '
                              f'{domain.path(img, vols[-1])}')
        for vol, layer in zip(vols, formats[i].split('+')):
            info = domain.call('Volume.getInfo', imageID=img, volumeID=vol)
            assert (info['legality'], info['format']) == ('LEGAL', layer)


def require_back(nodes, drayds, domains, traveller, job):
    """It runs where it was, and nothing of it is on the other host."""
    here, there = traveller.at, 1 - traveller.at
    wait_for('the other host has cleaned up', lambda: drayds[there].call(
        'Job.info', jobID=job['id']).get('ended'), 60, 0.5)
    assert traveller.guest.state() == 'running'
    assert nodes[there].host.virsh('list', '--all', '--name') \
        .stdout.split() == []
    traveller.guest.wait_acks(20)
    traveller.guest.verify()
    require_lvs(nodes, domains, here, '', set())


def test_there_and_back(nodes, drayds, domains, make_guest):
    """From files to LVs, to other LVs, and to files. What is raw and sparse
    becomes COW on LVs; layers stay what they are."""
    before = ['COW+COW+COW', 'RAW']
    traveller = Traveller(nodes, make_guest, domains[0]['files'], before)
    hashes = traveller.hashes(domains[0]['files'], before)
    after = ['COW+COW+COW', 'COW']
    vols = {vol for _, vols in traveller.images for vol in vols}
    for name in ['one', 'two', 'files']:
        job = move(drayds, traveller, name)
        info = drayds[traveller.at].wait_job(job['id'])
        assert info['state'] == 'done' and not info.get('warning'), info
        require_moved(nodes, domains, traveller, name, after)
        require_lvs(nodes, domains, traveller.at, name,
                    vols if name in LUNS else set())
        assert traveller.hashes(domains[traveller.at][name], after) == hashes


def has_written(traveller, mib):
    return traveller.guest.read().acked['vda'] >= mib * 16


def test_a_thin_disk_grows_as_it_comes(nodes, drayds, domains, make_guest):
    """The guest writes more meanwhile than there was room for at first."""
    traveller = Traveller(nodes, make_guest, domains[0]['files'], ['COW'],
                          mib=600, size=600, rate=0, batch=32)
    job = move(drayds, traveller, 'one', limit=2 * MIB)
    vol = traveller.images[0][1][0]
    wait_for('it is being sent', lambda: drayds[0].call(
        'Job.info', jobID=job['id'])['state'] == 'converging', 60, 0.5)
    first = volumes(nodes[1], domains[1]['one'])[vol][0]
    wait_for('it has grown', lambda: volumes(
        nodes[1], domains[1]['one'])[vol][0] > first, 90, 1)
    drayds[0].call('Job.limit', jobID=job['id'], limit=0)
    info = drayds[0].wait_job(job['id'], 120)
    assert info['state'] == 'done', info
    require_moved(nodes, domains, traveller, 'one', ['COW'])


def test_a_cancel_leaves_no_lv(nodes, drayds, domains, make_guest):
    traveller = Traveller(nodes, make_guest, domains[0]['files'],
                          ['COW+COW', 'RAW'])
    job = move(drayds, traveller, 'one', limit=MIB)
    wait_for('it is being sent', lambda: drayds[0].call(
        'Job.info', jobID=job['id'])['state'] == 'converging', 60, 0.5)
    drayds[0].call('Job.cancel', jobID=job['id'])
    info = drayds[0].wait_job(job['id'])
    assert info['state'] == 'cancelled', info
    require_back(nodes, drayds, domains, traveller, job)


def test_a_full_vg_is_told_and_the_vm_stays(nodes, drayds, domains,
                                            make_guest):
    """Before the move, and when it fills up during it."""
    domain = domains[0]['two']
    traveller = Traveller(nodes, make_guest, domains[0]['files'], ['COW'],
                          mib=600, size=600, rate=0, batch=32)
    free = int(nodes[0].out('vgs --noheadings -o vg_free_count '
                            f'{domain.sd}'))

    def fill_up(left):
        nodes[0].sh(f'lvremove -qq -y {domain.sd}/filler || :; lvcreate -qq'
                    f' -y -an -Wn -Zn -n filler -l {free - left} {domain.sd}',
                    timeout=120)
    try:
        fill_up(1)
        plan = drayds[0].call('VM.planMigrate', {
            'vmID': traveller.guest.name, 'host': 'host2', 'domain': 'two'})
        assert any('MiB are needed' in o['message']
                   for o in plan['obstacles']), plan
        fill_up(4)
        job = move(drayds, traveller, 'two', limit=2 * MIB)
        info = drayds[0].wait_job(job['id'], 120)
        assert info['state'] == 'failed', info
        assert 'free' in info['error']['message'], info
        require_back(nodes, drayds, domains, traveller, job)
    finally:
        nodes[0].sh(f'lvremove -qq -y {domain.sd}/filler', timeout=120)
