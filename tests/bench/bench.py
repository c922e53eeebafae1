# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark, inside a private host: see tests/bench/run."""
import argparse
import contextlib
import dataclasses
import functools
import os
import pathlib
import shlex
import sys

import bulk
import disks
import extend
import latency
import live
import page
import reflink
import rig
from drayd import RpcError
from host import Failed, Host

SECTIONS = {module.NAME: module for module in (bulk, live, latency, reflink,
                                            extend)}
PAGE = pathlib.Path(__file__).resolve().parents[2] / 'docs/performance.md'


@dataclasses.dataclass
class Scale:
    """How much is measured."""
    quick: bool = False
    runs: int = 5
    copy_mib: int = 4096   # a data set
    directions: int = 2    # between the two file systems
    empty_gib: int = 1024
    live_mib: int = 2048   # disk of the migrated VM
    live_formats: tuple = ('raw', 'qcow2')
    latency_mib: int = 4096
    quiet_s: float = 6
    reflink_gib: int = 10
    space_mib: int = 11 * 1024


QUICK = Scale(quick=True, runs=1, copy_mib=96, directions=1, empty_gib=64,
              live_mib=128, live_formats=('raw',), latency_mib=256, quiet_s=1,
              reflink_gib=1, space_mib=2048)


class Bench:
    def __init__(self, scale, command):
        self.scale, self.command = scale, command
        self.revision = page.revision()  # before we write into the tree
        self.load = os.getloadavg()[0]
        self.host = Host()
        self.storage = disks.Storage(self.host)
        self.exits = contextlib.ExitStack()
        self.failures = 0

    @functools.cached_property
    def stage(self):
        """Daemons and domains, once one needs them and until the end."""
        return rig.set_stage(self)

    @staticmethod
    def say(text):
        print(text, flush=True)

    def failed(self, text):
        self.failures += 1
        self.say(f'FAILED {text}')


def parse(argv):
    parser = argparse.ArgumentParser(
        prog='tests/bench/run', description='Measures drayd against its '
        'peers and writes docs/performance.md.')
    parser.add_argument('--quick', action='store_true',
                        help='small data, one run: whether it works; writes '
                        'no page without --out')
    parser.add_argument('--only', choices=SECTIONS, action='append',
                        help='this section; the page keeps the other ones')
    parser.add_argument('--out', type=pathlib.Path,
                        help='the page (docs/performance.md)')
    parser.add_argument('--runs', type=int, help='instead of 5')
    return parser.parse_args(argv)


def measure(bench, name, out):
    """One section. A failure is told, and does not lose the other ones."""
    bench.load = os.getloadavg()[0]
    try:
        text = page.part(bench, SECTIONS[name])
    except (Failed, RpcError, OSError) as error:
        first = f'{error.__context__}; then ' if error.__context__ else ''
        bench.failed(f'{name}: {first}{error}\n{bench.host.report()}')
        return
    bench.say(f'\n{text}\n')
    if out:
        page.write(out, {name: text})


def main():
    args = parse(sys.argv[1:])
    scale = QUICK if args.quick else Scale()
    if args.runs:
        scale = dataclasses.replace(scale, runs=args.runs)
    disks.require_space(scale.space_mib)
    out = args.out or (None if args.quick else PAGE)
    bench = Bench(scale, shlex.join(['tests/bench/run', *sys.argv[1:]]))
    with bench.exits:
        for name in args.only or SECTIONS:
            measure(bench, name, out)
    return 1 if bench.failures else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
