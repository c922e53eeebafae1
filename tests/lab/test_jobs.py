# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs on volumes of a shared LUN hold a lease: the other host sees how they
stand, and undoes what a dead one left."""
import uuid

import pytest

from host import wait_for
from storage import MIB

SIZE = 128 * MIB
SLOW = MIB  # bytes/s


def div(image, **more):
    return {'endpoint_type': 'div', 'sd_id': image.domain.sd,
            'img_id': image.img, 'vol_id': image.volumes[-1], **more}


@pytest.fixture
def images(nodes, domains):
    """Two of domain one: with data, and for a copy of it."""
    storage = nodes[0].load('storage')
    made = [storage.make_image(domains['one'], ['COW'], size=SIZE,
                               initial=SIZE) for _ in range(2)]
    path = domains['one'].prepared(made[0].img, made[0].volumes[0])
    nodes[0].sh(f'qemu-io -f qcow2 -c "write -P 7 0 48M" {path}', timeout=300)
    domains['one'].call('Image.teardown', imageID=made[0].img)
    yield made
    for image in made:
        domains['one'].call('Image.delete', imageID=image.img)


def begin(drayd, images, **more):
    job = str(uuid.uuid4())
    assert drayd.call('SDM.copy_data', job_id=job, source=div(images[0]),
                      destination=div(images[1]), timeout=120, **more) is True
    return job


def state(drayd, job):
    return drayd.call('Job.info', jobID=job, timeout=120)['state']


def until_copying(drayd, job):
    wait_for('bytes are copied', lambda: drayd.call(
        'Job.info', jobID=job)['progress']['done'] > 0, 30)


def info(drayd, image):
    return drayd.call('Volume.getInfo', storagedomainID=image.domain.sd,
                      imageID=image.img, volumeID=image.volumes[0],
                      timeout=120)


def test_a_copy_on_a_lun_is_seen_and_taken_over(nodes, drayds, images):
    here, there = drayds
    job = begin(here, images, limit=SLOW)
    until_copying(here, job)
    assert state(there, job) == 'running'
    here.kill()
    nodes[0].sh('pkill -KILL -x dray-job')
    wait_for('it is dead', lambda: state(there, job) == 'dead', 30)
    there.call('Job.takeover', jobID=job, timeout=120)
    wait_for('it is undone', lambda: state(there, job) == 'failed', 30)
    after = info(there, images[1])
    assert (after['legality'], after['generation']) == ('ILLEGAL', 3), after
    here.start()
    wait_for('it is seen here, too', lambda: state(here, job) == 'failed', 30)
    for drayd in drayds:
        drayd.call('Host.deleteJobs', job_ids=[job], timeout=120)


def test_a_copy_on_a_lun_ends_well(nodes, drayds, domains, images):
    here, there = drayds
    job = begin(here, images)
    ended = here.wait_job(job, 300)
    assert ended['state'] == 'done' and 'warning' not in ended, ended
    assert state(there, job) == 'succeeded'
    assert info(there, images[1])['legality'] == 'LEGAL'
    path = domains['one'].prepared(images[1].img, images[1].volumes[0])
    nodes[0].sh(f'qemu-io -f qcow2 -c "read -P 7 0 48M" {path} |'
                ' grep -q "read 50331648"', timeout=300)
    domains['one'].call('Image.teardown', imageID=images[1].img)
    here.call('Host.deleteJobs', job_ids=[job], timeout=120)
    wait_for('its lease is gone', lambda: there.call(
        'Lease.list', sd_id=images[0].domain.sd) == [], 30)
