"""Bytes of a console to blocks; what is damaged is counted, what is no block is for people."""

from dataclasses import dataclass, field

from formats import errors, sample_block
from formats.errors import OnebyteError

__all__ = ["Block", "Splitter", "blocks_of"]

_MAX_PENDING_BYTES = 2 * sample_block.MAX_LINE_BYTES


@dataclass(frozen=True)
class Block:
    """A block that arrived whole.

    Attributes:
        kind, counter, body: see docs/SPEC.md, "Sample block".
        content: all of its bytes.
    """

    kind: int
    counter: int
    body: bytes
    content: bytes


@dataclass
class Splitter:
    """Cuts a stream into lines and finds the blocks.

    A line may be torn or glued to what else the device prints: a block is found wherever its mark
    stands, and a damaged one never costs the next.

    Attributes:
        damaged: lines with a block's mark that held none.
        said: what else the device printed, line by line; who shows them empties it.
    """

    damaged: int = 0
    said: list[str] = field(default_factory=list)
    _pending: bytes = b""

    def feed(self, data: bytes) -> list[Block]:
        """Return the blocks that these bytes complete."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        blocks = [block for line in lines for block in self._take(line)]
        if len(self._pending) > _MAX_PENDING_BYTES:
            self._pending = self._pending[-_MAX_PENDING_BYTES:]
        return blocks

    def finish(self) -> None:
        """Take note of a line that never ended."""
        if sample_block.LINE_MARK in self._pending:
            self.damaged += 1
        elif self._pending.strip(b"\x04>\r\n "):
            self._say(self._pending)
        self._pending = b""

    def _take(self, line: bytes) -> list[Block]:
        before, *parts = line.split(sample_block.LINE_MARK)
        self._say(before)
        found = []
        for part in parts:
            try:
                content = sample_block.parse_line(sample_block.LINE_MARK + part)
                kind, counter, body, end = sample_block.parse(content)
                if end != len(content):
                    raise OnebyteError(errors.BLOCK_SIZE)
                found.append(Block(kind, counter, body, content))
            except OnebyteError:
                self.damaged += 1
        return found

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip("\r\x04> ")
        if text:
            self.said.append("".join(c if c.isprintable() else "?" for c in text))


def blocks_of(content: bytes) -> tuple[list[Block], int]:
    """Return the whole blocks of a file and how many of its bytes belong to none.

    A damaged block never costs the next one.
    """
    blocks = []
    at = lost = 0
    while at < len(content):
        try:
            kind, counter, body, end = sample_block.parse(content, at)
            blocks.append(Block(kind, counter, body, content[at:end]))
        except OnebyteError:
            end = content.find(sample_block.MAGIC, at + 1)
            end = len(content) if end < 0 else end
            lost += end - at
        at = end
    return blocks, lost
