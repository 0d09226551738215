"""Decisions from a node's serial console: its lines become the messages that it would publish."""

import time
from collections.abc import Callable, Iterator

from formats import batch, errors, record, serial_line, topics
from formats.errors import OnebyteError
from onebyte.receiver.link import Message

__all__ = ["SerialSource"]

_TOPICS = {serial_line.META: topics.META, serial_line.STATUS: topics.STATUS}
_FOR_PEOPLE = b"onebyte "
_MAX_NOTES = 100


class SerialSource:
    """Has the `messages` of a `receiver.link.Link`; nothing is sent to the node.

    Args:
        read: returns what has arrived, after a short wait if that is nothing.
        tenant, device: what the node is called here.
        clock: seconds since 1970, or a test's.
    """

    def __init__(
        self,
        read: Callable[[], bytes],
        tenant: str,
        device: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._names = (tenant, device)
        self._clock = clock
        self._rest = b""
        self._notes: list[str] = []

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """Yield what arrives within the time.

        Raises:
            UserError: the port went away.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            *lines, self._rest = (self._rest + self._read()).split(b"\n")
            if len(self._rest) > serial_line.MAX_BYTES:
                self._rest = b""
            for line in lines:
                message = self._message(line)
                if message is not None:
                    yield message
            if lines or time.monotonic() >= deadline:
                return

    def notes(self) -> list[str]:
        """Return and forget what the node said for people, and which lines were damaged."""
        notes, self._notes = self._notes, []
        return notes

    def _message(self, line: bytes) -> Message | None:
        """Take a line; what began before we listened lacks its mark and is nobody's fault."""
        try:
            kind, payload = serial_line.parse(line + b"\n")
        except OnebyteError as error:
            self._note(line, error)
            return None
        if kind == serial_line.RECORD:
            topic, payload = topics.BATCH, batch.pack([record.parse(payload)])
        else:
            topic = _TOPICS[kind]
        now_s = self._clock()
        return Message(topics.pack(*self._names, topic), bytes(payload), False, False, now_s, 1)

    def _note(self, line: bytes, error: OnebyteError) -> None:
        if error.code != errors.LINE_MARK:
            self._add(f"a damaged line: {error}")
        elif line.startswith(_FOR_PEOPLE):
            self._add(line.decode("utf-8", "replace").strip())

    def _add(self, text: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(text)
