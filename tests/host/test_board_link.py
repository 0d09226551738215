"""The link to a board, against a real interpreter behind a line that fails on purpose."""

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from repl_board import ReplBoard
from serial.tools import list_ports
from serial_boards import EspBoard, Line, chatter, running, usb_port

from formats import retained
from onebyte.boards import diagnosis, find, link, transport
from onebyte.boards.link import (
    Board,
    DeviceError,
    MissingFile,
    NoSpace,
    Silent,
    open_board,
)
from onebyte.errors import UserError

CONTENT = bytes(range(256)) * 12
OLD = b"the old one"


@contextmanager
def impatience() -> Iterator[None]:
    """Shorter waits, for what never comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "_STOP_S", 0.4)
        patch.setattr(transport, "_ANSWER_S", 0.5)
        patch.setattr(link, "EXEC_S", 0.5)
        yield


@pytest.fixture
def impatient() -> Iterator[None]:
    with impatience():
        yield


def write_content(board: Board) -> None:
    board.write_file("/f", CONTENT)


def refuse(port: str, says: str, action: Callable[[Board], None] = lambda board: None) -> None:
    """Check that a board is refused, or what is done with it, in one line."""
    with pytest.raises(UserError, match=says) as caught, open_board(port) as board:
        action(board)
    assert "\n" not in str(caught.value)


def names_on(board: Board) -> list[str]:
    return board.exec("import os\nprint(*os.listdir('/'))").split()


def test_code_runs_and_its_names_stay() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        assert board.exec("x = 6\nprint('\\u00e4', x)") == "ä 6\n"
        assert board.exec("print(7 * x)") == "42\n"
        assert board.ask("import json\nprint(json.dumps([x]))") == [6]


def test_one_ctrl_c_since_a_second_would_interrupt_a_node_that_saves() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        board.exec("print(1)")
        assert fake.n_interrupts == 1


RETAINED = b"""
class Memory:
    def read(self):
        with open('/marks','rb') as file:
            return file.read()
    def write(self, content):
        with open('/marks','wb') as file:
            file.write(content)
make_retained = Memory
"""


def test_start_that_we_end_is_not_counted_as_an_early_end() -> None:
    with ReplBoard(frozen=("app.keeper",)) as fake:
        with open_board(fake.path) as board:
            board.write_file("/board.py", RETAINED)
            board.write_file("/marks", bytes(retained.pack_mark(5, False, 0)))
            board.restart()
        with open_board(fake.path) as board:
            assert retained.parse_mark(board.read_file("/marks"))[0] == 0


def test_facts_are_those_of_the_interpreter() -> None:
    with ReplBoard(unique_id="0011aaff") as fake, open_board(fake.path) as board:
        facts = board.facts
    assert (facts.implementation, facts.mpy, facts.arch) == ("micropython", (6, 3), "x64")
    assert facts.version >= (1, 25, 0)
    assert (facts.unique_id, facts.board, facts.product) == ("0011aaff", "", None)


def test_file_named_product_is_no_frozen_product() -> None:
    with ReplBoard() as fake:
        with open_board(fake.path) as board:
            board.write_file("/product.py", b"VENDOR=PRODUCT_CLASS=HARDWARE=FIRMWARE=1")
        with open_board(fake.path) as board:
            assert board.facts.product is None
            assert board.exec("import sys\nprint(sys.path[-1])") == "/\n"


def test_product_is_told() -> None:
    text = b'{"vendor": "v", "class": "c"}'
    with ReplBoard() as fake, open_board(fake.path) as board:
        board.write_file("/id/product.json", text)
        board._facts = None
        assert board.facts.product == {"vendor": "v", "class": "c"}


def test_exception_on_the_board_is_one_line_and_keeps_its_traceback() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        with pytest.raises(DeviceError, match="the board says: ZeroDivisionError") as caught:
            board.exec("def f():\n 1//0\nf()")
        assert "line 2, in f" in caught.value.traceback
        assert board.exec("print(1)") == "1\n"


def test_output_comes_while_the_program_runs_and_may_stop_it() -> None:
    class Enough(Exception):
        pass

    seen: list[bytes] = []

    def take(piece: bytes) -> None:
        seen.append(piece)
        if len(b"".join(seen)) >= 6:
            raise Enough

    with ReplBoard() as fake, open_board(fake.path) as board:
        endless = "import time\nn = 0\nwhile 1:\n print(n)\n n += 1\n time.sleep_ms(20)"
        before = fake.n_interrupts
        with pytest.raises(Enough):
            board.exec(endless, on_output=take)
        assert fake.n_interrupts == before + 1, "it would go on until somebody asks for more"
        assert b"".join(seen).split()[:3] == [b"0", b"1", b"2"]
        n = int(board.exec("print(n)"))
        time.sleep(0.1)
        assert int(board.exec("print(n)")) == n, "the program still runs"


def test_ctrl_c_never_leaves_the_heap_locked() -> None:
    """Where it is an exception in the middle of the garbage collector, it does."""
    busy = "import gc\nprint('on')\nwhile 1:\n x = [bytes(99) for i in range(200)]\n gc.collect()"

    class Enough(Exception):
        pass

    def stop(piece: bytes) -> None:
        raise Enough

    with ReplBoard() as fake, open_board(fake.path) as board:
        for _ in range(10):
            with pytest.raises(Enough):
                board.exec(busy, on_output=stop)
            assert board.exec("print(len(bytearray(1000)))") == "1000\n"


def test_program_that_takes_too_long_is_stopped_and_the_next_answer_is_its_own() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        board.exec("import time\nn = 0")
        before = fake.n_interrupts
        with pytest.raises(Silent, match="stopped answering"):
            board.exec("while 1:\n time.sleep_ms(10)\n n += 1", timeout_s=0.3)
        end = time.monotonic() + 60
        while fake.n_interrupts == before and time.monotonic() < end:
            time.sleep(0.01)
        assert fake.n_interrupts == before + 1, "it goes on, and nobody listens"
        n = int(board.exec("print(n)"))
        assert board.exec("print(n, 5)") == f"{n} 5\n"


def test_files_arrive_whole() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        steps: list[tuple[int, int]] = []
        board.write_file("/a/b/c.bin", CONTENT, lambda *step: steps.append(step))
        assert board.read_file("/a/b/c.bin") == CONTENT
        assert steps[-1] == (len(CONTENT), len(CONTENT)) and len(steps) > 2
        board.write_file("/a/b/c.bin", b"")
        assert board.read_file("/a/b/c.bin") == b""
        assert board.exec("print(os.listdir('/a/b'))") == "['c.bin']\n"
        assert board.remove_file("/a/b/c.bin") and not board.remove_file("/a/b/c.bin")
        with pytest.raises(MissingFile, match=r"no file /a/b/c.bin"):
            board.read_file("/a/b/c.bin")


def test_flash_that_is_nearly_full_is_left_alone() -> None:
    with ReplBoard(n_blocks=12) as fake, open_board(fake.path) as board:
        board.write_file("/old", OLD)
        with pytest.raises(NoSpace, match=r"nearly full.*nothing was written.*mpremote resume fs"):
            board.write_file("/old", bytes(40_000))
        assert (board.read_file("/old"), names_on(board)) == (OLD, ["old"])


def test_flash_that_runs_full_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "_check_fits", lambda *_: None)
    with ReplBoard(n_blocks=12) as fake, open_board(fake.path) as board:
        board.write_file("/old", OLD)
        with pytest.raises(NoSpace, match=r"the flash is full.*mpremote resume fs"):
            board.write_file("/old", bytes(60_000))
        assert (board.read_file("/old"), names_on(board)) == (OLD, ["old"])


def test_unplugged_while_copying_leaves_a_whole_file() -> None:
    with ReplBoard() as fake:
        with open_board(fake.path) as board:
            board.write_file("/f", OLD)
        n_before = fake.n_in
        with open_board(fake.path) as board:
            board.write_file("/other", CONTENT)
        n_needed = fake.n_in - n_before
        found = set()
        for share in (0.2, 0.5, 0.8, 0.95, 0.99):
            fake.replug()
            fake.unplug_after = fake.n_in + int(share * n_needed)
            refuse(fake.path, r"connection was lost.*unplugged.* whole", write_content)
            fake.replug()
            with open_board(fake.path) as board:
                content = board.read_file("/f")
                assert content in (OLD, CONTENT), "half written"
                found.add(content)
        assert OLD in found
        with open_board(fake.path) as board:  # and the next attempt goes through
            board.write_file("/f", CONTENT)
            assert board.read_file("/f") == CONTENT


@pytest.mark.parametrize("share", [0.6])
def test_board_that_stops_answering_while_copying(share: float) -> None:
    with ReplBoard() as fake:
        with open_board(fake.path) as board:
            board.write_file("/f", OLD)

        def stall(board: Board) -> None:
            fake.stall_after = fake.n_in + int(share * 3000)
            write_content(board)

        with impatience():
            refuse(fake.path, r"stopped answering|does not answer|is damaged", stall)
        fake.replug()
        with open_board(fake.path) as board:
            assert board.read_file("/f") == OLD


@pytest.mark.parametrize("every", [211, 499])
@pytest.mark.parametrize("side", ["garble_every", "garble_in_every"])
def test_damaged_bytes_never_become_a_file(side: str, every: int) -> None:
    with ReplBoard() as fake:
        with open_board(fake.path) as board:
            board.write_file("/f", OLD)
        try:
            with impatience(), open_board(fake.path) as board:
                setattr(fake, side, every)
                board.write_file("/f", CONTENT)
        except UserError as error:
            assert "\n" not in str(error)
        fake.replug()
        with open_board(fake.path) as board:
            assert board.read_file("/f") in (OLD, CONTENT)


def test_damaged_byte_that_nobody_else_notices_is_found_by_the_hash() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        board.write_file("/f", OLD)
        fake.swap = (b"AAAA", b"AAAB")  # still base64, and still so long
        with pytest.raises(Silent, match="is damaged"):
            board.write_file("/f", bytes(300))
        assert fake.swap is None, "nothing was damaged"
        assert (board.read_file("/f"), names_on(board)) == (OLD, ["f"])


def test_damaged_answer_is_no_content() -> None:
    with ReplBoard() as fake, open_board(fake.path) as board:
        board.write_file("/f", CONTENT)
        fake.garble_every = 1000
        with pytest.raises(Silent, match=r"is damaged.*another cable"):
            board.read_file("/f")


def test_board_that_is_silent(impatient: None) -> None:
    line = Line()
    refuse(line.path, r"says nothing: press RESET .*onebyte flash")
    line.close()


def test_program_that_ctrl_c_does_not_stop_is_quoted(impatient: None) -> None:
    heard: list[bytes] = []

    def step(line: Line) -> None:
        heard.append(line.read())
        if select.select([], [line.master], [], 0)[1]:
            os.write(line.master, b"temperature 21\r\n")

    with running(Line(), step) as line:
        refuse(line.path, r"does not stop \(it says '.*temp.*RESET")
    assert set(b"".join(heard)) == set(b"\r\x01\x03"), "a program gets what is for a boot loader"


def test_board_in_its_rom_loader_is_told_from_one_that_hangs(impatient: None) -> None:
    with EspBoard("esp32s3") as board:
        refuse(board.path, r"wrong mode, its boot loader: press RESET")
    with chatter(b"waiting for download\r\n") as line:
        refuse(line.path, "wrong mode")


def test_locked_board_says_how_to_open_it(impatient: None) -> None:
    with chatter(b"onebyte boot: locked\r\n") as line:
        refuse(line.path, r"is locked: .*--unlock")


@pytest.mark.parametrize(
    ("version", "name", "says"),
    [
        ("1.20.0", "micropython", r"MicroPython v1\.20\.0, which is too old: flash v1\.25\.0"),
        ("9.2.1", "circuitpython", r"runs circuitpython v9\.2\.1, not MicroPython"),
    ],
)
def test_interpreter_that_is_too_old_or_another(version: str, name: str, says: str) -> None:
    with ReplBoard(version=version, name=name) as fake:
        with pytest.raises(UserError, match=says), open_board(fake.path):
            pass
        with open_board(fake.path, is_checked=False) as board:  # a door for whoever wants in
            assert board.exec("print(1)") == "1\n"


def test_port_that_is_busy_or_missing(tmp_path: Path) -> None:
    line = Line()
    other = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(UserError, match="is busy: another program"), open_board(line.path):
        pass
    os.close(other)
    line.close()
    refuse(str(tmp_path / "ttyACM0"), r"no port .*cable that carries data")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say which ports and drives there are."""

    def set_up(*ports: Any, drives: tuple[Path, ...] = (), hidden: tuple[Path, ...] = ()) -> None:
        monkeypatch.setattr(list_ports, "comports", lambda: list(ports))
        monkeypatch.setattr(find, "_mount_points", lambda: iter(drives))
        monkeypatch.setattr(find, "unmounted_drives", lambda: list(hidden))

    return set_up


def test_only_board_is_taken_and_several_are_listed(plugged: Callable[..., None]) -> None:
    stranger = usb_port("/dev/stranger", 0x1234, 0x5678)
    plugged(
        usb_port("/dev/a"),
        stranger,
        usb_port("/dev/stranger2", pid=0x5678),
        usb_port("/dev/s3", vid=0x1234),
    )
    assert diagnosis.choose_port("") == "/dev/a"
    assert diagnosis.choose_port("/dev/z") == "/dev/z"
    plugged(usb_port("/dev/a"), usb_port("/dev/b"), stranger)
    with pytest.raises(UserError, match=r"several boards: /dev/a \(.*\), /dev/b .*--port") as one:
        diagnosis.choose_port("")
    assert "stranger" not in str(one.value)


def test_no_board_or_one_in_the_wrong_mode(plugged: Callable[..., None], tmp_path: Path) -> None:
    plugged()
    with pytest.raises(UserError, match=r"no board found.*cable that carries data"):
        diagnosis.choose_port("")
    (tmp_path / find.INFO).write_text("UF2 Bootloader\nBoard-ID: RPI-RP2\n")
    plugged(drives=(tmp_path,))
    with pytest.raises(UserError, match=r"in BOOTSEL mode: unplug it.*without the button"):
        diagnosis.choose_port("")
    with pytest.raises(UserError, match=r"in BOOTSEL mode"):
        diagnosis.choose_port(str(tmp_path))
    plugged(hidden=(tmp_path / "RPI-RP2",))
    with pytest.raises(UserError, match=r"in BOOTSEL mode"):
        diagnosis.choose_port("")


_MEASURE = """
import gc
gc.collect()
with open(NEW,'rb') as opened:print(len(opened.read()))
"""


def test_file_left_open_by_a_pulled_cable_spoils_nothing_later() -> None:
    with ReplBoard() as fake:
        with open_board(fake.path) as board:
            before = fake.n_in
            board.write_file("/a", bytes(300), judge=_MEASURE)
            n_bytes = fake.n_in - before
        for share in (0.3, 0.4, 0.5, 0.6, 0.7):
            with open_board(fake.path) as board:
                fake.unplug_after = fake.n_in + int(share * n_bytes)
                with pytest.raises(UserError):
                    board.write_file("/a", bytes(300))
            fake.replug()
            with open_board(fake.path) as board:
                assert board.write_file("/a", bytes(300), judge=_MEASURE) == "300", share
