"""The time after a start in which Ctrl-C on the serial port still keeps the program from starting.

It is longer when the last starts ended early. A wake from deep sleep has none.
"""

import time

from app import config, keeper, power, settings
from formats import errors, retained

_DEFAULT_MS = config.KEYS["safe_boot_ms"][1]
_SLICE_MS = 50

_is_over = False


def window(chip, memory, config_path: str = "config.json", sleep_ms=time.sleep_ms) -> int:
    """Waits for Ctrl-C; the first call after a start does, any further one returns at once.

    Args:
        chip: the board's `power`, or None: nothing is waited for.
        memory: the board's `retained`, or None.
        config_path: of the JSON file beside which a sealed configuration may lie; when neither
            can be read, the default of `safe_boot_ms` counts.
        sleep_ms: function.

    Returns:
        How long it waited.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    global _is_over  # noqa: PLW0603 - a start happens once
    if _is_over or chip is None:
        return 0
    _is_over = True
    cause = chip.reset_cause()
    if cause == power.WOKE:
        return 0
    early_ends, _, _ = retained.parse_mark(keeper.read(memory))
    keeper.write_mark(memory, power.count_start(cause, early_ends), False, 0)
    wait_ms = power.safe_boot_ms(cause, early_ends, _configured_ms(config_path))
    if wait_ms:
        print("onebyte boot: %s, Ctrl-C within %d ms stops the start" % (cause, wait_ms))
    for _ in range(0, wait_ms, _SLICE_MS):
        sleep_ms(_SLICE_MS)
    return wait_ms


def _configured_ms(path: str) -> int:
    try:
        return getattr(settings.load(path), "safe_boot_ms")  # noqa: B009 (an attribute by its name)
    except (OSError, errors.OnebyteError):
        return _DEFAULT_MS
