# SPDX-License-Identifier: GPL-2.0-or-later
"""Python objects on a lab host, used from outside as if they were here.

A host runs this file as a program; outside is a Remote for it. remote.load(
'guest') is that module on the host, and what is reached from it (a class, an
object, a method) behaves as at home: plain data and exceptions come back as
copies, everything that the tests' own modules define stays there and is
referred to. So the modules of tests/integration, written for the host that
they run on, serve the lab too. Calls from several threads run side by side.
"""
import io
import itertools
import os
import pathlib
import pickle
import struct
import sys
import threading
import traceback
import types

TESTS = pathlib.Path(__file__).resolve().parent.parent
FRAME = struct.Struct('>II')  # length of what follows, number of the call


class Gone(Exception):
    """The host, or what serves us there, ended."""


def pickled(value, reference):
    """Where reference(object) is not None, that goes along instead of it."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return reference(obj)

    file = io.BytesIO()
    Pickler(file, 5).dump(value)
    return file.getvalue()


def unpickled(data, referent):
    class Unpickler(pickle.Unpickler):
        def persistent_load(self, pid):
            return referent(pid)

    return Unpickler(io.BytesIO(data)).load()


def frames(read):
    """(number, data) of what comes in, until read(count) returns nothing."""
    data = b''
    while True:
        while len(data) < 8 or len(data) < 8 + FRAME.unpack_from(data)[0]:
            piece = read(1 << 20)
            if not piece:
                return
            data += piece
        length, number = FRAME.unpack_from(data)
        yield number, data[8:8 + length]
        data = data[8 + length:]


# Outside.

class Proxy:
    """Something that is on the host."""

    def __init__(self, remote, number):
        self._remote, self._number = remote, number

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return self._remote.ask(getattr, self, name)

    def __call__(self, *args, **kwargs):
        return self._remote.ask(self, *args, **kwargs)

    def __repr__(self):
        return self._remote.ask(repr, self)


class Waiting:
    def __init__(self):
        self.event, self.data = threading.Event(), None


class Remote:
    """@channel: a socket to the host's port; @program: the lab.Command that
    runs this file there."""

    def __init__(self, channel, program):
        self._socket, self._program = channel, program
        self._numbers, self._lock = itertools.count(1), threading.Lock()
        self._waiting = {}
        for target in (self._read, self._watch):
            threading.Thread(target=target, daemon=True).start()

    def load(self, module):
        return self.ask('load', module)

    def ask(self, function, *args, **kwargs):
        data = pickled((function, args, kwargs), self._number_of)
        waiting = Waiting()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = waiting
            if not self._program.done():
                self._socket.sendall(FRAME.pack(len(data), number) + data)
        if self._program.done():
            self._give_up()
        waiting.event.wait()
        if waiting.data is None:
            raise Gone(self._why())
        good, result = unpickled(waiting.data, lambda n: Proxy(self, n))
        if good:
            return result
        raise result

    @staticmethod
    def _number_of(obj):
        return obj._number if isinstance(obj, Proxy) else None

    def _read(self):
        for number, data in frames(self._socket.recv):
            with self._lock:
                waiting = self._waiting.pop(number)
            waiting.data = data
            waiting.event.set()

    def _watch(self):
        self._program.event.wait()
        self._give_up()

    def _give_up(self):
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.event.set()

    def _why(self):
        try:
            done = self._program.wait()
        except Exception as error:  # pylint: disable=broad-except
            return str(error)
        return f'exit {done.rc}: {done.out}{done.err}'


# On the host.

def is_ours(kind):
    module = sys.modules.get(getattr(kind, '__module__', None))
    return str(getattr(module, '__file__', '')).startswith(f'{TESTS}/')


def stays_here(obj):
    """A copy of it would be of no use."""
    if isinstance(obj, (types.ModuleType, types.MethodType)):
        return True
    if isinstance(obj, (type, types.FunctionType)):
        kind = obj
    else:
        kind = type(obj)
    if isinstance(kind, type) and issubclass(kind, BaseException):
        return False
    return is_ours(kind)


class Server:
    def __init__(self, port):
        self.port, self.lock = port, threading.Lock()
        self.objects, self.numbers = {}, itertools.count(1)

    def keep(self, obj):
        number = next(self.numbers)
        self.objects[number] = obj
        return number

    def reference(self, obj):
        return self.keep(obj) if stays_here(obj) else None

    def answer(self, good, value):
        try:
            return pickled((good, value), self.reference)
        except Exception:  # pylint: disable=broad-except
            if not good:
                return pickled((False, Gone(repr(value))), self.reference)
            # What cannot be copied stays here too.
            return pickled((True, value), lambda obj: self.keep(obj)
                           if obj is value else None)

    def handle(self, number, data):
        try:
            function, args, kwargs = unpickled(data, self.objects.get)
            if function == 'load':
                function = __import__
            answer = self.answer(True, function(*args, **kwargs))
        except Exception as error:  # pylint: disable=broad-except
            if hasattr(error, 'add_note'):
                error.add_note(traceback.format_exc())
            answer = self.answer(False, error)
        rest = FRAME.pack(len(answer), number) + answer
        with self.lock:
            while rest:
                rest = rest[os.write(self.port, rest):]

    def serve(self):
        for call in frames(lambda count: os.read(self.port, count)):
            threading.Thread(target=self.handle, args=call,
                             daemon=True).start()


if __name__ == '__main__':
    sys.path[:0] = [str(TESTS / 'lab'), str(TESTS / 'integration')]
    # Classes that travel are known by the module's name.
    from remote import Server  # noqa: E402,F811
    Server(os.open(sys.argv[1], os.O_RDWR | os.O_CLOEXEC)).serve()
