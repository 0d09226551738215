"""Which board, and why one does not answer: what people meet, each with its remedy."""

from pathlib import Path

from onebyte.boards import find
from onebyte.boards.ports import NoPort
from onebyte.boards.transport import Transport
from onebyte.errors import UserError

__all__ = ["choose_port", "explain", "explain_answer"]

_FLASH = "flash MicroPython (`onebyte flash`)"
_LEAVE_BOOTSEL = "unplug it and plug it in without the button, or " + _FLASH
_LEAVE_LOADER = "press RESET without BOOT, or " + _FLASH
_LOCKED = b"onebyte boot: locked"
_ROM_WORDS = (b"waiting for download", b"DOWNLOAD(")
_MAX_SHOWN = 60
_NOTHING = "b''"  # stands in mpremote's words for an answer that is not what it should be

# esptool's SYNC in its SLIP frame: only the boot loader in an ESP32's ROM answers it.
_SYNC = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20" + b"\x55" * 32 + b"\xc0"
_SYNC_ANSWER = b"\xc0\x01\x08"
_SYNC_TRIES = 3
_SYNC_S = 0.4


def choose_port(port: str) -> str:
    """Return the port to open: the one that is named, or the only board's.

    Raises:
        NoPort: no board.
        UserError: a BOOTSEL drive, or several boards.
    """
    if port:
        if "://" not in port and find.drive_chip(Path(port)):
            raise UserError(f"{port} is a board in BOOTSEL mode: {_LEAVE_BOOTSEL}")
        return port
    found = find.find_ports(ask=False)
    if len(found) == 1:
        return found[0].where
    if found:
        names = ", ".join(f"{one.where} ({one.detail})" for one in found)
        raise UserError(f"several boards: {names}; name one with --port")
    for where in [*(one.where for one in find.find_drives()), *find.unmounted_drives()]:
        raise UserError(f"{where}: the only board found is in BOOTSEL mode: {_LEAVE_BOOTSEL}")
    raise NoPort("no board found: plug one in, with a cable that carries data")


def explain(transport: Transport, heard: bytes) -> str:
    """Return why a board has no raw REPL for us; may ask an ESP32's boot loader.

    Args:
        transport: Open.
        heard: What the board said instead.
    """
    device = transport.device_name
    if any(word in heard for word in _ROM_WORDS) or _is_rom_loader(transport, heard):
        return f"{device} is in the wrong mode, its boot loader: {_LEAVE_LOADER}"
    if _LOCKED in heard:
        return f"{device} is locked: press RESET, then at once `onebyte provision --unlock`"
    words = heard.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(words) if line.strip()), "")
    if last:
        return (
            f"{device}: the raw REPL does not answer, a program runs that Ctrl-C does not stop "
            f"(it says {last[:_MAX_SHOWN]!r}): press RESET and try again at once, or {_FLASH}"
        )
    return (
        f"{device}: the raw REPL does not answer, the board says nothing: press RESET and try "
        f"again; if that does not help, {_FLASH}"
    )


def explain_answer(device: str, problem: str) -> str:
    """Return a line for an answer that stopped or is damaged."""
    if "timeout" in problem or _NOTHING in problem:
        return (
            f"{device}: the board stopped answering: press RESET and try again (a cable or a hub "
            "that fails looks the same)"
        )
    return (
        f"{device}: what the board answers is damaged ({problem[:_MAX_SHOWN]}): end other "
        "programs on this port, take another cable, try again"
    )


def _is_rom_loader(transport: Transport, heard: bytes) -> bool:
    """Ask by esptool's first command, which a program that says something never gets."""
    if heard.strip():
        return False
    for _ in range(_SYNC_TRIES):
        transport.serial.write(_SYNC)
        if transport.read_until(1, _SYNC_ANSWER, _SYNC_S).endswith(_SYNC_ANSWER):
            return True
    return False
