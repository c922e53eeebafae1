# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: one pair of hosts for all tests, since a boot is what costs.

LUNs of the pair: /dev/vda, 24 GiB with 512-byte sectors, /dev/vdb, 4 GiB
with 4096, /dev/vdc, 1 GiB, /dev/vdd, 12 GiB, and /dev/vde, 2 GiB, with 512. A
test leaves them empty, and no daemon of its own running.
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

os.environ['DRAY_TEST_PATIENCE'] = str(PATIENCE)


def pytest_configure(config):
    config.addinivalue_line('markers', 'check: part of tests/check')
    config.addinivalue_line('markers', 'long: only with tests/lab/run --all')


@pytest.fixture(scope='session')
def build():
    """The build directory, which the hosts see under the same path."""
    return pathlib.Path(os.environ['DRAY_BUILD'])


@pytest.fixture(scope='session')
def pair():
    """[host1, host2] on the same LUNs and network."""
    with Lab(hosts=2, luns=[Lun(24), Lun(4, 4096), Lun(1), Lun(12), Lun(2)],
             mib=2048, limit_s=2400) as lab:
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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for node in getattr(item, 'funcargs', {}).get('nodes', []):
            try:
                logs = node.host.report()
            except Exception as error:  # pylint: disable=broad-except
                logs = str(error)
            report.sections.append((f'logs of {node.name}', logs))
