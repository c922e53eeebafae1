# SPDX-License-Identifier: GPL-2.0-or-later
"""drayctl by hand: a plain VM's disks go in, move together, come out."""
import pathlib
import re

import pytest

from drayd import drayctl
from guest import Disk
from host import run
from storage import MIB, make_image

pytestmark = pytest.mark.usefixtures('nothing_left')


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


def test_disks_go_in_together_and_out(drayd, domains, make_guest, make_fs):
    """The commands of docs/operations.md."""
    src, dst = domains
    outside = make_fs('ext4', 256)
    plain = outside / 'plain.qcow2'
    run('qemu-img', 'create', '-q', '-f', 'qcow2', plain, '64M')
    image = make_image(src, ['RAW', 'COW'], size=64 * MIB)
    guest = make_guest([Disk(plain, 'qcow2'),
                        Disk(image.path(), image.leaf_format())],
                       start=0, size=8)

    plan = drayctl('disk', 'plan', guest.name, 'vda', src.name).stdout
    assert str(plain) in plan
    assert re.search(r'strategy +mirror: to or from outside', plan)
    done = drayctl('disk', 'import', guest.name, 'vda', src.name).stdout
    assert done.endswith(f', the source is left: {plain}\n'), done
    assert plain.exists()
    assert guest.disk_path().is_relative_to(src.root())
    again = drayctl('disk', 'import', guest.name, 'vda', dst.name,
                    check=False)
    assert again.returncode == 1 and 'already' in again.stderr

    plan = drayctl('disk', 'plan', guest.name, f'vda={dst.name}',
                   f'vdb={dst.name}', '--verify').stdout
    assert re.search(r'strategy +snapshot: ', plan)
    done = drayctl('disk', 'migrate', guest.name, f'vda={dst.name}',
                   f'vdb={dst.name}', '--verify').stdout
    assert done.endswith(', source deleted\n'), done
    assert src.images() == [] and len(dst.images()) == 2
    [job, *_] = [line.split() for line in drayctl('job', 'list').stdout
                 .splitlines() if 'vda,vdb' in line]
    assert job[1:3] == ['disk_migrate', 'done']
    info = drayctl('job', 'info', job[0]).stdout
    assert re.search(r'guest writes +\d+\.\d\d ms before, \d+\.\d\d ms during',
                     info), info

    for disk, out in (('vda', 'a.raw'), ('vdb', 'b.raw')):
        done = drayctl('disk', 'export', guest.name, disk, outside / out,
                       '--format', 'raw').stdout
        assert done.endswith(', source deleted\n'), done
        assert guest.disk_path(disk) == outside / out
    assert dst.images() == []
    guest.wait_acks(30)
    guest.verify()
    guest.power_off()
    for out in ('a.raw', 'b.raw'):
        assert pathlib.Path(outside / out).exists()
