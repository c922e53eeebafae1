# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/performance.md: a head, and a part for each section, which is replaced
when the section is measured again."""
import os
import pathlib
import platform
import re
import time

from disks import MIB, scratch
from host import run

HEAD = '''\
# How fast drayd is
Measured, not estimated: `tests/bench/run` makes this page. It installs what it needs, builds, and runs on private daemons and on
file systems of its own; each part says when and on what it was measured. Each number is the median of its runs; contestants take
turns (A B C A B C ...), on the same data.
'''


def first_line(*argv):
    done = run(*argv, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else 'none'


def revision():
    top = pathlib.Path(__file__).resolve().parents[2]
    done = run('git', '-C', top, '-c', f'safe.directory={top}', 'describe',
               '--always', '--dirty', check=False)
    return done.stdout.strip() or 'of an unknown revision'


def processor():
    for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.machine()


def versions(guests):
    programs = [first_line('qemu-img', '--version'),
                'libvirt ' + first_line('virsh', '--version'),
                first_line('nbdcopy', '--version'),
                first_line('cp', '--version')]
    return '; '.join(re.sub(r'version |\(Debian.*\)|\(GNU (\w+)\)', r'\1',
                            text).replace('  ', ' ').strip()
                     for text in programs) + (f'; guests by {guests}'
                                              if guests else '')


def circumstances(bench, guests):
    """What the numbers depend on."""
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    disk = first_line('findmnt', '-no', 'SOURCE,FSTYPE', '-T', scratch())
    direct = 'direct I/O' if bench.storage.direct else 'the page cache'
    return [
        f'- {time.strftime("%Y-%m-%d %H:%M", time.gmtime())} UTC, drayd '
        f'{bench.revision}, `{bench.command}`, {bench.scale.runs} run'
        + ('s' if bench.scale.runs > 1 else '')
        + (', **small data: only a try**' if bench.scale.quick else ''),
        f'- {processor()}, {os.cpu_count()} cores, '
        f'{memory / MIB / 1024:.0f} GiB; Linux {platform.release()}; load '
        f'{bench.load:.1f} before, {os.getloadavg()[0]:.1f} after',
        f'- file systems on loop devices over {disk} by {direct}; '
        + versions({'kvm': 'KVM', 'qemu': 'TCG'}[bench.host.accel()]
                   if guests else None),
    ]


def part(bench, module):
    begin, end = f'<!-- {module.NAME} -->', f'<!-- end of {module.NAME} -->'
    body = module.section(bench)
    return '\n'.join([begin, f'## {module.TITLE}',
                      *circumstances(bench, module.GUESTS), '', *body, end])


def write(path, parts):
    """@parts {name: text}; the page's other parts stay."""
    path = pathlib.Path(path)
    old = path.read_text() if path.exists() else ''
    found = {name: text for text, name in re.findall(
        r'(<!-- (\w+) -->\n.*?<!-- end of \2 -->)', old, re.S)}
    order = ['copy', 'live', 'latency', 'reflink', 'extend']
    both = {**found, **parts}
    texts = [both[name] for name in order if name in both]
    path.write_text('\n'.join([HEAD, '\n\n'.join(texts), '']))
