"""A node process that is started again: when it asks for it, when it crashes, when it hangs.

What a chip's reset and watchdog do for a board.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onebyte.simulation.device import Node, NodeOptions

__all__ = ["RESTART_STATUS", "UPDATE_FOLDER", "SupervisedNode"]

RESTART_STATUS = 75  # `ota.platform_unix`
UPDATE_FOLDER = "updates"

_HANG_S = 4.0  # without a heartbeat
_TURN_S = 0.5  # counts at most from one turn to the next: this computer may stand still, too
_HEARTBEAT = "heartbeat"


class SupervisedNode(Node):
    """A node with slots in a folder; `watch()` has to be called all the time.

    Args:
        folder: as of `Node`.
        options: as of `Node`; the slots' folder is added.
        scene: (model file, recording, custom.py).
        identity: files below the folder of the updates that make it a product: path -> content.

    Attributes:
        n_restarts: how often it asked for one.
        n_crashes: how often it ended otherwise.
        n_hangs: how often the watchdog ended it.
    """

    def __init__(
        self,
        folder: Path,
        options: NodeOptions,
        scene: tuple[bytes, bytes, bytes],
        identity: Mapping[str, bytes],
    ) -> None:
        super().__init__(folder, options, *scene)
        self.n_restarts = self.n_crashes = self.n_hangs = 0
        self._silent_s = self._turned_s = self._delayed_before_s = 0.0
        self._last_sign = 0
        self.updates = folder / UPDATE_FOLDER
        for name, content in identity.items():
            path = self.updates / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def variables(self) -> dict[str, str]:
        """Have the board show that it is alive."""
        return {"ONEBYTE_HEARTBEAT": _HEARTBEAT}

    def start(self) -> None:
        """Boot."""
        self._silent_s, self._turned_s = 0.0, time.monotonic()
        self._delayed_before_s = 0.0
        super().start()

    def watch(self) -> str:
        """Start it again where that is due; return why, empty when it runs on."""
        code = self.returncode
        if code is None:
            if not self._is_hanging():
                return ""
            self.n_hangs += 1
            self.kill()
            self.start()
            return "the watchdog ended it"
        if code == RESTART_STATUS:
            self.n_restarts += 1
            why = "it restarts"
        elif code == 0:
            why = "its recording is over, it begins anew"
        else:
            self.n_crashes += 1
            why = f"it ended with {code}"
        self.start()
        return why

    def interrupt(self) -> None:
        """End it as Ctrl-C does: it saves what it has and says its counters."""
        if self._child is not None:
            self._child.interrupt()

    def summaries(self) -> list[dict[str, Any]]:
        """Return the counters of every start that ended in order."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                found.append(json.loads(line))
        return found

    def _is_hanging(self) -> bool:
        """Count the time without a heartbeat, as far as we, and the node, have seen it go by."""
        now_s, delayed_s = time.monotonic(), self._delayed_s()
        passed_s = min(now_s - self._turned_s, _TURN_S) - (delayed_s - self._delayed_before_s)
        passed_s = max(0.0, passed_s)
        self._turned_s, self._delayed_before_s = now_s, delayed_s
        sign = self._sign()
        self._silent_s = self._silent_s + passed_s if sign == self._last_sign else 0.0
        self._last_sign = sign
        return self._silent_s >= _HANG_S

    def _delayed_s(self) -> float:
        """Return how long its process was ready to run and had to wait; 0 where nobody says."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def _sign(self) -> int:
        try:
            return (self.folder / _HEARTBEAT).stat().st_mtime_ns
        except FileNotFoundError:
            return 0
