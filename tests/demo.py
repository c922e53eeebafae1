# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo, inside a private host: see tests/demo."""
import json
import os
import subprocess
import sys
import time

from drayd import Drayd, build_dir, drayctl
from guest import Disk, Guest
from host import Failed, Host, run

DATA_MIB = 384   # what the disk holds before the guest starts
LIMIT_MIB = 40   # MiB/s: slow enough to watch


def say(text):
    print(f'\n\033[1m# {text}\033[0m' if sys.stdout.isatty()
          else f'\n# {text}', flush=True)


def show(*args):
    """A command as a user types it, with its own output."""
    print('$ drayctl', *args, flush=True)
    done = subprocess.run([build_dir() / 'src/cli/drayctl', *args],
                          check=False)
    if done.returncode != 0:
        raise Failed(f'drayctl {args[0]} {args[1]}: exit {done.returncode}')


def ask(*args):
    return json.loads(drayctl('--json', *args).stdout)


def used(mounts):
    for name, mount in mounts.items():
        line = run('df', '-h', '--output=used,size', mount).stdout
        amount, size = line.splitlines()[1].split()
        print(f'  {name}: {amount} of {size} used')


def chain(guest):
    info = json.loads(run('qemu-img', 'info', '-U', '--backing-chain',
                          '--output=json', guest.disk_path()).stdout)
    for layer in reversed(info):
        size = layer['actual-size'] / (1 << 20)
        print(f'  {layer["format"]:6} {size:7.1f} MiB  {layer["filename"]}')


def make_disk(domain):
    """Two layers: a raw base with data in it, a qcow2 leaf on top."""
    base = ask('volume', 'create', domain, '1G', '--format', 'raw')
    with open(base['path'], 'r+b') as f:
        for _ in range(DATA_MIB):
            f.write(os.urandom(1 << 20))
    return ask('volume', 'create', domain, '1G', '--format', 'qcow2',
               '--image', base['image'], '--parent', base['volume'])


def main():
    host = Host()
    say('A host of its own: sanlock, libvirtd, drayd, two file systems')
    host.start_sanlock()
    host.start_libvirtd()
    daemon = Drayd(host).start()
    mounts = {'old': host.make_fs('ext4', 1536),
              'new': host.make_fs('xfs', 1536)}
    for name, mount in mounts.items():
        show('domain', 'create', name, str(mount))
    show('domain', 'list')

    say('A guest starts on domain "old" and writes checksummed records')
    leaf = make_disk('old')
    guest = Guest(host, [Disk(leaf['path'], serial='demo')], name='web1',
                  start=512, size=64, rate=100)
    guest.start()
    guest.wait_acks(200)
    show('vm', 'disks', 'web1')
    print('The chain of its disk:')
    chain(guest)
    used(mounts)

    say('Its disk moves to domain "new" while it writes')
    show('disk', 'plan', 'web1', 'vda', 'new')
    before = guest.read().acked['vda']
    begin = time.monotonic()
    show('disk', 'migrate', 'web1', 'vda', 'new', '--limit', str(LIMIT_MIB))
    took = time.monotonic() - begin
    after = guest.read().acked['vda']
    print(f'Meanwhile ({took:.1f} s) the guest wrote and flushed '
          f'{after - before} records.')

    say('The guest reads back every record it ever acknowledged')
    guest.wait_acks(100)
    result = guest.verify()['vda']
    print(f'  {result["ok"]} blocks right, {result["bad"]} wrong')
    print('The chain of its disk now:')
    chain(guest)
    used(mounts)
    guest.power_off()
    guest.verify_image(guest.disk_path(), 'qcow2')
    print('The guest is off; its image, read from the host, holds them all.')
    daemon.stop()
    say('Done. Everything here was private and vanishes now.')


if __name__ == '__main__':
    try:
        main()
    except Failed as error:
        sys.exit(f'demo: {error}')
