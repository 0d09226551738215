"""A board that exists only in the emulator, playing a recording that its sensor chip measures.

The firmware is the image for a real Pico, its file system holds what `mpremote` would put there.
The chip on its bus and the modem on its UART are emulated; broker and host are real. Emulated time
runs in a thread of its own for as long as decisions are missing.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onebyte.emulator.littlefs import make_image
from onebyte.emulator.machine import EmulatorError, Machine
from onebyte.errors import UserError
from onebyte.simulation.script import Script

__all__ = ["BROKER_NAME", "N_CHANNELS", "RATE_MHZ", "EmulatedNode", "EmulatedOptions"]

# Of the emulated MPU-6050.
N_CHANNELS = 6
RATE_MHZ = 50_000

BROKER_NAME = "broker.onebyte.test"
_GATEWAY = "10.0.0.1"
_PORT, _TLS_PORT = 1883, 8883
_SLICE_MS = 250.0
_DRAIN_S = 120.0  # emulated, after the last sample
_SETTLE_MS = 1000.0  # for the last confirmation
_STOP_S = 60.0  # for what the node says at its end
_BOOT_S = 30.0
_JOIN_S = 20.0
_CTRL_C = "\x03"
_FOREVER_MS = 3_600_000


@dataclass(frozen=True)
class EmulatedOptions:
    """What a board is given.

    Attributes:
        firmware: image with the node in it, `.uf2` or `.bin`.
        broker_port: of a broker on this machine's loopback interface.
        tenant, device: its names in the topics.
        ca: certificate of the CA to trust, DER; empty for a connection without TLS.
        outages: see `emulator/js/ppp.mjs`.
        config: settings that differ from the demonstration's.
    """

    firmware: Path
    broker_port: int
    tenant: str
    device: str
    ca: bytes = b""
    outages: Sequence[dict[str, Any]] = ()
    config: dict[str, Any] = field(default_factory=dict)

    def node_config(self) -> dict[str, Any]:
        """Return config.json of the board."""
        config: dict[str, Any] = {
            "tenant": self.tenant,
            "device": self.device,
            "broker_host": BROKER_NAME,
            "broker_port": _PORT,
            "policy": "all",
            "sensor": "mpu6050",
            "sensor_rate_mhz": RATE_MHZ,
            "sensor_range_g": 8,
            "sensor_range_dps": 2000,
            # After the recording the chip is silent until the run is over.
            "silent_ms": _FOREVER_MS,
            # The broker counts the PC's seconds, the board its own.
            "keepalive_s": 3600,
            "reconnect_max_s": 2,
        }
        if self.ca:
            config |= {"broker_port": _TLS_PORT, "broker_tls": True, "broker_ca_path": "ca.der"}
        return config | self.config

    def modem(self) -> dict[str, Any]:
        """Return what the emulated modem leads where."""
        port = _TLS_PORT if self.ca else _PORT
        return {
            "names": {BROKER_NAME: _GATEWAY},
            "redirects": {f"{_GATEWAY}:{port}": self.broker_port},
            "outages": list(self.outages),
        }


class EmulatedNode:
    """A `Player`: one board, switched on once.

    Args:
        folder: where the recording and the log go.
        options: EmulatedOptions.
        model_file: the model's bytes.
        script: of `make_stream`.

    Attributes:
        is_complete: asked between two slices of time; True when nothing more is to come.
        stats: what the modem counted, once it has ended.
        emulated_s, wall_s, cpu_s: how long it ran: by its clock, by the PC's, on the processor.
    """

    speed = 1 / 60  # on a PC that does much else; it ends by its own clock

    def __init__(
        self,
        folder: Path,
        options: EmulatedOptions,
        model_file: bytes,
        script: Script,
    ) -> None:
        self.folder = folder
        self.options = options
        self.is_complete: Callable[[], bool] = lambda: False
        self.stats: dict[str, Any] = {}
        self.emulated_s = self.wall_s = self.cpu_s = 0.0
        self._model_file = model_file
        self._script = script
        self._report: dict[str, Any] = {}
        self._error: Exception | None = None
        self._must_stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """Its device name in the topics."""
        return self.options.device

    @property
    def log(self) -> Path:
        """What the board printed on its USB port."""
        return self.folder / "node.log"

    @property
    def is_running(self) -> bool:
        """Whether its power is on."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Switch it on."""
        self._thread.start()

    def stop(self) -> None:
        """Switch it off. May be called twice."""
        self._must_stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def report(self) -> dict[str, Any]:
        """Return what the node said when it was interrupted.

        Raises:
            UserError: it failed; the message has its last lines.
        """
        if isinstance(self._error, EmulatorError):
            words = "; ".join(filter(None, [str(self._error), self._tail()]))
            raise UserError(f"board {self.name} failed: {words}")
        if self._error is not None:
            raise self._error
        if self._report.get("model_error"):
            raise UserError(f"board {self.name} refused its model: {self._report['model_error']}")
        return self._report

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(line.strip() for line in lines[-5:] if line.strip())

    def _run(self) -> None:
        try:
            with self._switch_on() as machine, self.log.open("w") as log:
                self._play(machine, log.write)
        except Exception as error:  # told to who asks for the report
            self._error = error

    def _switch_on(self) -> Machine:
        rows = self.folder / "rows.i16"
        rows.write_bytes(self._script.recording)
        files = {
            "config.json": json.dumps(self.options.node_config()).encode(),
            "model.obm": self._model_file,
        }
        if self.options.ca:
            files["ca.der"] = self.options.ca
        if self._script.custom:
            files["custom.py"] = self._script.custom
        chip = {"chip": "mpu6050", "rows": str(rows)}
        return Machine(
            self.options.firmware,
            make_image(files),
            devices=[chip],
            ppp=self.options.modem(),
        )

    def _play(self, machine: Machine, write: Callable[[str], Any]) -> None:
        limit_ms = (_BOOT_S + self._script.duration_s + _DRAIN_S) * 1000
        while not self._must_stop.is_set() and machine.emulated_ms < limit_ms:
            write(machine.run_ms(_SLICE_MS))
            if self.is_complete():
                break
        if not self._must_stop.is_set():
            write(machine.run_ms(_SETTLE_MS))
            machine.write_line(_CTRL_C)
            said = machine.read_until("}\r\n", _STOP_S)
            write(said)
            self._report = json.loads(said[said.index("{") :])
        self.stats = machine.modem()
        self.emulated_s = machine.emulated_ms / 1000
        self.cpu_s = machine.cpu_s
