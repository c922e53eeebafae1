# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark works: small data, one run. Its numbers mean nothing here."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

from drayd import drayctl
from host import run, wait_for

BENCH = pathlib.Path(__file__).resolve().parents[1] / 'bench/run'
COPIERS = {'drayd', 'qemu-img convert', 'qemu-img convert, target is zero',
           'cp --sparse=always'}


@pytest.fixture
def place(host):
    """On the machine's disk; and what the benchmark runs with."""
    with tempfile.TemporaryDirectory(dir='/var/tmp') as path:
        yield pathlib.Path(path), {
            **os.environ, 'DRAY_BENCH_DIR': path,
            'DRAY_TEST_ACCEL': host.accel()}


def tables(page):
    """[{row: [cells]}, ...]"""
    result = []
    for line in page.splitlines():
        if line.startswith('| --- |'):
            result.append({})
        elif line.startswith('| ') and not line.startswith('|  |'):
            name, *cells = [cell.strip() for cell in line.strip('|').split('|')]
            result[-1][name] = cells
    return result


def bench(place, *options):
    path, env = place
    page = path / 'page.md'
    run(BENCH, '--quick', '--out', page, *options, timeout=120, env=env)
    text = page.read_text()
    page.unlink()
    assert list(path.iterdir()) == []
    return text


def test_bulk_copies_are_measured(place):
    page = bench(place, '--only', 'copy')
    found = tables(page)
    assert len(found) == 4
    for table in found:
        assert COPIERS <= set(table)
        assert table['drayd'][2] == '1.00'
        for seconds, _, ratio, *_ in table.values():
            assert float(seconds) > 0 and float(ratio) > 0
    assert ['dd, O_DIRECT' in table for table in found] == [0, 0, 1, 0]
    mixed, _, full, empty = (
        {name: float(cells[-1]) for name, cells in table.items()}
        for table in found)
    assert mixed['qemu-img convert'] == pytest.approx(32, abs=1)
    assert full['drayd'] == pytest.approx(96, abs=1)
    assert empty['drayd'] < 1
    assert re.search(r'the fastest of qemu-img and nbdcopy', page)


def test_moves_are_measured(place):
    page = bench(place, '--only', 'live', '--only', 'latency', '--only',
                 'reflink')
    live, latency, reflink = tables(page)
    assert 0 < float(live['drayctl disk migrate'][0])
    assert live['virsh blockcopy --wait --pivot'][2] == '1.00'
    assert latency['quiet'][2] == '1.00'
    for name in ('drayctl disk migrate', 'virsh blockcopy, default'):
        assert float(latency[name][1]) > 0 and float(latency[name][3]) > 0
    assert 0 < float(reflink['bare calls of libvirt'][0]) < 2
    if '--strategy' in drayctl('disk', 'migrate', '--help').stdout:
        assert float(
            reflink['drayctl disk migrate --strategy snapshot'][2]) > 0


def test_killed_benchmark_leaves_nothing(place):
    path, env = place
    process = subprocess.Popen([BENCH, '--quick'], env=env, text=True,
                               stdout=subprocess.PIPE, start_new_session=True)
    for line in process.stdout:
        if line.startswith('  run 1'):
            break
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.read()  # its end: nobody inside is left
    assert list(path.iterdir()) == []
    wait_for('its loop devices are gone', lambda: str(path) not in run(
        'losetup', '--list', '--noheadings', '--output', 'BACK-FILE').stdout)
