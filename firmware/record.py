"""Streams a recording on the unix port: `micropython firmware/record.py CONFIG.json [ROWS]`.

Standard input and output are the console; the end of the input ends the recording.
"""

import sys

import board as hardware

from app import config as configuration
from app import record_setup, record_stream
from app.recorder import Recorder
from formats import errors


def main() -> int:
    """Returns the exit status."""
    try:
        config = configuration.load(sys.argv[1])
        source = hardware.Board(config).source
    except (errors.OnebyteError, OSError) as error:
        print("onebyte record:", error)
        return 2
    max_rows = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    record_stream.run_on_console(Recorder(source), record_setup.info(config, source), max_rows)
    return 0


sys.exit(main())
