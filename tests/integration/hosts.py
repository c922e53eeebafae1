# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hosts on one machine, for what goes from one to the other: each has its
own libvirtd, sanlock and drayd, its own processes, names and state. Network and
file systems are common; what a VM writes beside its disks goes to /.../own,
which is another directory on each host.
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import uuid

from drayd import Drayd, build_dir
from guest import Console, Guest
from host import (LIBVIRTD_CONF, QEMU_CONF, SANLOCK_SOCKET, Failed, Host,
                  Service, answers, run, wait_for)
from pki import Pki

PLACES = ['/etc/libvirt', '/etc/sanlock', '/run/libvirt', '/run/sanlock',
          '/run/drayd', '/var/lib/libvirt', '/var/cache/libvirt',
          '/var/lib/drayd', '/var/log']

# Process 1 of a host: nobody else takes the orphans' ends.
INIT = ('import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n'
        'while True: signal.pause()')


def child_of(pid):
    text = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    return int(text.split()[0]) if text.split() else None


class Inside(Service):
    """A daemon that nsenter started: signals go to the daemon itself, whose
    end nsenter passes on."""

    def _signal(self, number):
        pid = child_of(self.process.pid)
        if pid:
            os.kill(pid, number)

    def kill(self):
        if self.running():
            self._signal(signal.SIGKILL)
            self.process.wait(10)

    def stop(self, timeout=10):
        if self.running():
            self._signal(signal.SIGTERM)
            self.process.wait(timeout)
        return self.process.returncode


class Neighbour(Host):
    """@name: a, b."""

    def __init__(self, name):
        super().__init__()
        self.name, self.common = name, self.work
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f'{name}-',
                                                  dir=self.common))
        self.work.chmod(0o755)
        (self.common / 'own').mkdir(exist_ok=True)
        self._enter()

    def _script(self):
        lines = ['set -e', f'hostname {self.name}',
                 f'mount --bind {self.work} {self.common}/own']
        for place in filter(os.path.isdir, PLACES):
            (self.work / place[1:]).mkdir(parents=True)
            lines.append(f'mount --bind {self.work}{place} {place}')
        return '\n'.join([*lines, f'touch {self.work}/ready',
                          f'exec {sys.executable} -c "{INIT}"'])

    def _enter(self):
        self.holder = subprocess.Popen(
            ['unshare', '-m', '-u', '-p', '--fork', '--kill-child',
             '--mount-proc', '--propagation', 'slave', 'sh', '-c',
             self._script()], stdin=subprocess.DEVNULL)
        wait_for(f'host {self.name} is there', (self.work / 'ready').exists)
        # -r: a chroot stays one.
        self.into = ['nsenter', '-t', str(child_of(self.holder.pid)), '-m',
                     '-r', '-u', '-p', '--']

    def service(self, name, argv, log, env=None):
        return Inside(name, [*self.into, *argv], log, env)

    def inside(self, path):
        return pathlib.Path(str(path).replace(str(self.work),
                                              f'{self.common}/own'))

    def socket_of(self, path):
        return f'{self.work}{path}'

    def new_log(self, name):
        log = self.work / f'{name}.log'
        if log not in self.logs:
            self.logs.append(log)
        return log

    def run(self, *argv, **options):
        return run(*self.into, *argv, **options)

    def start_sanlock(self, name='', extra=()):
        self.sanlock = self.service(
            'sanlock', ['sanlock', 'daemon', '-D', '-w', '0', '-U', 'root',
                        '-G', 'root', '-e', name or self.name, *extra],
            self.new_log('sanlock'))
        self.sanlock.start(lambda: answers(self.socket_of(SANLOCK_SOCKET)))

    def start_libvirtd(self):
        etc = self.work / 'etc/libvirt'
        (etc / 'qemu.conf').write_text(QEMU_CONF)
        (etc / 'libvirtd.conf').write_text(
            f'{LIBVIRTD_CONF}host_uuid = "{uuid.uuid4()}"\n')
        self.libvirtd = self.service(
            'libvirtd', ['libvirtd', '-p', '/run/libvirt/libvirtd.pid'],
            self.new_log('libvirtd'))
        self._libvirtd_up()

    def virsh(self, *args, check=True, timeout=30):
        return self.run('virsh', '-q', '-c', 'qemu:///system', *args,
                        check=check, timeout=timeout)

    def libvirt_uri(self):
        """For the other one's libvirtd."""
        return ('qemu+unix:///system?socket='
                f'{self.work}/run/libvirt/libvirt-sock')

    def close(self):
        self.holder.kill()
        self.holder.wait(10)


class Traveller(Guest):
    """A guest that may go to another host."""

    def xml(self):
        return super().xml().replace(str(self.host.work),
                                     str(self.host.inside(self.host.work)))

    def arrived(self, host):
        """It is on @host now, and so is its console."""
        console = self.console
        self.host, self.log = host, host.new_log(f'console-{self.name}')
        self.socket = host.work / self.socket.name
        console.path, console.offset, console.rest = self.log, 0, ''
        return self


PORTS = {'a': 16515, 'b': 16516}


def start_drayd(host, other, pki, **sections):
    """It knows the other host under its name."""
    there = f'127.0.0.1:{PORTS[other.name]} {other.libvirt_uri()} ' \
            'tcp://127.0.0.1'
    return Drayd(host, host_id=1 + (host.name == 'b'),
                 tls={'listen': '127.0.0.1', 'port': PORTS[host.name],
                      **pki.settings('localhost')},
                 peers={other.name: there},
                 **{'tls-roles': {'localhost': 'full'}}, **sections).start()


class Pair:
    """Hosts a and b, a drayd on each. What is mounted has to be there before:
    later they do not see it."""

    def __init__(self):
        self.a, self.b = Neighbour('a'), Neighbour('b')
        for host in (self.a, self.b):
            host.start_sanlock()
            host.start_libvirtd()
        self.pki = Pki(self.a.common / f'{type(self).__module__}-pki').make(
            'localhost,127.0.0.1')
        self.drayd_a = start_drayd(self.a, self.b, self.pki)
        self.drayd_b = start_drayd(self.b, self.a, self.pki)

    def close(self):
        self.drayd_a.kill()
        self.drayd_b.kill()
        self.a.close()
        self.b.close()


def ctl(daemon, *args, check=True, timeout=120):
    return run(build_dir() / 'src/cli/drayctl', '--socket', daemon.socket,
               *args, check=check, timeout=timeout)


__all__ = ['Console', 'Failed', 'Neighbour', 'Pair', 'Traveller', 'ctl',
           'start_drayd']
