# SPDX-License-Identifier: GPL-2.0-or-later
"""drayd under test, a JSON-RPC client for it, and drayctl."""
import itertools
import json
import os
import pathlib
import select
import socket
import time

from host import PATIENCE, Failed, run, tail

SOCKET = '/run/drayd/drayd.sock'


def build_dir():
    path = os.environ.get('DRAY_BUILD')
    if not path:
        raise Failed('DRAY_BUILD must name the build directory')
    return pathlib.Path(path).resolve()


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.code, self.message = error['code'], error['message']
        self.data = error.get('data')

    def __str__(self):
        return json.dumps(self.args[0])


class Rpc:
    """One connection; an object per line."""

    def __init__(self, path=SOCKET, timeout=30):
        self.timeout = timeout * PATIENCE
        self.ids = itertools.count(1)
        self.events = []  # notifications that came meanwhile
        self.buffer = b''
        self.socket = self.connect(path)

    def connect(self, path):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(self.timeout)
        made.connect(str(path))
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, message):
        """Any JSON value, or bytes as they are."""
        if not isinstance(message, bytes):
            message = json.dumps(message).encode() + b'\n'
        self.socket.sendall(message)

    def receive(self, timeout=None):
        """The next message; None when the daemon closed the connection."""
        timeout = timeout * PATIENCE if timeout else self.timeout
        deadline = time.monotonic() + timeout
        while b'\n' not in self.buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError('no message from drayd')
            data = self.socket.recv(65536)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def call(self, method, params=None, timeout=None, **members):
        """The result. RpcError when drayd says no."""
        number = next(self.ids)
        request = {'jsonrpc': '2.0', 'id': number, 'method': method}
        if params is not None or members:
            request['params'] = {**(params or {}), **members}
        self.send(request)
        while True:
            answer = self.receive(timeout)
            if answer is None:
                raise ConnectionError(f'drayd hung up during {method}')
            if 'method' in answer:
                self.events.append(answer)
            elif answer.get('id') == number:
                if 'error' in answer:
                    raise RpcError(answer['error'])
                return answer['result']

    def next_event(self, timeout=10):
        """The next notification: (method, params)."""
        event = self.events.pop(0) if self.events else self.receive(timeout)
        if event is None:
            raise ConnectionError('drayd hung up')
        return event['method'], event.get('params')


class Drayd:
    """The daemon, with its own state directory. More settings by section:
    Drayd(host, migrate={'buffer_kib': 64})."""

    def __init__(self, host, /, host_id=1, env=None, **sections):
        self.host = host
        name = host.unique('drayd-')
        self.state_dir = host.work / name
        self.state_dir.mkdir()
        self.conf = host.work / f'{name}.conf'
        settings = {
            'daemon': {'socket': SOCKET,
                       'state_dir': host.inside(self.state_dir)},
            'host': {'id': host_id, 'name': 'drayd-test'},
            'lease': {'io_timeout': 1, 'require_watchdog': 'no'},
            'libvirt': {'uri': 'qemu:///system'},
        }
        for section, values in sections.items():
            settings.setdefault(section, {}).update(values)
        self.conf.write_text(''.join(
            f'[{section}]\n' + ''.join(f'{k} = {v}\n'
                                       for k, v in values.items())
            for section, values in settings.items()))
        self.log = host.new_log(name)
        self.socket = host.socket_of(settings['daemon']['socket'])
        self.service = host.service(
            'drayd', [build_dir() / 'src/daemon/drayd', '--foreground',
                      '--config', host.inside(self.conf)],
            self.log, env)

    def start(self, timeout=15):
        self.service.start(self._pings, timeout)
        return self

    def _pings(self):
        """It, and not what its predecessor was about to start when it was
        killed, and which may have the old socket for a moment."""
        try:
            self.call('Host.ping')
        except OSError:
            return False
        return True

    def kill(self):
        """SIGKILL; the socket stays behind, as after a crash."""
        self.service.kill()

    def stop(self, timeout=15):
        """SIGTERM; must end with status 0."""
        status = self.service.stop(timeout)
        if status != 0:
            raise Failed(f'drayd ended with {status}:\n{tail(self.log)}')

    def restart(self, kill=True):
        if kill:
            self.kill()
        else:
            self.stop()
        return self.start()

    def log_text(self):
        return self.log.read_text(errors='replace')

    def rpc(self, timeout=30):
        return Rpc(self.socket, timeout)

    def call(self, method, params=None, timeout=30, **members):
        """On a connection of its own."""
        with self.rpc(timeout) as rpc:
            return rpc.call(method, params, **members)

    def wait_job(self, job_id, timeout=120):
        """Polls until the job has ended; its Job.info."""
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            info = self.call('Job.info', jobID=job_id)
            if info.get('ended'):
                return info
            if time.monotonic() > deadline:
                raise Failed(f'job has not ended after {timeout} s: {info}\n'
                             f'{tail(self.log)}')
            time.sleep(0.1 * min(PATIENCE, 4))


def drayctl(*args, check=True, timeout=120, **options):
    """Runs drayctl; result with stdout, stderr, returncode."""
    return run(build_dir() / 'src/cli/drayctl', *args, check=check,
               timeout=timeout, **options)
