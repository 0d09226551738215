"""A board's raw REPL: run code, read and write files, and say in one line what is wrong.

    with open_board(port) as board:
        board.write_file("model.obm", content)

Whatever happens to the line, a file on the board is whole: the old one or the new one.
"""

import binascii
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mpremote.transport import TransportError

from onebyte.boards import diagnosis
from onebyte.boards.facts import SCRIPT, Facts, parse_facts
from onebyte.boards.transport import Lost, Silent, Transport
from onebyte.errors import UserError

__all__ = [
    "Board",
    "DeviceError",
    "Lost",
    "MissingFile",
    "NoSpace",
    "Silent",
    "open_board",
    "running_afterwards",
    "running_if_refused",
]

EXEC_S = 10.0
_READ_CHUNK_BYTES = 384
_WRITE_CHUNK_BYTES = 768
_SPARE_BLOCKS = 4  # LittleFS writes anew what it changes, directories included
_NO_SPACE = ("OSError: 28", "ENOSPC")
_NO_FILE = ("OSError: 2", "ENOENT")

# A start that ends because we say so is no loop: the next one waits for Ctrl-C no longer than set.
_FORGET_ENDS = """
from app import keeper
import board
keeper.write_mark(board.make_retained(),0,False,0)
"""

Progress = Callable[[int, int], None]


class DeviceError(UserError):
    """Code on the board raised.

    Attributes:
        traceback: as the board printed it.
    """

    def __init__(self, device: str, traceback: str) -> None:
        lines = traceback.strip().splitlines() or ["no reason"]
        super().__init__(f"{device}: the board says: {lines[-1]}")
        self.traceback = traceback

    def is_any(self, names: tuple[str, ...]) -> bool:
        """Return whether it is one of these exceptions."""
        return self.traceback.rstrip().splitlines()[-1:] != [] and any(
            name in self.traceback.rstrip().splitlines()[-1] for name in names
        )


class MissingFile(UserError):
    """The board has no such file."""


class NoSpace(UserError):
    """The board's flash is nearly full."""


class Board:
    """A board whose program is stopped and whose raw REPL answers.

    Args:
        device: Its port.
        transport: Opened, in its raw REPL.

    Attributes:
        device: Its port.
        transport: mpremote's; whoever uses it leaves it in the raw REPL.
    """

    def __init__(self, device: str, transport: Transport) -> None:
        self.device = device
        self.transport = transport
        self._facts: Facts | None = None
        self._in_step = True  # False: an answer is missing, so the next one would be misread

    @property
    def facts(self) -> Facts:
        """What the board says of itself; asked once."""
        if self._facts is None:
            self._facts = parse_facts(self.exec(SCRIPT))
        return self._facts

    def stop(self) -> None:
        """Stop what runs, and be in the raw REPL.

        Raises:
            UserError: it does not answer; the line says why and what to do.
        """
        try:
            self.transport.enter_raw_repl()
        except Silent as error:
            raise UserError(diagnosis.explain(self.transport, error.heard)) from error
        self._in_step = True

    def exec(
        self,
        code: str,
        timeout_s: float | None = None,
        on_output: Callable[[bytes], object] | None = None,
    ) -> str:
        """Run code and return what it printed.

        Args:
            code: Source; its names stay for the next call.
            timeout_s: Longest silence, 10 s by default.
            on_output: Gets the output piece by piece as it comes instead; what it raises stops
                the program and comes out here.

        Raises:
            DeviceError: the code raised.
            Silent, Lost: the line failed, or the code took too long.
        """
        if not self._in_step:
            self.stop()
        self._in_step = False
        consumer = None if on_output is None else _without_end(on_output)
        try:
            self.transport.exec_raw_no_follow(code)
            out, error = self.transport.follow(timeout_s or EXEC_S, consumer)
        except TransportError as problem:
            with contextlib.suppress(UserError):
                self.transport.serial.write(b"\r\x03")  # what takes too long must not go on
            raise Silent(diagnosis.explain_answer(self.device, str(problem))) from problem
        except (Lost, Silent):
            raise
        except BaseException:
            # Ctrl-C, or the consumer has enough: the board must not go on without us.
            with contextlib.suppress(UserError):
                self.stop()
            raise
        self._in_step = True
        if error:
            raise DeviceError(self.device, error.decode("utf-8", "replace"))
        return str(out.decode("utf-8", "replace")).replace("\r\n", "\n").replace("\x04", "")

    def ask(self, code: str, timeout_s: float | None = None) -> Any:
        """Run code that prints one line of JSON and return its value.

        Raises:
            Silent: what came is none: the line is garbled.
        """
        text = self.exec(code, timeout_s)
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._garbled() from error

    def free_bytes(self) -> tuple[int, int]:
        """Return the free bytes of the filesystem and the bytes of a block."""
        answer = self.exec("import os\ns=os.statvfs('/')\nprint(s[0]*s[3],s[0])").split()
        if len(answer) != 2 or not all(part.isdecimal() for part in answer):
            raise self._garbled()
        return int(answer[0]), int(answer[1])

    def read_file(self, path: str) -> bytes:
        """Return a file's content, checked by its hash.

        Raises:
            MissingFile: there is none.
            Silent, Lost: the line failed.
        """
        code = (
            f"import binascii,hashlib\nf=open({path!r},'rb')\nh=hashlib.sha256()\n"
            f"while 1:\n b=f.read({_READ_CHUNK_BYTES})\n if not b:break\n h.update(b)\n"
            " print(binascii.b2a_base64(b).decode(),end='')\n"
            "f.close()\nprint('=',binascii.hexlify(h.digest()).decode())"
        )
        try:
            *lines, last = self.exec(code).splitlines() or [""]
        except DeviceError as error:
            if error.is_any(_NO_FILE):
                raise MissingFile(f"{self.device}: the board has no file {path}") from error
            raise
        try:
            content = b"".join(binascii.a2b_base64(line) for line in lines)
        except binascii.Error as error:
            raise self._garbled() from error
        if last != f"= {hashlib.sha256(content).hexdigest()}":
            raise self._garbled()
        return content

    def write_file(
        self, path: str, content: bytes, progress: Progress | None = None, judge: str = ""
    ) -> str:
        """Write a file so that the board has the old one or the new one, whenever it stops.

        It is written under another name, read back on the board, and renamed when its hash is
        right. Missing folders are made.

        Args:
            path: Its place on the board.
            content: All of it.
            progress: Is called with the bytes written and their total.
            judge: Code that looks at the new file, at the path NEW, before it gets its name;
                what it raises leaves the old file in place.

        Returns:
            What `judge` printed.

        Raises:
            NoSpace: it does not fit; nothing was written.
            DeviceError: `judge` raised.
            Silent, Lost: the line failed; the old file is still there, or the new one.
        """
        self._check_fits(path, len(content))
        try:
            self._write_new(path, content, progress)
            return self._rename_new(path, hashlib.sha256(content).hexdigest(), judge)
        except DeviceError as error:
            self._remove_new(path)
            if error.is_any(_NO_SPACE):
                raise NoSpace(f"{self.device}: the flash is full: {_REMEDY_FULL}") from error
            raise
        except Lost as error:
            raise Lost(
                f"{error} {path} on the board is whole, the old one or the new one"
            ) from error
        except Silent:
            self._remove_new(path)
            raise

    def remove_file(self, path: str) -> bool:
        """Remove a file; return whether there was one."""
        try:
            self.exec(f"import os\nos.remove({path!r})")
        except DeviceError as error:
            if error.is_any(_NO_FILE):
                return False
            raise
        return True

    def restart(self) -> None:
        """Reset the chip, as the button does; afterwards the board runs without us."""
        if self._in_step:
            with contextlib.suppress(UserError):  # a board without our app counts nothing
                self.exec(_FORGET_ENDS)
        with contextlib.suppress(TransportError, Lost):
            self.transport.exec_raw_no_follow("import machine\nmachine.reset()")
        self._in_step = False
        self.transport.in_raw_repl = False

    def close(self) -> None:
        """Leave the friendly prompt behind and close the port."""
        if self.transport.in_raw_repl:
            with contextlib.suppress(UserError):
                self.transport.exit_raw_repl()
        self.transport.close()

    def _garbled(self) -> Silent:
        return Silent(diagnosis.explain_answer(self.device, "an answer is damaged"))

    def _check_fits(self, path: str, n_bytes: int) -> None:
        free, block = self.free_bytes()
        if free < n_bytes + _SPARE_BLOCKS * block:
            raise NoSpace(
                f"{self.device}: the flash is nearly full: {free} bytes are free, {path} needs "
                f"{n_bytes + _SPARE_BLOCKS * block} (nothing was written): {_REMEDY_FULL}"
            )

    def _write_new(self, path: str, content: bytes, progress: Progress | None) -> None:
        folders = [path[:at] for at, letter in enumerate(path) if letter == "/" and at]
        self.exec(
            f"import os,binascii\nfor d in {folders!r}:\n try:os.mkdir(d)\n except OSError:pass\n"
            # A file that a pulled cable left open would be written by the collector, later.
            "try:_new.close()\nexcept Exception:pass\n"
            f"_new=open({path + '.new'!r},'wb')\nw=_new.write\na=binascii.a2b_base64"
        )
        for at in range(0, len(content), _WRITE_CHUNK_BYTES):
            chunk = content[at : at + _WRITE_CHUNK_BYTES]
            self.exec(f"w(a('{binascii.b2a_base64(chunk, newline=False).decode()}'))")
            if progress:
                progress(at + len(chunk), len(content))
        self.exec("_new.close()")

    def _rename_new(self, path: str, digest: str, judge: str) -> str:
        """Put the new file in the old one's place if it is what was meant, and good."""
        new = path + ".new"
        found = self.exec(
            f"import os,hashlib,binascii\nh=hashlib.sha256()\nf=open({new!r},'rb')\n"
            "while 1:\n b=f.read(512)\n if not b:break\n h.update(b)\nf.close()\n"
            "print(binascii.hexlify(h.digest()).decode())"
        ).strip()
        if found != digest:
            raise self._garbled()
        verdict = self.exec(f"NEW={new!r}\n{judge}").strip() if judge else ""
        self.exec(f"os.rename({new!r},{path!r})")
        return verdict

    def _remove_new(self, path: str) -> None:
        with contextlib.suppress(UserError):
            self.exec("try:_new.close()\nexcept Exception:pass")
            self.remove_file(path + ".new")


_REMEDY_FULL = "remove what is not needed (`mpremote resume fs ls`, `mpremote resume fs rm`)"


def _without_end(on_output: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def consume(piece: bytes) -> None:
        text = piece.replace(b"\x04", b"")
        if text:
            on_output(text)

    return consume


@contextmanager
def open_board(port: str = "", is_checked: bool = True) -> Iterator[Board]:
    """Open a board, stop its program and enter its raw REPL; leave it at its prompt.

    Args:
        port: Such as /dev/ttyACM0, or socket://host:port; empty: the only board found.
        is_checked: Refuse an interpreter that our files do not run on.

    Raises:
        UserError: one line: which of the things that people meet it is, and what to do.
    """
    device = diagnosis.choose_port(port)
    board = Board(device, Transport(device))
    try:
        board.stop()
        if is_checked:
            board.facts.check(device)
        yield board
    finally:
        board.close()


@contextmanager
def running_if_refused(board: Board) -> Iterator[None]:
    """Restart a board when what is wanted of it is refused: nobody would see it stand still.

    Where the line failed there is nobody to tell.
    """
    try:
        yield
    except (Lost, Silent):
        raise
    except UserError:
        board.restart()
        raise


@contextmanager
def running_afterwards(board: Board, is_wanted: bool = True) -> Iterator[None]:
    """Restart a board at the end, also when something is refused.

    Args:
        board: Stopped.
        is_wanted: False: leave it at its prompt.
    """
    if not is_wanted:
        yield
        return
    with running_if_refused(board):
        yield
    board.restart()
