# SPDX-License-Identifier: GPL-2.0-or-later
"""oVirt's V5 file domains, read and written without any code of drayd.

Written from the format's description alone, so that two programs that know
nothing of each other must agree on every byte. read() returns what is there
and raises Bad with everything that is wrong; write_domain() and write_image()
make what VDSM would make, but for the leases: lease_commands() are sanlock
commands for the caller to run.

As a program: v5.py PATH/SD checks a domain and lists it.
"""
import dataclasses
import hashlib
import os
import pathlib
import re
import stat
import struct
import subprocess
import sys
import time

BLANK = '00000000-0000-0000-0000-000000000000'
MIB = 1 << 20
UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z')
INDEX_SIZE = 62 * 4096
RECORDS = 3960
MAILBOX = 16 * MIB
FREE_RECORD = b'\0' * 48 + b'\0' + b'0' * 11 + b'\0--\n'

DOMAIN_KEYS = ('VERSION SDUUID TYPE CLASS DESCRIPTION ROLE POOL_UUID '
               'LOCKPOLICY LOCKRENEWALINTERVALSEC LEASETIMESEC '
               'IOOPTIMEOUTSEC LEASERETRIES BLOCK_SIZE ALIGNMENT '
               'REMOTE_PATH').split()
VOLUME_KEYS = ('CAP CTIME DESCRIPTION DISKTYPE DOMAIN FORMAT GEN IMAGE '
               'LEGALITY PUUID SEQ TYPE VOLTYPE').split()
WORDS = {
    'FORMAT': {'RAW', 'COW'},
    'TYPE': {'SPARSE', 'PREALLOCATED'},
    'VOLTYPE': {'LEAF', 'INTERNAL', 'SHARED'},
    'LEGALITY': {'LEGAL', 'ILLEGAL', 'FAKE'},
    'DISKTYPE': set('DATA ISOF MEMD MEMM OVFS HEVD HESD HEMD HECI SCRD 2 1'
                    .split()),
}
GEOMETRIES = {512: {MIB}, 4096: {MIB, 2 * MIB, 4 * MIB, 8 * MIB}}
MODES = {'dom_md': 0o755, 'images': 0o755, 'dom_md/metadata': 0o644,
         'dom_md/ids': 0o660, 'dom_md/leases': 0o660,
         'dom_md/xleases': 0o660, 'dom_md/inbox': 0o660,
         'dom_md/outbox': 0o660}


class Bad(Exception):
    """Everything that is wrong, one problem a line."""

    def __init__(self, problems):
        super().__init__('\n'.join(problems))
        self.problems = problems


# --- pieces of the format ---

def checksum(pairs):
    sha1 = hashlib.sha1()
    for key in sorted(pairs):
        line = f'{key}={pairs[key]}'
        sha1.update(line.encode('ascii', 'xmlcharrefreplace'))
    return sha1.hexdigest()


def parse_domain(data):
    """-> pairs with _SHA_CKSUM, as Python splits lines."""
    pairs = {}
    for line in data.rstrip(b'\0').decode('utf-8').splitlines():
        key, equals, value = line.partition('=')
        if equals:
            pairs[key.strip()] = value
    return pairs


def domain_text(pairs):
    lines = [f'{key}={pairs[key]}\n' for key in sorted(pairs)]
    return ''.join(lines + [f'_SHA_CKSUM={checksum(pairs)}\n']).encode()


def parse_volume(data):
    pairs = {}
    for line in data.rstrip(b'\0').splitlines():
        text = line.decode('utf-8')
        if text.startswith('EOF'):
            break
        key, equals, value = text.partition('=')
        if equals:
            pairs[key.strip()] = value.strip()
    pairs.setdefault('GEN', '0')
    pairs.setdefault('SEQ', '0')
    return pairs


def volume_text(pairs):
    text = ''.join(f'{key}={pairs[key]}\n' for key in sorted(pairs))
    data = (text + 'EOF\n').encode()
    if len(data) > 512:
        raise ValueError(f'the record has {len(data)} bytes')
    return data


def crc32c(data):
    crc = 0xfffffffe
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


def name_of(data):
    return data.rstrip(b'\0').decode('ascii')


@dataclasses.dataclass
class Leader:
    kind: str  # lockspace, resource, cleared
    block_size: int
    alignment: int
    max_hosts: int
    owner: int
    version: int
    timestamp: int
    lockspace: str
    resource: str
    checksum_ok: bool


def parse_leader(data):
    kinds = {0x12212010: 'lockspace', 0x06152010: 'resource',
             0x11282016: 'cleared'}
    magic, _, flags, block_size = struct.unpack_from('<IIII', data, 0)
    if magic not in kinds:
        return None
    _, max_hosts, owner, _, version = struct.unpack_from('<5Q', data, 16)
    timestamp, = struct.unpack_from('<Q', data, 152)
    crc, = struct.unpack_from('<I', data, 168)
    aligns = {0x10: MIB, 0x20: 2 * MIB, 0x40: 4 * MIB, 0x80: 8 * MIB}
    return Leader(kinds[magic], block_size, aligns.get(flags & 0xf0, MIB),
                  max_hosts, owner, version, timestamp,
                  name_of(data[56:104]), name_of(data[104:152]),
                  crc == crc32c(data[:168]))


def index_bytes(sd, mtime):
    header = bytearray(512)
    header[0:4] = bytes.fromhex('12152016')
    header[5:9] = b'0001'
    header[10:46] = sd.encode()
    header[59:69] = b'%010d' % mtime
    header[70:71] = b'-'
    header[511:512] = b'\n'
    return bytes(header) + FREE_RECORD * RECORDS


@dataclasses.dataclass
class Qcow2:
    version: int
    size: int
    backing: str
    backing_format: str


def parse_qcow2(data):
    if data[:4] != b'QFI\xfb':
        return None
    version, at, length = struct.unpack_from('>IQI', data, 4)
    size, = struct.unpack_from('>Q', data, 24)
    backing = data[at:at + length].decode() if at else ''
    offset = struct.unpack_from('>I', data, 100)[0] if version > 2 else 72
    backing_format = ''
    while offset + 8 <= len(data):
        kind, length = struct.unpack_from('>II', data, offset)
        if kind == 0:
            break
        if kind == 0xe2792aca:
            backing_format = data[offset + 8:offset + 8 + length].decode()
        offset += 8 + (length + 7) // 8 * 8
    return Qcow2(version, size, backing, backing_format)


# --- reading ---

@dataclasses.dataclass
class Volume:
    vol: str
    path: pathlib.Path
    record: dict
    size: int       # of the file
    allocated: int
    own: bool       # not a template's link
    qcow2: Qcow2 = None
    lease: Leader = None


@dataclasses.dataclass
class Image:
    img: str
    volumes: dict   # vol -> Volume
    chain: list = dataclasses.field(default_factory=list)  # base first


@dataclasses.dataclass
class Domain:
    root: pathlib.Path
    pairs: dict
    images: dict    # img -> Image
    ids: Leader = None
    sdm: Leader = None

    def int(self, key):
        return int(self.pairs[key])


class Reader:
    """Collects every problem instead of stopping at the first."""

    def __init__(self, root, owner=None, leases=True):
        self.root, self.owner, self.leases = pathlib.Path(root), owner, leases
        self.problems = []

    def bad(self, where, what):
        self.problems.append(f'{where}: {what}')

    def pread(self, path, offset, size):
        with open(path, 'rb') as f:
            f.seek(offset)
            return f.read(size)

    def check_mode(self, path, mode):
        try:
            st = os.lstat(path)
        except OSError as e:
            return self.bad(path, e.strerror)
        if stat.S_IMODE(st.st_mode) != mode:
            self.bad(path, f'mode {stat.S_IMODE(st.st_mode):o}, not {mode:o}')
        if self.owner and (st.st_uid, st.st_gid) != self.owner:
            self.bad(path, f'owned by {st.st_uid}:{st.st_gid}')
        if not (stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode)):
            self.bad(path, 'is neither file nor directory')
        return st

    def domain(self):
        path = self.root / 'dom_md' / 'metadata'
        for name, mode in MODES.items():
            self.check_mode(self.root / name, mode)
        if self.problems:
            raise Bad(self.problems)
        pairs = parse_domain(path.read_bytes())
        declared = pairs.pop('_SHA_CKSUM', None)
        if declared != checksum(pairs):
            self.bad(path, f'checksum {declared}, not {checksum(pairs)}')
        if path.read_bytes() != domain_text(pairs):
            self.bad(path, 'is not sorted lines with the checksum last')
        for key in DOMAIN_KEYS:
            if key not in pairs:
                self.bad(path, f'{key} is missing')
        if self.problems:
            raise Bad(self.problems)
        self.check_domain(path, pairs)
        return Domain(self.root, pairs, {})

    def check_domain(self, path, pairs):
        if pairs['VERSION'] != '5':
            self.bad(path, f"VERSION is {pairs['VERSION']}")
        if pairs['SDUUID'] != self.root.name:
            self.bad(path, f"SDUUID is {pairs['SDUUID']}")
        if pairs['TYPE'] not in ('NFS', 'POSIXFS', 'GLUSTERFS', 'LOCALFS'):
            self.bad(path, f"TYPE is {pairs['TYPE']}")
        if pairs['CLASS'] not in ('Data', 'Iso', 'Backup'):
            self.bad(path, f"CLASS is {pairs['CLASS']}")
        if pairs['ROLE'] not in ('Regular', 'Master'):
            self.bad(path, f"ROLE is {pairs['ROLE']}")
        block, alignment = int(pairs['BLOCK_SIZE']), int(pairs['ALIGNMENT'])
        if alignment not in GEOMETRIES.get(block, ()):
            self.bad(path, f'geometry {block}/{alignment}')

    def leader(self, path, offset, kind, lockspace, resource):
        leader = parse_leader(self.pread(path, offset, 512).ljust(512, b'\0'))
        if leader is None:
            self.bad(path, f'no sanlock magic at {offset}')
            return None
        if not leader.checksum_ok:
            self.bad(path, f'wrong checksum of the lease at {offset}')
        if leader.kind != kind or leader.lockspace != lockspace:
            self.bad(path, f'{leader.kind} of {leader.lockspace}')
        if resource and leader.resource != resource:
            self.bad(path, f'resource {leader.resource}, not {resource}')
        return leader

    def special(self, domain):
        md, sd = self.root / 'dom_md', self.root.name
        alignment = domain.int('ALIGNMENT')
        if self.leases:
            domain.ids = self.leader(md / 'ids', 0, 'lockspace', sd, None)
            domain.sdm = self.leader(md / 'leases', alignment, 'resource', sd,
                                     'SDM')
            for name, areas in (('ids', 1), ('leases', 2)):
                if (md / name).stat().st_size < areas * alignment:
                    self.bad(md / name, 'is too small')
        for name in ('inbox', 'outbox'):
            if (md / name).stat().st_size != MAILBOX:
                self.bad(md / name, 'is not 16 MiB')
        self.index(md / 'xleases', alignment, sd)

    def index(self, path, alignment, sd):
        index = self.pread(path, alignment, INDEX_SIZE)
        if len(index) != INDEX_SIZE:
            return self.bad(path, f'the index has {len(index)} bytes')
        mtime = index[59:69]
        if not mtime.isdigit() or \
                index[:512] != index_bytes(sd, int(mtime))[:512]:
            self.bad(path, 'the header is not as it should be')
        for i in range(RECORDS):
            record = index[512 + 64 * i:][:64]
            if record != FREE_RECORD and \
                    not UUID.match(name_of(record[:48])):
                self.bad(path, f'record {i} is neither free nor a lease')

    def read_volume(self, directory, vol):
        meta = directory / f'{vol}.meta'
        data = directory / vol
        record = parse_volume(meta.read_bytes())
        self.check_mode(meta, 0o644)
        st = self.check_mode(data, 0o660)
        if st is None:
            return None
        volume = Volume(vol, data, record, st.st_size, st.st_blocks * 512,
                        record.get('IMAGE') == directory.name)
        if not self.check_record(meta, record, volume):
            return None
        if record['FORMAT'] == 'COW':
            volume.qcow2 = parse_qcow2(self.pread(data, 0, MIB))
            if volume.qcow2 is None:
                self.bad(data, 'is no qcow2 file')
                return None
            if volume.qcow2.size != int(record['CAP']):
                self.bad(data, f"size {volume.qcow2.size}, CAP "
                               f"{record['CAP']}")
        elif volume.size != int(record['CAP']):
            self.bad(data, f"size {volume.size}, CAP {record['CAP']}")
        if self.leases:
            lease = directory / f'{vol}.lease'
            if self.check_mode(lease, 0o660):
                volume.lease = self.leader(lease, 0, 'resource',
                                           self.root.name, vol)
        return volume

    def check_record(self, meta, record, volume):
        before = len(self.problems)
        if meta.stat().st_size > 512:
            self.bad(meta, 'is longer than 512 bytes')
        for key in VOLUME_KEYS:
            if key not in record:
                self.bad(meta, f'{key} is missing')
        for key, words in WORDS.items():
            if record.get(key) not in words:
                self.bad(meta, f'{key} is {record.get(key)}')
        for key in ('CAP', 'CTIME', 'GEN', 'SEQ'):
            if not record.get(key, '').isdigit():
                self.bad(meta, f'{key} is {record.get(key)}')
        for key in ('DOMAIN', 'IMAGE', 'PUUID'):
            if not UUID.match(record.get(key, '')):
                self.bad(meta, f'{key} is {record.get(key)}')
        if record.get('DOMAIN') != self.root.name:
            self.bad(meta, f"DOMAIN is {record.get('DOMAIN')}")
        if not volume.own and record.get('VOLTYPE') != 'SHARED':
            self.bad(meta, f"IMAGE is {record.get('IMAGE')}")
        return len(self.problems) == before

    def image(self, directory):
        names = sorted(os.listdir(directory))
        image = Image(directory.name, {})
        for name in names:
            base, dot, suffix = name.partition('.')
            if not UUID.match(base) or dot + suffix not in (
                    '', '.meta', '.lease'):
                self.bad(directory / name, 'is nothing that belongs here')
            elif f'{base}.meta' not in names:
                self.bad(directory / name, 'has no record')
            elif suffix == 'meta':
                volume = self.read_volume(directory, base)
                if volume:
                    image.volumes[base] = volume
        if not names:
            self.bad(directory, 'is empty')
        elif not self.problems:
            self.chain(directory, image)
        return image

    def chain(self, directory, image):
        own = [v for v in image.volumes.values() if v.own]
        leaves = [v for v in own if v.record['VOLTYPE'] == 'LEAF']
        shared = [v for v in own if v.record['VOLTYPE'] == 'SHARED']
        if len(leaves) + len(shared) != 1 or (shared and len(own) != 1):
            return self.bad(directory, f'{len(leaves)} leaves, '
                                       f'{len(shared)} templates')
        vol = (leaves + shared)[0].vol
        while vol != BLANK:
            if vol in [v.vol for v in image.chain]:
                return self.bad(directory, f'{vol} is its own ancestor')
            if vol not in image.volumes:
                return self.bad(directory, f'{vol} is not there')
            image.chain.insert(0, image.volumes[vol])
            vol = image.volumes[vol].record['PUUID']
        if len(image.chain) != len(image.volumes):
            self.bad(directory, 'has volumes outside of its chain')
        for parent, child in zip([None] + image.chain, image.chain):
            self.link(directory, parent, child)

    def link(self, directory, parent, child):
        where = directory / child.vol
        if parent is None:
            if child.qcow2 and child.qcow2.backing:
                self.bad(where, f'is based on {child.qcow2.backing}')
            return
        names = {'RAW': 'raw', 'COW': 'qcow2'}
        if child.qcow2 is None:
            return self.bad(where, 'is RAW and has a parent')
        if child.qcow2.backing.rpartition('/')[2] != parent.vol:
            self.bad(where, f'names {child.qcow2.backing}, not {parent.vol}')
        if child.qcow2.backing_format != names[parent.record['FORMAT']]:
            self.bad(where, f'names format {child.qcow2.backing_format}')
        if int(child.record['CAP']) < int(parent.record['CAP']):
            self.bad(where, 'is smaller than its parent')
        if parent.record['VOLTYPE'] == 'LEAF':
            self.bad(where, 'has a LEAF as its parent')


def read(root, owner=None, leases=True):
    """Everything in PATH/SD. owner: (uid, gid) that all must have; leases:
    False for a domain whose leases sanlock never wrote."""
    reader = Reader(root, owner, leases)
    domain = reader.domain()
    reader.special(domain)
    for name in sorted(os.listdir(reader.root / 'images')):
        if not UUID.match(name):
            reader.bad(reader.root / 'images' / name, 'does not belong here')
            continue
        domain.images[name] = reader.image(reader.root / 'images' / name)
    for name in sorted(os.listdir(reader.root.parent)):
        if name.startswith('.drayd-create'):
            reader.bad(reader.root.parent / name, 'was left behind')
    if reader.problems:
        raise Bad(reader.problems)
    return domain


# --- writing ---

def put(path, data, mode, size=None, owner=None):
    with open(path, 'wb') as f:
        f.write(data)
        if size is not None:
            f.truncate(size)
    os.chmod(path, mode)
    if owner:
        os.chown(path, *owner)


def make_dir(path, owner):
    path.mkdir()
    os.chmod(path, 0o755)
    if owner:
        os.chown(path, *owner)


def write_domain(mount, sd, name, owner=None, **changes):
    """A POSIXFS data domain as VDSM makes it; @changes: other keys."""
    root = pathlib.Path(mount) / sd
    pairs = {'VERSION': '5', 'SDUUID': sd, 'TYPE': 'POSIXFS',
             'CLASS': 'Data', 'DESCRIPTION': name, 'ROLE': 'Regular',
             'POOL_UUID': '', 'LOCKPOLICY': '', 'LOCKRENEWALINTERVALSEC': '5',
             'LEASETIMESEC': '60', 'IOOPTIMEOUTSEC': '10',
             'LEASERETRIES': '3', 'BLOCK_SIZE': '512',
             'ALIGNMENT': str(MIB), 'REMOTE_PATH': str(mount), **changes}
    md, alignment = root / 'dom_md', int(pairs['ALIGNMENT'])
    for path in (root, md, root / 'images'):
        make_dir(path, owner)
    for name_, size in (('ids', 0), ('leases', 0), ('inbox', MAILBOX),
                        ('outbox', MAILBOX)):
        put(md / name_, b'', 0o660, size, owner)
    put(md / 'xleases', b'\0' * alignment + index_bytes(sd, int(time.time())),
        0o660, owner=owner)
    put(md / 'metadata', domain_text(pairs), 0o644, owner=owner)
    return root


@dataclasses.dataclass
class Layer:
    vol: str
    format: str          # RAW or COW
    capacity: int
    legality: str = 'LEGAL'
    description: str = '{"DiskAlias":"a","DiskDescription":""}'


def write_image(root, img, layers, owner=None, qemu_img='qemu-img'):
    """A chain, base first, empty of data."""
    directory = pathlib.Path(root) / 'images' / img
    make_dir(directory, owner)
    parent = None
    for number, layer in enumerate(layers):
        path = directory / layer.vol
        write_data(path, layer, parent, qemu_img)
        os.chmod(path, 0o660)
        if owner:
            os.chown(path, *owner)
        leaf = number == len(layers) - 1
        record = {'CAP': layer.capacity, 'CTIME': int(time.time()),
                  'DESCRIPTION': layer.description, 'DISKTYPE': 'DATA',
                  'DOMAIN': pathlib.Path(root).name, 'FORMAT': layer.format,
                  'GEN': 0, 'IMAGE': img, 'LEGALITY': layer.legality,
                  'PUUID': parent.vol if parent else BLANK, 'SEQ': number,
                  'TYPE': 'SPARSE', 'VOLTYPE': 'LEAF' if leaf else 'INTERNAL'}
        put(directory / f'{layer.vol}.meta', volume_text(record), 0o644,
            owner=owner)
        put(directory / f'{layer.vol}.lease', b'', 0o660, owner=owner)
        parent = layer
    return directory


def write_data(path, layer, parent, qemu_img):
    names = {'RAW': 'raw', 'COW': 'qcow2'}
    argv = [qemu_img, 'create', '-q', '-f', names[layer.format]]
    if layer.format == 'COW':
        argv += ['-o', 'compat=1.1']
    if parent:
        argv += ['-u', '-b', parent.vol, '-F', names[parent.format]]
    subprocess.run(argv + [path.name, str(layer.capacity)], check=True,
                   cwd=path.parent)


def lease_commands(root, io_timeout=None, sanlock='sanlock'):
    """What makes the leases of a domain that was just written."""
    root = pathlib.Path(root)
    sd, init = root.name, [sanlock, 'direct', 'init']
    size = ['-Z', '512', '-A', '1M']
    timeout = ['-o', str(io_timeout)] if io_timeout else []
    yield init + ['-s', f'{sd}:0:{root}/dom_md/ids:0', *size, *timeout]
    yield init + ['-r', f'{sd}:SDM:{root}/dom_md/leases:{MIB}', *size]
    for lease in sorted(root.glob('images/*/*.lease')):
        yield init + ['-r', f'{sd}:{lease.stem}:{lease}:0', *size]


def main():
    try:
        domain = read(sys.argv[1], leases='--no-leases' not in sys.argv)
    except Bad as e:
        sys.exit(str(e))
    print(f"{domain.root.name} \"{domain.pairs['DESCRIPTION']}\"")
    for image in domain.images.values():
        print(f'  {image.img}')
        for volume in image.chain:
            record = volume.record
            print(f"    {volume.vol} {record['FORMAT']} {record['VOLTYPE']} "
                  f"{record['LEGALITY']} {record['CAP']}")


if __name__ == '__main__':
    main()
