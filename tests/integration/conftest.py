# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: one private host per run, everything else per test."""
import concurrent.futures

import pytest

pytest.register_assert_rewrite('moves')

import pki as pki_module  # noqa: E402
from drayd import Drayd  # noqa: E402
from guest import Guest  # noqa: E402
from host import Host  # noqa: E402
from sharing import pytest_addoption, pytest_runtestloop  # noqa: E402,F401
from storage import empty, make_domain, no_job_leases  # noqa: E402


@pytest.fixture(scope='session')
def host():
    """sanlock (our_host_name drayd-test) and libvirtd run on it."""
    the_host = Host()
    the_host.start_sanlock()
    the_host.start_libvirtd()
    return the_host  # private-host takes everything away


@pytest.fixture(scope='session')
def pki(host):
    return pki_module.make_all(host.work)


@pytest.fixture
def make_fs(host):
    """make_fs('xfs', mib=1024) -> mount point; gone after the test."""
    mounts = []

    def make(kind='ext4', mib=1024):
        mounts.append(host.make_fs(kind, mib))
        return mounts[-1]
    yield make
    for mount in reversed(mounts):
        host.drop_fs(mount, lazy=True)


@pytest.fixture
def make_guest(host):
    """make_guest([Disk(...)], rate=...) -> a guest that has begun to write;
    destroyed after the test."""
    guests = []

    def make(disks, **options):
        guests.append(Guest(host, disks, **options))
        return guests[-1].start()
    yield make
    for guest in guests:
        guest.destroy()


@pytest.fixture
def drayd(host):
    """A fresh drayd; it has not joined any domain."""
    daemon = Drayd(host).start()
    yield daemon
    daemon.kill()


@pytest.fixture(scope='module')
def shared_drayd(host):
    """One drayd for a file of tests that leave its domains as they were:
    joining takes three seconds."""
    daemon = Drayd(host).start()
    yield daemon
    daemon.kill()


@pytest.fixture(scope='module')
def domains(host, shared_drayd):
    """Two joined domains, on ext4 and on XFS."""
    mounts = [host.make_fs(kind, 768) for kind in ('ext4', 'xfs')]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield list(pool.map(
            lambda mount: make_domain(shared_drayd, mount, mount.name),
            mounts))
    for mount in mounts:
        host.drop_fs(mount, lazy=True)


@pytest.fixture
def nothing_left(host, domains):
    """No lease is held, and the next test finds empty domains."""
    yield
    no_job_leases(host)
    for domain in domains:
        empty(host, domain)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    the_host = getattr(item, 'funcargs', {}).get('host')
    if report.failed and the_host:
        report.sections.append(('logs of the private host',
                                the_host.report()))
