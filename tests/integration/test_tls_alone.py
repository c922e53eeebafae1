# SPDX-License-Identifier: GPL-2.0-or-later
"""The TLS listener of a drayd of its own: many clients, reload, a bad start."""
import os
import resource
import shutil
import signal
import time

import pytest

from drayd import Rpc, build_dir
from host import run, wait_for
from pki import PING, TlsRpc, ctl, dial, is_refused, lines, start


@pytest.fixture
def remote(host, pki):
    """One of its own: for tests that reload it or count its clients."""
    daemon = start(host, pki)
    yield daemon
    daemon.kill()


def test_1000_half_open_connections_harm_nobody(remote, pki):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    with TlsRpc(pki['host-b']) as old, Rpc() as local:
        half = []
        for i in range(1000):
            half.append(dial())
            if i % 2:
                half[-1].sendall(b'\x16\x03\x01\x02\x00')
        begin = time.monotonic()
        for _ in range(20):
            assert old.call('Host.ping') is True
            assert local.call('Host.ping') is True
            with TlsRpc(pki['host-b']) as fresh:
                assert fresh.call('Host.ping') is True
        assert time.monotonic() - begin < 10
        files = os.listdir(f'/proc/{remote.service.process.pid}/fd')
        assert len(files) < 400
        wait_for('the rest is dropped, too', lambda: len(os.listdir(
            f'/proc/{remote.service.process.pid}/fd')) < 60, timeout=40)
        for one in half:
            one.close()
    assert 10 < len(lines(remote, 'refused')) <= 101
    assert lines(remote, 'too many others began a handshake after it')
    assert lines(remote, 'its handshake was not done in time')


def test_256_clients(remote, pki):
    clients = [TlsRpc(pki['host-b']) for _ in range(256)]
    for client in clients:
        client.send(PING)
    for client in clients:
        assert client.receive()['result'] is True
    with Rpc() as local:
        assert local.call('Host.ping') is True
    status = open(f'/proc/{remote.service.process.pid}/status').read()
    assert int(status.split('VmRSS:')[1].split()[0]) < 128 * 1024
    for client in clients:
        client.close()
    wait_for('they are gone', lambda: len(os.listdir(
        f'/proc/{remote.service.process.pid}/fd')) < 60)


def hang_up(daemon, text):
    since = len(daemon.log_text())
    os.kill(daemon.service.process.pid, signal.SIGHUP)
    wait_for(text, lambda: lines(daemon, text, since), log=daemon.log)


def test_reload(remote, pki):
    """New certificates and roles; what does not load changes nothing."""
    where = remote.state_dir / 'pki'
    shutil.copytree(pki['localhost'], where)
    text = remote.conf.read_text()
    remote.conf.write_text(text.replace(str(pki['localhost']), str(where)))
    pki.make('soon')
    with TlsRpc(pki['host-b']) as kept, TlsRpc(pki['viewer']) as lost:
        assert 'access' in is_refused(pki['soon']).lower()
        with remote.conf.open('a', encoding='utf-8') as conf:
            conf.write('soon = full\n')
        remote.conf.write_text(remote.conf.read_text().replace(
            'viewer = read\n', ''))
        hang_up(remote, 'listens on 127.0.0.1')
        with TlsRpc(pki['soon']) as rpc:
            assert rpc.call('Host.abortJobs', job_ids=[]) is not None
        assert kept.call('Host.ping') is True
        assert lost.receive() is None
        assert lines(remote, "viewer (127.0.0.1 port")

        for name, damage in {'cert.pem': b'', 'key.pem': b'nonsense',
                             'crl.pem': (pki['../other/crl.pem']).read_bytes(),
                             'ca.pem': None}.items():
            good = (where / name).read_bytes()
            (where / name).unlink()
            if damage is not None:
                (where / name).write_bytes(damage)
                (where / name).chmod(0o600)
            hang_up(remote, f'{where / name}')
            assert lines(remote, 'the old certificates and roles stay')
            (where / name).write_bytes(good)
            assert kept.call('Host.ping') is True
        (where / 'key.pem').chmod(0o600)

        pki.revoke('soon')
        shutil.copy(pki.root / 'crl.pem', where)
        with TlsRpc(pki['soon']) as soon:
            hang_up(remote, 'listens on 127.0.0.1')
            assert soon.receive() is None
        is_refused(pki['soon'])
        assert lines(remote, 'soon (127.0.0.1 port')
        assert kept.call('Host.ping') is True
    remote.stop()


def test_bad_certificates_do_not_keep_drayd_from_its_work(host, pki):
    where = host.work / host.unique('pki-')
    shutil.copytree(pki['localhost'], where)
    (where / 'crl.pem').unlink()
    daemon = start(host, pki, crl=where / 'crl.pem')
    try:
        assert daemon.call('Host.ping') is True
        assert lines(daemon, f'{where}/crl.pem: No such file')
        with pytest.raises(ConnectionError):
            dial()
        done = run(build_dir() / 'src/daemon/drayd', '--check', '--config',
                   daemon.conf, check=False)
        assert done.returncode == 2 and f'{where}/crl.pem' in done.stderr
        shutil.copy(pki['localhost'] / 'crl.pem', where)
        hang_up(daemon, 'listens on 127.0.0.1')
        with TlsRpc(pki['host-b']) as rpc:
            assert rpc.call('Host.ping') is True
        done = run(build_dir() / 'src/daemon/drayd', '--check', '--config',
                   daemon.conf)
        assert 'localhost, certificate good until' in done.stdout
    finally:
        daemon.kill()


def test_off_by_default(drayd):
    with pytest.raises(ConnectionError):
        dial()
    hang_up_pid = drayd.service.process.pid
    os.kill(hang_up_pid, signal.SIGHUP)
    assert drayd.call('Host.ping') is True


def test_drayctl_refuses_a_server_of_another_kind(host, pki):
    """A client's certificate is no server's."""
    daemon = start(host, pki, cert=pki['common'] / 'cert.pem',
                   key=pki['common'] / 'key.pem')
    try:
        done = ctl(pki, 'host-b', 'rpc', 'Host.ping')
        assert done.returncode == 3
        assert 'its certificate is not for TLS servers' in done.stderr
    finally:
        daemon.kill()
