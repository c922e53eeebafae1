# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM with our guest in it, and what its console says: Linux with
guest/writer.c, or, where that boots too slowly (DRAY_TEST_GUEST=bare),
guest/bare.c."""
import dataclasses
import os
import pathlib
import re
import socket
import time
import xml.etree.ElementTree as ET

from host import PATIENCE, Failed, tail, wait_for
from records import require, verify_image

LINE = re.compile(r'^(READY|ACK|STAT|LAT|VERIFY|ERROR|DONE|BYE)\b '
                  r'?(\w*) ?(.*)$')


@dataclasses.dataclass
class Disk:
    path: str
    format: str = 'qcow2'
    target: str = ''  # vda, vdb, ... in their order when empty
    serial: str = ''
    alias: str = ''   # libvirt wants "ua-" in front of it
    cache: str = 'none'

    def xml(self):
        serial = f'<serial>{self.serial}</serial>' if self.serial else ''
        alias = f"<alias name='{self.alias}'/>" if self.alias else ''
        kind, name = (('block', 'dev')
                      if pathlib.Path(self.path).is_block_device()
                      else ('file', 'file'))
        return (f"<disk type='{kind}' device='disk'>"
                f"<driver name='qemu' type='{self.format}' "
                f"cache='{self.cache}' discard='unmap'/>"
                f"<source {name}='{self.path}'/>"
                f"<target dev='{self.target}' bus='virtio'/>"
                f"{serial}{alias}</disk>")


class Console:
    """What the guest said so far; reads on where it stopped."""

    def __init__(self, path):
        self.path, self.offset, self.rest = path, 0, ''
        self.blocks, self.acked, self.done = {}, {}, {}
        self.verified, self.errors = [], []
        self.stats = {}  # disk -> [(ms, slowest batch in us)]
        self.latency = {}  # disk -> [{ms, n, sum_us, max_us}]

    def read(self):
        try:
            with open(self.path, 'rb') as f:
                f.seek(self.offset)
                data = f.read()
        except FileNotFoundError:
            return self
        self.offset += len(data)
        *lines, self.rest = (self.rest + data.decode('latin-1')).split('\n')
        for line in lines:
            match = LINE.match(line.strip('\r\0 '))
            if match:
                self._note(*match.groups())
        return self

    def _note(self, word, disk, rest):
        if word == 'ACK':
            self.acked[disk] = int(rest)
        elif word == 'STAT':
            field = self._fields(rest)
            self.stats.setdefault(disk, []).append(
                (field['ms'], field['max_us']))
        elif word == 'LAT':
            self.latency.setdefault(disk, []).append(self._fields(rest))
        elif word == 'READY':
            self.blocks[disk] = self._fields(rest)['blocks']
        elif word == 'VERIFY':
            self.verified.append((disk, self._fields(rest)))
        elif word == 'ERROR':
            self.errors.append(f'{disk} {rest}')
        elif word == 'DONE':
            self.done[disk] = int(rest)

    @staticmethod
    def _fields(text):
        return {k: int(v) for k, v in re.findall(r'(\w+)=(\d+)', text)}


class Guest:
    """Writes region [start, start + size) MiB of each disk. @latency: no
    records; times single writes and reports every so many ms."""

    def __init__(self, host, disks, name='', memory=128, start=0, size=32,
                 rate=200, batch=8, run_id=1, persistent=True, latency=0):
        self.host = host
        self.name = name or host.unique('vm-')
        self.disks = [d if isinstance(d, Disk) else Disk(**d) for d in disks]
        for letter, disk in zip('abcdefgh', self.disks):
            disk.target = disk.target or f'vd{letter}'
        self.memory, self.start_mib, self.size = memory, start, size
        self.rate, self.batch, self.run_id = rate, batch, run_id
        self.persistent, self.latency = persistent, latency
        self.log = host.new_log(f'console-{self.name}')
        self.socket = host.work / f'{self.name}.console'
        self.console = Console(self.log)

    def _boot_xml(self):
        boot = self.host.guest_dir()
        if os.environ.get('DRAY_TEST_GUEST') == 'bare' and not self.latency:
            return f'<kernel>{boot}/bare</kernel>'
        return f'<kernel>{boot}/vmlinuz</kernel><initrd>{boot}/initrd</initrd>'

    def xml(self):
        names = ','.join(disk.target for disk in self.disks)
        cmdline = (f'console=ttyS0 quiet panic=1 dray.disks={names} '
                   f'dray.run={self.run_id} dray.start={self.start_mib} '
                   f'dray.size={self.size} dray.rate={self.rate} '
                   f'dray.batch={self.batch} dray.latency={self.latency}')
        disks = ''.join(disk.xml() for disk in self.disks)
        return f'''<domain type='{self.host.accel()}'>
<name>{self.name}</name><memory unit='MiB'>{self.memory}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type>
{self._boot_xml()}
<cmdline>{cmdline}</cmdline></os>
<features><acpi/></features><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}
<serial type='unix'><source mode='bind' path='{self.socket}'/>
<log file='{self.log}' append='off'/><target port='0'/></serial>
<controller type='usb' model='none'/><memballoon model='none'/>
</devices></domain>'''

    def start(self, wait=True):
        self.console = Console(self.log)
        self.log.unlink(missing_ok=True)
        path = self.host.work / f'{self.name}.xml'
        path.write_text(self.xml())
        if self.persistent:
            self.host.virsh('define', path)
            self.host.virsh('start', self.name)
        else:
            self.host.virsh('create', path)
        if wait:
            self.wait_writing()
        return self

    def came(self, blocks):
        """From another host, whose console said how large its disks are."""
        self.console.blocks = blocks
        self.wait_writing()
        return self

    def wait_writing(self, timeout=30):
        """Until each disk has an acknowledged record, or some timed."""
        wait_for(f'{self.name} writes', lambda: len(
            self.read().latency if self.latency else self.read().acked) ==
                 len(self.disks), timeout, log=self.log)

    def wait_acks(self, more=50, timeout=30):
        """Until each disk has @more acknowledged records than now."""
        goal = {disk: seq + more for disk, seq in self.read().acked.items()}
        wait_for(f'{self.name} acknowledges {more} records more',
                 lambda: all(self.read().acked[d] >= s
                             for d, s in goal.items()), timeout, log=self.log)

    def read(self):
        return self.console.read()

    def _send(self, letter, timeout, ready):
        """Sends a command and reads the console until ready() is true. While
        we are connected we must also take what the guest says: a full socket
        would stop it."""
        deadline = time.monotonic() + timeout * PATIENCE
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.1)
            s.connect(str(self.socket))
            s.sendall(letter.encode() + b'\n')
            while not ready():
                if time.monotonic() > deadline:
                    raise Failed(f'{self.name}: no answer to "{letter}" in '
                                 f'{timeout} s\n{tail(self.log)}')
                try:
                    if not s.recv(65536):
                        time.sleep(0.05)
                except (TimeoutError, ConnectionError):
                    pass

    def verify(self, timeout=60):
        """The guest reads back all it wrote; fails when anything is lost."""
        before = len(self.read().verified)
        self._send('v', timeout, lambda: len(self.read().verified) ==
                   before + len(self.disks))
        answers = self.console.verified[before:]
        bad = [a for a in answers if a[1]['bad'] or not a[1]['ok']]
        if bad:
            raise Failed(f'{self.name}: verification inside failed: {bad}')
        return dict(answers)

    def state(self):
        done = self.host.virsh('domstate', self.name, check=False)
        return done.stdout.strip() if done.returncode == 0 else 'gone'

    def power_off(self, timeout=30):
        """The guest finishes its batch and powers off."""
        self._send('q', timeout,
                   lambda: len(self.read().done) == len(self.disks))
        wait_for(f'{self.name} is off',
                 lambda: self.state() in ('shut off', 'gone'), timeout)

    def destroy(self):
        """Pulls the plug; also removes the definition. libvirtd may be on
        its way back, or still busy with the VM."""
        def is_gone():
            self.host.virsh('destroy', self.name, check=False)
            self.host.virsh('undefine', self.name, '--snapshots-metadata',
                            check=False)
            names = self.host.virsh('list', '--all', '--name', check=False)
            return (names.returncode == 0 and
                    self.name not in names.stdout.split())
        wait_for(f'{self.name} is gone', is_gone, 60, 0.2)

    def slowest_ms(self, disk='vda'):
        """The longest that a batch took, in milliseconds."""
        return max((us for _, us in self.read().stats.get(disk, [])),
                   default=0) / 1000

    def disk_element(self, target='vda', inactive=False):
        """<disk> as libvirt has it now."""
        flags = ['--inactive'] if inactive else []
        root = ET.fromstring(
            self.host.virsh('dumpxml', self.name, *flags).stdout)
        for disk in root.iter('disk'):
            if disk.find('target').get('dev') == target:
                return disk
        raise Failed(f'{self.name} has no disk {target}')

    def disk_path(self, target='vda', inactive=False):
        source = self.disk_element(target, inactive).find('source')
        return pathlib.Path(source.get('file') or source.get('dev'))

    def verify_image(self, path, image_format, target='vda'):
        """Every record acknowledged so far is in the image. For a VM that is
        off, or at least stood still since."""
        console = self.read()
        require(verify_image(path, image_format, self.host.work,
                             acked=console.acked[target],
                             blocks=console.blocks[target],
                             run_id=self.run_id, start=self.start_mib << 20,
                             in_flight=self.batch), f'{path}')
