"""A device without a board: the recorder on MicroPython's unix port, playing a recording."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onebyte import toolchain
from onebyte.collect.links import PIPE_BYTES, ProcessLink, replay_config
from onebyte.simulation import device

__all__ = ["open_replay"]


@contextmanager
def open_replay(
    recording: Path, speed: int = 1, pipe_bytes: int = PIPE_BYTES
) -> Iterator[ProcessLink]:
    """Run the recorder as long as the block.

    Args:
        recording: an .obr file.
        speed: times real time.
        pipe_bytes: see `ProcessLink`.

    Raises:
        UserError: there is no MicroPython for this machine.
    """
    with tempfile.TemporaryDirectory(prefix="onebyte-collect-") as name:
        config = Path(name) / "config.json"
        config.write_text(replay_config(recording, speed))
        program = toolchain.ROOT / "firmware" / "record.py"
        path = ":".join(map(str, device.import_roots()))
        argv = (device.find_micropython(), program, config)
        link = ProcessLink(argv, {"MICROPYPATH": path}, pipe_bytes)
        try:
            yield link
        finally:
            link.close()
