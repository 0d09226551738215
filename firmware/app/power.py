"""What a node decides about its power. Pure: values in, values out; no clock, no chip.

`app.duty` asks and acts. Times are milliseconds that have passed, unless a name says seconds.
"""

# The configuration's `sleep`.
NEVER = "never"
AUTO = "auto"
LIGHT = "light"
DEEP = "deep"
SLEEPS = (NEVER, AUTO, LIGHT, DEEP)

# How a node lives.
AWAKE = 0  # senses without a pause, never sleeps; the link stays open
NAPS = 1  # senses without a pause, light sleep between two reads; the link opens when it is needed
CYCLE_LIGHT = 2  # wakes, senses, delivers, light sleep until the next wake; RAM stays
CYCLE_DEEP = 3  # the same with deep sleep; RAM is lost, and the node boots at each wake

# What a node in a cycle does next.
SENSE = 0
DELIVER = 1
SLEEP = 2

# Why the chip started; what `board.power.reset_cause()` returns.
POWER_ON = "power_on"
RESET = "reset"
WATCHDOG = "watchdog"
BROWNOUT = "brownout"
WOKE = "deep_sleep"
UNKNOWN = "unknown"
CAUSES = (POWER_ON, RESET, WATCHDOG, BROWNOUT, WOKE, UNKNOWN)

# The parts of the ledger.
PHASE_SLEEP = 0
PHASE_ACTIVE = 1  # sensing and deciding
PHASE_CONNECT = 2  # the link comes up
PHASE_RADIO = 3  # the link is up
PHASE_FLASH = 4
PHASES = ("sleep", "active", "connect", "radio", "flash")

SHORTEST_SLEEP_MS = 1000
UNKNOWN_MV = -1

_EARLY_ENDS = 3  # boots in a row that ended early make a loop
_LOOP_FACTOR = 10
_LOOP_WINDOW_MS = 10000
_MAX_WINDOW_MS = 60000
_MAX_COUNT = 255
_LINK_WAIT_S = 60
_LONGEST_LINK_WAIT_S = 3600
_MAX_DOUBLINGS = 12
_SESSION_FAILURES = 2  # a third attempt at once costs as much as one an hour later
_LASTED_MS = 60000


def mode(sleep: str, interval_s: int, can_light: bool, can_deep: bool, deep_pays: bool) -> int:
    """Returns how the node lives: AWAKE, NAPS, CYCLE_LIGHT or CYCLE_DEEP.

    Args:
        sleep: the configuration's `sleep`.
        interval_s: the configuration's `wake_interval_s`, 0 without a cycle.
        can_light: whether the board has a light sleep.
        can_deep: whether the board has a deep sleep.
        deep_pays: what `does_deep_pay` says.
    """
    if sleep == NEVER:
        return AWAKE
    if not interval_s:
        return NAPS if can_light else AWAKE
    if not can_deep or sleep == LIGHT:
        return CYCLE_LIGHT
    if sleep == DEEP or deep_pays or not can_light:
        return CYCLE_DEEP
    return CYCLE_LIGHT


def does_deep_pay(interval_s: int, light_ua: int, deep_ua: int, boot_uc: int) -> bool:
    """Returns whether deep sleep saves more than the boot after it costs.

    Args:
        interval_s: how long the node sleeps.
        light_ua: current in light sleep; 0: not known.
        deep_ua: current in deep sleep; 0: not known.
        boot_uc: charge of a boot in microcoulomb, microampere times seconds; 0: not known.
    """
    if not light_ua or not deep_ua:
        return True
    return (light_ua - deep_ua) * interval_s > boot_uc


def next_action(awake_ms: int, budget_ms: int, windows_left: int, wants_link: bool) -> int:
    """Returns what a node in a cycle does next: SENSE, DELIVER or SLEEP.

    Args:
        awake_ms: since it woke.
        budget_ms: when it has to sleep, whatever is left.
        windows_left: windows it still has to judge.
        wants_link: what `wants_link` says.
    """
    if awake_ms >= budget_ms:
        return SLEEP
    if windows_left > 0:
        return SENSE
    return DELIVER if wants_link else SLEEP


def wants_link(n_queued: int, is_status_due: bool, wait_s: int) -> bool:
    """Returns whether the radio is worth its charge: something to say, and no pause to keep.

    Args:
        n_queued: records that wait.
        is_status_due: whether `status_interval_s` is over.
        wait_s: what is left of the pause after a failure.
    """
    return wait_s <= 0 and (n_queued > 0 or is_status_due)


def keeps_link(open_ms: int, budget_ms: int, is_done: bool, n_failures: int) -> bool:
    """Returns whether a link that was opened on demand stays open.

    Args:
        open_ms: since it was asked for.
        budget_ms: the longest time for it.
        is_done: the broker has confirmed all there was.
        n_failures: attempts that failed meanwhile.
    """
    return not is_done and open_ms < budget_ms and n_failures < _SESSION_FAILURES


def link_pause_s(failures: int, interval_s: int, roll: int) -> int:
    """Returns how long the radio stays off after so many failures in a row; 0 for none.

    Args:
        failures: sessions in a row that ended without success.
        interval_s: time between two wakes, 0 without a cycle.
        roll: random, 0-255, so that a fleet does not return in step.
    """
    if failures < 1:
        return 0
    ceiling = max(interval_s, _LINK_WAIT_S) << min(failures - 1, _MAX_DOUBLINGS)
    # A node that wakes less often than that tries at every wake.
    ceiling = min(ceiling, max(interval_s, _LONGEST_LINK_WAIT_S))
    return ceiling // 2 + (ceiling // 2 * roll >> 8)


def sleep_ms(interval_ms: int, awake_ms: int) -> int:
    """Returns how long to sleep, so that the wakes keep their interval."""
    return max(SHORTEST_SLEEP_MS, interval_ms - awake_ms)


def must_save(n_unsaved: int, age_ms: int, next_ms: int, flush_ms: int, room: int) -> bool:
    """Returns whether the records in RAM go to flash before a deep sleep.

    Args:
        n_unsaved: records in RAM.
        age_ms: how long the oldest of them waits.
        next_ms: until the next chance.
        flush_ms: the longest time that a power cut may cost.
        room: records that the retained memory holds.
    """
    return n_unsaved > 0 and (n_unsaved > room or age_ms + next_ms >= flush_ms)


def may_write(supply_mv: int, limit_mv: int) -> bool:
    """Returns whether the supply is good enough to write to flash.

    A write that a brownout interrupts may damage more than what it writes.

    Args:
        supply_mv: UNKNOWN_MV when the board cannot measure it.
        limit_mv: 0: every supply is.
    """
    return not limit_mv or supply_mv == UNKNOWN_MV or supply_mv >= limit_mv


def may_feed(has_progressed: bool, quiet_ms: int, longest_ms: int) -> bool:
    """Returns whether the watchdog may be fed: only by a loop that gets on.

    Args:
        has_progressed: something was read, judged or delivered since the last time.
        quiet_ms: how long nothing was.
        longest_ms: how long that is normal, as when a sensor is silent.
    """
    return has_progressed or quiet_ms < longest_ms


def count_start(cause: str, early_ends: int) -> int:
    """Returns the new count of boots that ended early, this one included until it lasts.

    A wake from deep sleep is no boot: the node went to sleep by itself.
    """
    return 0 if cause == WOKE else min(early_ends + 1, _MAX_COUNT)


def has_lasted(up_ms: int) -> bool:
    """Returns whether a boot is no early end any more."""
    return up_ms >= _LASTED_MS


def safe_boot_ms(cause: str, early_ends: int, configured_ms: int) -> int:
    """Returns how long the start waits for Ctrl-C on the serial port.

    Args:
        cause: why the chip started.
        early_ends: boots before this one, in a row, that ended early.
        configured_ms: the configuration's `safe_boot_ms`.
    """
    if cause == WOKE:
        return 0
    if early_ends < _EARLY_ENDS:
        return configured_ms
    return min(_MAX_WINDOW_MS, max(_LOOP_WINDOW_MS, configured_ms * _LOOP_FACTOR))


def keeps_state(is_kept: bool, n_unsaved: int, can_light: bool) -> bool:
    """Returns whether a deep sleep may begin; otherwise the sleep is a light one.

    Args:
        is_kept: the state was written.
        n_unsaved: records that only RAM and that state hold.
        can_light: whether the board has a light sleep.
    """
    return is_kept or not (n_unsaved > 0 or can_light)


def may_resume(cause: str, is_asleep: bool, epoch: int, flash_epoch: int) -> bool:
    """Returns whether the numbers of a retained state may be continued.

    If any other boot came in between, its records have numbers that the state does not know.

    Args:
        cause: why the chip started.
        is_asleep: the state was written for this sleep, and no record was made since.
        epoch: the state's.
        flash_epoch: the epoch file's, 0 when it cannot be read.
    """
    return cause == WOKE and is_asleep and epoch != 0 and epoch == flash_epoch


def phase(is_linking: bool, is_linked: bool, is_asleep: bool) -> int:
    """Returns the part of the ledger that time belongs to: the radio outweighs all else."""
    if is_linked:
        return PHASE_RADIO
    if is_linking:
        return PHASE_CONNECT
    return PHASE_SLEEP if is_asleep else PHASE_ACTIVE
