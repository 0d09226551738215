"""Flash an ESP32-S3 by esptool's Python interface; nothing is erased before all is checked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from esp_pylib.logger import EspLog, EspLogBase
from esptool.cmds import (
    attach_flash,
    detect_chip,
    detect_flash_size,
    reset_chip,
    run_stub,
    write_flash,
)
from esptool.loader import ESPLoader
from esptool.reset import ResetStrategy
from esptool.util import FatalError, flash_size_bytes

from onebyte.boards.esp_image import EspImage
from onebyte.boards.ports import PORT_ERRORS, open_port
from onebyte.errors import UserError

__all__ = ["BAUD", "flash_esp32"]

BAUD = 460800
_ROM_BAUD = 115200
_CONNECT_TRIES = 4  # esptool knows four ways to pull the lines
_PORT_TIMEOUT_S = 3.0

_TO_BOOT_MODE = "hold BOOT (GPIO0) while pressing RESET, then try again"
_PROBLEMS = {
    # A part of esptool's message -> ours.
    "MD5 of file does not match": "what the flash holds is not the image (MD5 differs): try again",
    "flash region is empty": "the flash took nothing: is it write protected?",
    "Secure Boot": "the chip has secure boot on and takes signed images only",
    "flash encryption": "the chip encrypts its flash and would not start this image",
}

Progress = Callable[[int, int], None]


class _Log(EspLogBase):
    """esptool's messages go nowhere, its progress to the thread's own callback."""

    def __init__(self) -> None:
        self.thread = threading.local()

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing: the caller reports one line a board."""

    err = warn = note = hint = debug = print

    def set_verbosity(self, mode: int | str) -> None:
        """There is one verbosity."""

    def progress_bar(
        self,
        cur_iter: int,
        total_iters: int,
        prefix: str = "",
        suffix: str = "",
        bar_length: int = 30,
    ) -> None:
        """Hand the progress of this thread on."""
        self.thread.progress(cur_iter, total_iters)


_log = _Log()


def flash_esp32(image: EspImage, device: str, progress: Progress, baud: int = BAUD) -> str:
    """Write an image, let the chip compute its MD5, start it, and return a line that says so.

    Args:
        image: A checked image.
        device: The board's port.
        progress: Is called with the bytes written and their total.
        baud: Speed while writing; a socket and USB without a bridge do not care.

    Raises:
        UserError: the port cannot be opened, no boot loader answers, another chip, a flash that is
            too small, a chip that is locked, an unplugged board, or an MD5 that differs.
    """
    at = _Position(progress)
    with open_port(device, _PORT_TIMEOUT_S) as port, _logging(at):
        try:
            esp = _connect(port, device)
            _check_chip(esp, image, device)
            flash_bytes = _attach(esp, image, device)
            esp = _start_stub(esp, baud, at)
            write_flash(esp, [(0, image.data)])
            started = _restart(esp)
        except FatalError as error:
            raise UserError(f"{device}: {_explain(error)}{at.state()}") from error
        except PORT_ERRORS as error:
            raise UserError(
                f"{device}: the connection was lost; is the board unplugged?{at.state()}"
            ) from error
    return (
        f"{device}: {image.chip}, {len(image.data)} bytes written, MD5 verified "
        f"(flash of {flash_bytes // 1048576} MiB), {started}"
    )


class _Position:
    """How far the writing came."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self._total = 0
        self._is_erased = False

    def watch(self, esp: ESPLoader) -> None:
        """See when esptool first erases: its checks before that leave the flash as it was."""
        for name in ("flash_begin", "flash_defl_begin"):
            setattr(esp, name, self._noting(getattr(esp, name)))

    def _noting(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **kwargs: Any) -> Any:
            self._is_erased = True
            return begin(*args, **kwargs)

        return noting

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._progress(done, total)

    def state(self) -> str:
        """Say in what state a failure leaves the flash."""
        if not self._is_erased:
            return " (nothing was erased)"
        done = 100 * self._done // self._total if self._total else 0
        return (
            f" ({done} % was written; the board does not start until it is flashed again, which "
            "its boot loader in ROM always allows)"
        )


@contextmanager
def _logging(progress: Progress) -> Iterator[None]:
    _log.thread.progress = progress
    EspLog.set_logger(_log)
    ResetStrategy.print_once = _log.warn  # bound to the first logger when it was imported
    yield


def _connect(port: Any, device: str) -> ESPLoader:
    try:
        return detect_chip(port, _ROM_BAUD, "default-reset", False, _CONNECT_TRIES)
    except FatalError as error:
        if "Failed to connect" not in str(error):
            raise
        raise UserError(
            f"{device}: no boot loader of an ESP32 answers (wrong mode, or no ESP32): "
            f"{_TO_BOOT_MODE}"
        ) from error


def _check_chip(esp: ESPLoader, image: EspImage, device: str) -> None:
    if image.chip != esp.CHIP_NAME:
        raise UserError(
            f"{device} is an {esp.CHIP_NAME}, {image.name} is for the {image.chip}; "
            "nothing was erased"
        )
    if esp.secure_download_mode:
        raise UserError(f"{device}: the chip is locked (secure download mode); nothing was erased")


def _attach(esp: ESPLoader, image: EspImage, device: str) -> int:
    """Connect the chip to its flash and return the flash's size in bytes."""
    attach_flash(esp)
    size = flash_size_bytes(detect_flash_size(esp))
    if not size:
        raise UserError(f"{device}: the size of the flash is not known; nothing was erased")
    try:
        image.check_fits(size)
    except UserError as error:
        raise UserError(f"{device}: {error}; nothing was erased") from error
    return int(size)


def _start_stub(esp: ESPLoader, baud: int, at: _Position) -> ESPLoader:
    """Load esptool's faster flasher into RAM and speed the line up."""
    stub = run_stub(esp)
    stub.WRITE_FLASH_ATTEMPTS = 1  # a board that was unplugged may come back as another one
    if baud != _ROM_BAUD and not stub.serial_port.startswith("socket:"):
        stub.change_baud(baud)
    attach_flash(stub)
    at.watch(stub)
    return stub


def _restart(esp: ESPLoader) -> str:
    """Start the image; where that fails the flash is good all the same."""
    try:
        reset_chip(esp, "hard-reset")
    except (FatalError, *PORT_ERRORS):
        return "press RESET to start it"
    return "restarted"


def _explain(error: Exception) -> str:
    text = str(error)
    for part, ours in _PROBLEMS.items():
        if part.lower() in text.lower():
            return ours
    return text.splitlines()[0] if text else type(error).__name__
