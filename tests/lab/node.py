# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab host as a hypervisor: sanlock, libvirtd, and drayd when asked for.

What tests do there goes through tests/integration's own modules, which run on
the host (remote.py): node.load('storage').make_domain(drayd, ...).
"""
import os

WORK = '/run/drayd-test'
# How much slower than this machine an emulated processor is held to be.
PATIENCE = 10


class Node:
    """@machine: the lab.Host; its sh(), out() and start() are this one's.
    @host: tests/integration's Host on it."""

    def __init__(self, machine, build):
        self.machine, self.number, self.name = (
            machine, machine.number, machine.name)
        self.sh, self.out, self.start = machine.sh, machine.out, machine.start
        self.load = machine.python(
            DRAY_BUILD=build, DRAY_PRIVATE_HOST=WORK, DRAY_TEST_ACCEL='qemu',
            DRAY_TEST_GUEST='bare',
            DRAY_TEST_PATIENCE=PATIENCE, TMPDIR=f'{WORK}/tmp',
            DRAY_TEST_CACHE=os.environ.get('DRAY_TEST_CACHE',
                                           '/var/cache/drayd-test')).load
        self.host = self.load('host').Host()

    def start_services(self):
        self.host.start_sanlock(self.name, ('-h', '0'))
        self.host.start_libvirtd(listens=True)

    def drayd(self, **sections):
        """A drayd that runs; host id and name are the host's."""
        sections = {'host': {'name': self.name}, **sections}
        daemon = self.load('drayd').Drayd(self.host, host_id=self.number,
                                          **sections)
        return daemon.start()

    def guest(self, disks, **options):
        """A guest that writes once it is started."""
        return self.load('guest').Guest(self.host, disks, **options)

    def domain(self, drayd, where, name):
        """A file domain in a directory, joined."""
        return self.load('storage').make_domain(drayd, where, name)
