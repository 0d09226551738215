"""The link to a real image over a line that fails: nothing on the board is ever half written."""

import pytest
from repl_board import ReplBoard, Tcp

from onebyte.boards import link, transport
from onebyte.boards.link import open_board
from onebyte.crossbuild import firmware
from onebyte.emulator.machine import Machine
from onebyte.errors import UserError

OLD = b"the old one"
NEW = bytes(range(256)) * 10


def be_impatient(patch: pytest.MonkeyPatch) -> None:
    """Wait less for what does not come over a line that fails."""
    patch.setattr(transport, "_STOP_S", 2.0)
    patch.setattr(transport, "_ANSWER_S", 3.0)
    patch.setattr(link, "EXEC_S", 3.0)


def test_unplugged_or_garbled_a_file_stays_whole(
    pico_ppp: firmware.Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Machine(pico_ppp.uf2) as machine:
        machine.boot()
        with machine.serial_port() as url, ReplBoard(Tcp(url)) as line:
            with open_board(line.path) as board:
                board.write_file("/f", OLD)
                n_before = line.n_in
                board.write_file("/g", NEW)
            n_needed = line.n_in - n_before
            for knob, value in (
                ("unplug_after", lambda: line.n_in + n_needed // 2),
                ("garble_in_every", lambda: 701),
            ):
                line.replug()
                setattr(line, knob, value())
                with (
                    monkeypatch.context() as patch,
                    pytest.raises(UserError) as caught,
                    open_board(line.path) as board,
                ):
                    be_impatient(patch)
                    board.write_file("/f", NEW)
                assert "\n" not in str(caught.value)
                line.replug()
                with open_board(line.path) as board:
                    assert board.read_file("/f") in (OLD, NEW), knob
            with open_board(line.path) as board:
                board.write_file("/f", NEW)
                assert board.read_file("/f") == NEW
