"""Serial ports: opening one, saying why it does not work, and asking MicroPython who it is."""

import errno
import os
import re
import sys
import time
from dataclasses import dataclass

import serial

from onebyte.errors import UserError

if sys.platform == "win32":
    PORT_ERRORS: tuple[type[Exception], ...] = (OSError,)
else:
    import grp
    import termios

    PORT_ERRORS = (OSError, termios.error)  # pyserial's errors are an OSError

__all__ = ["PORT_ERRORS", "Banner", "NoPort", "ask_banner", "open_port"]

_BAUD = 115200
_CTRL_B = b"\x02"  # at the prompt MicroPython says who it is; a program that runs is not disturbed
_BANNER = re.compile(rb"MicroPython (\S+) on [^;\r\n]*; ([^\r\n]*) with (\S+)[\r\n]")
_MAX_ANSWER_BYTES = 65536
_READ_S = 0.05


class NoPort(UserError):
    """There is no such port, or none at all."""


@dataclass(frozen=True)
class Banner:
    """What MicroPython says of itself: its version, the machine and its chip."""

    version: str
    machine: str
    chip: str


def open_port(device: str, timeout_s: float = _READ_S) -> serial.Serial:
    """Open a port for us alone.

    Args:
        device: Such as /dev/ttyACM0, or socket://host:port.
        timeout_s: Of a read, in seconds.

    Raises:
        NoPort: no such port.
        UserError: no permission, in use, or no serial port.
    """
    try:
        return serial.serial_for_url(
            device, _BAUD, timeout=timeout_s, write_timeout=5, exclusive=True
        )
    except ValueError as error:
        raise UserError(f"{device} is no serial port: {error}") from error
    except PORT_ERRORS as error:
        raise _explain(device, error) from error


def ask_banner(device: str, timeout_s: float = 0.7) -> Banner | None:
    """Ask the prompt which MicroPython it is; None when nobody answers within the time.

    Raises:
        UserError: the port cannot be opened, or went away.
    """
    answer = b""
    deadline = time.monotonic() + timeout_s
    with open_port(device) as port:
        try:
            port.write(_CTRL_B)
            while time.monotonic() < deadline and len(answer) < _MAX_ANSWER_BYTES:
                answer += port.read(max(1, port.in_waiting))
                found = _BANNER.search(answer)
                if found:
                    return Banner(*(part.decode("utf-8", "replace") for part in found.groups()))
        except PORT_ERRORS as error:
            raise UserError(f"{device} went away: is the board unplugged?") from error
    return None


def _explain(device: str, error: Exception) -> UserError:
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return UserError(f"no permission on {device}: {_permission_remedy(device)}")
    if code in (errno.EAGAIN, errno.EBUSY):
        return UserError(
            f"{device} is busy: another program has it open (mpremote, a monitor?); end that"
        )
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return NoPort(
            f"no port {device}: is the board plugged in, with a cable that carries data?"
        )
    return UserError(f"cannot open {device}: {error}")


def _permission_remedy(device: str) -> str:
    if sys.platform == "win32":
        return "another program may have it open"
    try:
        number = os.stat(device).st_gid
    except OSError:
        return "its group is unknown"
    try:
        group = grp.getgrgid(number).gr_name
    except KeyError:
        group = str(number)
    return (
        f"it belongs to the group {group}; run `sudo usermod -aG {group} $USER`, then log in again"
    )
