#!/usr/bin/python3
"""Adds up JUnit files: prints what failed and "N passed, N failed, N skipped".

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


def main(broken, paths):
    count = {'passed': 0, 'failed': int(broken), 'skipped': 0}
    for path in paths:
        for suite in ET.parse(path).iter('testsuite'):
            for case in suite.iter('testcase'):
                result = outcome(case)
                count[result] += 1
                if result == 'failed':
                    print('FAILED', suite.get('name'), case.get('name'))
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**count))
    return count['failed'] > 0 or count['passed'] == 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], sys.argv[2:]))
