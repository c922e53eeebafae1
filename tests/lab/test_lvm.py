# SPDX-License-Identifier: GPL-2.0-or-later
"""dray-lvm on real device-mapper, under a real lease, on two hosts."""
import itertools
import random
import statistics
import time

import pytest

from volumes import MIB, VG, Volumes, parse, steps


@pytest.fixture(scope='module')
def all_volumes(nodes, build):
    volumes = Volumes(nodes, build)
    volumes.set_up()
    yield volumes
    volumes.tear_down()


@pytest.fixture
def volumes(all_volumes):
    """An empty VG."""
    yield all_volumes
    all_volumes.check()
    all_volumes.remove_all()


def test_each_verb_does_what_it_says_and_twice_is_harmless(volumes):
    host = volumes.pair[0]
    tags = 'MD_1 PU_x IU_a/b=c'
    results = volumes.do(
        host, f'create one {8 * MIB} {tags}', 'wait',
        f'create one {8 * MIB} {tags}', 'wait',
        f'create two {4 * MIB}', 'wait',
        'activate one two', 'wait', 'activate one two', 'wait',
        'tag one +IU_new -IU_a/b=c', 'wait', 'tag one +IU_new -IU_a/b=c',
        'wait',
        f'extend one {9 * MIB}', 'wait', f'extend one {9 * MIB}', 'wait',
        'lvs', 'wait',
        'deactivate two', 'wait', 'deactivate two', 'wait',
        f'reduce two {1 * MIB}', 'wait', 'refresh one', 'wait',
        'remove two', 'wait', 'remove two', 'wait', 'tag . +MDT_A=b', 'wait',
        'lvs', 'wait', 'vg', 'wait', 'pvs')
    lvs = [result.text for result in results if result.verb == 'lvs']
    assert {result.text for result in results if result.verb == 'extend'} == \
        {str(12 * MIB)}
    assert sorted(lvs[0].split()) == [
        f'one:{12 * MIB}:wa:IU_new:MD_1:PU_x', f'two:{4 * MIB}:wa']
    assert lvs[1] == f'one:{12 * MIB}:wa:IU_new:MD_1:PU_x'
    assert results[-2].text.split()[0] == VG
    assert results[-2].text.split()[-1] == 'MDT_A=b'
    assert results[-1].text.startswith('/dev/vda:')
    assert host.out(f'blockdev --getsize64 /dev/{VG}/one') == str(12 * MIB)
    volumes.do(host, 'tag . -MDT_A=b')


def test_failures_say_what_they_are_and_change_nothing(volumes):
    host = volumes.pair[0]
    volumes.create('one', active=host)
    before = host.out(f'vgs --noheadings -o vg_seqno {VG}')
    results = volumes.run(
        host, f'extend one {1 << 40}', f'create one {8 * MIB}',
        f'create two {1 << 40}', f'extend none {8 * MIB}', 'activate none',
        'tag none +a', f'reduce none {MIB}')
    assert [result.ok for result in results] == [False] * 7
    assert [result.text.split()[0] for result in results] == [
        '397', '212', '397', '200', '200', '200', '200']
    assert 'bytes free' in results[0].text
    assert 'none' in results[3].text
    assert host.out(f'vgs --noheadings -o vg_seqno {VG}') == before
    # An LV that somebody has open stays.
    opened = host.start(f'exec 5<>/dev/{VG}/one; sleep 600', check=False)
    host.sh(f"wait_for 20 sh -c 'lvs -o lv_device_open {VG} | grep -q open'")
    assert not volumes.run(host, 'remove one')[0].ok
    host.sh('pkill -x sleep')
    opened.wait()
    assert 'one' in volumes.sizes()


def test_an_lv_grows_under_its_writer(volumes):
    host = volumes.pair[0]
    volumes.create('disk', active=host)
    writer = host.start(f'''
        for n in {{0..23}}; do
            size=$(blockdev --getsize64 /dev/{VG}/disk)
            until [ "$size" -ge $(((n + 1) << 20)) ]; do
                sleep 0.05
                size=$(blockdev --getsize64 /dev/{VG}/disk)
            done
            printf "%-1048576s" "piece $n" | dd of=/dev/{VG}/disk bs=1M \
                iflag=fullblock oflag=direct,seek_bytes seek=$((n << 20)) \
                status=none
        done''', timeout=240)
    lines = []
    for mib in range(8, 28, 4):
        lines += [f'extend disk {mib * MIB}', 'wait']
    assert [int(result.text) for result in volumes.do(host, *lines)] == \
        [mib * MIB for mib in range(8, 28, 4)]
    writer.wait()
    read = host.out(f'for n in {{0..23}}; do dd if=/dev/{VG}/disk bs=512'
                    ' skip=$((n << 11)) count=1 iflag=direct status=none |'
                    ' tr -d " "; echo; done')
    assert read.split() == [f'piece{n}' for n in range(24)]


def test_changes_of_another_host_are_seen(volumes):
    first, second = volumes.pair
    volumes.create('disk', active=second)
    # The second host's process is warm before the first one changes anything.
    watcher = volumes.start(second, [
        'lvs', 'wait', 'sleep 10000', 'wait', 'refresh disk', 'wait', 'lvs',
        'wait', 'pid'])
    second.sh(f'wait_for 60 {volumes.pgrep}; sleep 2')
    volumes.do(first, f'extend disk {20 * MIB}', 'wait',
               f'create other {4 * MIB} MD_7', 'wait', 'tag disk +seen')
    results = parse(watcher.wait().out)
    assert results[0].text == f'disk:{4 * MIB}:wa'
    assert sorted(results[3].text.split()) == [
        f'disk:{20 * MIB}:wa:seen', f'other:{4 * MIB}:w:MD_7']
    assert second.out(f'blockdev --getsize64 /dev/{VG}/disk') == str(20 * MIB)


@pytest.mark.parametrize('count', [
    pytest.param(50, marks=pytest.mark.check),
    pytest.param(200, marks=pytest.mark.long)])
def test_two_hosts_extend_at_once_and_nothing_is_lost(volumes, count):
    names = [[f'h{n}-{k}' for k in range(10)] for n in (1, 2)]
    volumes.create(*names[0], *names[1])
    wanted, commands = {}, []
    for host, own in zip(volumes.pair, names):
        lines = []
        for name, size in steps(own, count):
            lines.append(f'extend {name} {size}')
            wanted[name] = size
            if len(lines) % 4 == 0:
                lines.append('wait')
        commands.append(volumes.start(host, lines))
    for command in commands:
        results = parse(command.wait().out)
        assert len(results) == count and all(r.ok for r in results), results
    sizes = volumes.sizes()
    assert {name: sizes[name] for name in wanted} == wanted
    assert volumes.sizes(volumes.pair[1]) == sizes


EACH = 24


@pytest.mark.parametrize('enough', [
    pytest.param(10, marks=pytest.mark.check),
    pytest.param(100, marks=pytest.mark.long)])
def test_killed_at_any_moment_nothing_is_lost(volumes, enough):
    """dray-lvm gets kill -9 at random moments while it extends LVs that are
    open, and a second host extends others."""
    host, other = volumes.pair
    names = [f'k{n}' for n in range(8)]
    volumes.create(*names, active=host)
    volumes.create('far')
    far = volumes.start(other, [
        line for n in range(2, 22)
        for line in (f'extend far {4 * n * MIB}', 'wait')])
    wanted, kills = {}, 0
    extensions = steps(names, 6 * enough * EACH)
    while kills < enough:
        lines = []
        for name, size in itertools.islice(extensions, EACH):
            lines += [f'extend {name} {size}', 'wait']
            wanted[name] = size
        assert lines, f'only {kills} kills met a process'
        work = volumes.start(host, lines)
        # Not more: a request that ten processes die of is given up.
        for _ in range(5):
            if not work.done():
                time.sleep(random.uniform(0, 1))
                kills += volumes.kill(host)
        results = parse(work.wait().out)
        assert len(results) == EACH and all(r.ok for r in results), results
    assert all(result.ok for result in parse(far.wait().out))
    sizes = volumes.sizes()
    assert {name: sizes[name] for name in wanted} == wanted
    assert sizes['far'] == 84 * MIB
    # What the kernel has is what the metadata says, and nothing hangs.
    assert host.out(f'dmsetup info -c --noheadings -o suspended | sort -u') \
        == 'Active'
    for name, size in wanted.items():
        assert host.out(f'blockdev --getsize64 /dev/{VG}/{name}') == str(size)


def test_an_lv_left_suspended_is_resumed_with_its_own_table(volumes):
    """As LVM leaves it when it is killed before its commit: suspended, with
    an inactive table of extents that are not this LV's."""
    host = volumes.pair[0]
    volumes.create('disk', active=host)
    dm = volumes.dm_name('disk')
    table = host.out(f'''
        dmsetup table {dm}
        echo "0 $((16 << 11)) linear /dev/vda $((512 << 11))" |
            dmsetup load {dm}
        dmsetup suspend --noflush --nolockfs {dm}''')
    reader = host.start(f'dd if=/dev/{VG}/disk of=/dev/null bs=4k count=1'
                        ' iflag=direct')
    assert volumes.do(host, 'lvs')[0].text == f'disk:{4 * MIB}:wa'
    reader.wait()
    assert host.out(f'dmsetup table {dm}') == table
    assert host.out(f'dmsetup info -c --noheadings -o suspended,tables_loaded'
                    f' {dm}') == 'Active:Live'


def test_a_command_that_hangs_ends_with_its_process(volumes):
    """Suspended by somebody who has LVM's lock: dray-lvm does not wait."""
    host = volumes.pair[0]
    volumes.create('disk', active=host)
    locked = host.start(f'exec flock /run/lock/lvm/V_{VG} sleep 600',
                        check=False)
    host.sh(f'wait_for 20 test -e /run/lock/lvm/V_{VG}')
    started = time.monotonic()
    work = volumes.start(host, [f'extend disk {8 * MIB}'])
    host.sh(f'wait_for 60 {volumes.pgrep}; sleep 1; pkill -x sleep')
    locked.wait()
    assert parse(work.wait().out)[0].ok
    assert time.monotonic() - started < 60


def test_a_vg_is_made_and_removed_also_with_4096_byte_sectors(volumes):
    host, other = volumes.pair
    drive = (f'{volumes.build}/tests/lab/lvm-drive'
             f' {volumes.build}/src/lvm/process/dray-lvm /run big /dev/vdb')

    def run(*lines):
        text = '\nwait\n'.join(lines)
        return parse(host.out(f"{drive} <<'END'\n{text}\nEND", timeout=120))

    results = run('vgcreate UNREADY MDT_A=b', 'vg', f'create one {MIB}',
                  'activate one', f'extend one {200 * MIB}', 'lvs')
    assert all(result.ok for result in results), results
    name, size, free, extent, *_, first, second = results[1].text.split()
    assert (name, extent, size) == ('big', str(128 * MIB), free)
    assert {first, second} == {'UNREADY', 'MDT_A=b'}
    assert results[-1].text == f'one:{256 * MIB}:wa'
    assert host.out('pvs --noheadings --nosuffix --units m -o pv_mda_count,'
                    'pv_mda_used_count,pv_mda_size /dev/vdb').split()[:2] == \
        ['2', '2']
    assert 'big' in other.out('vgs --noheadings -o vg_name')
    # It is there already, and then it is not.
    again = run('vgcreate', 'deactivate one', 'vgremove', 'vgremove')
    assert [result.ok for result in again] == [False, True, True, True], again
    assert host.sh('pvs /dev/vdb', check=False).rc != 0
    # What something else is on is not taken.
    host.sh('mkfs.ext4 -q -F -b 4096 /dev/vdb 1G')
    refused = run('vgcreate')[0]
    assert not refused.ok and refused.text.startswith('351'), refused
    host.sh('blkid /dev/vdb | grep -q ext4; blkdiscard -z -l 2M /dev/vdb')


def test_200_lvs_faster_than_a_command_each(volumes, record_property):
    """Both by turns, so that what else the machine does hits both."""
    host = volumes.pair[0]
    names = [f'lv{n}' for n in range(200)]
    volumes.create_many(names)
    host.sh(f'lvchange -ay {VG}/lv0 {VG}/lv1')
    rounds = 8
    script = f'''
        mkfifo /run/lines
        {volumes.build}/tests/lab/lvm-drive \
            {volumes.build}/src/lvm/process/dray-lvm /run {VG} /dev/vda \
            /dev/vdc lab-space </run/lines >/run/answers &
        exec 7>/run/lines
        echo lvs >&7
        wait_for 30 grep -q lvs /run/answers
        for n in $(seq 2 {rounds + 1}); do
            size=$((n << 22))
            start=$EPOCHREALTIME
            lvextend -qq --autobackup n -L ${{size}}b {VG}/lv0 >&2
            echo "command $start $EPOCHREALTIME"
            echo "extend lv1 $size" >&7
            until [ "$(wc -l </run/answers)" = "$n" ]; do sleep 0.02; done
        done
        exec 7>&-
        wait
        cat /run/answers
        rm /run/lines /run/answers'''
    out = host.sh(script, timeout=240).out
    commands = [1000 * (float(end) - float(start)) for word, start, end in
                (line.split() for line in out.splitlines()
                 if line.startswith('command'))]
    ours = [result.ms for result in parse(out) if result.verb == 'extend']
    assert len(commands) == len(ours) == rounds
    p50 = [statistics.median(times) for times in (commands, ours)]
    ratio = p50[1] / p50[0]
    for name, value in (('command_ms', p50[0]), ('ours_ms', p50[1]),
                        ('ratio', ratio)):
        record_property(name, round(value, 2))
    print(f'lvextend {p50[0]:.0f} ms, dray-lvm {p50[1]:.0f} ms: {ratio:.2f}')
    assert ratio < 1, f'{p50} ms'
