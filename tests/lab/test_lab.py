# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: what the tests of block domains will lean on works."""
import os
import pathlib
import select
import signal
import subprocess
import time

import pytest

from lab import HERE, Failed


def both(pair, script, **options):
    """The script on both hosts at once; the two ends."""
    return [command.wait() for command in
            [host.start(script, **options) for host in pair]]


def test_output_status_and_timeout_come_back(pair):
    done = pair[0].sh('echo out; echo "$1" >&2; exit 3', 'a "b"', check=False)
    assert (done.rc, done.out, done.err) == (3, 'out\n', 'a "b"\n')
    with pytest.raises(Failed, match='exit 1.*\nlost'):
        pair[0].sh('echo lost; false')
    started = time.monotonic()
    done = pair[1].sh('echo begun; sleep 600', timeout=1, check=False)
    assert (done.rc, done.out) == (None, 'begun\n')
    assert time.monotonic() - started < 20


def test_a_host_sees_the_machine_and_writes_to_itself_only(pair, build):
    mark = pathlib.Path(f'/etc/drayd-lab-{os.getpid()}')
    assert pair[0].out('hostname; cat "$1"', HERE / 'run') == \
        'host1\n' + (HERE / 'run').read_text().strip()
    assert pair[0].out('ls "$1"', build).split() == sorted(
        entry.name for entry in build.iterdir() if entry.name[0] != '.')
    pair[0].sh('echo mine >"$1"', mark)
    assert not mark.exists()
    assert pair[1].sh('cat "$1"', mark, check=False).rc != 0


def test_luns_have_their_sectors_and_both_hosts_share_them(pair):
    for host in pair:
        assert host.out('cat /sys/block/vd[ab]/queue/logical_block_size') == \
            '512\n4096'
    for lun, size in (('vda', 512), ('vdb', 4096)):
        pair[0].sh(f'printf %-{size}s {lun}-text |'
                   f' dd of=/dev/{lun} bs={size} seek=3 oflag=direct')
        assert pair[1].out(f'dd if=/dev/{lun} bs={size} skip=3 count=1'
                           ' iflag=direct') == f'{lun}-text'
        pair[0].sh(f'blkdiscard -z -l 1M /dev/{lun}')


def test_neighbouring_sectors_written_by_two_hosts_all_arrive(pair):
    """Read, modify, write below us would lose some (see Lun)."""
    script = ('for n in {{1..24}}; do printf %-512s {0}-$n | dd of=/dev/vda'
              ' bs=512 seek={0} oflag=direct status=none; done')
    commands = [host.start(script.format(8 + n))
                for n, host in enumerate(pair)]
    for command in commands:
        command.wait()
    assert pair[0].out('dd if=/dev/vda bs=512 skip=8 count=2 iflag=direct'
                       ' status=none').split() == ['8-24', '9-24']
    pair[0].sh('blkdiscard -z -l 1M /dev/vda')


def test_device_mapper_and_watchdog(pair):
    pair[0].sh('''
        modprobe dm-flakey
        dmsetup create broken --table '0 2048 error'
        ! dd if=/dev/mapper/broken of=/dev/null bs=512 count=1
        dmsetup remove broken
        test -c /dev/watchdog
        dmsetup targets | grep -q flakey''')


def test_lvm_extends_an_lv_that_is_open(pair):
    pair[0].sh('''
        vgcreate -q lab /dev/vda
        lvcreate -q -Wn -Zn -an -n disk -L 8M lab
        lvchange -ay lab/disk
        exec 5<>/dev/lab/disk
        lvextend -q -L 16M lab/disk
        test "$(blockdev --getsize64 /dev/lab/disk)" = 16777216''')
    assert pair[1].out('lvs --noheadings --nosuffix --units b -o lv_size lab'
                       ) == '16777216'
    pair[0].sh('vgremove -q -f lab; pvremove -q /dev/vda')


def test_a_lease_held_on_one_host_is_refused_on_the_other(nodes):
    nodes[0].sh('''
        sanlock direct init -s space:0:/dev/vda:0 -o 1
        sanlock direct init -r space:one:/dev/vda:1M''')
    both(nodes, 'sanlock client add_lockspace -o 1'
               ' -s "space:${HOSTNAME#host}:/dev/vda:0"')
    held = nodes[0].start('sanlock client command -r space:one:/dev/vda:1048576'
                         ' -c /bin/sleep 600', check=False)
    nodes[0].sh("wait_for 20 sh -c 'sanlock client status | grep -q one'")
    take = ('sanlock client command -r space:one:/dev/vda:1048576'
            ' -c /bin/true')
    refused = nodes[1].sh(take, check=False)
    assert refused.rc != 0 or 'acquire error' in refused.out + refused.err
    nodes[0].sh('pkill -x sleep')
    held.wait()
    nodes[1].sh(take)
    both(nodes, 'sanlock client rem_lockspace'
               ' -s "space:${HOSTNAME#host}:/dev/vda:0"')
    nodes[0].sh('blkdiscard -z -l 2M /dev/vda')


def test_nfs_from_one_host_to_the_other(pair):
    # A file system that NFS can export: the root is an overlay.
    pair[0].sh('''
        mkfs.ext4 -q -F /dev/vdb 1G
        mkdir -p /srv/nfs
        mount /dev/vdb /srv/nfs
        start_nfs_server /srv/nfs''', timeout=120)
    pair[1].sh('''
        modprobe nfsv4
        mkdir -p /mnt/nfs
        mount -t nfs -o vers=4.2 192.0.2.1:/ /mnt/nfs
        grep -q ' /mnt/nfs nfs4 .*vers=4.2' /proc/mounts
        dd if=/dev/zero of=/mnt/nfs/file bs=1M count=8 oflag=direct''',
               timeout=120)
    assert pair[0].out('stat -c %s /srv/nfs/file') == str(8 << 20)
    pair[1].sh('umount /mnt/nfs')
    pair[0].sh('''
        stop_nfs_server
        umount /srv/nfs
        blkdiscard -z -l 2M /dev/vdb''')


VM = '''
<domain type='qemu'>
  <name>vm</name><memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source dev='/dev/lab/disk'/><target dev='vda' bus='virtio'/>
      <alias name='ua-disk'/>
    </disk>
    <controller type='usb' model='none'/><memballoon model='none'/>
  </devices>
</domain>'''


def test_libvirtd_runs_a_vm_on_an_lv(nodes):
    """No guest system: qemu itself writes where a guest would."""
    nodes[0].sh(f'''
        vgcreate -q lab /dev/vda
        lvcreate -q -Wn -Zn -n disk -L 16M lab
        echo "{VM}" >/run/vm.xml
        virsh -q create --paused /run/vm.xml
        virsh -q qemu-monitor-command vm --hmp \
            'qemu-io -d ua-disk/virtio-backend "write -P 0x5a 1M 64k"'
        virsh -q destroy vm''', timeout=240)
    # 128 sectors of Z, and one behind that is not
    assert nodes[0].out('dd if=/dev/lab/disk bs=512 skip=2048 count=129'
                       ' iflag=direct status=none | tr -d Z | wc -c') == '512'
    nodes[0].sh('vgremove -q -f lab; pvremove -q /dev/vda')


def processes_of(parent):
    children = pathlib.Path(f'/proc/{parent}/task/{parent}/children')
    return [int(pid) for pid in children.read_text().split()]


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_a_run_is_cut_off(number, tmp_path):
    script = tmp_path / 'script'
    script.write_text('sleep 600')
    run = subprocess.Popen([HERE / 'run', '-l', '1', script])
    qemu = []
    while not qemu and run.poll() is None:
        qemu = [pid for pid in processes_of(run.pid) if 'qemu' in
                pathlib.Path(f'/proc/{pid}/comm').read_text()]
        time.sleep(0.05)
    pidfd = os.pidfd_open(qemu[0])
    run.send_signal(number)
    run.wait(30)
    with open(pidfd) as end:
        assert select.select([end], [], [], 30)[0]
    assert not list(pathlib.Path('/var/tmp').glob('drayd-lab-*'))
