# SPDX-License-Identifier: GPL-2.0-or-later
"""Domains and chains made through drayd, and what must hold afterwards."""
import dataclasses
import json
import pathlib
import random
import uuid

from host import Failed, run

BLANK = '00000000-0000-0000-0000-000000000000'
MIB = 1 << 20


def new_uuid():
    return str(uuid.uuid4())


@dataclasses.dataclass
class Domain:
    drayd: object
    sd: str
    name: str
    mount: pathlib.Path
    sparse_raw = True

    def root(self):
        return self.mount / self.sd

    def images(self):
        return sorted(p.name for p in (self.root() / 'images').iterdir())

    def path(self, img, vol):
        return self.root() / 'images' / img / vol

    def prepared(self, img, vol):
        """Where it can be written to."""
        return self.path(img, vol)

    def call(self, method, **members):
        return self.drayd.call(method, storagedomainID=self.sd, **members)


class BlockDomain(Domain):
    """@mount is where images are prepared."""
    sparse_raw = False

    def images(self):
        return sorted(self.call('StorageDomain.getImages'))

    def path(self, img, vol):
        return self.root() / img / vol

    def prepared(self, img, vol):
        self.call('Image.prepare', imageID=img, volumeID=vol)
        return self.path(img, vol)


def create_block_domain(drayd, name, *devices):
    sd = new_uuid()
    drayd.call('StorageDomain.create', storagedomainID=sd, domainType=2,
               name=name, devices=list(devices), timeout=120)
    return BlockDomain(drayd, sd, name, pathlib.Path('/run/drayd/storage'))


def make_block_domain(drayd, name, *devices):
    """Made and joined."""
    domain = create_block_domain(drayd, name, *devices)
    domain.call('StorageDomain.join', timeout=120)
    return domain


def make_domain(drayd, mount, name):
    sd = new_uuid()
    drayd.call('StorageDomain.create', storagedomainID=sd, domainType=6,
               typeArgs=str(mount), name=name)
    drayd.call('StorageDomain.join', storagedomainID=sd)
    return Domain(drayd, sd, name, mount)


@dataclasses.dataclass
class Image:
    """@volumes base first."""
    domain: Domain
    img: str
    volumes: list
    formats: list

    def path(self, i=-1, domain=None):
        return (domain or self.domain).path(self.img, self.volumes[i])

    def leaf_format(self):
        return {'RAW': 'raw', 'COW': 'qcow2'}[self.formats[-1]]

    def in_domain(self, domain, formats=None):
        return Image(domain, self.img, self.volumes, formats or self.formats)

    def allocated(self, domain=None):
        return sum(self.path(i, domain).stat().st_blocks * 512
                   for i in range(len(self.volumes)))


def make_image(domain, formats, size=64 * MIB, data=4 * MIB, preallocate=(),
               initial=None):
    """One volume per format, each but the leaf with some data of its own."""
    image = Image(domain, new_uuid(), [], list(formats))
    for i, volume_format in enumerate(formats):
        vol = new_uuid()
        sparse = i not in preallocate and (volume_format == 'COW' or
                                           domain.sparse_raw)
        domain.call('Volume.create', volumeID=vol, imageID=image.img,
                    size=str(size), volFormat=volume_format,
                    preallocate='SPARSE' if sparse else 'PREALLOCATED',
                    desc=f'layer {i}',
                    initialSize=str(initial)
                    if initial and volume_format == 'COW' else None,
                    srcImgUUID=image.img if i else BLANK,
                    srcVolUUID=image.volumes[-1] if i else BLANK,
                    sequence=i)
        image.volumes.append(vol)
        if data and i < len(formats) - 1:
            fill(domain.prepared(image.img, vol), volume_format, size, data,
                 seed=i)
    return image


def fill(path, volume_format, size, data, seed):
    """Patterns in the upper half of the disk; the guest has the lower."""
    rng = random.Random(seed)
    kind = {'RAW': 'raw', 'COW': 'qcow2'}[volume_format]
    commands = []
    for _ in range(8):
        offset = size // 2 + rng.randrange(0, size // 2 - data // 8, 65536)
        commands += ['-c', f'write -q -P {rng.randrange(1, 256)} {offset} '
                           f'{data // 8 // 65536 * 65536 or 65536}']
    run('qemu-io', '-f', kind, *commands, path)


def hashes(image):
    """Content of each frozen layer as the chain up to it shows it."""
    result = []
    for i in range(len(image.volumes) - 1):
        kind = {'RAW': 'raw', 'COW': 'qcow2'}[image.formats[i]]
        copy = image.domain.mount / 'hash.raw'
        run('qemu-img', 'convert', '-U', '-f', kind, '-O', 'raw',
            image.path(i), copy)
        result.append(run('sha256sum', copy).stdout.split()[0])
        copy.unlink()
    return result


def check_clean(image):
    for i, volume_format in enumerate(image.formats):
        if volume_format == 'COW':
            run('qemu-img', 'check', '-U', '-f', 'qcow2', image.path(i))


def chain_of(path):
    done = run('qemu-img', 'info', '-U', '--backing-chain', '--output=json',
               path)
    return [layer['filename'] for layer in json.loads(done.stdout)]


def no_job_leases(host):
    """Only lockspaces, no resource, are held on this host."""
    status = host.sanlock_client('status')
    held = [line for line in status.splitlines() if line.startswith('r ')]
    if held:
        raise Failed(f'leases are held: {held}')


def end_vms(host):
    for name in host.virsh('list', '--all', '--name').stdout.split():
        host.virsh('destroy', name, check=False)
        host.virsh('undefine', name, '--snapshots-metadata', check=False)


def empty(host, domain):
    """Ends what uses the domain's images, and deletes them."""
    end_vms(host)
    for img in domain.images():
        domain.call('Image.delete', imageID=img)
