# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemons of one private host: sanlock, libvirtd, file systems.

Only for use inside `private-host`, which hides the machine's own daemons and
takes everything away afterwards; so nothing here cleans up for the machine's
sake. Every wait has a deadline, and a failure says what the logs say.
"""
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent

# Deadlines are so many times longer, where a processor is emulated.
PATIENCE = float(os.environ.get('DRAY_TEST_PATIENCE', '1'))

SANLOCK_SOCKET = '/run/sanlock/sanlock.sock'
QEMU_CONF = '''\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
'''
LIBVIRTD_CONF = '''\
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
log_level = 3
log_outputs = "3:stderr"
'''
LISTENS = '''\
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
'''


class Failed(Exception):
    """Something of the harness did not work; the text says all we know."""


def run(*argv, timeout=60, check=True, **options):
    """Runs a program; its result, with text output. Fails with its output."""
    argv = [str(arg) for arg in argv]
    try:
        done = subprocess.run(argv, capture_output=True, text=True,
                              timeout=timeout * PATIENCE, check=False,
                              **{'stdin': subprocess.DEVNULL, **options})
    except subprocess.TimeoutExpired as error:
        raise Failed(f'{" ".join(argv)}: not done after {timeout} s: '
                     f'{error.stdout} {error.stderr}') from None
    if check and done.returncode != 0:
        raise Failed(f'{" ".join(argv)}: exit {done.returncode}: '
                     f'{done.stdout}{done.stderr}')
    return done


def tail(path, lines=40):
    try:
        text = pathlib.Path(path).read_text(errors='replace')
    except OSError as error:
        return f'({error})'
    return '\n'.join(text.splitlines()[-lines:])


def wait_for(what, condition, timeout=10, step=0.05, log=None):
    """Polls until condition() is true; what it returned."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            more = f'\n{tail(log)}' if log else ''
            raise Failed(f'not after {timeout} s: {what}{more}')
        time.sleep(step)


def answers(path):
    """Somebody accepts on this unix socket."""
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(path))
        except OSError:
            return False
        return True


class Service:
    """A daemon that runs in the foreground, its output in a log file."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log = name, [str(a) for a in argv], log
        self.env = {**os.environ, **(env or {})}
        self.process = None

    def start(self, ready, timeout=15):
        # No descriptor may stay with the caller's own standard streams: who
        # waits for the end of our output must not wait for a daemon's.
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, start_new_session=True)
        wait_for(f'{self.name} is ready', lambda: self.alive() and ready(),
                 timeout, 0.02, self.log)

    def alive(self):
        if self.process.poll() is not None:
            raise Failed(f'{self.name} ended with {self.process.returncode}:'
                         f'\n{tail(self.log)}')
        return True

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and waits for the end."""
        if self.running():
            self.process.kill()
            self.process.wait(10)

    def stop(self, timeout=10):
        """SIGTERM; its exit status."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(timeout * PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Failed(f'{self.name} did not end on SIGTERM within '
                             f'{timeout} s:\n{tail(self.log)}') from None
        return self.process.returncode


class Host:
    # Of all hosts on this machine: what one has mounted, another must not
    # make anew.
    _counter = itertools.count(1)

    def __init__(self):
        work = os.environ.get('DRAY_PRIVATE_HOST')
        if not work:
            raise Failed('run this inside tests/integration/private-host: '
                         'it must not meet the daemons of this machine')
        self.work = pathlib.Path(work)
        self.logs = []  # shown when a test fails
        self.sanlock = self.libvirtd = None
        self._accel = os.environ.get('DRAY_TEST_ACCEL')  # else find out
        self._guest_dir = None

    def new_log(self, name):
        path = self.work / f'{name}.log'
        if path not in self.logs:
            self.logs.append(path)
        return path

    def unique(self, prefix):
        return f'{prefix}{next(self._counter)}'

    # where things run, for hosts in namespaces of their own (hosts.py)

    service = staticmethod(Service)

    def inside(self, path):
        """How a path of ours is called inside."""
        return path

    def socket_of(self, path):
        """Where a socket of a daemon inside is for us."""
        return path

    # sanlock

    def start_sanlock(self, name='drayd-test', extra=()):
        """Without a watchdog; @name is its our_host_name."""
        self.sanlock = Service(
            'sanlock', ['sanlock', 'daemon', '-D', '-w', '0', '-U', 'root',
                        '-G', 'root', '-e', name, *extra],
            self.new_log('sanlock'))
        self.sanlock.start(lambda: answers(SANLOCK_SOCKET))

    def sanlock_client(self, *args, **options):
        return run('sanlock', 'client', *args, **options).stdout

    # libvirtd

    def start_libvirtd(self, listens=False):
        """@listens: on TCP too, for another host's."""
        etc = pathlib.Path('/etc/libvirt')
        (etc / 'qemu.conf').write_text(QEMU_CONF)
        (etc / 'libvirtd.conf').write_text(
            LIBVIRTD_CONF + (LISTENS if listens else ''))
        self.libvirtd = Service('libvirtd',
                                ['libvirtd', *(['-l'] if listens else [])],
                                self.new_log('libvirtd'))
        self._libvirtd_up()

    def _libvirtd_up(self):
        # The socket is open before the drivers are up; a command that came
        # back is the proof.
        self.libvirtd.start(lambda: self.virsh('list', check=False)
                            .returncode == 0, timeout=30)

    def restart_libvirtd(self, kill=False, conf=None):
        """VMs run on. @kill: SIGKILL instead of SIGTERM. @conf: a new
        qemu.conf."""
        if kill:
            self.libvirtd.kill()
        else:
            self.libvirtd.stop(20)
        if conf:
            pathlib.Path('/etc/libvirt/qemu.conf').write_text(conf)
        self._libvirtd_up()

    def virsh(self, *args, check=True, timeout=30):
        return run('virsh', '-q', '-c', 'qemu:///system', *args, check=check,
                   timeout=timeout)

    def qmp(self, vm, execute, **arguments):
        """One QMP command; what it returns."""
        command = {'execute': execute}
        if arguments:
            command['arguments'] = arguments
        done = self.virsh('qemu-monitor-command', vm, json.dumps(command))
        answer = json.loads(done.stdout)
        if 'error' in answer:
            raise Failed(f'{execute}: {answer["error"]}')
        return answer['return']

    # storage

    def qemu_img(self, *args, **options):
        return run('qemu-img', *args, **options)

    def make_fs(self, kind='ext4', mib=1024):
        """A fresh file system on a loop device; where it is mounted."""
        name = self.unique(kind + '-')
        image, mount = self.work / f'{name}.img', self.work / name
        with open(image, 'wb') as f:
            f.truncate(mib << 20)
        quiet = ['-F'] if kind == 'ext4' else ['-f']
        run(f'mkfs.{kind}', '-q', *quiet, image)
        mount.mkdir()
        # Other hosts look for free loop devices at the same time.
        wait_for(f'{image} is mounted', lambda: self._mount(image, mount),
                 timeout=20, step=0.2)
        return mount

    @staticmethod
    def _mount(image, mount):
        return run('mount', '-o', 'loop,discard', image, mount,
                   check=False).returncode == 0

    def drop_fs(self, mount, lazy=False):
        """Unmounts and forgets it. @lazy: even when it is in use."""
        if os.path.ismount(mount):
            run('umount', *(['-l'] if lazy else []), mount)
        shutil.rmtree(mount, ignore_errors=True)
        pathlib.Path(f'{mount}.img').unlink(missing_ok=True)

    # guests

    def guest_dir(self):
        """Has vmlinuz and initrd. Built before, where there is a network."""
        if not self._guest_dir:
            done = run(HERE / 'guest' / 'build', timeout=300)
            self._guest_dir = pathlib.Path(done.stdout.strip())
        return self._guest_dir

    def accel(self):
        """'kvm' where it really works, else 'qemu' (TCG): a libvirt domain
        type. Found out by starting our guest's kernel, once."""
        if not self._accel:
            self._accel = 'kvm' if self._kvm_works() else 'qemu'
        return self._accel

    def _kvm_works(self):
        if not os.access('/dev/kvm', os.R_OK | os.W_OK):
            return False
        guest = self.guest_dir()
        try:
            # No disk: the guest says so, and that is all we want to hear.
            process = subprocess.Popen(
                ['qemu-system-x86_64', '-accel', 'kvm', '-m', '128',
                 '-nodefaults', '-display', 'none', '-serial', 'stdio',
                 '-kernel', guest / 'vmlinuz', '-initrd', guest / 'initrd',
                 '-append', 'console=ttyS0 quiet panic=1', '-no-reboot'],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL)
        except OSError:
            return False
        try:
            out, _ = process.communicate(timeout=4)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        return b'ERROR vda 0 open' in out

    def report(self):
        """The ends of all logs, for a failed test."""
        return '\n'.join(f'--- {log}\n{tail(log, 30)}' for log in self.logs)
