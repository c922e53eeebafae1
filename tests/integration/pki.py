# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for tests: drayd-make-certs for good ones, certtool itself for
those that nobody should make; and clients that show them."""
import pathlib
import shutil
import socket
import ssl

import pytest

from drayd import Drayd, Rpc, drayctl
from host import run

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'tools/drayd-make-certs'
PORT = 16515
PING = b'{"jsonrpc":"2.0","id":1,"method":"Host.ping"}\n'
EXPIRED = '''cn = "late"
dns_name = "late"
tls_www_client
activation_date = "2020-01-01 00:00:00"
expiration_date = "2021-01-01 00:00:00"
'''
ROLES = {'host-b': 'full', 'viewer': 'read', 'gone': 'full', 'late': 'full',
         'Common-Name': 'full', 'alias': 'full', 'future': 'full',
         'only-server': 'full', 'localhost': 'full'}


class Pki:
    """A CA and directories of hosts, as the script makes them."""

    def __init__(self, root):
        self.root = root

    def make(self, *hosts):
        run(SCRIPT, '-o', self.root, *hosts)
        return self

    def revoke(self, *hosts):
        run(SCRIPT, '-o', self.root, '--revoke', *hosts)

    def __getitem__(self, name):
        return self.root / name

    def settings(self, name):
        """For drayd.conf, section [tls]."""
        return {key: self[name] / f'{key}.pem'
                for key in ('ca', 'cert', 'key', 'crl')}

    def make_odd(self, name, template):
        """A certificate of this CA with any template of certtool's."""
        where = self[name]
        where.mkdir()
        shutil.copy(self.root / 'ca.pem', where)
        shutil.copy(self.root / 'crl.pem', where)
        (where / 'template').write_text(template)
        run('certtool', '--generate-privkey', '--key-type=ecdsa',
            '--curve=secp256r1', '--outfile', where / 'key.pem')
        run('certtool', '--generate-certificate',
            '--load-privkey', where / 'key.pem',
            '--load-ca-certificate', self.root / 'ca.pem',
            '--load-ca-privkey', self.root / 'ca-key.pem',
            '--template', where / 'template', '--outfile', where / 'cert.pem')


def make_all(root):
    """Good ones and bad ones; those of another CA in ../other."""
    made = Pki(root / 'pki')
    made.make('localhost,127.0.0.1', 'host-b', 'viewer', 'stranger', 'gone')
    made.make_odd('late', EXPIRED)
    made.make_odd('common', 'cn = "common-name"\ntls_www_client\n')
    made.make_odd('both', 'cn = "host-b"\ndns_name = "nobody"\n'
                  'tls_www_client\n')
    made.make_odd('alias', 'cn = "x"\ndns_name = "first.example"\n'
                  'dns_name = "alias"\ntls_www_client\n')
    made.make_odd('only-server', 'cn = "only-server"\ntls_www_server\n')
    made.make_odd('future', 'cn = "future"\ntls_www_client\n'
                  'activation_date = "2090-01-01 00:00:00"\n')
    made.revoke('gone')
    other = Pki(root / 'other').make('host-b', 'localhost,127.0.0.1')
    shutil.copy(made.root / 'ca.pem', other['host-b'] / 'ca.pem')
    return made


def context(where, version=None):
    """Of Python's ssl module; @where: directory of the client, or the CA's
    file alone for a client without a certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if where.is_dir():
        made.load_verify_locations(where / 'ca.pem')
        made.load_cert_chain(where / 'cert.pem', where / 'key.pem')
    else:
        made.load_verify_locations(where)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def dial(timeout=20):
    return socket.create_connection(('127.0.0.1', PORT), timeout)


class TlsRpc(Rpc):
    """The same client over TLS."""

    def __init__(self, where, version=None, timeout=30):
        self.context = context(where, version)
        super().__init__(None, timeout)

    def connect(self, _):
        return self.context.wrap_socket(dial(self.timeout),
                                        server_hostname='localhost')


def start(host, pki, **tls):
    settings = {'listen': '127.0.0.1', **pki.settings('localhost'), **tls}
    daemon = Drayd(host, tls=settings, **{'tls-roles': ROLES}).start()
    daemon.call('Host.ping')  # now it listens on all of its sockets
    return daemon


def lines(daemon, text, since=0):
    return [line for line in daemon.log_text()[since:].splitlines()
            if text in line]


def is_refused(where, version=None):
    """The error; with TLS 1.3 the first answer brings it."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as error:
        with TlsRpc(where, version) as rpc:
            rpc.call('Host.ping')
    return str(error.value)


def ctl(pki, who, *args, name='localhost', check=False):
    return drayctl('--host', name, '--pki', pki[who], *args, check=check)
