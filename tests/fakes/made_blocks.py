"""Blocks as a device of one channel at 100 Hz sends them; each value is the number of its row."""

import numpy as np

from formats import sample_block
from onebyte.collect.assembler import Assembler
from onebyte.collect.stream import Block

INFO = (
    b'{"v":1,"sensor":"lis3dh","n_channels":1,"rate_mhz":100000,"pace_mhz":100000,'
    b'"lsb_nano":["1000000"],"range_g":2}'
)


def block(kind: int, counter: int, body: bytes) -> Block:
    return Block(kind, counter, body, sample_block.pack(kind, counter, body))


def samples(counter: int, row: int, n_rows: int = 10, **changes: object) -> Block:
    time_us = int(changes.get("time_us", (row + n_rows) * 10000))
    losses = changes.get("losses", (0, 0, 0))
    values = np.arange(row, row + n_rows, dtype="<i2").tobytes()
    when = divmod(time_us, 1_000_000)
    content = sample_block.pack_samples(counter, row, when, losses, (1, values))
    return Block(sample_block.SAMPLES, counter, content[12:-4], content)


def assembled(*blocks: Block) -> Assembler:
    assembler = Assembler()
    for one in (block(sample_block.INFO, 0, INFO), *blocks):
        assembler.take(one)
    return assembler
