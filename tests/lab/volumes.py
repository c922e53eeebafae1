# SPDX-License-Identifier: GPL-2.0-or-later
"""A VG on the pair's first LUN, with leases on the third, and dray-lvm in it."""
import random
import re
import shlex

LUN, LEASES, SPACE = '/dev/vda', '/dev/vdc', 'lab-space'
MIB = 1 << 20
VG = 'lab-vg'  # a name that device-mapper has to escape


# An LV in LVM's text form.
LV = '''
{name} {{
id = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-{extent:06d}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
tags = ["MD_{extent}", "IU_bd2af73b-ccc8-47d1-99fc-5fe81604a4e4",
"PU_00000000-0000-0000-0000-000000000000"]
segment_count = 1
segment1 {{
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = ["pv0", {extent}]
}}
}}'''


class Result:
    def __init__(self, line):
        self.verb, self.ms, state, *rest = line.split(' ', 4)[1:]
        self.ms, self.ok = int(self.ms), state == 'ok'
        self.text = rest[0].strip() if rest else ''

    def __repr__(self):
        return f'{self.verb} {self.ms} ms {self.ok} {self.text}'


def number_of(line):
    return int(line.split(' ', 1)[0])


def parse(out):
    """The results in the order of their commands."""
    lines = [line for line in out.splitlines() if re.match(r'\d+ ', line)]
    return [Result(line) for line in sorted(lines, key=number_of)]


class Volumes:
    """Commands for dray-lvm and for LVM itself, on both hosts (nodes, so
    that sanlock runs)."""

    def __init__(self, pair, build):
        self.pair, self.build = pair, build
        self.empty = ''  # the VG's metadata without LVs
        # The domains have processes of their own.
        self.pgrep = f"pgrep -f '[d]ray-lvm {VG}'"

    def set_up(self):
        self.pair[0].sh(f'''
            sanlock direct init -s {SPACE}:0:{LEASES}:0 -o 4
            sanlock direct init -r {SPACE}:SDM:{LEASES}:1M
            pvcreate -q --metadatasize 16m --metadatacopies 2 {LUN}
            vgcreate -q -s 4m --setautoactivation n {VG} {LUN}''')
        self.empty = self.pair[0].out(
            f'vgcfgbackup -q -f /run/vg.empty {VG} >&2; cat /run/vg.empty')
        joins = [host.start(
            f'sanlock client add_lockspace -o 4 -s "{SPACE}:${{HOSTNAME#host}}'
            f':{LEASES}:0"') for host in self.pair]
        for join in joins:
            join.wait()

    def tear_down(self):
        for host in self.pair:
            host.sh(f'''
                vgchange -q -an {VG}
                sanlock client rem_lockspace \
                    -s "{SPACE}:${{HOSTNAME#host}}:{LEASES}:0"''')
        self.pair[0].sh(f'vgremove -q -f {VG}; pvremove -q {LUN}')

    def start(self, host, lines, timeout=600, lease=True):
        """dray-lvm on a host gets the commands; see lvm-drive.c."""
        argv = [f'{self.build}/tests/lab/lvm-drive',
                f'{self.build}/src/lvm/process/dray-lvm', '/run', VG, LUN]
        if lease:
            argv += [LEASES, SPACE]
        script = shlex.join(argv) + " <<'END'\n" + '\n'.join(lines) + '\nEND'
        return host.start(script, timeout=timeout)

    def run(self, host, *lines, **options):
        return parse(self.start(host, lines, **options).wait().out)

    def do(self, host, *lines, **options):
        """run(), and all of it must succeed."""
        results = self.run(host, *lines, **options)
        assert all(result.ok for result in results), results
        return results

    @staticmethod
    def kill(host):
        """Whether there was a dray-lvm."""
        return host.sh(f"pkill -9 -f '[d]ray-lvm {VG}'", check=False).rc == 0

    def create(self, *names, mib=4, active=None):
        """Makes LVs with LVM itself."""
        self.pair[0].sh(f'''
            for lv in {' '.join(names)}; do
                echo "lvcreate -qq -y -Wn -Zn -an -n $lv -L {mib}m {VG}"
            done | lvm >/dev/null''', timeout=300)
        if active:
            active.sh('lvchange -ay ' + ' '.join(
                f'{VG}/{name}' for name in names))

    def create_many(self, names):
        """The same for hundreds, in one commit: an LV of one extent each."""
        lvs = ''.join(LV.format(name=name, extent=n)
                      for n, name in enumerate(names))
        text = self.empty.replace('physical_volumes {', (
            'logical_volumes {' + lvs + '}\nphysical_volumes {'), 1)
        if 'logical_volumes {' in self.empty:
            raise ValueError('the VG is not empty')
        self.restore(text + '}\n' * (text.count('{') - text.count('}')))

    def restore(self, text):
        self.pair[0].sh(f"cat >/run/vg.text <<'END'\n{text}\nEND\n"
                        f'vgcfgrestore -q -f /run/vg.text {VG}')

    def remove_all(self):
        ends = [host.start(f'dmsetup remove --force $(dmsetup ls |'
                           f' grep -o "^{VG.replace("-", "--")}-[^ \t]*")'
                           f' 2>/dev/null || true')
                for host in self.pair]
        for end in ends:
            end.wait()
        self.restore(self.empty)

    def sizes(self, host=None):
        """{name: bytes}, as LVM on a host sees them."""
        out = (host or self.pair[0]).out(
            f'lvs --noheadings --nosuffix --units b -o lv_name,lv_size {VG}')
        pairs = (line.split() for line in out.splitlines())
        return {name: int(size) for name, size in pairs}

    def check(self):
        """No extent belongs to two LVs, and LVM finds nothing wrong."""
        self.pair[0].sh(f'vgck {VG}')
        out = self.pair[0].out(f'pvs --noheadings --segments -o'
                               f' pvseg_start,pvseg_size,lv_name {LUN}')
        end = 0
        for line in sorted(out.splitlines(), key=lambda s: int(s.split()[0])):
            start, size = (int(word) for word in line.split()[:2])
            assert start == end, out
            end = start + size

    def dm_name(self, lv):
        return f'{VG.replace("-", "--")}-{lv}'


def steps(names, count, mib=4, first=4):
    """@count extensions, each LV growing by @mib at a time."""
    sizes = dict.fromkeys(names, first)
    for _ in range(count):
        name = random.choice(names)
        sizes[name] += mib
        yield name, sizes[name] * MIB
