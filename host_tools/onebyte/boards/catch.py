"""Catch a board in the seconds after a reset, in which Ctrl-C still opens a locked console."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from onebyte.boards import diagnosis
from onebyte.boards.link import Board
from onebyte.boards.ports import NoPort
from onebyte.boards.transport import Silent, Transport
from onebyte.errors import UserError

__all__ = ["WAIT_S", "catch_board"]

WAIT_S = 60.0
_PORT_S = 10.0  # a board that was just reset brings its port back
_OTHER_S = 1.0  # and for a moment nobody may open it
_TRY_S = 0.3
_PAUSE_S = 0.1


@contextmanager
def catch_board(
    port: str, tell: Callable[[str], object], wait_s: float = WAIT_S
) -> Iterator[Board]:
    """Open a board whose console may be locked, while a person presses its RESET.

    Args:
        port: As for `link.open_board`; with a reset it may go away and come back.
        tell: Takes the line that asks for RESET.
        wait_s: How long to try.

    Raises:
        UserError: its port cannot be opened, or the console did not open within the time.
    """
    board = _catch(port, tell, time.monotonic() + wait_s)
    if board is None:
        raise UserError(
            f"the console did not open within {wait_s:.0f} s: was RESET pressed? After a wake "
            "from deep sleep there is no such time"
        )
    try:
        board.stop()
        board.facts.check(board.device)
        yield board
    finally:
        board.close()


def _catch(port: str, tell: Callable[[str], object], deadline: float) -> Board | None:
    is_told = False
    start = time.monotonic()
    while time.monotonic() < deadline:
        try:
            transport = Transport(diagnosis.choose_port(port))
        except UserError as error:
            patience_s = _PORT_S if isinstance(error, NoPort) else _OTHER_S
            if not is_told and time.monotonic() > start + patience_s:
                raise
            time.sleep(_PAUSE_S)
            continue
        with suppress(UserError):
            while time.monotonic() < deadline:
                try:
                    transport.enter_raw_repl(timeout_overall=_TRY_S)
                    return Board(transport.device_name, transport)
                except Silent:
                    if not is_told:
                        tell(f"{transport.device_name}: press RESET on the board now")
                        is_told = True
        transport.close()
        time.sleep(_PAUSE_S)
    return None
