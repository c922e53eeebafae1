# SPDX-License-Identifier: GPL-2.0-or-later
"""The socket: many clients, hostile clients, wrong inputs, restarts."""
import json
import os
import random
import socket
import subprocess
import time

import pytest

from drayd import SOCKET, Drayd, Rpc, RpcError, build_dir
from host import run, wait_for
from storage import BLANK, make_domain, make_image, new_uuid


def ask(line, timeout=5):
    """What the daemon answers to these bytes, as parsed lines."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        s.connect(SOCKET)
        try:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        data = b''
        while True:
            try:
                part = s.recv(65536)
            except ConnectionResetError:
                break
            if not part:
                break
            data += part
    return [json.loads(answer) for answer in data.splitlines()]


def code_of(line):
    answers = ask(line)
    assert len(answers) == 1, answers
    return answers[0]['error']['code']


def call(method, params=None, number=1):
    return json.dumps({'jsonrpc': '2.0', 'id': number, 'method': method,
                       'params': params or {}}).encode()


def test_any_white_space_and_batches(drayd):
    ping = {'jsonrpc': '2.0', 'id': 1, 'method': 'Host.ping'}
    one = json.dumps(ping).encode()
    pretty = json.dumps(ping, indent=4).encode()
    assert [a['result'] for a in ask(one)] == [True]
    assert len(ask(one + one + b'\n\n  ' + pretty + b'\t' + one)) == 4
    batch = json.dumps([ping, {**ping, 'id': 'x'},
                        {'jsonrpc': '2.0', 'method': 'Host.ping'}, 1])
    answers, = ask(batch.encode())
    assert {json.dumps(a['id']) for a in answers} == {'1', '"x"', 'null'}
    assert ask(json.dumps({**ping, 'id': 7, 'method': 'No.such'})
               .encode())[0]['error']['code'] == -32601
    notification = json.dumps({'jsonrpc': '2.0', 'method': 'Host.ping'})
    assert ask(notification.encode()) == []


@pytest.mark.parametrize('line, code', [
    (b'{"jsonrpc":"2.0","id":1,"method":"Host.ping"', -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":}\n', -32700),
    (b'\xff\xfe{}\n', -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xc3\x28"}\n', -32700),
    (b'"\x00"\n', -32700),
    (b'[]\n', -32600),
    (b'1\n', -32600),
    (b'{}\n', -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"Host.ping"}\n', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":1}\n', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"Host.ping","params":1}\n', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"Host.ping","params":{"a":1}}\n',
     -32602),
])
def test_wrong_envelopes(drayd, line, code):
    assert code_of(line) == code
    assert drayd.call('Host.ping') is True


def test_deep_giant_and_endless_input(drayd):
    assert ask(b'[' * 100000)[0]['error']['code'] in (-32700, -32600)
    assert ask(b'{"a":' * 5000)[0]['error']['code'] in (-32700, -32600)
    begin = time.monotonic()
    giant = b'{"jsonrpc":"2.0","id":1,"method":"' + b'x' * (64 << 20)
    assert ask(giant)[0]['error']['code'] in (-32700, -32600)
    assert time.monotonic() - begin < 5
    assert drayd.call('Host.ping') is True


def memory_kib(drayd):
    status = open(f'/proc/{drayd.service.process.pid}/status').read()
    return int(status.split('VmRSS:')[1].split()[0])


def test_256_clients_and_the_slow_ones(drayd):
    clients = [Rpc() for _ in range(256)]
    for client in clients:
        client.send({'jsonrpc': '2.0', 'id': 1, 'method': 'Host.ping'})
    for client in clients:
        assert client.receive()['result'] is True
    before = memory_kib(drayd)
    slow = clients[0]
    slow.socket.setblocking(False)
    request = call('rpc.discover') + b'\n'
    try:
        for _ in range(100000):
            slow.socket.send(request)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    begin = time.monotonic()
    for client in clients[1:]:
        client.call('Host.ping')
    assert time.monotonic() - begin < 5
    assert memory_kib(drayd) - before < 16 * 1024
    for client in clients:
        client.close()
    assert drayd.call('Host.ping') is True


def valid_params(domain, image):
    base = {'storagedomainID': domain.sd}
    volume = {**base, 'imageID': image.img, 'volumeID': image.volumes[0]}
    return {
        'StorageDomain.getInfo': base,
        'StorageDomain.getStats': base,
        'StorageDomain.getImages': base,
        'StorageDomain.getVolumes': base,
        'Image.prepare': volume,
        'Image.teardown': {**base, 'imageID': image.img},
        'Image.delete': {**base, 'imageID': image.img},
        'Volume.getInfo': volume,
        'Volume.getSize': volume,
        'Volume.delete': volume,
        'Volume.create': {**volume, 'size': '1048576', 'volFormat': 'RAW',
                          'preallocate': 'SPARSE'},
        'VM.getDisks': {'vmID': 'no-such-vm'},
        'Disk.plan': {'vmID': 'x', 'disk': 'vda', 'domain': domain.name},
        'Disk.migrate': {'vmID': 'x', 'disk': 'vda', 'domain': domain.name},
        'Job.info': {'jobID': new_uuid()},
        'Job.cancel': {'jobID': new_uuid()},
        'Job.limit': {'jobID': new_uuid(), 'limit': 1},
    }


def snapshot(root):
    found = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            stat = os.stat(path)
            # ids is renewed by sanlock all the time
            found[path] = (stat.st_size, stat.st_ino) if name == 'ids' else (
                stat.st_size, stat.st_ino, stat.st_mtime_ns)
    return found


HOSTILE = ['../x', '/../../etc/passwd', 'a/../b', '', ' ', '\0', 'a\0b', '\n',
           'x' * 5000, '%s%n', BLANK.upper().replace('0', 'A'), '-rf',
           '00000000-0000-0000-0000-00000000000g', 'ünï', '$(id)', '"', None,
           True, -1, 1.5, 1e300, [], {}, [[]], {'a': 1}, 2 ** 70]


def test_wrong_inputs_change_nothing(drayd, make_fs):
    mount = make_fs('ext4', 256)
    domain = make_domain(drayd, mount, 'victim')
    image = make_image(domain, ['RAW'], data=0)
    before = snapshot(mount)
    slow, n = [], 0
    with drayd.rpc() as rpc:
        for method, params in valid_params(domain, image).items():
            cases = [{**params, key: value} for key in params
                     for value in HOSTILE]
            cases += [{k: v for k, v in params.items() if k != key}
                      for key in params]
            cases += [{**params, 'surprise': 1}, [], [[]]]
            for case in cases:
                if method in ('Image.delete', 'Image.teardown',
                              'Volume.delete', 'StorageDomain.getVolumes',
                              'StorageDomain.getImages') and case == params:
                    continue
                begin = time.monotonic()
                with pytest.raises(RpcError) as error:
                    rpc.send({'jsonrpc': '2.0', 'id': n, 'method': method,
                              'params': case})
                    answer = rpc.receive()
                    assert answer['id'] == n
                    if 'error' in answer:
                        raise RpcError(answer['error'])
                    print('accepted', method, case)
                if time.monotonic() - begin > 0.01:
                    slow.append((method, case))
                assert error.value.code not in (100, -32603), (method, case)
                assert error.value.data['cause']
                n += 1
    assert n > 1000
    assert len(slow) < n / 100, slow[:5]  # a busy machine may delay a few
    assert snapshot(mount) == before


def test_random_bytes_harm_nobody(drayd):
    rng = random.Random(1)
    good = call('Host.ping')
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        ask(bytes(data) + b'\n')
    assert drayd.call('Host.ping') is True


def test_discover_lists_every_verb(drayd):
    methods = {m['name'] for m in drayd.call('rpc.discover')['methods']}
    assert {'Host.ping', 'Disk.migrate', 'Events.subscribe'} <= methods


def test_unprivileged_user_is_refused(drayd):
    code = ('import socket,json;s=socket.socket(socket.AF_UNIX);'
            f's.connect({SOCKET!r})')
    done = run('setpriv', '--reuid', '65534', '--regid', '65534',
               '--clear-groups', '/usr/bin/python3', '-c', code, check=False)
    assert 'PermissionError' in done.stderr


def test_roles_come_from_the_peer(drayd):
    os.chmod(SOCKET, 0o666)
    done = run('setpriv', '--reuid', '65534', '--regid', '65534',
               '--clear-groups', build_dir() / 'src/cli/drayctl', 'vm',
               'list', check=False)
    assert done.returncode != 0 and 'may not use drayd' in done.stderr


def test_second_daemon_does_not_steal_the_socket(drayd):
    done = subprocess.run(drayd.service.argv, capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode != 0 and SOCKET in done.stderr
    assert drayd.call('Host.ping') is True


def test_socket_activation_and_notify(host, drayd):
    drayd.stop()
    notify = host.work / 'notify'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(notify))
        listener.settimeout(10)
        done = subprocess.Popen(
            ['systemd-socket-activate', '-l', SOCKET + '.sd',
             '--setenv', f'NOTIFY_SOCKET={notify}', *drayd.service.argv],
            stderr=subprocess.DEVNULL)
        try:
            wait_for('the socket is there',
                     lambda: os.path.exists(SOCKET + '.sd'))
            with Rpc(SOCKET + '.sd') as rpc:
                assert rpc.call('Host.ping') is True
            assert b'READY=1' in listener.recv(4096)
        finally:
            done.terminate()
            done.wait(10)


def test_events_tell_about_jobs_from_another_connection(drayd):
    with drayd.rpc() as rpc:
        assert rpc.call('Events.subscribe')['subscribed'] is True
        with pytest.raises(TimeoutError):
            rpc.next_event(timeout=0.3)


def test_unstable_host_name_is_noticed(host):
    daemon = Drayd(host, host={'name': 'somebody-else'}).start()
    wait_for('a warning', lambda: 'calls this host drayd-test, not '
             'somebody-else' in daemon.log_text())
    daemon.stop()


def test_watchdog_is_demanded_where_it_is_set(host, make_fs):
    daemon = Drayd(host, lease={'require_watchdog': 'yes'}).start()
    mount, sd = make_fs('ext4', 128), new_uuid()
    daemon.call('StorageDomain.create', storagedomainID=sd, domainType=6,
                typeArgs=str(mount), name='watched')
    with pytest.raises(RpcError) as error:
        daemon.call('StorageDomain.join', storagedomainID=sd)
    assert error.value.code == 661 and 'watchdog' in error.value.message
    daemon.stop()


@pytest.mark.parametrize('line, word', [
    ('[daemon]\nworkers = many', 'workers'), ('[nonsense]\na = b', 'nonsense'),
    ('[host]\nidd = 3', 'idd'), ('[lease]\nio_timeout = -1', 'io_timeout')])
def test_wrong_settings_name_file_and_key(host, line, word):
    conf = host.work / 'wrong.conf'
    conf.write_text(line + '\n')
    done = run(build_dir() / 'src/daemon/drayd', '--check', '--config', conf,
               check=False)
    assert done.returncode == 2
    assert str(conf) in done.stderr and word in done.stderr
