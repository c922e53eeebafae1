# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's disk moves: what starts it and what must hold afterwards."""
from guest import Disk


def start(make_guest, image, **options):
    """A guest on the image, by the fixture that makes and removes guests."""
    disk = Disk(image.path(), image.leaf_format(), serial='serial-1',
                alias='ua-disk-1')
    options = {'start': 0, 'size': 16, **options}
    return make_guest([disk], **options)


def migrate(drayd, guest, domain, **members):
    return drayd.call('Disk.migrate', vmID=guest.name, disk='vda',
                      domain=domain.name, **members)


def require_moved(guest, image, domain, formats=None):
    """The guest runs on @domain, and all it wrote is there."""
    moved = image.in_domain(domain, formats)
    guest.wait_acks(30)
    guest.verify()
    assert guest.disk_path() == moved.path()
    assert guest.disk_path(inactive=True) == moved.path()
    for inactive in (False, True):
        disk = guest.disk_element(inactive=inactive)
        assert disk.find('serial').text == 'serial-1'
        assert disk.find('alias').get('name') == 'ua-disk-1'
        assert disk.find('mirror') is None
    return moved
