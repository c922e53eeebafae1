# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks move out of a domain that VDSM made, and into it."""
import json

import pytest

import v5
from guest import Disk
from host import run
from moves import migrate, require_moved, start
from storage import (BLANK, MIB, Domain, Image, empty, make_image, new_uuid,
                     no_job_leases)

KEPT = ('CAP', 'DESCRIPTION', 'DISKTYPE', 'FORMAT', 'IMAGE', 'PUUID', 'SEQ',
        'TYPE', 'VOLTYPE', 'LEGALITY')


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


@pytest.fixture
def vdsm(host, drayd, make_fs):
    """A domain with one image of three layers, not joined yet."""
    mount, sd = make_fs('ext4', 512), new_uuid()
    root = v5.write_domain(mount, sd, 'of-vdsm')
    image = Image(Domain(drayd, sd, 'of-vdsm', mount), new_uuid(),
                  [new_uuid() for _ in range(3)], ['RAW', 'COW', 'COW'])
    layers = [v5.Layer(vol, volume_format, 64 * MIB, description=json.dumps(
                  {'DiskAlias': f'disk-{number}', 'DiskDescription': 'ü'},
                  ensure_ascii=True))
              for number, (vol, volume_format) in
              enumerate(zip(image.volumes, image.formats))]
    v5.write_image(root, image.img, layers)
    for command in v5.lease_commands(root, io_timeout=1):
        run(*command)
    v5.read(root)
    return image


def records(image):
    domain = v5.read(image.domain.root())
    return [{key: volume.record[key] for key in KEPT}
            for volume in domain.images[image.img].chain]


def test_disks_move_out_of_and_into_it(host, drayd, domains, vdsm,
                                       make_guest):
    there, ours = vdsm.domain, domains[1]
    drayd.call('StorageDomain.join', storagedomainID=there.sd,
               typeArgs=str(there.mount))
    assert there.call('StorageDomain.getImages') == [vdsm.img]
    assert sorted(there.call('StorageDomain.getVolumes', imageID=vdsm.img)) \
        == sorted(vdsm.volumes)
    before = records(vdsm)
    guest = start(make_guest, vdsm)
    job = migrate(drayd, guest, ours)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    moved = require_moved(guest, vdsm, ours)
    assert records(moved) == before
    assert v5.read(there.root()).images == {}

    own = make_image(ours, ['COW', 'COW'])
    other = start(make_guest, own)
    before = records(own)
    job = migrate(drayd, other, there)
    info = drayd.wait_job(job['id'])
    assert info['state'] == 'done' and not info.get('warning'), info
    moved = require_moved(other, own, there)
    assert records(moved) == before
    assert list(v5.read(ours.root()).images) == [vdsm.img]
    no_job_leases(host)
    for domain in (there, ours):
        empty(host, domain)
    drayd.call('StorageDomain.leave', storagedomainID=there.sd)
