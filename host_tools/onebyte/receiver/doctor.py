"""What a deployed node's own messages say of its health; nothing is asked of the node."""

import time
from dataclasses import dataclass, field
from typing import Any

from formats import errors, messages, topics, update_messages
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.receiver.link import BrokerSettings, Link

__all__ = ["Heard", "Line", "judge", "listen"]

_LOW_HEAP_BYTES = 30000
_LEAST_HEAP_BYTES = 12000
_MANY_FAULTS = 0.05
_KB = 1024
_POLL_S = 0.2

# check, verdict, detail, remedy
Line = tuple[str, str, str, str]


@dataclass
class Heard:
    """The newest message of each kind, None for what did not come."""

    status: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    update: dict[str, Any] | None = None
    damaged: list[str] = field(default_factory=list)


def listen(settings: BrokerSettings, tenant: str, device: str, timeout_s: float) -> Heard:
    """Return what the broker holds of a node, and what comes meanwhile.

    Raises:
        UserError: no connection, or nothing of this node is there.
    """
    heard = Heard()
    wanted = {
        topics.pack(tenant, device, topics.STATUS): ("status", messages.parse_status),
        topics.pack(tenant, device, topics.META): ("meta", messages.parse_meta),
        topics.pack(tenant, device, topics.REPORT): ("update", update_messages.parse_report),
    }
    deadline = time.monotonic() + timeout_s
    with Link(settings, list(wanted)) as link:
        while time.monotonic() < deadline and None in (heard.status, heard.meta, heard.update):
            for message in link.messages(_POLL_S):
                name, parse = wanted[message.topic]
                try:
                    setattr(heard, name, parse(message.payload))
                except OnebyteError as error:
                    heard.damaged.append(f"{name}: {error}")
    if heard == Heard():
        raise UserError(f"the broker has nothing of {tenant}/{device}: is it named so?")
    return heard


def judge(heard: Heard) -> list[Line]:
    """Return the lines of the page."""
    lines: list[Line] = []
    for problem in heard.damaged:
        lines.append(("message", "fail", problem, "is the node of another version?"))
    if heard.status is None:
        lines.append(("status", "unknown", "no status message", "wait for one, --timeout"))
    elif not heard.status["online"]:
        remedy = "a node that sleeps is offline in between; else: supply, network, broker"
        lines.append(("status", "warn", "offline", remedy))
    else:
        lines += _judge_status(heard.status)
    lines.append(_judge_meta(heard.meta))
    lines.append(_judge_update(heard.update))
    return lines


def _judge_status(status: dict[str, Any]) -> list[Line]:
    days = status["uptime_s"] / 86400
    lines: list[Line] = [
        ("status", "ok", f"online, epoch {status['epoch']}, up for {days:.1f} days", ""),
        _heap(status["heap_free"]),
        _faults(status["windows"], status["faults"]),
        _delivery(status),
    ]
    if status["flash_errors"]:
        words = f"{status['flash_errors']} errors"
        lines.append(
            ("filesystem", "fail", words, "full or worn: `onebyte doctor` over its cable")
        )
    else:
        lines.append(("filesystem", "ok", "no errors", ""))
    quality = ("counts from the start", "set, drifts", "synchronised")[status["time_quality"]]
    lines.append(("clock", "ok", quality, ""))
    if "reset" in status:
        lines.append(_start(status))
    if "supply_mv" in status:
        held = status.get("flash_held", 0)
        verdict = "warn" if held else "ok"
        remedy = "the supply is below brownout_mv: charge or change it" if held else ""
        lines.append(("supply", verdict, f"{status['supply_mv']} mV", remedy))
    return lines


def _heap(free: int) -> Line:
    detail = f"{free // _KB} KiB free"
    if free < _LEAST_HEAP_BYTES:
        return "heap", "fail", detail, "a smaller model (`onebyte pareto`) or outbox_ram_records"
    verdict = "warn" if free < _LOW_HEAP_BYTES else "ok"
    return "heap", verdict, detail, "" if verdict == "ok" else "TLS alone takes some 20 KiB"


def _faults(windows: int, faults: int) -> Line:
    detail = f"{faults} faults in {windows} windows"
    if faults and faults >= windows:
        return (
            "sensor",
            "fail",
            detail,
            "`onebyte monitor` names the fault",
        )
    if faults > _MANY_FAULTS * windows:
        return "sensor", "warn", detail, "`onebyte monitor` names the fault"
    return "sensor", "ok", detail, ""


def _delivery(status: dict[str, Any]) -> Line:
    detail = f"{status['queued']} wait, {status['dropped']} lost, {status['connects']} connects"
    if status["dropped"]:
        return "delivery", "warn", detail, "outages were longer than outbox_records lasts"
    return "delivery", "ok", detail, ""


def _start(status: dict[str, Any]) -> Line:
    detail = f"last start: {status['reset']}, {status.get('wakes', 0)} wakes"
    if status["reset"] == "watchdog":
        return "start", "warn", detail, "it hung: look at its console (`onebyte logs`)"
    if status["reset"] == "brownout":
        return "start", "warn", detail, "its supply broke down: battery, cable, capacitor"
    return "start", "ok", detail, ""


def _judge_meta(meta: dict[str, Any] | None) -> Line:
    if meta is None:
        return "model", "unknown", "no meta message", "wait for one, --timeout"
    if meta["window_ms"] == 0:
        return "model", "fail", meta["name"], "`onebyte deploy` a model that fits"
    return "model", "ok", f"{meta['name']}, {meta['model']}", ""


def _judge_update(update: dict[str, Any] | None) -> Line:
    if update is None:
        return "updates", "unknown", "the node says nothing of updates", ""
    detail = f"slot {update['slot']}, release {update['installed_seq']}, {update['phase']}"
    if update["bad_seq"] > update["installed_seq"]:
        words = f"{detail}; {update['bad_seq']} failed: {errors.name(update['reason'])}"
        return "updates", "warn", words, "publish a release that is better"
    return "updates", "ok", detail, ""
