"""One emulated Pico: boot a firmware image, run code on it, look at its flash and its clock.

The emulated time stands still between two calls. So a script that does the same gets the same
cycles, however fast the PC is; only a connection to the outside (`ppp`, the serial port's socket)
lets the outside's timing in.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from onebyte.emulator.image import flash_image, read_firmware
from onebyte.emulator.process import EmulatorError, Process

__all__ = ["DeviceError", "EmulatorError", "Hardware", "Machine"]

_PROMPT = b">>> "
_BOOT_S = 20.0
_EXEC_S = 60.0
_CPU_FACTOR = 60.0  # an emulated second takes some ten of the PC's where the core never sleeps
_RAW_REPL = b"raw REPL; CTRL-B to exit\r\n>"
_CTRL_A, _CTRL_B, _CTRL_C, _CTRL_D = b"\x01", b"\x02", b"\x03", b"\x04"


class DeviceError(Exception):
    """Code on the device raised; the text is its traceback."""


class Hardware(TypedDict, total=False):
    """What is soldered to the chip. Nothing of it must be given."""

    devices: Sequence[dict[str, Any]]  # see docs/DESIGN.md, "The emulated board"
    ppp: dict[str, Any]  # the modem's end of UART 0
    mailbox: dict[str, str]  # paths "input" and "output"
    seed: int  # of the ring oscillator's random bits
    log: Callable[[str], None]  # takes lines about registers that the emulator lacks


class Machine:
    """A chip that is switched on. A context manager.

    Args:
        firmware: A .uf2 or .bin file, or a whole flash as bytes.
        filesystem: Image of the file system, which ends where the flash ends; see `littlefs.py`.
        hardware: What is connected, see `Hardware`.

    Raises:
        UserError: node is missing, or the firmware cannot be read.
    """

    def __init__(
        self,
        firmware: Path | bytes,
        filesystem: bytes | None = None,
        **hardware: Unpack[Hardware],
    ) -> None:
        code = firmware if isinstance(firmware, bytes) else read_firmware(firmware)
        config: dict[str, Any] = {**hardware}
        log = config.pop("log", None)
        self._process = Process(
            config | {"log": log is not None}, flash_image(code, filesystem), log
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def emulated_ms(self) -> float:
        """Emulated time since power-on, as of the last call."""
        return float(self._process.state["nanos"]) / 1e6

    @property
    def cycles(self) -> int:
        """Cycles that the core executed since power-on; while it sleeps it executes none."""
        return int(self._process.state["cycles"])

    @property
    def asleep_ms(self) -> float:
        """Emulated time since power-on in sleep that stops the clocks, as of the last call."""
        return float(self._process.state["asleep"]) / 1e6

    @property
    def resets(self) -> int:
        """How often the chip was reset since power-on."""
        return int(self._process.state["resets"])

    @property
    def cpu_s(self) -> float:
        """Seconds of the PC's processor that all of this took."""
        return float(self._process.state["cpu_s"])

    def boot(self, timeout_s: float = _BOOT_S) -> str:
        """Run until the prompt of the REPL comes; return what was printed before it.

        A program that the image starts by itself gets Ctrl-C. To see it run, leave this call out.
        """
        return self._run(b"\r" + _CTRL_C, _PROMPT, timeout_s).decode(errors="replace")

    def exec(self, code: str, timeout_s: float = _EXEC_S) -> str:
        """Run code on the device and return what it printed.

        Args:
            code: Source of a script.
            timeout_s: Emulated seconds that it may take.

        Raises:
            DeviceError: it raised.
            EmulatorError: it did not end, or the chip has no REPL at this moment.
        """
        # After Ctrl-C the interpreter is at its prompt, whatever it did before.
        self._run(b"\r" + _CTRL_C + _CTRL_A, _RAW_REPL, _BOOT_S)
        self._run(code.encode() + _CTRL_D, b"OK", timeout_s)
        printed = self._run(b"", _CTRL_D, timeout_s)[:-1]
        error = self._run(b"", _CTRL_D + b">", _BOOT_S)[:-2]
        if error:
            raise DeviceError(error.decode(errors="replace").replace("\r\n", "\n").strip())
        return printed.decode(errors="replace").replace("\r\n", "\n")

    def start(self, code: str) -> None:
        """Let code begin on the device; it goes on while emulated time runs."""
        self._run(b"\r" + _CTRL_C + _CTRL_A, _RAW_REPL, _BOOT_S)
        self._run(code.encode() + _CTRL_D, b"OK", _EXEC_S)

    def leave_raw_repl(self) -> None:
        """Go back to the friendly prompt, where `write_line` types."""
        self._run(_CTRL_B, _PROMPT, _BOOT_S)

    def write_line(self, text: str) -> None:
        """Type a line; it is read when the emulated time runs again."""
        self._process.call("send", send=base64.b64encode(text.encode() + b"\r").decode())

    def read_until(self, text: str | bytes, timeout_s: float = _EXEC_S) -> str:
        """Run until the serial port printed `text`; return everything up to its end.

        Raises:
            EmulatorError: it did not come within so many emulated seconds.
        """
        wanted = text.encode() if isinstance(text, str) else text
        return self._run(b"", wanted, timeout_s).decode(errors="replace")

    def run_ms(self, duration_ms: float) -> str:
        """Let emulated time go by; return what the serial port printed."""
        return self._advance(b"", None, duration_ms / 1000)[0].decode(errors="replace")

    def flash(self) -> bytes:
        """Return the content of the flash; a machine can be started from it again."""
        path = self._process.folder / "flash.bin"
        self._process.call("flash", path=str(path))
        return path.read_bytes()

    def set_device(self, index: int, **knobs: Any) -> None:
        """Change the knobs of a device now; see js/fifo_chip.mjs."""
        self._process.call("device", index=index, knobs=knobs)

    @contextmanager
    def serial_port(self, port: int = 0, speed: float = 1.0) -> Iterator[str]:
        """Open the serial port to other programs while the context lasts, and run by itself.

        Args:
            port: TCP port on 127.0.0.1, 0 for any.
            speed: so much shorter than emulated a sleep of the chip may be on the wall clock.

        Yields:
            What `mpremote connect` takes.
        """
        found = self._process.call("serve", port=port, speed=speed)["port"]
        try:
            yield f"socket://127.0.0.1:{found}"
        finally:
            self._process.call("unserve")

    def stall_serial(self, is_stalled: bool) -> None:
        """Let the host take nothing from the serial port, or take again."""
        self._process.call("stall", stalled=is_stalled)

    def modem(self) -> dict[str, Any]:
        """Return what the modem counted; empty without one."""
        stats: dict[str, Any] = self._process.call("modemStats")["modem"]
        return stats

    def outage(self, kind: str, for_ms: float) -> None:
        """Let the modem's link fail now; see js/ppp.mjs."""
        self._process.call("outage", outage={"kind": kind, "for_ms": for_ms})

    def marks(self) -> list[tuple[int, int, int]]:
        """Return (number, cycles, emulated ns) of each mark in the mailbox since last time."""
        return [tuple(mark) for mark in self._process.call("marks")["marks"]]

    def cut_power(self, operation: int, share: float = 0.5) -> None:
        """Let the supply fail within a flash operation; `is_dead` tells when it did.

        Args:
            operation: Which one from now on, 0 is the next erase or program.
            share: Part of its bytes that are still done.
        """
        self._process.call("cut", operation=operation, share=share)

    @property
    def is_dead(self) -> bool:
        """Whether the supply failed."""
        return bool(self._process.state["dead"])

    def power_on(self) -> None:
        """Bring the supply back: RAM is empty, the flash is as it was left."""
        self._process.call("power")

    def reset(self) -> None:
        """Pull the reset pin: RAM stays, the watchdog's scratch registers do not."""
        self._process.call("reset")

    def close(self) -> None:
        """Switch off."""
        self._process.close()

    def _run(self, send: bytes, until: bytes, timeout_s: float) -> bytes:
        output, is_found = self._advance(send, until, timeout_s)
        if not is_found:
            tail = output[-200:].decode(errors="replace")
            raise EmulatorError(f"no {until!r} within {timeout_s} s of emulated time: ...{tail!r}")
        return output

    def _advance(self, send: bytes, until: bytes | None, duration_s: float) -> tuple[bytes, bool]:
        options: dict[str, Any] = {
            "ms": duration_s * 1000,
            "cpu_s": _CPU_FACTOR * max(duration_s, 1),
        }
        if send:
            options["send"] = base64.b64encode(send).decode()
        if until is not None:
            options["until"] = base64.b64encode(until).decode()
        answer = self._process.call("run", **options)
        return base64.b64decode(answer["output"]), bool(answer["found"])
