# SPDX-License-Identifier: GPL-2.0-or-later
"""The documentation says what the program does."""
import json
import pathlib
import re
import subprocess

import pytest

from drayd import build_dir, drayctl

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'


def read(name):
    return (ROOT / name).read_text(encoding='utf-8')


def test_api_page_is_what_the_daemon_says(drayd):
    made = subprocess.run(
        [DOCS / 'make-api.py'], input=json.dumps(drayd.call('rpc.discover')),
        stdout=subprocess.PIPE, text=True, check=True)
    assert read('docs/api.md') == made.stdout, (
        'docs/api.md is old: drayctl rpc rpc.discover | docs/make-api.py > '
        'docs/api.md')


def test_limits_of_the_page_are_the_daemons(drayd):
    page = read('docs/api.md')
    for value in drayd.call('Host.getCapabilities')['limits'].values():
        assert f' {value} ' in page


@pytest.mark.parametrize('page', ['README.md', 'docs/operations.md',
                                  'docs/HACKING.md', 'docs/api.md',
                                  'docs/decisions.md', 'docs/tls.md'])
def test_links_lead_somewhere(page):
    for target in re.findall(r'\]\(([^)#:]+)\)', read(page)):
        assert ((ROOT / page).parent / target).exists(), target


def test_readme_uses_commands_that_exist():
    known = drayctl('--help').stdout
    for words in re.findall(r'^ +drayctl ([a-z]+ [a-z.]+)', read('README.md'),
                            re.M):
        command = 'rpc' if words.startswith('rpc') else words
        assert command in known, words


def test_manual_of_drayd_names_its_options():
    usage = subprocess.run([build_dir() / 'src/daemon/drayd', '--help'],
                           stdout=subprocess.PIPE, text=True, check=True)
    manual = read('docs/drayd.8.scd')
    for option in re.findall(r'--[a-z]+', usage.stdout):
        assert f'*{option}*' in manual, option


def test_configuration_example_is_read(drayd):
    """Every key of the example, with its value as given there."""
    text = re.sub(r'^#([a-z_]+ = .*)$', r'\1', read('conf/drayd.conf'),
                  flags=re.M)
    conf = drayd.state_dir / 'example.conf'
    conf.write_text(re.sub(r'^full_group = dray$', 'full_group =', text,
                           flags=re.M))
    done = subprocess.run([build_dir() / 'src/daemon/drayd', '--check',
                           '--config', conf], stderr=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
