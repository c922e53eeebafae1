# SPDX-License-Identifier: GPL-2.0-or-later
"""The TLS listener: who comes in, and who does not."""
import json
import socket
import ssl
import subprocess

import pytest

from drayd import RpcError, build_dir
from host import run, wait_for
from pki import (PING, PORT, SCRIPT, TlsRpc, context, ctl, dial, is_refused,
                 lines, start)

@pytest.fixture(scope='module')
def shared(host, pki):
    daemon = start(host, pki)
    yield daemon
    daemon.kill()


@pytest.fixture
def shared_is_well(shared, pki):
    """What a test did to others it did not do to the others."""
    yield shared
    assert shared.call('Host.ping') is True
    with TlsRpc(pki['host-b']) as rpc:
        assert rpc.call('Host.ping') is True


def logged_once(daemon, text, since):
    wait_for(f'the log says: {text}', lambda: lines(daemon, text, since),
             log=daemon.log)
    assert len(lines(daemon, text, since)) == 1
    assert len(lines(daemon, 'refused', since)) + len(
        lines(daemon, 'cut off', since)) == 1


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize('version', VERSIONS)
def test_the_same_api(shared_is_well, pki, version):
    with TlsRpc(pki['host-b'], version) as rpc:
        assert rpc.call('Host.ping') is True
        there = rpc.call('Host.getCapabilities')['limits']
        assert there == shared_is_well.call('Host.getCapabilities')['limits']
        assert len(json.dumps(rpc.call('rpc.discover'))) > 30000
        assert rpc.call('Events.subscribe')['subscribed'] is True
        assert rpc.socket.version() == version.name.replace('_', '.')


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('who, reason', [
    ('late', 'its certificate expired on 2021-01-01'),
    ('future', 'its certificate is not good before 2090-01-01'),
    ('gone', 'its certificate has been revoked'),
    ('stranger', "its name 'stranger' has no role here"),
    ('both', "its name 'nobody' has no role here"),
    ('only-server', 'its certificate is not for TLS clients'),
    ('../other/host-b', 'our CA did not sign its certificate'),
    ('ca.pem', 'it showed no certificate'),
])
def test_refuses(shared_is_well, pki, who, reason, version):
    since = len(shared_is_well.log_text())
    is_refused(pki[who], version)
    logged_once(shared_is_well, reason, since)


@pytest.mark.parametrize('who', ['common', 'alias'])
def test_names(shared, pki, who):
    with TlsRpc(pki[who]) as rpc:
        assert rpc.call('Host.ping') is True


def test_a_reader_looks_only(shared_is_well, pki):
    since = len(shared_is_well.log_text())
    with TlsRpc(pki['viewer']) as rpc:
        assert rpc.call('Host.ping') is True
        for _ in range(3):
            with pytest.raises(RpcError) as error:
                rpc.call('Host.abortJobs')
            assert 'Host.abortJobs' in error.value.message
        assert rpc.call('Host.ping') is True
    found = lines(shared_is_well, 'viewer (127.0.0.1', since)
    assert len(found) == 1 and 'Host.abortJobs' in found[0]


def test_old_tls_is_refused(shared_is_well, pki):
    since = len(shared_is_well.log_text())
    done = run('gnutls-cli', '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.1:'
               '%COMPAT', '--x509cafile', pki['host-b'] / 'ca.pem',
               '-p', PORT, 'localhost', check=False)
    assert done.returncode != 0
    logged_once(shared_is_well, 'it speaks no TLS 1.2 or newer', since)


@pytest.mark.parametrize('words', [PING, b'GET / HTTP/1.1\r\n\r\n', b'\0' * 99])
def test_plain_text_is_refused(shared_is_well, words):
    since = len(shared_is_well.log_text())
    with dial() as plain:
        plain.sendall(words)
        try:
            while plain.recv(4096):
                pass
        except ConnectionError:
            pass
    logged_once(shared_is_well, 'what it speaks is not TLS', since)


class Cut:
    """TLS over memory: its records can be cut and changed."""

    def __init__(self, where):
        self.plain = dial()
        self.inward, self.outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context(where).wrap_bio(self.inward, self.outward,
                                           server_hostname='localhost')
        self.run(self.tls.do_handshake)

    def run(self, step):
        while True:
            try:
                result = step()
                self.plain.sendall(self.outward.read())
                return result
            except ssl.SSLWantReadError:
                self.plain.sendall(self.outward.read())
                data = self.plain.recv(65536)
                assert data
                self.inward.write(data)

    def record(self, words):
        self.tls.write(words)
        return self.outward.read()

    def is_ended(self, timeout=20):
        self.plain.settimeout(timeout)
        try:
            while self.plain.recv(4096):
                pass
        except ConnectionError:
            pass
        return True


@pytest.mark.parametrize('keep', [1, 4, 5, 6, 40, -1])
def test_truncated_records(shared_is_well, pki, keep):
    since = len(shared_is_well.log_text())
    cut = Cut(pki['host-b'])
    cut.plain.sendall(cut.record(PING)[:keep])
    cut.plain.shutdown(socket.SHUT_WR)
    assert cut.is_ended()
    logged_once(shared_is_well, 'a truncated record', since)


def test_changed_records(shared_is_well, pki):
    since = len(shared_is_well.log_text())
    cut = Cut(pki['host-b'])
    record = bytearray(cut.record(PING))
    record[-1] ^= 1
    cut.plain.sendall(record)
    assert cut.is_ended()
    logged_once(shared_is_well, 'a damaged record', since)


def test_an_end_between_records_is_an_end(shared_is_well, pki):
    since = len(shared_is_well.log_text())
    cut = Cut(pki['host-b'])
    assert cut.run(lambda: cut.tls.write(PING)) == len(PING)
    assert b'true' in cut.run(lambda: cut.tls.read(100))
    cut.plain.close()
    with TlsRpc(pki['host-b']) as rpc:  # a good-bye, and what is still to say
        rpc.send(PING)
        rpc.socket.settimeout(20)
        assert rpc.receive()['result'] is True
        rpc.socket.unwrap()
    assert not lines(shared_is_well, 'cut off', since)


def test_renegotiation_is_refused(shared_is_well, pki):
    since = len(shared_is_well.log_text())
    where = pki['host-b']
    client = subprocess.Popen(
        ['gnutls-cli', '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.2',
         '--inline-commands', '--x509cafile', where / 'ca.pem',
         '--x509certfile', where / 'cert.pem',
         '--x509keyfile', where / 'key.pem', '-p', str(PORT), 'localhost'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    client.stdin.write(b'^renegotiate^\n')
    client.stdin.flush()
    logged_once(shared_is_well, 'asked for a renegotiation', since)
    out, _ = client.communicate(PING, timeout=20)
    assert b'"result"' not in out


def test_same_limits(shared_is_well, pki):
    with TlsRpc(pki['host-b']) as rpc:
        rpc.send(b'[' * 100 + b'\n')
        assert rpc.receive()['error']['code'] == -32700
        giant = b'{"jsonrpc":"2.0","id":1,"method":"' + b'x' * (300 << 10)
        try:
            rpc.send(giant)
        except (ssl.SSLError, ConnectionError):
            pass
        assert rpc.receive()['error']['code'] == -32600
        assert rpc.receive() is None


@pytest.mark.parametrize('name', ['localhost', '127.0.0.1', 'localhost:16515',
                                  '127.0.0.1:16515', '[127.0.0.1]:16515'])
def test_drayctl_reaches_another_host(shared, pki, name):
    done = ctl(pki, 'host-b', 'rpc', 'Host.ping', name=name)
    assert (done.returncode, done.stdout) == (0, 'true\n'), done.stderr


@pytest.mark.parametrize('who, name, text', [
    ('gone', 'localhost', 'port 16515: it does not want us: Certificate '
     'was revoked'),
    ('late', 'localhost', 'late/cert.pem: expired on 2021-01-01'),
    ('stranger', 'localhost', 'Access was denied'),
    ('host-b', 'localhost:1', 'cannot reach drayd at localhost port 1'),
    ('host-b', 'localhost:x', "'localhost:x' is no NAME[:PORT]"),
    ('host-b', 'no.such.host', 'no.such.host'),
    ('nobody', 'localhost', 'nobody/ca.pem: No such file'),
    ('../other/localhost', 'localhost', 'our CA did not sign'),
    ('host-b', 'drayd-test', 'its certificate is not for drayd-test'),
])
def test_drayctl_says_why_not(shared, pki, who, name, text):
    hosts = '127.0.0.1 localhost drayd-test\n'
    place = pki.root / 'hosts'
    place.write_text(hosts)
    run('mount', '--bind', place, '/etc/hosts')
    try:
        done = ctl(pki, who, 'rpc', 'Host.ping', name=name)
    finally:
        run('umount', '/etc/hosts')
    assert done.returncode == 3 and text in done.stderr, done.stderr
    assert done.stderr.count('\n') == 1 and '; ' in done.stderr


@pytest.mark.parametrize('answer, text', [
    (b'HTTP/1.0 400 Bad Request\r\n\r\n', 'what it speaks is not TLS'),
    (b'', 'it went without a word'),
    (b'\x15\x03\x03\x00\x02\x02\x46', 'it does not want us: '),
    (b'\x16\x03\x03\x40', 'it broke off in the middle of the handshake')])
def test_drayctl_meets_something_else(host, pki, answer, text):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        client = subprocess.Popen(
            [build_dir() / 'src/cli/drayctl', '--host', f'localhost:{port}',
             '--pki', pki['host-b'], 'rpc', 'Host.ping'],
            stderr=subprocess.PIPE, text=True)
        with server.accept()[0] as other:
            other.recv(4096)
            other.sendall(answer)
        _, complaint = client.communicate(timeout=20)
    assert client.returncode == 3 and text in complaint, complaint
    assert f'localhost port {port}' in complaint


def test_the_script_says_what_is_wrong(host, pki):
    assert run(SCRIPT, '--help').stdout.startswith('usage:')
    for words, text in [(['../x'], 'is no name'), (['host-b'], 'is there'),
                        (['--revoke', 'who'], 'there is no'),
                        (['-d', '0', 'x'], 'is no number')]:
        done = run(SCRIPT, '-o', pki.root, *words, check=False)
        assert done.returncode == 1 and text in done.stderr, done
    assert not [p for p in pki.root.iterdir() if p.name.startswith('.new')]
    for name in ('ca-key.pem', 'host-b/key.pem'):
        assert (pki[name].stat().st_mode & 0o077) == 0
