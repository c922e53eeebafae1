# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks of pytest, for a conftest.py: several runs share the files of tests."""
import itertools
import pathlib


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
