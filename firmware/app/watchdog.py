"""Feeds the board's watchdog, and only while the node gets on.

A step that hangs feeds nothing, and neither does a loop that turns without reading, judging or
sleeping. Only the name lookup may take longer than the watchdog: it cannot be interrupted and ends
by itself, so a timer feeds meanwhile, for a bounded time.
"""

from app import power

_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards
_SLACK_MS = 10000
LOOKUP_MS = 60000


class Watchdog:
    """Runs from the moment when it is made; the first step may be the one that hangs.

    Args:
        chip: the board's `power`, or None.
        config: Config.
    """

    def __init__(self, chip, config):
        self._chip = chip if config.watchdog_ms else None
        # A sensor that is silent is a fault every `silent_ms`; a session may take its budget.
        self._longest_ms = config.silent_ms + config.awake_budget_ms + _SLACK_MS
        self._seen = -1
        self._seen_ms = 0
        if self._chip is not None:
            self._chip.start_watchdog(config.watchdog_ms)

    def turn(self, progress: int, now_ms: int) -> None:
        """Feeds the watchdog if the node got on.

        Args:
            progress: changes whenever it does.
            now_ms: millisecond ticks.
        """
        if self._chip is None:
            return
        has_progressed = progress != self._seen
        if has_progressed:
            self._seen = progress
            self._seen_ms = now_ms
        if power.may_feed(
            has_progressed, (now_ms - self._seen_ms) & _TICKS_MASK, self._longest_ms
        ):
            self._chip.feed()

    def leave(self) -> None:
        """A person has stopped the node: from now on a timer feeds, and the prompt stays."""
        if self._chip is not None:
            self._chip.feed_for_ms(-1)


class PatientNet:
    """A socket module whose name lookup may take longer than the watchdog.

    Args:
        net: the socket module.
        chip: the board's `power`.
    """

    def __init__(self, net, chip):
        self._net = net
        self._chip = chip
        self.socket = net.socket
        self.SOCK_STREAM = net.SOCK_STREAM

    def getaddrinfo(self, *arguments):
        """As the module's."""
        self._chip.feed_for_ms(LOOKUP_MS)
        try:
            return self._net.getaddrinfo(*arguments)
        finally:
            self._chip.feed_for_ms(0)
