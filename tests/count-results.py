#!/usr/bin/python3
"""Adds up JUnit files: prints what failed, the end of why, and
"N passed, N failed, N skipped" as the last line.

usage: count-results.py BROKEN FILE...

BROKEN counts what gave no results at all (a build, a crashed runner): each
counts as a failure. Exit status 1 when anything failed.
"""
import sys
import xml.etree.ElementTree as ET


def outcome(case):
    if case.find('failure') is not None or case.find('error') is not None:
        return 'failed'
    return 'skipped' if case.find('skipped') is not None else 'passed'


def reasons(case):
    """The last lines that say what was wrong."""
    for kind in ('failure', 'error'):
        for found in case.findall(kind):
            lines = [line for line in (found.text or '').splitlines()
                     if line.startswith('E  ') or ': error: ' in line]
            yield from lines[:6] or [found.get('message') or '']


def main(broken, paths):
    count = {'passed': 0, 'failed': int(broken), 'skipped': 0}
    for path in paths:
        for suite in ET.parse(path).iter('testsuite'):
            for case in suite.iter('testcase'):
                result = outcome(case)
                count[result] += 1
                if result == 'failed':
                    print('FAILED', suite.get('name'), case.get('name'))
                    for line in reasons(case):
                        print('   ', line[:400])
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**count))
    return count['failed'] > 0 or count['passed'] == 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
