"""Device processes: the firmware on MicroPython's unix port, each in a folder of its own."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onebyte import toolchain
from onebyte.errors import UserError
from onebyte.simulation.process import Child

__all__ = ["Node", "NodeOptions", "describe_kernels", "find_micropython", "import_roots"]

_DRAIN_S = 30


@dataclass(frozen=True)
class NodeOptions:
    """How a node plays a recording.

    Attributes:
        host, port: the broker.
        tenant, device: its names in the topics.
        speed: how much faster than real time the recording is played; 0 as fast as it can.
        user, password: for the broker; empty for none.
        more: further keys of the configuration.
    """

    host: str
    port: int
    tenant: str
    device: str
    speed: int
    user: str = ""
    password: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """Return what differs from the firmware's defaults."""
        return {
            "tenant": self.tenant,
            "device": self.device,
            "broker_host": self.host,
            "broker_port": self.port,
            "broker_user": self.user,
            "broker_password": self.password,
            "policy": "all",
            "model_path": "model.obm",
            "replay_path": "recording.obr",
            "replay_speed": self.speed,
            "drain_s": _DRAIN_S,
            "reconnect_max_s": 2,
            **self.more,
        }


class Node:
    """One node in a folder; `start()` may be called again after its process ended.

    Args:
        folder: where configuration, model, recording, outbox and log go.
        options: NodeOptions.
        model_file: the model's bytes.
        recording: the `.obr` bytes.
        custom: the custom.py of a model with custom features.
    """

    def __init__(
        self,
        folder: Path,
        options: NodeOptions,
        model_file: bytes,
        recording: bytes,
        custom: bytes = b"",
    ) -> None:
        self.folder = folder
        self.options = options
        self._child: Child | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.obm").write_bytes(model_file)
        (folder / "recording.obr").write_bytes(recording)
        if custom:
            (folder / "custom.py").write_bytes(custom)
        (folder / "config.json").write_text(json.dumps(options.config(), indent=1))

    @property
    def name(self) -> str:
        """Its device name in the topics."""
        return self.options.device

    @property
    def speed(self) -> int:
        """How much faster than real time it plays; 0 as fast as it can."""
        return self.options.speed

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.folder / "node.log"

    def start(self) -> None:
        """Boot."""
        program = toolchain.ROOT / "firmware" / "main.py"
        path = {"MICROPYPATH": ":".join(map(str, import_roots()))}
        argv = (find_micropython(), program, "config.json")
        self._child = Child(argv, self.log, self.folder, path | self.variables())

    def variables(self) -> dict[str, str]:
        """Return what else goes into the environment of its process."""
        return {}

    @property
    def pid(self) -> int | None:
        """Process id of its last start, None before the first."""
        return None if self._child is None else self._child.pid

    @property
    def returncode(self) -> int | None:
        """How its process ended, None while it runs or was not started."""
        return None if self._child is None else self._child.returncode

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def stop(self) -> None:
        """End the process. May be called twice."""
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """Cut its power."""
        if self._child is not None:
            self._child.kill()

    def report(self) -> dict[str, Any]:
        """Return what the node said when the recording was over.

        Raises:
            UserError: it ended otherwise; the message has its last lines.
        """
        assert self._child is not None
        last = self._child.tail(1)
        try:
            report = json.loads(last)
        except ValueError:
            report = None
        if self._child.returncode != 0 or not isinstance(report, dict):
            raise UserError(f"node {self.options.device} failed: {self._child.tail(5)}")
        if report["model_error"]:
            raise UserError(
                f"node {self.options.device} refused its model: {report['model_error']}"
            )
        return report


def describe_kernels(report: dict[str, Any]) -> str:
    """Say which implementation of the kernels a node used, from its report."""
    names = {
        "obkernels": "native module (obkernels)",
        "obtwin": "MicroPython twin (obtwin): slower, same bits",
    }
    name = str(report.get("kernels", "unknown"))
    return names.get(name, name)


def import_roots() -> list[Path | str]:
    """Return the folders whose modules a board has on its flash, as the unix port searches them.

    The native module comes first; the twin is found where that was not built.
    """
    root, build = toolchain.ROOT, toolchain.ROOT / "build"
    return [
        ".frozen",
        build / "natmod" / "x64",
        build / "natmod-obed25519" / "x64",
        root / "lib",
        root / "firmware",
        root / "boards" / "unix",
        build / "device" / "lib",
        root / "lib" / "native" / "obkernels",
        root / "lib" / "native" / "obed25519",
    ]


def find_micropython() -> Path:
    """Return the unix port: the packaged one of this Python, one on the PATH, or our own build."""
    beside = Path(sys.executable).with_name("micropython")
    if beside.is_file() and os.access(beside, os.X_OK):
        return beside
    found = shutil.which("micropython") or toolchain.find_unix_port()
    if found is None:
        raise UserError("no MicroPython for this machine: run make micropython-unix")
    return Path(found)
