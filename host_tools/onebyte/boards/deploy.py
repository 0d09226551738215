"""A release through the cable: into the slot that does not run, armed, tried, and confirmed.

The board asks for what its slots do not have, piece by piece, and judges it as what comes over the
air; the host answers. docs/SPEC.md: Desk.
"""

import contextlib
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from onebyte.boards import deploy_release, link
from onebyte.boards.deploy_release import Standing
from onebyte.boards.link import Board
from onebyte.boards.transport import Lost, Silent, Transport
from onebyte.errors import UserError
from onebyte.updates.release import SignedRelease

__all__ = ["Refused", "Sent", "open_settled", "send", "wait_for_verdict"]

Progress = Callable[[int, int], None]
Tell = Callable[[str], object]

# What a console takes while nobody reads it: USB holds the sender back, a UART does not.
_WINDOW_BYTES = {"rp2": 4096}
_UART_WINDOW_BYTES = 112
_ESCAPES = ((b"\x1b", b"\x1b["), (b"\x03", b"\x1bE"))
_SILENCE_S = 60.0  # the board unpacks and verifies meanwhile
_PAUSE_S = 0.2
_RESTART_S = 30.0
_ACKNOWLEDGE = """
from ota import updates
from board import make_files
updates.desk.acknowledge(updates.at_desk(make_files(),'/'),%d)
"""
_LAST_LINES = 6


class Refused(UserError):
    """The board has judged the release, and does not keep it."""


@dataclass
class Sent:
    """What went through the cable.

    Attributes:
        objects: Names of what the board asked for.
        n_bytes: Payload, what was sent twice included.
    """

    objects: set[str] = field(default_factory=set)
    n_bytes: int = 0


class _Desk:
    """Answers what the board asks for; a consumer of its output."""

    def __init__(self, board: Board, release: SignedRelease, progress: Progress | None) -> None:
        self._board = board
        self._objects = {**release.objects, release.manifest_id: release.content}
        self._total = sum(len(content) for content in self._objects.values())
        self._here: dict[str, int] = {}
        self._progress = progress
        self._rest = b""
        self.sent = Sent()
        self.end: tuple[int, str] | None = None

    def take(self, piece: bytes) -> None:
        """Take a piece of the board's output."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            words = line.decode("utf-8", "replace").strip().split(" ", 3)
            if words[:2] == ["desk", "get"]:
                self._answer(words[2], *map(int, words[3].split()))
            elif words[:2] == ["desk", "end"]:
                self.end = int(words[2]), words[3]

    def _answer(self, name: str, offset: int, n_bytes: int) -> None:
        if name not in self._objects:
            raise UserError(
                f"{self._board.device}: the board has lost a file that was to be kept: deploy "
                "again with --fresh and all files"
            )
        content = self._objects[name][offset : offset + n_bytes]
        wire = _escaped(content)
        header = b"%08x%08x" % (len(wire), zlib.crc32(content))
        self._board.transport.serial.write(header + wire)
        self.sent.objects.add(name)
        self.sent.n_bytes += len(content)
        self._here[name] = offset + len(content)
        if self._progress:
            self._progress(sum(self._here.values()), self._total)


def send(
    board: Board, standing: Standing, release: SignedRelease, progress: Progress | None = None
) -> Sent:
    """Bring a release into the board's other slot and arm it.

    What an earlier attempt has brought is not sent again.

    Args:
        board: Stopped, in its raw REPL.
        standing: Of that board.
        release: What is brought.
        progress: Is called with the bytes that are there and their total.

    Raises:
        Refused: The board does not take it, and says why.
        Lost, Silent: The line failed; the board runs what it ran, and the next call goes on.
    """
    want = {
        "seq": release.manifest.manifest_seq,
        "manifest": hashlib.sha256(release.content).hexdigest(),
        "bytes": len(release.content),
        "root": standing.epoch,
        "url": "",
    }
    desk = _Desk(board, release, progress)
    window = _WINDOW_BYTES.get(board.facts.platform, _UART_WINDOW_BYTES)
    try:
        board.exec(f"updates.desk.receive(u,{want!r},{window})", _SILENCE_S, desk.take)
    except (Lost, Silent) as error:
        raise type(error)(
            f"{error}. The board goes on with what it ran; deploy again, and the rest is sent"
        ) from error
    _check(board, desk.end)
    return desk.sent


@contextlib.contextmanager
def open_settled(port: str, tell: Tell) -> Iterator[tuple[Board, Standing]]:
    """Open a board and ask where it stands; a trial that is in the way is given up first.

    When something is refused, here or by the caller, the board goes on with what it ran.

    Args:
        port: As for `link.open_board`.
        tell: Takes lines about what happens.
    """
    with link.open_board(port) as board, link.running_if_refused(board):
        standing = deploy_release.read_standing(board)
        if standing.phase != "trial":
            yield board, standing
            return
        board.exec("updates.desk.abandon(u)", _SILENCE_S)
        tell(f"{board.device}: the trial of release {standing.pending_seq} is given up")
        board.restart()
        device = board.device
    with _open_again(device) as board, link.running_if_refused(board):
        yield board, deploy_release.read_standing(board)


@contextlib.contextmanager
def _open_again(device: str) -> Iterator[Board]:
    """Open a board that starts anew: its port may have gone, and comes back."""
    deadline = time.monotonic() + _RESTART_S
    with contextlib.ExitStack() as stack:
        while True:
            try:
                board = stack.enter_context(link.open_board(device))
                break
            except UserError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
        yield board


def wait_for_verdict(device: str, seq: int, wait_s: float, tell: Tell) -> None:
    """Listen until a release on trial is healthy, and acknowledge it; the board starts anew then.

    Args:
        device: The board's port; it may go away and come back.
        seq: Of the release.
        wait_s: How long to listen.
        tell: Takes lines about what happens.

    Raises:
        Refused: The trial failed, or the board says nothing about it in this time.
    """
    deadline = time.monotonic() + wait_s
    listener = _Listener(seq, tell)
    while time.monotonic() < deadline and not listener.verdict:
        with contextlib.suppress(Lost):
            listener.listen(device, deadline)
        if not listener.verdict:
            time.sleep(_PAUSE_S)
    if not listener.verdict:
        raise Refused(
            f"{device}: no verdict on release {seq} within {wait_s:.0f} s: {listener.heard()}"
        )
    if listener.verdict != "confirmed":
        raise Refused(f"{device}: release {seq} {listener.verdict}; the board runs what it ran")


class _Listener:
    """Reads a console until it says how a trial ends."""

    def __init__(self, seq: int, tell: Tell) -> None:
        self._seq = seq
        self._tell = tell
        self._lines: list[str] = []
        self._problem = ""  # of the port
        self.verdict = ""

    def heard(self) -> str:
        """Return what the board said last, or why it says nothing, in one line."""
        return self._problem or " | ".join(self._lines[-_LAST_LINES:]) or "it says nothing"

    def listen(self, device: str, deadline: float) -> None:
        """Listen until the verdict, the deadline, or the end of the connection."""
        try:
            transport = Transport(device)
        except UserError as error:
            self._problem = str(error)  # or it is on its way back
            return
        self._problem = ""
        try:
            rest = b""
            while time.monotonic() < deadline and not self.verdict:
                *lines, rest = (rest + transport.serial.read_some()).split(b"\n")
                for line in lines:
                    self._hear(line.decode("utf-8", "replace").strip(), device, transport)
                    if self.verdict:
                        break
        finally:
            transport.close()

    def _hear(self, line: str, device: str, transport: Transport) -> None:
        if not line.startswith("ob1 ") and line:
            self._lines.append(line)
        name = f"release {self._seq} "
        if line.startswith("onebyte boot: slot") and "on trial" in line:
            self._tell(line)
        elif line == f"onebyte update: {name}is healthy":
            self._tell(line)
            self.verdict = _acknowledge(Board(device, transport), self._seq, self._tell)
        elif line == f"onebyte update: {name}is confirmed":
            self.verdict = "confirmed"
        elif line.startswith(f"onebyte update: {name}failed: "):
            self.verdict = line.partition(name)[2]
        elif line.startswith("onebyte boot: ") and f"; {name}was taken back: " in line:
            self.verdict = line.partition(f"; {name}")[2]


def _acknowledge(board: Board, seq: int, tell: Tell) -> str:
    """Stop the node on trial, confirm it, and let it start anew.

    Returns:
        The verdict; none when something was missing again at the moment of the stop, or the node
        had just started anew by itself: then it goes on with its trial.
    """
    board.stop()
    answer = board.exec(_ACKNOWLEDGE % seq)
    code, _, why = answer.strip().splitlines()[-1].removeprefix("desk end ").partition(" ")
    standing = deploy_release.read_standing(board) if code != "0" else None
    board.restart()
    if standing is None or (standing.phase != "trial" and standing.installed_seq == seq):
        return "confirmed"
    if standing.phase == "trial" and standing.pending_seq == seq:
        tell(f"release {seq} was not healthy when it was stopped; its next start is looked at")
        return ""
    return f"was not confirmed: {why}"


def _check(board: Board, end: tuple[int, str] | None) -> None:
    if end is None:
        raise Silent(f"{board.device}: the board ended without a word: deploy again")
    if end[0]:
        raise Refused(f"{board.device}: the board refuses the release: {end[1]}")


def _escaped(content: bytes) -> bytes:
    for plain, escaped in _ESCAPES:
        content = content.replace(plain, escaped)
    return content
