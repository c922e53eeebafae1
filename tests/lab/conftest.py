# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: one pair of hosts for all tests, since a boot is what costs.

LUNs of the pair: /dev/vda, 24 GiB with 512-byte sectors, /dev/vdb, 4 GiB
with 4096, and /dev/vdc, 1 GiB with 512. A test leaves them empty, and no daemon
of its own running.
"""
import os
import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lab import Lab, Lun  # noqa: E402


@pytest.fixture(scope='session')
def build():
    """The build directory, which the hosts see under the same path."""
    return pathlib.Path(os.environ['DRAY_BUILD'])


@pytest.fixture(scope='session')
def pair():
    """[host1, host2] on the same LUNs and network."""
    with Lab(hosts=2, luns=[Lun(24), Lun(4, 4096), Lun(1)],
             limit_s=1500) as lab:
        yield lab.hosts
