# SPDX-License-Identifier: GPL-2.0-or-later
"""The V5 format, checked by a reader and a writer that share no code with
drayd: what drayd makes, they read; what they make, drayd uses."""
import os
import subprocess

import pytest

import v5
from drayd import RpcError
from host import run
from storage import BLANK, MIB, make_domain, make_image, new_uuid

OWNER = (36, 36)


def snapshot(root):
    """Everything that is in a domain but for what sanlock renews."""
    found = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            with open(path, 'rb') as f:
                text = f.read(4096) if name != 'ids' else b''
            found[path] = (st.st_mode, st.st_size, text)
    return found


def write_foreign(host, mount, layers, name='foreign', **changes):
    """A domain that drayd did not make, with one image; its leases by the
    sanlock command."""
    sd, img = new_uuid(), new_uuid()
    root = v5.write_domain(mount, sd, name, owner=OWNER, **changes)
    v5.write_image(root, img, layers, owner=OWNER)
    for command in v5.lease_commands(root, io_timeout=1):
        run(*command)
    v5.read(root, owner=OWNER)
    return root, sd, img


def chain(formats, size=MIB):
    return [v5.Layer(new_uuid(), kind, size) for kind in formats]


def test_what_drayd_makes_is_read_by_others(drayd, make_fs):
    domain = make_domain(drayd, make_fs(), 'fast.ssd_1+a')
    images = [make_image(domain, formats, size=8 * MIB, data=0,
                         preallocate=preallocate)
              for formats, preallocate in ((['RAW'], ()), (['COW'], ()),
                                           (['RAW'], (0,)),
                                           (['RAW', 'COW', 'COW'], ()),
                                           (['COW'] * 5, ()))]
    found = v5.read(domain.root(), owner=OWNER)
    assert found.pairs['DESCRIPTION'] == 'fast.ssd_1+a'
    assert found.pairs['REMOTE_PATH'] == str(domain.mount)
    assert set(found.images) == {image.img for image in images}
    for image in images:
        layers = found.images[image.img].chain
        assert [layer.vol for layer in layers] == image.volumes
        assert [layer.record['FORMAT'] for layer in layers] == image.formats
        assert {layer.record['LEGALITY'] for layer in layers} == {'LEGAL'}


def test_removing_leaves_nothing(drayd, make_fs):
    domain = make_domain(drayd, make_fs(), 'short-lived')
    image = make_image(domain, ['RAW', 'COW', 'COW'], size=8 * MIB, data=0)
    domain.call('Volume.delete', imageID=image.img,
                volumeID=image.volumes[-1])
    found = v5.read(domain.root(), owner=OWNER).images[image.img]
    assert [layer.vol for layer in found.chain] == image.volumes[:-1]
    assert found.chain[-1].record['VOLTYPE'] == 'LEAF'
    domain.call('Image.delete', imageID=image.img)
    assert v5.read(domain.root(), owner=OWNER).images == {}
    assert domain.images() == []


def test_what_others_make_is_used_by_drayd(drayd, host, make_fs):
    layers = chain(['RAW', 'COW', 'COW'])
    root, sd, img = write_foreign(host, make_fs(), layers, 'fremd ä')
    drayd.call('StorageDomain.join', storagedomainID=sd,
               typeArgs=str(root.parent))
    assert drayd.call('StorageDomain.getInfo',
                      storagedomainID=sd)['name'] == 'fremd ä'
    assert drayd.call('StorageDomain.getVolumes', storagedomainID=sd,
                      imageID=img) == sorted(layer.vol for layer in layers)
    path = drayd.call('Image.prepare', storagedomainID=sd, imageID=img,
                      volumeID=layers[-1].vol)['path']
    assert path == str(root / 'images' / img / layers[-1].vol)
    new = new_uuid()
    drayd.call('Volume.create', storagedomainID=sd, imageID=img,
               volumeID=new, size=str(2 * MIB), volFormat='COW',
               preallocate='SPARSE', desc='on top', srcImgUUID=img,
               srcVolUUID=layers[-1].vol)
    found = v5.read(root, owner=OWNER).images[img]
    assert [layer.vol for layer in found.chain] == \
        [layer.vol for layer in layers] + [new]
    drayd.call('Volume.delete', storagedomainID=sd, imageID=img,
               volumeID=new)
    assert len(v5.read(root, owner=OWNER).images[img].chain) == 3


@pytest.mark.parametrize('key, value', [
    ('VERSION', '4'), ('SDUUID', BLANK), ('CLASS', 'Iso'), ('TYPE', 'FCP'),
    ('BLOCK_SIZE', '4096'), ('ALIGNMENT', '2097152')])
def test_foreign_domains_are_refused_by_key(drayd, host, make_fs, key, value):
    mount = make_fs()
    root, sd, _ = write_foreign(host, mount, chain(['RAW']))
    pairs = v5.parse_domain((root / 'dom_md/metadata').read_bytes())
    pairs.pop('_SHA_CKSUM')
    pairs[key] = value
    (root / 'dom_md/metadata').write_bytes(v5.domain_text(pairs))
    before = snapshot(mount)
    with pytest.raises(RpcError) as e:
        drayd.call('StorageDomain.join', storagedomainID=sd, typeArgs=str(mount))
    assert e.value.code > 0, e.value
    assert sd in e.value.message or str(root) in e.value.message
    assert snapshot(mount) == before


def test_damaged_records_are_named_by_file_and_key(drayd, host, make_fs):
    layers = chain(['RAW', 'COW'])
    root, sd, img = write_foreign(host, make_fs(), layers)
    drayd.call('StorageDomain.join', storagedomainID=sd,
               typeArgs=str(root.parent))
    meta = root / 'images' / img / f'{layers[1].vol}.meta'
    good = meta.read_bytes()
    leases = str(root / 'dom_md/leases')  # sanlock's, by taking SDM
    for key in ('CAP', 'CTIME', 'DISKTYPE', 'DOMAIN', 'FORMAT', 'IMAGE',
                'LEGALITY', 'PUUID', 'TYPE', 'VOLTYPE'):
        meta.write_bytes(v5.volume_text({**v5.parse_volume(good),
                                         key: 'nonsense'}))
        before = snapshot(root)
        for method in ('Volume.getInfo', 'Image.prepare'):
            with pytest.raises(RpcError) as e:
                drayd.call(method, storagedomainID=sd, imageID=img,
                           volumeID=layers[1].vol)
            assert meta.name in e.value.message and key in e.value.message
        with pytest.raises(RpcError):
            drayd.call('Image.delete', storagedomainID=sd, imageID=img)
        assert {**snapshot(root), leases: 0} == {**before, leases: 0}
    meta.write_bytes(good)
    drayd.call('Image.delete', storagedomainID=sd, imageID=img)
    assert v5.read(root, owner=OWNER).images == {}


def test_a_guests_header_leads_nowhere(drayd, host, make_fs):
    """A qcow2 file that names a file of the host as its base."""
    mount = make_fs()
    layers = chain(['RAW', 'COW'])
    root, sd, img = write_foreign(host, mount, layers)
    canary = mount / 'canary'
    canary.write_bytes(b'secret' * 1000)
    leaf = root / 'images' / img / layers[1].vol
    subprocess.run(['qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', 'raw',
                    '-b', str(canary), str(leaf)], check=True)
    drayd.call('StorageDomain.join', storagedomainID=sd, typeArgs=str(mount))
    with pytest.raises(RpcError) as e:
        drayd.call('Image.prepare', storagedomainID=sd, imageID=img,
                   volumeID=layers[1].vol)
    assert e.value.code == 262 and str(canary) in e.value.message


def test_a_full_domain_says_so_and_keeps_nothing(drayd, make_fs):
    domain = make_domain(drayd, make_fs(mib=128), 'small')
    image = make_image(domain, ['RAW'], size=8 * MIB, data=0)
    before = snapshot(domain.root() / 'images')
    for img, parent in ((new_uuid(), BLANK), (image.img, image.volumes[0])):
        with pytest.raises(RpcError) as e:
            domain.call('Volume.create', volumeID=new_uuid(), imageID=img,
                        size=str(1024 * MIB), preallocate='PREALLOCATED',
                        volFormat='RAW' if parent == BLANK else 'COW',
                        desc='too large', srcImgUUID=img if parent != BLANK
                        else BLANK, srcVolUUID=parent)
        assert e.value.code == 397, e.value
        assert snapshot(domain.root() / 'images') == before
    v5.read(domain.root(), owner=OWNER)
