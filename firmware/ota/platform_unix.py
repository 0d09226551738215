"""The unix port as a platform of updates: a process that its supervisor starts again."""

import sys

RESTART_STATUS = 75  # of a process that wants to be started again


class Platform:
    """What the updates need of the machine that they run on.

    Attributes:
        partition_bytes: room of a firmware partition, 0: the firmware is not updated over the air.
        firmware: what writes such a partition: nothing.
    """

    partition_bytes = 0
    firmware = None

    def restart(self) -> None:
        """Start anew; never returns.

        Raises:
            SystemExit: always; the status is RESTART_STATUS.
        """
        sys.exit(RESTART_STATUS)

    def feed(self) -> None:
        """Tell the watchdog that all is well; a process has none."""

    def start_watchdog(self) -> None:
        """Have a start that hangs end in another one; a process leaves that to its supervisor."""
