# SPDX-License-Identifier: GPL-2.0-or-later
"""Volumes on LVs of a block domain: real device-mapper, LVM and leases."""
import random
import re
import shlex
import uuid

import pytest

LUN = '/dev/vda'
SD = 'b7427472-08dc-4059-822c-5db507ad80a9'
DIR = '/run/block'
MIB = 1 << 20
EXTENT = 128 * MIB
BLANK = '00000000-0000-0000-0000-000000000000'
BUSY = '203'


class Answer:
    def __init__(self, line):
        self.verb, ms, state, *rest = line.split(' ', 3)
        self.ms, self.ok = int(ms), state == 'ok'
        self.text = rest[0].strip() if rest else ''
        self.code = '' if self.ok else self.text.split()[0]

    def __repr__(self):
        return f'{self.verb} {self.ms} ms {self.ok} {self.text}'


class Domain:
    """The storage port on both hosts (nodes, so that sanlock runs): a
    block-drive on each, which takes lines from a pipe."""

    def __init__(self, pair, build):
        self.pair, self.build = pair, build

    def open(self, host):
        """A daemon that has just been started, and joins."""
        argv = [f'{self.build}/tests/lab/block-drive',
                f'{self.build}/src/lvm/process/dray-lvm', DIR,
                str(host.number), SD]
        host.sh(f'''
            mkdir -p {DIR}; rm -f {DIR}/in; mkfifo {DIR}/in; : >{DIR}/out
            setsid {shlex.join(argv)} <>{DIR}/in >{DIR}/out 2>&1 &''')

    def close(self, host):
        host.sh('pkill -x block-drive || true; wait_for 60 sh -c'
                f' "! pgrep -x block-drive && ! pgrep -f \'[d]ray-lvm {SD}\'"',
                timeout=90)

    def start(self, host, lines):
        """The command gives their answers, as far as there are any."""
        return host.start(f'''
            n=$(wc -l <{DIR}/out)
            cat >{DIR}/in <<'END'
{chr(10).join(lines)}
END
            until [ "$(wc -l <{DIR}/out)" -ge $((n + {len(lines)})) ]; do
                pgrep -x block-drive >/dev/null || break
                sleep 0.02
            done
            tail -n +$((n + 1)) {DIR}/out''', timeout=300)

    def run(self, host, *lines):
        out = self.start(host, lines).wait().out
        return [Answer(line) for line in out.splitlines()]

    def do(self, host, *lines):
        """run(), and all of it must succeed; the last one's words."""
        answers = self.run(host, *lines)
        assert len(answers) == len(lines), answers
        for answer in answers:
            assert answer.ok, answer
        return answers[-1].text.split()

    def refuse(self, host, code, line):
        answer, = self.run(host, line)
        assert not answer.ok and answer.code == code, answer

    def lvs(self, host=None):
        """{name: (bytes, tags)} of volumes."""
        out = (host or self.pair[0]).out(
            f'lvs --noheadings --nosuffix --units b --separator " "'
            f' -o lv_name,lv_size,lv_tags {SD}')
        rows = (line.split() for line in out.splitlines())
        return {row[0]: (int(row[1]), set(row[2].split(',')))
                for row in rows if len(row[0]) == 36}

    def active(self, host):
        """Volumes that are active on a host."""
        out = host.out('dmsetup ls')
        names = re.findall(f'^{SD.replace("-", "--")}-(\\S+)', out, re.M)
        return {name.replace('--', '-') for name in names if len(name) > 36}


@pytest.fixture(scope='module')
def domain(nodes, build):
    it = Domain(nodes, build)
    for host in nodes:
        it.open(host)
    it.do(nodes[0], f'domain {SD} {LUN}', f'join {SD}')
    it.do(nodes[1], f'join {SD} {LUN}')
    yield it
    for host in nodes:
        it.run(host, f'leave {SD}')
        it.close(host)
        host.sh(f'rm -rf {DIR}')
    nodes[0].sh(f'vgremove -q -f {SD}; pvremove -q -f {LUN};'
               f' blkdiscard -z -l 1G {LUN}', timeout=120)


def images_of(lvs):
    return {tag[3:] for _, tags in lvs.values() for tag in tags
            if tag.startswith('IU_')}


@pytest.fixture
def image(domain):
    """(id of an image, ids for three volumes); removed afterwards."""
    img, *vols = [str(uuid.uuid4()) for _ in range(4)]
    yield img, vols
    domain.pair[0].sh('pkill -x sleep || true; rm -f /run/opened /run/writes')
    for host in domain.pair:
        for other in {img} | images_of(domain.lvs()):
            domain.run(host, f'teardown {other}')
    left = [domain.active(host) for host in domain.pair]
    while domain.lvs():  # images on templates first
        answers = [domain.run(domain.pair[0], f'remove {other}')[0]
                   for other in images_of(domain.lvs())]
        assert any(answer.ok for answer in answers), answers
    assert left == [set(), set()]
    domain.pair[0].sh(f'vgck {SD}')


def qemu_io(host, path, command):
    return host.sh(f"qemu-io -f qcow2 -c '{command}' {path}", timeout=120)


def make_chain(domain, image, capacity=8 * EXTENT):
    img, (base, mid, leaf) = image
    domain.do(domain.pair[0], f'create {img} {base} raw {capacity}',
              f'create {img} {mid} cow {capacity} parent={base}',
              f'create {img} {leaf} cow {capacity} parent={mid}'
              f' first={3 * EXTENT}')


def test_a_chain_is_made_prepared_written_and_read_elsewhere(domain, image):
    one, two = domain.pair
    img, (base, mid, leaf) = image
    make_chain(domain, image)
    lvs = domain.lvs()
    assert {'MD_1', f'IU_{img}', f'PU_{BLANK}'} == lvs[base][1]
    assert {'MD_3', f'IU_{img}', f'PU_{mid}'} == lvs[leaf][1]
    assert lvs[base][0] == 8 * EXTENT and lvs[leaf][0] == 3 * EXTENT
    assert not domain.active(one)
    present, path, offset = domain.do(one, f'lease {img} {leaf}')
    assert (present, offset) == ('1', str(103 * MIB))
    assert leaf in one.out(f'sanlock direct dump {path}:{offset}:1M')

    path, = domain.do(one, f'prepare {img} {leaf}')
    assert path == f'{DIR}/storage/{SD}/{img}/{leaf}'
    assert domain.active(one) == {base, mid, leaf}
    qemu_io(one, path, 'write -P 7 64M 16M')
    for name in path, f'/dev/{SD}/{leaf}', one.out(f'realpath {path}'):
        assert domain.do(one, f'locate {name}') == [SD, img, leaf]
    domain.do(one, f'teardown {img}')

    path, = domain.do(two, f'prepare {img} {leaf}')
    qemu_io(two, path, 'read -P 7 64M 16M')
    domain.do(one, f'grow {img} {leaf} {6 * EXTENT}')
    assert two.out(f'blockdev --getsize64 {path}') == str(3 * EXTENT)
    domain.do(two, f'prepare {img} {leaf}')
    assert two.out(f'blockdev --getsize64 {path}') == str(6 * EXTENT)
    assert domain.do(two, f'chain {img}') == [base, mid, leaf]
    assert domain.active(two) == {base, mid, leaf}


def test_what_is_open_is_left_alone(domain, image):
    one = domain.pair[0]
    img, (base, _, leaf) = image
    make_chain(domain, image)
    path, = domain.do(one, f'prepare {img} {leaf}')
    opened = one.start(f'exec 5<{path}; echo $$ >/run/opened; sleep 600',
                       check=False)
    one.sh('wait_for 20 test -s /run/opened')
    domain.refuse(one, BUSY, f'teardown {img}')
    domain.refuse(one, BUSY, f'delete {img} {leaf}')
    domain.refuse(one, BUSY, f'remove {img}')
    # Somebody reads: what is not in use may go.
    assert domain.do(one, f'shrink {img} {leaf} 0') == [str(EXTENT)]
    writer = one.start(f'exec 5<>{path}; echo $$ >/run/writes; sleep 600',
                       check=False)
    one.sh('wait_for 20 test -s /run/writes')
    domain.refuse(one, BUSY, f'shrink {img} {leaf} 0')
    one.sh('kill $(cat /run/opened /run/writes); pkill -x sleep || true;'
           ' rm /run/opened /run/writes')
    opened.wait()
    writer.wait()
    domain.do(one, f'teardown {img}')
    assert not domain.active(one)
    assert domain.lvs()[base][0] == 8 * EXTENT


def test_shrinking_loses_nothing(domain, image):
    one = domain.pair[0]
    img, (base, mid, leaf) = image
    make_chain(domain, image)
    domain.do(one, f'grow {img} {leaf} {10 * EXTENT}')
    path, = domain.do(one, f'prepare {img} {leaf}')
    qemu_io(one, path, 'write -P 9 100M 200M')
    size, = domain.do(one, f'shrink {img} {leaf} {EXTENT}')
    assert int(size) == 3 * EXTENT  # 200 MiB, tables, an extent to spare
    assert one.out(f'blockdev --getsize64 {path}') == size
    one.sh(f'qemu-img check -q -f qcow2 {path}')
    qemu_io(one, path, 'read -P 9 100M 200M')
    # A merge on a host that stands still, and the records after it.
    domain.do(one, f'grow {img} {mid} {4 * EXTENT}',
              f'prepare {img} {leaf}', f'commit {img} {leaf}',
              f'sync {img} {base} {mid}', f'teardown {img}',
              f'delete {img} {leaf}')
    assert domain.do(one, f'chain {img}') == [base, mid]
    path, = domain.do(one, f'prepare {img} {mid}')
    qemu_io(one, path, 'read -P 9 100M 200M')


def test_old_data_is_taken_for_nothing(domain, image):
    """A raw volume whose guest wrote a qcow2 that names a host's file."""
    one = domain.pair[0]
    img, (base, _, leaf) = image
    for kind in 'raw', 'cow':
        domain.do(one, f'create {img} {base} raw {EXTENT}')
        path, = domain.do(one, f'prepare {img} {base}')
        one.sh(f'''
            qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw {path} 1G
            dd if={path} of={path} bs=1M seek=127 count=1 oflag=direct \
                status=none conv=notrunc''')
        domain.do(one, f'remove {img}',
                  f'create {img} {leaf} {kind} {EXTENT}',
                  f'prepare {img} {leaf}')
        path = f'/dev/{SD}/{leaf}'
        info = one.out(f'qemu-img info -U {path}')
        assert 'shadow' not in info and 'backing' not in info
        assert f'file format: {"raw" if kind == "raw" else "qcow2"}' in info
        assert one.out(f'tail -c 1M {path} | tr -d "\\0" | wc -c') == '0'
        domain.do(one, f'remove {img}')


def test_a_device_that_hangs_is_found_and_cut_off(domain, image):
    one = domain.pair[0]
    img, (base, _, leaf) = image
    make_chain(domain, image)
    path, = domain.do(one, f'prepare {img} {leaf}')
    name = f'{SD}-{leaf}'.replace('-', '--').replace('--' + leaf[:8],
                                                     '-' + leaf[:8], 1)
    # A dray-lvm that starts would resume it.
    one.sh(f'dmsetup suspend --noflush --nolockfs {name}')
    waits = one.start(f'dd if=/dev/zero of={path} bs=4k count=1 oflag=direct',
                      check=False)
    answer, = domain.run(one, f'probe {img} {leaf} 500')
    assert not answer.ok and 'does not answer' in answer.text, answer
    assert answer.ms < 5000, answer
    domain.do(one, f'probe {img} {base} 20000')
    assert not waits.done()
    domain.do(one, f'sever {img} {leaf}')
    assert waits.wait().rc != 0
    answer, = domain.run(one, f'probe {img} {leaf} 20000')
    assert not answer.ok and 'Input/output error' in answer.text, answer
    domain.do(one, f'teardown {img}', f'prepare {img} {leaf}',
              f'probe {img} {leaf} 20000')
    one.sh(f'qemu-img check -q -f qcow2 {path}')


def test_a_template_is_shared(domain, image):
    one = domain.pair[0]
    img, (base, mid, leaf) = image
    other = str(uuid.uuid4())
    domain.do(one, f'create {img} {base} raw {EXTENT}')
    # Nobody but the engine makes templates: the record, as it would be.
    one.sh(f'''
        slot=/dev/{SD}/metadata
        dd if=$slot of=/run/slot bs=4k skip=258 count=1 iflag=direct status=none
        tr -d '\\0' </run/slot | sed 's/VOLTYPE=LEAF/VOLTYPE=SHARED/' >/run/new
        truncate -s 4096 /run/new
        dd if=/run/new of=$slot bs=4k seek=258 count=1 oflag=direct \
            conv=notrunc status=none''')
    domain.do(one, f'create {other} {leaf} cow {EXTENT} parent={base} of={img}')
    path, = domain.do(one, f'prepare {other} {leaf}')
    one.sh(f'qemu-img info -U --backing-chain {path} | grep -q {base}')
    domain.refuse(one, '223', f'remove {img}')
    domain.do(one, f'teardown {other}')
    assert not domain.active(one)
    domain.do(one, f'remove {other}', f'remove {img}')
    del mid


def test_two_hosts_make_volumes_at_once(domain):
    images = [[str(uuid.uuid4()) for _ in range(3)] for _ in domain.pair]
    starts = [domain.start(host, [
        f'create {img} {uuid.uuid4()} cow {EXTENT}' for img in imgs])
        for host, imgs in zip(domain.pair, images)]
    answers = [Answer(line) for start in starts
               for line in start.wait().out.splitlines()]
    lvs = domain.lvs()
    removals = [domain.run(host, *(f'remove {img}' for img in imgs))
                for imgs, host in zip(images, reversed(domain.pair))]
    for answer in [*answers, *removals[0], *removals[1]]:
        assert answer.ok, answer
    slots = [tag for _, tags in lvs.values() for tag in tags
             if tag.startswith('MD_')]
    assert len(slots) == 6 == len(set(slots)), lvs
    assert not domain.lvs()


def test_whoever_dies_leaves_whole_volumes(domain):
    """kill -9 of the daemon or of dray-lvm at any moment; then a join."""
    one = domain.pair[0]
    img = str(uuid.uuid4())
    for attempt in range(8):
        vols = [str(uuid.uuid4()) for _ in range(3)]
        victim = random.choice(['-x block-drive', f"-f '[d]ray-lvm {SD}'"])
        command = domain.start(one, [
            f'create {img} {vols[0]} cow {EXTENT}',
            f'create {img} {vols[1]} cow {EXTENT} parent={vols[0]}',
            f'create {img} {vols[2]} cow {EXTENT} parent={vols[1]}',
            f'delete {img} {vols[2]}', f'remove {img}'])
        one.sh(f'sleep {random.uniform(0, 4):.2f}; pkill -9 {victim}'
               ' || true')
        command.wait()
        domain.close(one)
        domain.open(one)
        domain.do(one, f'join {SD}')
        lvs = domain.lvs()
        assert not any('OVIRT_VOL_INITIALIZING' in tags or
                       any('_remove_me_' in tag for tag in tags)
                       for _, tags in lvs.values()), (attempt, lvs)
        if lvs:
            assert images_of(lvs) == {img}, (attempt, lvs)
            chain = domain.do(one, f'chain {img}')
            assert set(chain) == set(lvs), (attempt, chain, lvs)
            domain.do(one, f'teardown {img}', f'remove {img}')
        one.sh(f'vgck {SD}')
        assert not domain.active(one)
