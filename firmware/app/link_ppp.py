"""PPP over a serial line: the peer is a modem or a computer at the other end of the wires.

States: down, until the pause is over -> connecting -> up -> down. Nothing here waits.
"""

import time

from app.backoff import Backoff

_DOWN = 0
_CONNECTING = 1
_UP = 2

# What network.PPP.status() returns on lwIP; below zero: an error, and nothing runs any more.
_STATUS_INACTIVE = 0
_STATUS_CONNECTING = 3
_STATUS_CONNECTED = 4

_CLOSING_MS = 8000  # PPP says goodbye twice, 3 s apart
_LEAVING_MS = 500  # a peer that is there answers the first one
_POLL_MS = 100
_WATCH_MS = 1000


class LinkPpp:
    """Brings one PPP interface up and keeps it so.

    Args:
        ppp: `network.PPP` over its serial line.
        deadline_ms: longest wait for the peer.
        cap_ms: longest pause between two attempts.
        randint: random.randint, or a test's.

    Attributes:
        connects: how often the link came up.
        failures: attempts and connections that failed.
        last_error: why it last failed or broke, for people.
    """

    def __init__(self, ppp, deadline_ms: int, cap_ms: int, randint):
        self._ppp = ppp
        self._deadline_ms = deadline_ms
        self._backoff = Backoff(1000, cap_ms, randint)
        self._state = _DOWN
        self._since_ms = None  # when the state began; None: never connected yet
        self.connects = 0
        self.failures = 0
        self.last_error = ""

    def step(self, now_ms: int) -> bool:
        """Goes on as far as it can without waiting; returns whether the link is up."""
        try:
            if self._state == _UP:
                if not self._ppp.isconnected():
                    self._failed(now_ms, "the peer has gone")
            elif self._state == _CONNECTING:
                self._watch(now_ms)
            elif not self._backoff.left_ms(now_ms) and self._is_closed(now_ms, _CLOSING_MS):
                self._ppp.connect()
                self._enter(_CONNECTING, now_ms)
        except OSError as error:
            self._failed(now_ms, str(error))
        return self._state == _UP

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `step` may be left out."""
        if self._state == _UP:
            return _WATCH_MS
        return max(_POLL_MS, self._backoff.left_ms(now_ms))

    def doubt(self) -> None:
        """The broker does not answer over this link; its peer says when it is gone."""

    def close(self) -> None:
        """Hangs up; may be called at any time. The next step begins anew."""
        if self._state != _DOWN:
            self._hang_up()
            self._enter(_DOWN, time.ticks_ms())
        self._backoff.reset()

    def has_left(self, now_ms: int) -> bool:
        """Whether the peer knows of the end that `close()` began, or does not answer."""
        return self._is_closed(now_ms, _LEAVING_MS)

    def _watch(self, now_ms) -> None:
        status = self._ppp.status()
        if status == _STATUS_CONNECTED:
            self._enter(_UP, now_ms)
            self._backoff.reset()
            self.connects += 1
            self.last_error = ""
        elif status < 0:
            self._failed(now_ms, "PPP error %d" % -status)
        elif self._passed_ms(now_ms) >= self._deadline_ms:
            self._failed(now_ms, "no answer from the peer")

    def _is_closed(self, now_ms, patience_ms) -> bool:
        """Whether the last session has ended, or has had time enough to."""
        if self._ppp.status() == _STATUS_INACTIVE:
            return True
        return self._since_ms is None or self._passed_ms(now_ms) >= patience_ms

    def _failed(self, now_ms, why) -> None:
        self.failures += 1
        self.last_error = why
        self._hang_up()
        self._enter(_DOWN, now_ms)
        self._backoff.failed(now_ms)

    def _hang_up(self) -> None:
        if self._ppp.status() in (_STATUS_CONNECTING, _STATUS_CONNECTED):
            self._ppp.disconnect()  # ends by itself
        elif self._ppp.status() != _STATUS_INACTIVE:
            # After an error lwIP's part stays in memory, and connect() would find it busy.
            self._ppp.__del__()

    def _enter(self, state, now_ms) -> None:
        self._state = state
        self._since_ms = now_ms

    def _passed_ms(self, now_ms) -> int:
        return time.ticks_diff(now_ms, self._since_ms)
