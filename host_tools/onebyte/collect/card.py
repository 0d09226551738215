"""DATASET.md: the card of a data set, in words, from dataset.json."""

from typing import Any

__all__ = ["write"]

_MOST_GAPS = 20


def write(content: dict[str, Any]) -> str:
    """Return the card of the content of dataset.json."""
    lines = [f"# {content['name']}", ""]
    lines += [
        f"{len(content['sessions'])} sessions at {content['rate_hz']:g} Hz (stated), made with "
        "`onebyte collect`.",
        "",
        "| channel | unit | one count |",
        "|---|---|---|",
        *(f"| {c['name']} | {c['unit']} | {c['lsb']:.9g} |" for c in content["channels"]),
        "",
        *_totals(content["sessions"], content["rate_hz"]),
    ]
    for session in content["sessions"]:
        lines += ["", *_session(session)]
    return "\n".join(lines) + "\n"


def _totals(sessions: list[dict[str, Any]], rate_hz: float) -> list[str]:
    totals: dict[tuple[str, str], int] = {}
    for session in sessions:
        for label, rows in session["labels"].items():
            key = (label, session["subject"])
            totals[key] = totals.get(key, 0) + rows
    rows = [
        f"| {label} | {subject} | {n} | {n / rate_hz:.1f} |"
        for (label, subject), n in sorted(totals.items())
    ]
    return ["| label | subject | samples | seconds |", "|---|---|---|---|", *rows]


def _session(session: dict[str, Any]) -> list[str]:
    device = session["device"]
    measured = session["measured_hz"]
    facts = {
        "subject": session["subject"],
        "license": session["license"],
        "sensor": device.get("sensor", "text"),
        "range": _range(device),
        "rate": f"{measured:g} Hz measured" if measured else "not measured: too short",
        "board": device.get("machine", session["host"] or "unknown"),
        "versions": _versions(device, session["onebyte"]),
        "samples": f"{session['samples']}, {len(session['gaps'])} gaps, "
        f"{len(session['duplicates'])} duplicates, {session['damaged']} damaged lines",
        "ended": session["ended"],
    }
    lines = [f"## Session {session['session']}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(str(value))} |" for name, value in facts.items() if value]
    if session["gaps"]:
        lines += ["", "| gap before sample | at | samples lost | cause |", "|---|---|---|---|"]
        lines += [
            f"| {gap['row']} | {gap['time_s']:.3f} s | "
            f"{'' if gap['is_exact'] else 'about '}{gap['lost']} | {gap['cause']} |"
            for gap in session["gaps"][:_MOST_GAPS]
        ]
        if len(session["gaps"]) > _MOST_GAPS:
            lines.append(f"| {len(session['gaps']) - _MOST_GAPS} more in dataset.json | | | |")
    return lines


def _range(device: dict[str, Any]) -> str:
    if device.get("sensor") in ("lis3dh", "lsm6dsox", "mpu6050"):
        dps = "" if device["sensor"] == "lis3dh" else f", {device['range_dps']} dps"
        return f"{device['range_g']} g{dps}"
    return ""


def _versions(device: dict[str, Any], onebyte: str) -> str:
    micropython = f", MicroPython {device['micropython']}" if device.get("micropython") else ""
    return f"onebyte {onebyte}{micropython}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
