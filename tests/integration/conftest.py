# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: one private host per run, everything else per test."""
import concurrent.futures
import itertools
import pathlib

import pytest

pytest.register_assert_rewrite('moves')

import pki as pki_module  # noqa: E402
from drayd import Drayd  # noqa: E402
from guest import Guest  # noqa: E402
from host import Host  # noqa: E402
from storage import empty, make_domain, no_job_leases  # noqa: E402


def pytest_addoption(parser):
    parser.addoption('--queue', metavar='DIR', help='several runs share the '
                     'files of tests: who notes a file in DIR first runs it')


def claim(queue, path):
    try:
        (queue / path.name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def claimed(items, queue):
    """Files that are ours, large ones first: they tend to take long."""
    files = [(path, list(tests)) for path, tests in
             itertools.groupby(items, lambda item: pathlib.Path(item.fspath))]
    for path, tests in sorted(files, key=lambda f: -f[0].stat().st_size):
        if claim(queue, path):
            yield from tests


def pytest_runtestloop(session):
    """As pytest does it, with the next test not known before it is ours."""
    queue = session.config.option.queue
    if not queue or session.config.option.collectonly:
        return None
    tests = claimed(session.items, pathlib.Path(queue))
    test = next(tests, None)
    while test:
        following = next(tests, None)
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        if session.shouldfail or session.shouldstop:
            raise session.Interrupted('stopped')
        test = following
    return True


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
