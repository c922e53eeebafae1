# SPDX-License-Identifier: GPL-2.0-or-later
"""Job records on a LUN with a bad sector, which is the record's: whatever of it
fails, no host takes the job for done, or what it read for a record."""
import uuid

import pytest

from drayd import RpcError
from host import wait_for
from storage import MIB

SECTOR, LVB_SECTOR = 512, 2002  # of a lease's area

TABLE = '''
    read -r _ size _ dev at <<<"$(dmsetup table $1)"
    echo "$size $dev $at"'''
BREAK = '''
    { echo "0 $2 linear $4 $5"
      echo "$2 1 error"
      echo "$(($2 + 1)) $(($3 - $2 - 1)) linear $4 $(($5 + $2 + 1))"
    } | dmsetup load $1
    dmsetup resume $1'''
MEND = '''
    echo "0 $3 linear $4 $5" | dmsetup load $1
    dmsetup resume $1'''


class Record:
    """A lease with the record of a job that copies a file of host1."""

    def __init__(self, drayd, domain, out):
        self.id, self.sd, self.out = str(uuid.uuid4()), domain.sd, out
        self.lease = {'sd_id': self.sd, 'lease_id': self.id}
        self.first = {'type': 'JOB', 'job_id': self.id,
                      'job_status': 'PENDING', 'generation': 0}
        drayd.call('Lease.create', lease=self.lease, metadata=self.first)
        place = drayd.call('Lease.info', lease=self.lease)
        self.sector = place['offset'] // SECTOR + LVB_SECTOR

    def begin(self, drayd, limit=0):
        def end(name, **more):
            return {'endpoint_type': 'external', 'format': 'raw',
                    'url': f'{self.out}/{name}', **more}
        drayd.call('SDM.copy_data', job_id=self.id, source=end('source'),
                   destination=end(f'copy-{self.id}', lease=self.lease,
                                   generation=0), limit=limit)

    def status(self, drayd):
        return drayd.call('Lease.status', lease=self.lease)

    def on_disk(self, drayd):
        status = self.status(drayd)
        assert status['owners'] == [], status
        return status['metadata']['job_status'], \
            status['metadata']['generation']

    def fence(self, drayd):
        drayd.call('Lease.fence', lease=self.lease, metadata=self.first)

    def seen_by(self, drayd):
        return drayd.call('Job.info', jobID=self.id)['state']


@pytest.fixture
def out(nodes):
    """A directory with a file to copy."""
    host = nodes[0].host
    place = host.make_fs('ext4', 128)
    nodes[0].sh(f'head -c {24 * MIB} /dev/urandom >{place}/source')
    yield place
    host.drop_fs(place, lazy=True)


@pytest.fixture
def record(drayds, domains, out):
    made = Record(drayds[0], domains['one'], out)
    yield made
    drayds[1].call('Lease.delete', lease=made.lease)


@pytest.fixture
def bad(nodes, record):
    """bad(node): the record's sector is bad there. bad.mend(node)"""
    name = f'{record.sd.replace("-", "--")}-xleases'
    tables = {}

    def make(node):
        tables.setdefault(node, node.out(TABLE, name).split())
        node.sh(BREAK, name, record.sector, *tables[node])

    def mend(node):
        node.sh(MEND, name, record.sector, *tables.pop(node))

    make.mend = mend
    yield make
    for node in list(tables):
        mend(node)


def refused(call, *args, **members):
    with pytest.raises(RpcError) as error:
        call(*args, **members)
    return error.value


def test_a_record_that_cannot_be_read(nodes, drayds, record, bad):
    bad(nodes[0])
    for call in (record.status, record.fence, record.begin, record.seen_by):
        refused(call, drayds[0])
    assert nodes[0].out(f'ls {record.out}').split() == ['lost+found', 'source']
    assert record.on_disk(drayds[1]) == ('PENDING', 0)
    bad.mend(nodes[0])
    record.begin(drayds[0])
    assert drayds[0].wait_job(record.id)['state'] == 'done'
    assert record.on_disk(drayds[0]) == ('SUCCEEDED', 1)
    bad(nodes[1])
    for call in (record.status, record.fence, record.seen_by):
        refused(call, drayds[1])


def test_a_record_that_gets_lost_while_the_job_runs(nodes, drayds, record,
                                                    bad):
    record.begin(drayds[0], limit=MIB)
    wait_for('bytes are copied', lambda: drayds[0].call(
        'Job.info', jobID=record.id)['progress']['done'] > 0, 30)
    bad(nodes[0])
    drayds[0].call('Job.limit', jobID=record.id, limit=0)
    info = drayds[0].wait_job(record.id)
    assert info['state'] == 'failed', info
    assert record.on_disk(drayds[1]) == ('PENDING', 0)
    assert record.seen_by(drayds[1]) == 'dead'
    bad.mend(nodes[0])
    assert record.seen_by(drayds[0]) == 'failed'
