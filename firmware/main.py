"""Starts the node: the app of the slot that runs, else the frozen one.

On a board: runs when it is imported, with /config.json. On the unix port:
`micropython firmware/main.py [CONFIG.json]`, or the path in ONEBYTE_CONFIG. The last line of a
node that ends is a JSON object of counters; Ctrl-C ends it, and where ONEBYTE_KEYS is set it may
come as a byte on the standard input. One line says what is wrong when it cannot start; then the
exit status is 2, and on a board the prompt is there. A process that wants to be started again,
since another slot runs next, exits with 75.
"""

import gc
import json
import os
import sys

import board as hardware

from app import safe_boot

_MAX_CONFIG_BYTES = 8192
_IMPORT_GARBAGE_BYTES = 6000


def update_prefix(path: str) -> str:
    """Returns where the folders of the updates begin, empty on a PC that has none.

    Args:
        path: of the configuration; the app will say what is wrong with it.
    """
    if not hardware.IS_PROCESS:
        return "/"
    try:
        with open(path) as file:
            folder = json.loads(file.read(_MAX_CONFIG_BYTES)).get("update_path", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return folder + "/" if folder and isinstance(folder, str) else ""


def run(found, path: str) -> int:
    """Returns the exit status of the app.

    Args:
        found: `updates.Updates`, or None.
        path: of the configuration.
    """
    if found is not None and found.slot_path:
        # A slot's modules lie in the heap: what an import leaves between them would be holes, and
        # in the end no room in one piece for a model or a buffer.
        gc.collect()
        gc.threshold(_IMPORT_GARBAGE_BYTES)
    try:
        from app import run as app  # not before the slot is known

        status = app.main(found, path)
    except Exception as error:
        if found is None or not found.is_trial:
            raise
        sys.print_exception(error)
        status = 1
    if status and found is not None and found.is_trial:
        print("onebyte boot: the app on trial ended with %d" % status)
        found.platform.restart()  # the next try, or the slot of before
    return status


def main() -> int:
    """Returns the exit status."""
    path = os.getenv("ONEBYTE_CONFIG") if hasattr(os, "getenv") else None
    if len(sys.argv) > 1:
        path = sys.argv[1]
    path = path or "config.json"
    safe_boot.window(hardware.make_power(), hardware.make_retained(), path)
    prefix = update_prefix(path)
    found = None
    if prefix:
        from ota import updates  # a PC without updates starts in half the time

        found = updates.start(hardware.make_files(), prefix)
    return run(found, path)


_status = main()
if hardware.IS_PROCESS:
    sys.exit(_status)
