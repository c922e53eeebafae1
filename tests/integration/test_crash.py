# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of drayd and libvirtd at random moments of a migration."""
import random
import time

import pytest

from host import Failed, wait_for
from moves import migrate, require_moved, start
from storage import MIB, check_clean, make_image, no_job_leases

pytestmark = pytest.mark.usefixtures('nothing_left')

ADOPT_S = 2     # from the restart to an answer about the job
SUSPENDED_S = 8  # longest a guest may stand still


@pytest.fixture
def drayd(shared_drayd):
    return shared_drayd


class Watch:
    """How long the guest stood still at most, seen from outside."""

    def __init__(self, guest):
        self.guest, self.longest, self.since = guest, 0, None

    def look(self):
        now = time.monotonic()
        if self.guest.state() != 'paused':
            self.since = None
            return
        self.since = self.since or now
        self.longest = max(self.longest, now - self.since)


def finish(drayd, job_id, watch, timeout=60):
    deadline = time.monotonic() + timeout
    while True:
        watch.look()
        info = drayd.call('Job.info', jobID=job_id)
        if info.get('ended'):
            return info
        if time.monotonic() > deadline:
            raise Failed(f'job has not ended: {info}')
        time.sleep(0.05)


def adopted(drayd, job_id):
    begin = time.monotonic()
    drayd.start()

    def known():
        try:
            return drayd.call('Job.info', jobID=job_id)
        except Exception:  # still recovering
            return None
    wait_for('the job is adopted', known, ADOPT_S + 1, 0.02, drayd.log)
    assert time.monotonic() - begin < ADOPT_S


def settle(host, guest, image, src, dst, info):
    """The guest is where the job says; the other side is empty."""
    there, gone = (dst, src) if info['state'] == 'done' else (src, dst)
    assert info['state'] in ('done', 'failed', 'cancelled'), info
    image = image.in_domain(there)
    require_moved(guest, image, there)
    assert guest.state() == 'running'
    assert gone.images() == [], info
    no_job_leases(host)
    return image, there, gone


@pytest.mark.parametrize('seed', range(3))
def test_killed_drayd_finishes_or_undoes(host, drayd, domains,
                                         make_guest, seed):
    rng = random.Random(seed)
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=8 * MIB)
    guest = start(make_guest, image)
    for _ in range(5):
        job = migrate(drayd, guest, dst, limit=16 * MIB)
        time.sleep(rng.uniform(0, 1.5))
        watch = Watch(guest)
        drayd.kill()
        watch.look()
        adopted(drayd, job['id'])
        info = finish(drayd, job['id'], watch)
        assert watch.longest < SUSPENDED_S
        image, src, dst = settle(host, guest, image, src, dst, info)
    guest.power_off()
    guest.verify_image(image.path(), 'qcow2')
    check_clean(image)


def test_drayd_killed_again_and_again(host, drayd, domains,
                                      make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW', 'COW'], data=8 * MIB)
    guest = start(make_guest, image)
    job = migrate(drayd, guest, dst, limit=8 * MIB)
    for _ in range(10):
        time.sleep(0.2)
        drayd.kill()
        adopted(drayd, job['id'])
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    info = finish(drayd, job['id'], Watch(guest))
    settle(host, guest, image, src, dst, info)


def test_terminated_drayd_leaves_the_mirror_alone(host, drayd,
                                                  domains,
                                                  make_guest):
    src, dst = domains
    image = make_image(src, ['COW'], size=128 * MIB)
    guest = start(make_guest, image, size=64, rate=0)
    guest.wait_acks(2000)
    job = migrate(drayd, guest, dst, limit=MIB)
    wait_for('the mirror runs', lambda: guest.disk_element().find('mirror')
             is not None)
    drayd.stop()
    assert guest.disk_element().find('mirror') is not None
    adopted(drayd, job['id'])
    drayd.call('Job.limit', jobID=job['id'], limit=0)
    info = finish(drayd, job['id'], Watch(guest))
    settle(host, guest, image, src, dst, info)


@pytest.mark.parametrize('kill', [True, False])
def test_libvirtd_goes_away(host, drayd, domains,
                            make_guest, kill):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=16 * MIB)
    guest = start(make_guest, image)
    for pause in (0.1, 0.5, 1.0):
        job = migrate(drayd, guest, dst, limit=16 * MIB)
        time.sleep(pause)
        host.restart_libvirtd(kill=kill)
        info = finish(drayd, job['id'], Watch(guest))
        image, src, dst = settle(host, guest, image, src, dst, info)
    assert [vm['vmName'] for vm in drayd.call('VM.list')] == [guest.name]


def test_killed_while_it_undoes(host, drayd, domains, make_guest):
    src, dst = domains
    image = make_image(src, ['RAW', 'COW'], data=16 * MIB)
    guest = start(make_guest, image)
    for pause in (0, 0.005, 0.02, 0.05):
        job = migrate(drayd, guest, dst, limit=4 * MIB)
        time.sleep(0.5)
        drayd.call('Job.cancel', jobID=job['id'])
        time.sleep(pause)
        drayd.kill()
        adopted(drayd, job['id'])
        info = finish(drayd, job['id'], Watch(guest))
        assert info['state'] == 'cancelled' or pause == 0, info
        image, src, dst = settle(host, guest, image, src, dst, info)
