# SPDX-License-Identifier: GPL-2.0-or-later
"""The lease port on real sanlock: runs tests/integration/lease.c."""
from drayd import build_dir
from host import HERE, Service, answers, run


def program():
    return build_dir() / 'tests/integration/integration-lease'


def show(done):
    print(done.stdout, done.stderr)
    assert done.returncode == 0


def test_leases_on_two_hosts(host, make_fs):
    run_dir = host.work / 'other-sanlock'
    run_dir.mkdir()
    other = Service('the other sanlock',
                    ['sanlock', 'daemon', '-D', '-w', '0', '-U', 'root',
                     '-G', 'root', '-e', 'other'], host.new_log('sanlock-b'),
                    {'SANLOCK_RUN_DIR': str(run_dir)})
    other.start(lambda: answers(run_dir / 'sanlock.sock'))
    try:
        show(run(program(), 'hosts', make_fs(), run_dir, check=False,
                 timeout=120))
    finally:
        other.kill()


# A host inside the host, where nobody has started a sanlock. Its file system
# is its own too: what the outer host has under /run is hidden there.
PREPARE = '''cd "$DRAY_PRIVATE_HOST" && truncate -s 64M i && mkfs.ext4 -q i &&
mkdir m && mount -o loop i m || exit 1
'''


def on_an_inner_host(script):
    return run(HERE / 'private-host', 'bash', '-c', PREPARE + script,
               program(), check=False)


def test_without_sanlock(host):
    show(on_an_inner_host('exec "$0" down m'))


def test_sanlock_is_killed_while_a_lease_is_held(host):
    show(on_an_inner_host('''
        sanlock daemon -D -w 0 -U root -G root -e drayd-test 2>/dev/null &
        until [ -S /run/sanlock/sanlock.sock ]; do sleep 0.05; done
        exec "$0" killed "$PWD/m" $!'''))
