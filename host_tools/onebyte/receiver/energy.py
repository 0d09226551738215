"""What a status message says about a node's power, in words."""

from collections.abc import Mapping
from typing import Any

from formats import messages

__all__ = ["describe", "held"]

_PREFIX = "uah_"


def describe(status: Mapping[str, Any]) -> str:
    """Return how the node started and what it used, empty when it does not say.

    The charge is the node's time in each phase multiplied with its board's currents.
    """
    parts = []
    if "reset" in status:
        parts.append(f"started by {status['reset'].replace('_', ' ')}")
    if status.get("supply_mv"):
        parts.append(f"supply {status['supply_mv'] / 1000:.2f} V")
    charges = {key: status[key] for key in messages.CHARGE_KEYS if key in status}
    total = sum(charges.values())
    if total:
        used = f"used {total / 1000:.2f} mAh in {_duration(status['uptime_s'])} by its figures"
        shares = sorted(charges.items(), key=lambda item: -item[1])
        largest = [
            f"{key.removeprefix(_PREFIX)} {100 * value / total:.0f} %"
            for key, value in shares[:3]
            if value
        ]
        parts.append(f"{used} ({', '.join(largest)})")
    return ", ".join(parts)


def held(before: Mapping[str, Any] | None, status: Mapping[str, Any]) -> str:
    """Return that records stay in RAM because of a weak supply, if that is new; else empty."""
    count = status.get("flash_held", 0)
    earlier = 0 if before is None else before.get("flash_held", 0)
    if count <= earlier:
        return ""
    return f"supply {status['supply_mv']} mV is too low to write to flash, records stay in RAM"


def _duration(seconds: int) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
