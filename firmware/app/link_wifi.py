"""Wi-Fi that comes back fast: it remembers access point, channel and address.

States: down, until the pause is over -> fast (what is remembered; no scan, no DHCP) -> up, or when
that fails -> full (scan and DHCP) -> up -> down. Nothing here waits but the scan, which
MicroPython cannot do in the background: 2 to 3 s, only on the full way.
"""

import time

from app import wifi_cache
from app.backoff import Backoff

_DOWN = 0
_FAST = 1
_FULL = 2
_UP = 3

_POLL_MS = 20
_WATCH_MS = 1000


class Network:
    """What to connect to, and how long to try.

    Args:
        ssid, password: texts; an empty password is an open network.
        fixed: (address, netmask, gateway, name server), None for DHCP.

    Attributes:
        fast_ms: longest try of what is remembered; 0: never tried.
        full_ms: longest try with a scan and DHCP.
        cap_ms: longest pause between two attempts.
    """

    fast_ms = 3000
    full_ms = 20000
    cap_ms = 60000

    def __init__(self, ssid: str, password: str, fixed=None):
        self.ssid = ssid
        self.password = password
        self.fixed = fixed


class LinkWifi:
    """Brings one station interface up and keeps it so.

    Args:
        radio: the chip's interface, see `boards/wifi_radio.py`: `start()`, `stop()`,
            `scan(ssid)`, `connect(ssid, password, bssid, channel)`, `set_address(lease or None)`,
            `address()`, `is_connected()`, `problem()`.
        network: Network.
        store: object with `read()` and `write(content)` for what is remembered.
        randint: random.randint, or a test's.
        ticks_ms: time.ticks_ms, or a test's.

    Attributes:
        connects: how often the link came up.
        failures: attempts and connections that failed.
        fast_connects: how often without scan and DHCP.
        last_error: why it last failed or broke, for people.
    """

    def __init__(self, radio, network: Network, store, randint, ticks_ms=time.ticks_ms):
        self._radio = radio
        self._network = network
        self._store = store
        self._ticks_ms = ticks_ms
        self._mark = wifi_cache.network_mark(network.ssid, network.password)
        self._backoff = Backoff(1000, network.cap_ms, randint)
        self._known = wifi_cache.parse(store.read(), self._mark)
        self._tried = self._known  # what this attempt connects to
        self._is_fast = False  # the link that is up uses what was remembered
        self._state = _DOWN
        self._since_ms = 0
        self.connects = 0
        self.failures = 0
        self.fast_connects = 0
        self.last_error = ""

    def step(self, now_ms: int) -> bool:
        """Goes on as far as it can; returns whether the link is up."""
        try:
            if self._state == _UP:
                if not self._radio.is_connected():
                    self._failed(now_ms, self._radio.problem() or "the access point has gone")
            elif self._state != _DOWN:
                self._watch(now_ms)
            elif not self._backoff.left_ms(now_ms):
                self._begin(now_ms)
        except OSError as error:
            self._failed(now_ms, str(error))
        return self._state == _UP

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `step` may be left out."""
        if self._state == _UP:
            return _WATCH_MS
        return max(_POLL_MS, self._backoff.left_ms(now_ms))

    def doubt(self) -> None:
        """The broker does not answer over this link: a remembered address may be another's now.

        Forgets it and connects in full, once: what DHCP has just given is not doubted.
        """
        if self._state == _UP and self._is_fast:
            self.last_error = "no answer with the address of last time"
            self._forget()
            self.close()

    def close(self) -> None:
        """Switches the radio off; may be called at any time. The next step begins anew."""
        if self._state != _DOWN:
            self._radio.stop()
            self._state = _DOWN
        self._backoff.reset()

    def has_left(self, _now_ms: int) -> bool:
        """Whether `close()` has ended: always, since the radio is off at once."""
        return True

    def _begin(self, now_ms) -> None:
        self._radio.start()
        if self._known is not None and self._network.fast_ms:
            self._try(_FAST, self._known, now_ms)
        else:
            self._begin_full(now_ms)

    def _begin_full(self, now_ms) -> None:
        found = strongest(self._radio.scan(self._network.ssid))
        if found is None:
            raise OSError("no access point of this name")
        # The scan took its time: the deadline counts from here.
        self._try(_FULL, wifi_cache.Known(found[0], found[1], None), self._ticks_ms())

    def _try(self, state, known, now_ms) -> None:
        network = self._network
        self._radio.set_address(network.fixed or known.lease)
        self._radio.connect(network.ssid, network.password, known.bssid, known.channel)
        self._tried = known
        self._state = state
        self._since_ms = now_ms

    def _watch(self, now_ms) -> None:
        if self._radio.is_connected():
            self._came_up()
            return
        limit_ms = self._network.fast_ms if self._state == _FAST else self._network.full_ms
        problem = self._radio.problem()
        if not problem and time.ticks_diff(now_ms, self._since_ms) < limit_ms:
            return
        if self._state == _FAST:
            self._forget()
            self._radio.stop()
            self._radio.start()
            self._begin_full(now_ms)
        else:
            self._failed(now_ms, problem or "no answer from the access point or DHCP")

    def _came_up(self) -> None:
        self._is_fast = self._state == _FAST
        self._state = _UP
        self._backoff.reset()
        self.connects += 1
        self.last_error = ""
        if self._is_fast:
            self.fast_connects += 1
            return
        lease = None if self._network.fixed else self._radio.address()
        self._known = wifi_cache.Known(self._tried.bssid, self._tried.channel, lease)
        self._store.write(wifi_cache.pack(self._known, self._mark))

    def _forget(self) -> None:
        self._known = None
        self._store.write(b"")

    def _failed(self, now_ms, why) -> None:
        self.failures += 1
        self.last_error = why
        self._radio.stop()
        self._state = _DOWN
        self._backoff.failed(now_ms)


def strongest(found):
    """Returns (bssid, channel) of the access point heard best, None without any.

    Args:
        found: list of (bssid, channel, signal in dBm).
    """
    best = None
    for access_point in found:
        if best is None or access_point[2] > best[2]:
            best = access_point
    return None if best is None else (bytes(best[0]), best[1])
