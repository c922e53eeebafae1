# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of a program, and what many of them come to."""
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import tempfile

from drayd import build_dir
from host import Failed


@dataclasses.dataclass
class Sample:
    seconds: float
    cpu: float = 0      # processor seconds, user and system
    peak_kib: int = 0   # memory of the largest process
    output: str = ''
    more: dict = dataclasses.field(default_factory=dict)


def timed(argv, timeout=900):
    """Runs a program to its end; a Sample. Fails with its output."""
    argv = [str(arg) for arg in argv]
    with tempfile.NamedTemporaryFile('r') as report:
        process = subprocess.Popen(
            [build_dir() / 'tests/bench/timed', report.name, *argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise Failed(f'{" ".join(argv)}: not done after {timeout} s: '
                         f'{output}') from None
        if process.returncode != 0:
            raise Failed(f'{" ".join(argv)}: exit {process.returncode}: '
                         f'{output}')
        took = json.load(report)
    return Sample(took['seconds'], took['user'] + took['system'],
                  took['peak_kib'], output)


def median(samples, value=lambda sample: sample.seconds):
    return statistics.median(value(sample) for sample in samples)


def spread(samples, value=lambda sample: sample.seconds):
    """(lowest, highest)"""
    values = [value(sample) for sample in samples]
    return min(values), max(values)


def interleaved(bench, names, measure, needed):
    """Runs A B C A B C ...: {name: [Sample, ...]}. @measure(name, round).
    Who fails drops out, unless the comparison makes no sense without it."""
    samples = {name: [] for name in names}
    for turn in range(bench.scale.runs):
        for name in list(samples):
            try:
                sample = measure(name, turn)
            except Failed as error:
                if name in needed:
                    raise
                bench.failed(f'{name}: {error}')
                del samples[name]
                continue
            samples[name].append(sample)
            bench.say(f'  run {turn + 1} of {bench.scale.runs}: {name}: '
                      f'{sample.seconds:.3f} s')
    return samples


def seconds(value):
    """Three digits that mean something."""
    digits = 3 if value < 1 else 2 if value < 100 else 0
    return f'{value:.{digits}f}'


def own_seconds(samples):
    """Of drayd's jobs, as they say themselves; peers have none."""
    if any('job_s' not in sample.more for sample in samples):
        return '-'
    return seconds(median(samples, lambda sample: sample.more['job_s']))


def mib(value_bytes):
    """At least a digit that is not 0, unless it is 0."""
    value = value_bytes / (1 << 20)
    return f'{value:.2f}' if 0 < value < 10 else f'{value:.0f}'


def table(header, rows):
    """Lines of Markdown; columns but the first are numbers."""
    lines = [header, ['---'] + ['--:'] * (len(header) - 1), *rows]
    return ['| ' + ' | '.join(str(cell) for cell in line) + ' |'
            for line in lines]
