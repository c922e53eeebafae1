# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: one pair of hosts for all tests, with a drayd on each and the same
domains, since to boot, to make and to join is what costs.

LUNs of the pair: /dev/vda, 24 GiB with 512-byte sectors, /dev/vdb, 4 GiB
with 4096, and /dev/vdc, 1 GiB, which a test leaves empty; the others are those
of the domains, or their like.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'integration')]
pytest.register_assert_rewrite('moves')

from lab import Lab, Lun  # noqa: E402
from node import PATIENCE, Node  # noqa: E402
from sharing import pytest_addoption, pytest_runtestloop  # noqa: E402,F401

# What the domains are on, and what they may grow by.
LUNS = {'one': '/dev/vdd', 'two': '/dev/vde'}
FILES, SMALL, MORE = '/dev/vdf', '/dev/vdg', '/dev/vdh'
EXTENT = CHUNK = 128 << 20
# A guest of an emulated host is slow, and the lease need not be quick.
SETTINGS = {'lease': {'io_timeout': 4, 'require_watchdog': 'no'},
            'monitor': {'chunk_mib': CHUNK >> 20, 'utilization_percent': 50}}
LIMIT_S = {'check': 1800}  # by the mark of the tests

os.environ['DRAY_TEST_PATIENCE'] = str(PATIENCE)


def pytest_configure(config):
    config.addinivalue_line('markers', 'check: part of tests/check')
    config.addinivalue_line('markers', 'long: only with tests/lab/run --all')


@pytest.fixture(scope='session')
def build():
    """The build directory, which the hosts see under the same path."""
    return pathlib.Path(os.environ['DRAY_BUILD'])


@pytest.fixture(scope='session')
def pair(pytestconfig):
    """[host1, host2] on the same LUNs and network."""
    limit_s = LIMIT_S.get(pytestconfig.getoption('-m'), 4 * 3600)
    with Lab(hosts=2, luns=[Lun(24), Lun(4, 4096), Lun(1), Lun(24), Lun(12),
                            Lun(1), Lun(1), Lun(2)],
             mib=2048, limit_s=limit_s) as lab:
        yield lab.hosts


def at_once(*functions):
    """What they return; all run at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
        return [future.result() for future in futures]


@pytest.fixture(scope='session')
def nodes(pair, build):
    """The pair as hypervisors: sanlock and libvirtd run on both."""
    # Where there is a network: a host of the lab has none.
    subprocess.run([HERE.parent / 'integration/guest/build'], check=True,
                   stdout=subprocess.DEVNULL)
    both = [Node(host, build) for host in pair]
    at_once(*(node.start_services for node in both))
    return both


@pytest.fixture(scope='session')
def drayds(nodes):
    """One on each host."""
    return at_once(*(lambda node=node: node.drayd(**SETTINGS)
                     for node in nodes))


@pytest.fixture(scope='session')
def domains(nodes, drayds):
    """{name: domain} of host1: one and two on LUNs, files on a file system;
    host2 has joined one, by its name."""
    host, drayd = nodes[0], drayds[0]
    storage = host.load('storage')

    def join_there(domain):
        joined = drayds[1].call('StorageDomain.join', name='one', timeout=120)
        assert joined == domain.sd

    def on_lun(name):
        domain = storage.create_block_domain(drayd, name, LUNS[name])
        joins = [lambda: domain.call('StorageDomain.join', timeout=120)]
        if name == 'one':
            joins.append(lambda: join_there(domain))
        at_once(*joins)
        return domain

    def in_files():
        host.sh(f'mkfs.ext4 -qF {FILES}; mkdir -p /mnt/files;'
                f' mount {FILES} /mnt/files')
        return host.domain(drayd, pathlib.Path('/mnt/files'), 'files')

    made = at_once(*(lambda name=name: on_lun(name) for name in LUNS),
                   in_files)
    return dict(zip([*LUNS, 'files'], made))


@pytest.fixture
def make_guest(nodes):
    """make_guest([Disk(...)], node=nodes[0], rate=...) -> a guest that has
    begun to write; destroyed after the test."""
    guests = []

    def make(disks, node=None, **options):
        node = node or nodes[0]
        guests.append(node.guest(disks, **options))
        return guests[-1].start()
    yield make
    for guest in guests:
        guest.destroy()


def logs_of(node):
    try:
        logs = node.host.report()
    except Exception as error:  # pylint: disable=broad-except
        logs = str(error)
    return f'{logs}\n--- console\n{node.machine.console()}'


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for node in getattr(item, 'funcargs', {}).get('nodes', []):
            report.sections.append((f'logs of {node.name}', logs_of(node)))
