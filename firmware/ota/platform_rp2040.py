"""The RP2040 as a platform of updates: slots are files, the firmware itself is not updated."""

import machine

_WATCHDOG_MS = 8388  # the longest that the chip has


class Platform:
    """What the updates need of the machine that they run on.

    Attributes:
        partition_bytes: room of a firmware partition, 0: the firmware is not updated over the air.
        firmware: what writes such a partition: nothing.
    """

    partition_bytes = 0
    firmware = None

    def __init__(self) -> None:
        self._watchdog = None

    def restart(self) -> None:
        """Start anew; never returns."""
        machine.reset()

    def feed(self) -> None:
        """Tell the watchdog that all is well."""
        if self._watchdog:
            self._watchdog.feed()

    def start_watchdog(self) -> None:
        """Have a start that hangs end in another one: nothing stops the watchdog again."""
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)
