"""What a node takes from its battery in a day, phase by phase. Pure: figures in, charges out."""

import math
from dataclasses import dataclass, replace

from onebyte.energy.figures import Figures
from onebyte.errors import UserError

__all__ = ["DAY_S", "Budget", "Day", "Phase", "Usage", "day_of", "life_days", "publishes"]

DAY_S = 86400
_UC_PER_MAH = 3_600_000.0
_BUS_HZ = 400_000
_BITS_PER_BYTE = 9
_SAMPLE_BYTES = 2
# TCP and CONNECT are the two round trips of the figure `mqtt`. Then the broker confirms one
# message after the other: subscription, meta, status, and the decision.
_MQTT_ROUND_TRIPS = 2
_CONFIRMED = 4


@dataclass(frozen=True)
class Usage:
    """What the node has to do.

    Attributes:
        rate_hz, window, hop, n_channels: of the model.
        sleep: "auto", "light", "deep" or "never", as in the node's configuration.
        wake_interval_s: 0: senses without a pause.
        wake_windows: judged after each wake.
        publishes_per_day: decisions that the policy publishes; None: every one.
        status_interval_s: a status goes out at least so often.
        decide_cycles: of the processor, from a window to its byte.
        boot: "boot" (stock image) or "boot_frozen", a name in the board's figures.
        sensor_ua: of the sensor while it samples.
    """

    rate_hz: float
    window: int
    hop: int
    n_channels: int
    sleep: str = "auto"
    wake_interval_s: int = 0
    wake_windows: int = 1
    publishes_per_day: float | None = 0
    status_interval_s: int = DAY_S
    decide_cycles: float = 0
    boot: str = "boot"
    sensor_ua: float = 0


@dataclass(frozen=True)
class Budget:
    """What the battery has.

    Attributes:
        mah: its nominal capacity.
        usable: share of it that the board can use.
        self_discharge: share of it that is lost in a year.
    """

    mah: float
    usable: float
    self_discharge: float


@dataclass(frozen=True)
class Phase:
    """One part of the day.

    Attributes:
        name: for people.
        seconds: of a day.
        charge_uc: microcoulomb of a day.
        figures: names of the currents or charges behind it.
    """

    name: str
    seconds: float
    charge_uc: float
    figures: tuple[str, ...] = ()

    @property
    def mah(self) -> float:
        """Milliampere hours of a day."""
        return self.charge_uc / _UC_PER_MAH


@dataclass(frozen=True)
class Day:
    """A day of the node.

    Attributes:
        way: "awake", "naps", "light cycle" or "deep cycle".
        phases: the largest charge first.
        sessions: with the broker.
        session_uc: charge of one of them, microcoulomb.
        decide_ms: from a window to its byte.
    """

    way: str
    phases: tuple[Phase, ...]
    sessions: float = 0
    session_uc: float = 0
    decide_ms: float = 0

    @property
    def charge_uc(self) -> float:
        """Microcoulomb of a day."""
        return sum(phase.charge_uc for phase in self.phases)

    @property
    def mah(self) -> float:
        """Milliampere hours of a day."""
        return self.charge_uc / _UC_PER_MAH

    def share(self, phase: Phase) -> float:
        """Return the share of a phase in the day's charge."""
        return phase.charge_uc / self.charge_uc


def publishes(policy: str, changes_per_day: float, heartbeat_s: int) -> float | None:
    """Return how many decisions a policy publishes in a day whose changes come evenly.

    Args:
        policy: "all", "on-change" or "heartbeat".
        changes_per_day: decisions that differ from the one before.
        heartbeat_s: an unchanged decision is published again after this time.

    Returns:
        None: every decision.
    """
    if policy == "all":
        return None
    if policy == "heartbeat" or not changes_per_day:
        return DAY_S / heartbeat_s
    # Each change, and the heartbeats until the next one.
    return changes_per_day * math.ceil(DAY_S / changes_per_day / heartbeat_s)


def life_days(day: Day, budget: Budget) -> float:
    """Return how many days the battery lasts."""
    return budget.mah * budget.usable / (day.mah + budget.mah * budget.self_discharge / 365.25)


def day_of(board: Figures, usage: Usage) -> Day:
    """Return what the node takes in a day.

    Raises:
        UserError: a figure that is needed is not known, or the node cannot do that.
    """
    _check(usage)
    if usage.sleep == "never":
        return _awake_day(board, usage)
    if not usage.wake_interval_s:
        return _napping_day(board, usage)
    days = [_cycle_day(board, usage, deep) for deep in _depths(board, usage)]
    return min(days, key=lambda day: day.charge_uc)


def _check(usage: Usage) -> None:
    if usage.sleep == "never" and usage.wake_interval_s:
        raise UserError("a node that never sleeps has no wake interval; leave one of them out")
    if usage.sleep == "deep" and not usage.wake_interval_s:
        raise UserError("deep sleep needs a wake interval: a sensor's FIFO does not last so long")
    if usage.wake_interval_s and _sense_s(usage) >= usage.wake_interval_s:
        raise UserError(
            f"{usage.wake_windows} window(s) take {_sense_s(usage):.1f} s, longer than the wake "
            f"interval of {usage.wake_interval_s} s"
        )


def _depths(board: Figures, usage: Usage) -> tuple[bool, ...]:
    if usage.sleep != "auto":
        return (usage.sleep == "deep",)
    if "deep_sleep" not in board.currents_ua or not _knows_boot(board, usage):
        return (False,)
    return (False, True)


def _knows_boot(board: Figures, usage: Usage) -> bool:
    return usage.boot in board.charges_uc or usage.boot in board.times_ms


def _sense_s(usage: Usage) -> float:
    return (usage.window + (usage.wake_windows - 1) * usage.hop) / usage.rate_hz


def _read_s(usage: Usage, rows: float) -> float:
    """How long the bus takes for so many rows."""
    return rows * usage.n_channels * _SAMPLE_BYTES * _BITS_PER_BYTE / _BUS_HZ


def _decide_s(board: Figures, usage: Usage) -> float:
    return usage.decide_cycles / board.cpu_hz


def _phase(board: Figures, name: str, current: str, seconds: float) -> Phase:
    return Phase(name, seconds, seconds * board.current_ua(current), (current,))


def _sensor(usage: Usage, seconds: float) -> Phase:
    return Phase("sensor", seconds, seconds * usage.sensor_ua)


def _sessions(usage: Usage, decisions: float) -> float:
    publishes = decisions if usage.publishes_per_day is None else usage.publishes_per_day
    # A session carries a status, too, so only what they leave open needs one of its own.
    return max(min(publishes, decisions), DAY_S / usage.status_interval_s)


def _session_phases(board: Figures, n_sessions: float) -> tuple[Phase, Phase]:
    board.current_ua("radio_connect")  # a board without a radio lacks this before all else
    connect_s = board.time_ms("radio_connect", "--connect-ms") / 1000
    mqtt_ms = board.time_ms("mqtt", "--mqtt-ms")
    talk_s = mqtt_ms * (1 + _CONFIRMED / _MQTT_ROUND_TRIPS) / 1000
    return (
        _phase(board, "radio connects", "radio_connect", n_sessions * connect_s),
        _phase(board, "radio talks", "radio_on", n_sessions * talk_s),
    )


def _day(way: str, phases: list[Phase], board: Figures, usage: Usage, sessions: float) -> Day:
    kept = sorted((p for p in phases if p.charge_uc), key=lambda p: -p.charge_uc)
    day = Day(way, tuple(kept), sessions, decide_ms=1000 * _decide_s(board, usage))
    if way == "awake":
        return day
    return replace(day, session_uc=sum(p.charge_uc for p in _session_phases(board, 1)))


def _awake_day(board: Figures, usage: Usage) -> Day:
    """The link stays open: what the radio takes while it waits includes the processor."""
    sessions = _sessions(usage, DAY_S * usage.rate_hz / usage.hop)
    mqtt_s = board.time_ms("mqtt", "--mqtt-ms") / 1000
    talk_s = min(DAY_S, sessions * mqtt_s / _MQTT_ROUND_TRIPS)
    phases = [
        _phase(board, "radio waits", "radio_idle", DAY_S - talk_s),
        _phase(board, "radio talks", "radio_on", talk_s),
        _sensor(usage, DAY_S),
    ]
    return _day("awake", phases, board, usage, sessions)


def _napping_day(board: Figures, usage: Usage) -> Day:
    windows = DAY_S * usage.rate_hz / usage.hop
    read_s = _read_s(usage, DAY_S * usage.rate_hz)
    decide_s = windows * _decide_s(board, usage)
    sessions = _sessions(usage, windows)
    radio = _session_phases(board, sessions)
    rest_s = DAY_S - read_s - decide_s - sum(phase.seconds for phase in radio)
    if rest_s < 0:
        raise UserError(
            f"{sessions:.0f} sessions with the broker a day do not fit a day; a node that "
            "publishes so often keeps its link open: --sleep never"
        )
    phases = [
        _phase(board, "naps", "light_sleep", rest_s),
        _phase(board, "reads the sensor", "active", read_s),
        _phase(board, "decides", "active", decide_s),
        *radio,
        _sensor(usage, DAY_S),
    ]
    return _day("naps", phases, board, usage, sessions)


def _cycle_day(board: Figures, usage: Usage, deep: bool) -> Day:
    wakes = DAY_S / usage.wake_interval_s
    windows = wakes * usage.wake_windows
    sense_s = wakes * _sense_s(usage)
    read_s = _read_s(usage, sense_s * usage.rate_hz)
    decide_s = windows * _decide_s(board, usage)
    sessions = _sessions(usage, windows)
    radio = _session_phases(board, sessions)
    boot = _boots(board, usage, wakes) if deep else Phase("boots", 0, 0)
    busy_s = sense_s + decide_s + boot.seconds + sum(phase.seconds for phase in radio)
    if busy_s > DAY_S:
        raise UserError(f"{wakes:.0f} wakes a day do not fit a day; take a longer wake interval")
    phases = [
        _phase(board, "sleeps", "deep_sleep" if deep else "light_sleep", DAY_S - busy_s),
        _phase(board, "waits for samples", "light_sleep", sense_s - read_s),
        _phase(board, "reads the sensor", "active", read_s),
        _phase(board, "decides", "active", decide_s),
        boot,
        *radio,
        _sensor(usage, sense_s),
    ]
    return _day("deep cycle" if deep else "light cycle", phases, board, usage, sessions)


def _boots(board: Figures, usage: Usage, n: float) -> Phase:
    seconds = board.time_ms(usage.boot, "--boot-ms") / 1000
    if usage.boot in board.charges_uc:
        return Phase("boots", n * seconds, n * board.charges_uc[usage.boot].value, (usage.boot,))
    return _phase(board, "boots", "active", n * seconds)
