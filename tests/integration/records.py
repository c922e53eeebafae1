# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what the guest wrote (guest/writer.c) back from a disk image.

The guest acknowledged all records up to some number; each block of its region
must then hold the newest acknowledged record that belongs there, or a newer
one. A torn block is accepted only where a record was under way.
"""
import dataclasses
import os
import struct
import zlib

from host import Failed, run

BLOCK = 4096
STRIDE = 7919
HEADER = struct.Struct('<8sQQQII')


@dataclasses.dataclass
class Verdict:
    checked: int = 0  # blocks that must hold an acknowledged record
    lost: list = dataclasses.field(default_factory=list)  # (block, why)

    def __bool__(self):
        return self.checked > 0 and not self.lost


def parse_record(block):
    """(run, seq, block number), or None when it is not an intact record."""
    magic, run_id, seq, number, crc, _ = HEADER.unpack_from(block)
    if magic != b'DRAYREC1':
        return None
    zeroed = block[:32] + bytes(4) + block[36:]
    return (run_id, seq, number) if zlib.crc32(zeroed) == crc else None


def newest_acknowledged(blocks, acked):
    """(block, newest record <= acked that belongs there), in order."""
    return sorted((seq * STRIDE % blocks, seq) for seq in
                  range(max(1, acked - blocks + 1), acked + 1))


def verify_file(path, acked, blocks, run_id, start=0, in_flight=0):
    """The same for a raw file or device; @start in bytes."""
    verdict = Verdict()
    torn = {seq * STRIDE % blocks
            for seq in range(acked + 1, acked + in_flight + 1)}
    with open(path, 'rb') as image:
        for number, wanted in newest_acknowledged(blocks, acked):
            image.seek(start + number * BLOCK)
            verdict.checked += 1
            why = judge(image.read(BLOCK), wanted, number, run_id)
            if why and not (why == 'torn' and number in torn):
                verdict.lost.append((number, f'record {wanted}: {why}'))
    return verdict


def judge(block, wanted, number, run_id):
    """What is wrong with a block that must hold record @wanted."""
    if len(block) < BLOCK:
        return 'beyond the end of the image'
    if not any(block):
        return 'zeroes'
    record = parse_record(block)
    if record is None:
        return 'torn'
    if record[0] != run_id or record[2] != number:
        return f'foreign record {record}'
    if record[1] < wanted:
        return f'stale, record {record[1]}'
    return None


def verify_image(path, image_format, scratch, **what):
    """verify_file() for any format, read through qemu-img (with backing
    files); @scratch is a directory for the copy."""
    if image_format == 'raw':
        return verify_file(path, **what)
    copy = os.path.join(scratch, f'verify-{os.getpid()}-{id(what)}.raw')
    try:
        run('qemu-img', 'convert', '-U', '-f', image_format, '-O', 'raw', path,
            copy)
        return verify_file(copy, **what)
    finally:
        if os.path.exists(copy):
            os.unlink(copy)


def require(verdict, what):
    if not verdict:
        raise Failed(f'{what}: {len(verdict.lost)} of {verdict.checked} '
                     f'acknowledged blocks are lost: {verdict.lost[:5]}')
