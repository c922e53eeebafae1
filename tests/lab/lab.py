# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab: one or two hosts that share LUNs and a network.

Each host is a virtual machine (qemu, Debian's kernel) that sees the machine's
own root file system, copy on write: every program and the build tree are where
they are outside, and nothing is written back. It has what the machine may
lack: device-mapper, a watchdog, NFS, a second host.

Nothing of a lab has a name outside: LUNs are unlinked files, the network and
the agents' channels are socket pairs, and qemu dies with the process that
started it. So however that ends, nothing is left.
"""
import ctypes
import itertools
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time

from remote import Remote

HERE = pathlib.Path(__file__).resolve().parent
PR_SET_PDEATHSIG = 1
BOOT_S = 400  # a few seconds, unless the machine is busy with other things
MIB = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something of the lab, or of a command in it, did not work."""


class Lun:
    """A disk that all hosts see; sector size 512 or 4096."""

    def __init__(self, gib, sector_size=512):
        self.sector_size = sector_size
        # O_DIRECT wants a real file system: not /tmp.
        fd, path = tempfile.mkstemp(prefix='drayd-lab-', dir='/var/tmp')
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        os.unlink(path)
        os.ftruncate(fd, gib << 30)
        # Over a hole qemu cannot find out the alignment and turns a write of
        # 512 bytes into read, modify, write of 4096: with two hosts, sectors
        # beside it are lost.
        os.pwrite(fd, bytes(MIB), 0)
        os.close(fd)

    def close(self):
        os.close(self.fd)


class Done:
    """How a command ended."""

    def __init__(self, answer):
        self.rc = answer['rc']
        self.out, self.err = answer['out'], answer['err']


class Command:
    """A command that runs on a host."""

    def __init__(self, host, what, check):
        self.host, self.what, self.check = host, what, check
        self.event, self.answer = threading.Event(), None

    def done(self):
        return self.event.is_set()

    def wait(self):
        """Its end; fails when its status is not 0 and check was asked for."""
        self.event.wait()
        if self.answer is None:
            raise Failed(f'{self.host.name} went away during: {self.what}\n'
                         f'{self.host.last_words()}')
        done = Done(self.answer)
        if self.check and done.rc != 0:
            how = 'not done in time' if done.rc is None else f'exit {done.rc}'
            raise Failed(f'{self.host.name}: {how}: {self.what}\n'
                         f'{done.out}{done.err}')
        return done


def kvm_works():
    return os.environ.get('DRAY_LAB_ACCEL') == 'kvm'


def in_child():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class Host:
    """One host: commands go in through its agent, Python through remote.py."""

    def __init__(self, lab, number):
        self.lab, self.number, self.name = lab, number, f'host{number}'
        self.process, self._socket, self._python = None, None, None
        self._console = os.memfd_create(f'console-{self.name}')
        # qemu takes a descriptor only when it is open the way it would open it
        self._console_in = os.open(f'/proc/self/fd/{self._console}',
                                   os.O_WRONLY | os.O_CLOEXEC)
        self._ids, self._waiting = itertools.count(1), {}
        self._lock = threading.Lock()
        self._ready = threading.Event()

    def _argv(self, agent_fd, python_fd):
        lab, files = self.lab, self.lab.files
        # What vector instructions save, their emulation costs many times over.
        accel, cpu = (('kvm', 'max') if kvm_works() else
                      ('tcg,thread=multi,tb-size=256', 'Nehalem'))
        argv = ['qemu-system-x86_64', '-M', 'q35', '-accel', accel,
                '-cpu', cpu, '-smp', str(lab.cpus), '-m', str(lab.mib),
                '-nodefaults', '-no-reboot', '-no-user-config',
                '-display', 'none',
                '-kernel', f'{files}/vmlinuz', '-initrd', f'{files}/initrd',
                '-append', f'console=ttyS0 quiet panic=1 net.ifnames=0 '
                # a busy machine emulates no punctual timer
                'no_timer_check '
                # any other clock is a device, emulated at each look at it
                'tsc=reliable clocksource=tsc mitigations=off '
                f'lab.host={self.number} lab.boot={HERE}/boot '
                f'lab.modules={files}/modules',
                '-add-fd', f'fd={self._console_in},set=1',
                '-chardev', 'file,id=console,path=/dev/fdset/1',
                '-serial', 'chardev:console',
                '-device', 'virtio-serial-pci',
                '-chardev', f'socket,id=agent,fd={agent_fd}',
                '-device', 'virtserialport,chardev=agent,name=agent',
                '-chardev', f'socket,id=python,fd={python_fd}',
                '-device', 'virtserialport,chardev=python,name=python',
                '-fsdev', 'local,id=root,path=/,security_model=none,'
                'readonly=on,multidevs=remap',
                '-device', 'virtio-9p-pci,fsdev=root,mount_tag=root']
        if lab.net:
            mac = f'52:54:00:00:00:{self.number:02x}'
            argv += ['-netdev', 'dgram,id=net,local.type=fd,'
                     f'local.str={lab.net[self.number - 1].fileno()}',
                     '-device', f'virtio-net-pci,netdev=net,mac={mac},romfile=']
        for n, lun in enumerate(lab.luns):
            size = lun.sector_size
            argv += ['-add-fd', f'fd={lun.fd},set={n + 2}',
                     '-blockdev', f'driver=file,node-name=lun{n},'
                     f'filename=/dev/fdset/{n + 2},cache.direct=on,'
                     # it lives no longer than the machine is up
                     'cache.no-flush=on,locking=off,discard=unmap',
                     '-device', f'virtio-blk-pci,drive=lun{n},share-rw=on,'
                     f'serial=lun{n},write-cache=off,logical_block_size={size},'
                     f'physical_block_size={size}']
        return argv

    def boot(self):
        """Starts it; wait_ready() before the first command."""
        ours, agents = socket.socketpair()
        self._python, python = socket.socketpair()
        fds = [agents.fileno(), python.fileno(), self._console_in]
        fds += [lun.fd for lun in self.lab.luns]
        if self.lab.net:
            fds.append(self.lab.net[self.number - 1].fileno())
        self._ready.clear()
        self.process = subprocess.Popen(
            self._argv(agents.fileno(), python.fileno()),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, pass_fds=fds, preexec_fn=in_child)
        agents.close()
        python.close()
        self._socket = ours
        threading.Thread(target=self._read, args=(ours,), daemon=True).start()
        return self

    def _read(self, channel):
        data = b''
        while True:
            try:
                piece = channel.recv(1 << 20)
            except OSError:
                piece = b''
            if not piece:
                break
            *lines, data = (data + piece).split(b'\n')
            for line in lines:
                self._take(json.loads(line))
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for command in waiting.values():
            command.event.set()

    def _take(self, answer):
        if 'ready' in answer:
            self._ready.set()
            return
        with self._lock:
            command = self._waiting.pop(answer['id'], None)
        if command:
            command.answer = answer
            command.event.set()

    def wait_ready(self):
        deadline = time.monotonic() + BOOT_S
        while not self._ready.wait(0.1):
            if self.process.poll() is not None:
                raise Failed(f'{self.name} went away: {self.last_words()}')
            if time.monotonic() > deadline:
                raise Failed(f'{self.name} did not boot within {BOOT_S} s:\n'
                             f'{self.console()}')
        return self

    def last_words(self):
        """Of a host that went away: why qemu ended, and the console."""
        status = self.process.wait(30)
        said = '' if self.process.stderr.closed else \
            self.process.stderr.read().decode()
        return f'qemu ended with {status}: {said}\n{self.console()}'

    def console(self, lines=30):
        size = os.fstat(self._console).st_size
        text = os.pread(self._console, size, 0).decode(errors='replace')
        return '\n'.join(text.splitlines()[-lines:])

    def start(self, script, *args, timeout=240, check=True):
        """Runs a bash script on the host and returns at once."""
        text = f'. {HERE}/host.sh\n{script}\n'
        command = Command(self, script.strip()[:400], check)
        with self._lock:
            number = next(self._ids)
            self._waiting[number] = command
        request = {'id': number, 'timeout': timeout, 'stdin': '',
                   'argv': ['/bin/bash', '-c', text, 'lab',
                            *(str(arg) for arg in args)]}
        try:
            self._socket.sendall(json.dumps(request).encode() + b'\n')
        except OSError:
            command.event.set()
        if self.process.poll() is not None:
            command.event.set()
        return command

    def sh(self, script, *args, timeout=240, check=True):
        """Runs a bash script on the host to its end."""
        return self.start(script, *args, timeout=timeout, check=check).wait()

    def out(self, script, *args, timeout=240):
        """What the script writes, without blanks at the ends."""
        return self.sh(script, *args, timeout=timeout).out.strip()

    def python(self, **environment):
        """A Python on the host: a Remote; once per boot."""
        settings = ' '.join(shlex.quote(f'{name}={value}')
                            for name, value in environment.items())
        program = self.start(f'exec env {settings} /usr/bin/python3 '
                             f'{HERE}/remote.py /dev/vport0p2', timeout=1e6)
        return Remote(self._python, program)

    def power_cut(self):
        """The host is gone from one instruction to the next."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
        for end in (self._socket, self._python):
            if end:
                end.close()


class Lab:
    """Hosts on the same LUNs: with Lab(hosts=2, luns=[Lun(20)]) as lab."""

    def __init__(self, hosts=1, luns=(), mib=1536, cpus=2, limit_s=600):
        self.mib, self.cpus, self.luns = mib, cpus, list(luns)
        built = subprocess.run([HERE / 'boot' / 'build'], check=True,
                               stdout=subprocess.PIPE, text=True)
        self.files = built.stdout.strip()
        self.net = ()
        if hosts == 2:
            self.net = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.hosts = [Host(self, n + 1) for n in range(hosts)]
        self._timer = threading.Timer(limit_s, self.close)
        self._timer.daemon = True

    def __enter__(self):
        self._timer.start()
        try:
            for host in self.hosts:
                host.boot()
            for host in self.hosts:
                host.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self._timer.cancel()
        self.close()
        for lun in self.luns:
            lun.close()
        for end in self.net:
            end.close()

    def close(self):
        """Ends all hosts at once; also when their time is over."""
        for host in self.hosts:
            host.power_cut()
