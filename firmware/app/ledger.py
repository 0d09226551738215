"""The energy ledger: time in each phase, times the board's current. Allocates nothing per step.

The charge is what the board's figures say for the time that passed, not a measurement.
"""

from array import array

from app import power

_REST_END = 3600000  # microampere milliseconds in a microampere hour
# Products have to stay below 2^30, where integers on the boards begin to cost heap: 2 s in
# milliseconds, or 2000 s, leave room for half an ampere.
_CHUNK_MS = 2000
_CHUNK_S = 2000
_MOST_UA = 500000
_TICKS_MASK = 0x3FFFFFFF  # millisecond ticks wrap at 2^30 on the boards

UNKNOWN_UA = -1


class Ledger:
    """Charges the phases of `app.power.PHASES`.

    Args:
        currents_ua: microampere by name, as a board's figures have them: "active", "light_sleep",
            "deep_sleep", "radio_connect", "radio_on", "radio_idle", "flash". What is missing is
            not known, and its phase gets no charge.
        is_always_linked: the link stays open and mostly waits.

    Attributes:
        charge_uah: microampere hours of each phase; only those of known currents mean something.
        rest: and the microampere milliseconds beyond them.
    """

    def __init__(self, currents_ua: dict, is_always_linked: bool):
        radio = "radio_idle" if is_always_linked else "radio_on"
        active = currents_ua.get("active", UNKNOWN_UA)
        # In the order of power.PHASES; the busy processor writes the flash.
        self._currents = array(
            "i",
            [
                currents_ua.get("light_sleep", UNKNOWN_UA),
                active,
                currents_ua.get("radio_connect", UNKNOWN_UA),
                currents_ua.get(radio, UNKNOWN_UA),
                currents_ua.get("flash", active),
            ],
        )
        if max(self._currents) > _MOST_UA:
            raise ValueError("a current above %d uA" % _MOST_UA)
        self._deep_ua = currents_ua.get("deep_sleep", UNKNOWN_UA)
        self.charge_uah = array("i", [0] * len(power.PHASES))
        self.rest = array("i", [0] * len(power.PHASES))
        self._marked_ms = -1

    def is_known(self, phase: int) -> bool:
        """Returns whether the board has a figure for a phase."""
        return self._currents[phase] != UNKNOWN_UA

    def mark(self, phase: int, now_ms: int) -> None:
        """Gives the time since the last mark to a phase.

        Args:
            phase: PHASE_SLEEP to PHASE_FLASH of `app.power`.
            now_ms: millisecond ticks; at least one mark every six days.
        """
        if self._marked_ms >= 0:
            self._charge(phase, (now_ms - self._marked_ms) & _TICKS_MASK, self._currents[phase])
        self._marked_ms = now_ms

    def after_deep_sleep(self, duration_ms: int) -> tuple:
        """Returns (charge_uah, rest) as lists, a deep sleep included that may still fail."""
        before = list(self.charge_uah), list(self.rest)
        self._charge(power.PHASE_SLEEP, duration_ms, self._deep_ua)
        after = list(self.charge_uah), list(self.rest)
        for i in range(len(power.PHASES)):
            self.charge_uah[i] = before[0][i]
            self.rest[i] = before[1][i]
        return after

    def _charge(self, phase: int, duration_ms: int, current_ua: int) -> None:
        if current_ua == UNKNOWN_UA:
            return
        while duration_ms >= _CHUNK_MS:
            part_s = min(duration_ms // 1000, _CHUNK_S)
            duration_ms -= part_s * 1000
            charge_uas = part_s * current_ua
            self.charge_uah[phase] += charge_uas // 3600
            self._add(phase, charge_uas % 3600 * 1000)
        self._add(phase, duration_ms * current_ua)

    def _add(self, phase: int, charge: int) -> None:
        rest = self.rest[phase] + charge
        if rest >= _REST_END:
            self.charge_uah[phase] += rest // _REST_END
            rest %= _REST_END
        self.rest[phase] = rest

    def restore(self, charge_uah, rest) -> None:
        """Adds the totals of before this boot, whose own charge counts already."""
        for i in range(len(power.PHASES)):
            self.charge_uah[i] += charge_uah[i]
            self._add(i, rest[i])
