# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside a lab host: runs the commands that come over a virtio port.

One JSON object per line, both ways. In: {"id", "argv", "timeout", "stdin"}, or
{"quit": true}. Out: {"ready": true} once, then for each command {"id", "rc",
"out", "err"}; rc is negative for a signal, None when its time was over. Any
number of commands run side by side. What a command leaves running stays.
"""
import json
import os
import select
import signal
import subprocess
import sys
import time

OUTPUT_MAX = 4 << 20
WORK = '/run/agent'


class Command:
    def __init__(self, request):
        self.id = request['id']
        self.deadline = time.monotonic() + request['timeout']
        self.late = False
        self.paths = [f'{WORK}/{self.id}.{end}' for end in ('in', 'out', 'err')]
        with open(self.paths[0], 'w') as file:
            file.write(request.get('stdin') or '')
        with open(self.paths[0]) as stdin, open(self.paths[1], 'wb') as out, \
                open(self.paths[2], 'wb') as err:
            self.process = subprocess.Popen(
                request['argv'], stdin=stdin, stdout=out, stderr=err,
                cwd='/root', start_new_session=True)

    def check(self, now):
        """What to answer, or None while it runs."""
        status = self.process.poll()
        if status is None:
            if now > self.deadline and not self.late:
                self.late = True
                os.killpg(self.process.pid, signal.SIGKILL)
            return None
        out, err = (self.text(path) for path in self.paths[1:])
        for path in self.paths:
            os.unlink(path)
        return {'id': self.id, 'rc': None if self.late else status,
                'out': out, 'err': err}

    @staticmethod
    def text(path):
        with open(path, 'rb') as file:
            return file.read(OUTPUT_MAX).decode(errors='replace')


def start(request):
    try:
        return Command(request), None
    except OSError as error:
        return None, {'id': request['id'], 'rc': 127, 'out': '',
                      'err': str(error)}


def serve(port):
    commands, data = [], b''

    def send(answer):
        line = json.dumps(answer).encode() + b'\n'
        while line:
            line = line[os.write(port, line):]

    send({'ready': True})
    # SIGCHLD ends the select() early: an answer leaves at once.
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    while True:
        ready, _, _ = select.select([port, reader], [], [], 1)
        if reader in ready:
            os.read(reader, 4096)
        if port in ready:
            piece = os.read(port, 1 << 16)
            if not piece:
                return
            data += piece
        *lines, data = data.split(b'\n')
        for line in lines:
            request = json.loads(line)
            if request.get('quit'):
                return
            command, answer = start(request)
            if command:
                commands.append(command)
            else:
                send(answer)
        for command in list(commands):
            answer = command.check(time.monotonic())
            if answer:
                commands.remove(command)
                send(answer)


os.makedirs(WORK, exist_ok=True)
serve(os.open(sys.argv[1], os.O_RDWR | os.O_CLOEXEC))
