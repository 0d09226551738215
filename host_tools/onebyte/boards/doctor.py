"""The checks of `onebyte doctor`: what a board said, judged, each verdict with its remedy."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import errors, model
from formats.slot_state import NAMES
from onebyte.boards.facts import Facts
from onebyte.boards.link import Board, DeviceError
from onebyte.boards.probes import PROBES
from onebyte.errors import UserError
from onebyte.toolchain import ROOT

__all__ = ["FAIL", "OK", "UNKNOWN", "WARN", "Check", "examine", "judge", "model_names"]

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "fail", "unknown"

_LOW_HEAP_BYTES = 30000
_LEAST_HEAP_BYTES = 12000
_LOW_BLOCKS = 24
_LEAST_BLOCKS = 8  # outbox, configuration and LittleFS's own copies
_FEW_ROWS = 0.7  # of what the rate promises
_SUSPECT_ENDS = 2
_KB = 1024

Said = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One line of the page.

    Attributes:
        name: What was looked at.
        verdict: OK, WARN, FAIL or UNKNOWN.
        detail: What was found.
        remedy: What to do; empty where nothing is to be done.
    """

    name: str
    verdict: str
    detail: str
    remedy: str = ""


def examine(board: Board, tell: Callable[[str], object]) -> dict[str, Said]:
    """Run the probes on a board that is stopped; return what each of them said.

    Args:
        board: Opened.
        tell: Takes the name of each probe before it runs.

    Raises:
        UserError: the line failed.
    """
    said: dict[str, Said] = {}
    for probe in PROBES:
        tell(probe.name)
        try:
            lines = board.exec(probe.source, probe.silence_s).strip().splitlines()
        except DeviceError as error:
            said[probe.name] = {"broken": error.traceback.strip().splitlines()[-1]}
            continue
        said[probe.name] = _parse(lines[-1] if lines else "")
    return said


def _parse(line: str) -> Said:
    try:
        found = json.loads(line)
    except ValueError:
        return {"broken": f"answered {line[:60]!r}"}
    return found if isinstance(found, dict) else {"broken": f"answered {line[:60]!r}"}


def model_names() -> dict[str, str]:
    """Return SHA-256 -> name of the models of this repository."""
    return {
        hashlib.sha256(path.read_bytes()).hexdigest(): path.parent.name
        for path in sorted(ROOT.glob("models/*/model.obm"))
    }


def judge(facts: Facts, said: Mapping[str, Said], wanted: Path | None = None) -> list[Check]:
    """Return the page.

    Args:
        facts: Of the board.
        said: What `examine` returned.
        wanted: The model file that should be on it; None: any.
    """
    checks = [_image(facts)]
    if _has_no_app(facts, said):
        files = said["files"]
        checks += [_abi(facts, {}), _NO_APP, *([] if "broken" in files else _files(files, said))]
        return checks + ([] if wanted is None else [_wanted_model(wanted, {})])
    for name, judged in _JUDGES.items():
        found = said.get(name, {"broken": "was not asked"})
        if "broken" in found:
            checks.append(_broken(name, str(found["broken"])))
        else:
            checks += judged(found, said)
    checks.insert(2, _abi(facts, said.get("kernels", {})))
    if wanted is not None:
        checks.append(_wanted_model(wanted, said.get("model", {})))
    return checks


def _has_no_app(facts: Facts, said: Mapping[str, Said]) -> bool:
    return not facts.board and "ImportError" in str(said.get("config", {}).get("broken", ""))


_NO_APP = Check(
    "app",
    FAIL,
    "the board has none of ours",
    "flash an image of `make firmware`, or `onebyte provision --install BOARD`",
)
_TITLES = {"files": "filesystem", "config": "configuration", "dns": "DNS", "power": "start"}


def _broken(name: str, why: str) -> Check:
    remedy = "is the app on the board older than these tools?"
    return Check(_TITLES.get(name, name), UNKNOWN, why, remedy)


def _image(facts: Facts) -> Check:
    detail = f"{facts.machine}, MicroPython {facts.version_text}"
    if facts.is_own_image:
        return Check("image", OK, f"{detail}, our image for {facts.board}")
    if facts.board:
        return Check("image", OK, f"{detail}, with our files for {facts.board}")
    return Check("image", OK, f"{detail}, not an image of ours")


def _abi(facts: Facts, kernels: Said) -> Check:
    detail = f"mpy {facts.mpy[0]}.{facts.mpy[1]}, {facts.arch or 'no native code'}"
    told = [str(line) for line in kernels.get("told", [])]
    if told:
        return Check("mpy", WARN, f"{detail}; {told[0]}", f"deploy the modules for {facts.arch}")
    return Check("mpy", OK, detail)


def _files(found: Said, _: Mapping[str, Said]) -> list[Check]:
    free, block = int(found["free"]), int(found["block"])
    detail = f"{free // _KB} of {int(found['total']) // _KB} KiB free"
    if found["problem"]:
        words = f"not mounted: {found['problem']}"
        return [Check("filesystem", FAIL, words, "read it out, then erase the flash")]
    if free < _LEAST_BLOCKS * block:
        remedy = "remove what is not needed: `mpremote resume fs ls`, `mpremote resume fs rm`"
        return [Check("filesystem", FAIL, f"nearly full: {detail}", remedy)]
    if found["error"]:
        remedy = "save the files, erase the flash, provision and deploy anew"
        return [Check("filesystem", FAIL, f"{detail}; a test file: {found['error']}", remedy)]
    if free < _LOW_BLOCKS * block:
        remedy = "the outbox needs room for an outage: make some"
        return [Check("filesystem", WARN, detail, remedy)]
    return [Check("filesystem", OK, f"{detail}; a test file was written, read and removed")]


def _config(found: Said, _: Mapping[str, Said]) -> list[Check]:
    if "error" in found:
        return [Check("configuration", FAIL, str(found["error"]), "`onebyte provision`")]
    detail = f"{found['node']}, {found['source']}, console {found['console']}"
    return [Check("configuration", OK, detail)]


def _kernels(found: Said, _: Mapping[str, Said]) -> list[Check]:
    if "error" in found:
        return [Check("kernels", FAIL, str(found["error"]), "deploy the native modules")]
    if found["version"] != model.KERNEL_VERSION:
        words = f"version {found['version']}, these tools make models for {model.KERNEL_VERSION}"
        return [Check("kernels", FAIL, words, "flash or deploy the app of these tools")]
    if found["name"] != "obkernels":
        remedy = "deploy the native modules: decisions take some hundred times as long"
        return [Check("kernels", WARN, "the slow twin", remedy)]
    return [Check("kernels", OK, f"native, version {found['version']}")]


def _updates(found: Said, _: Mapping[str, Said]) -> list[Check]:
    if found.get("missing"):
        return [Check("updates", UNKNOWN, "the app has none", "flash a newer image")]
    if found.get("none"):
        remedy = "provision --product and --root, if it is to be updated"
        return [Check("updates", OK, "off: the board has no product", remedy)]
    trust = "in the image" if found["frozen"] else "in files"
    keys = f"product {found['class']} of vendor {found['vendor']} {trust}"
    if not found["verifier"]:
        return [Check("updates", FAIL, f"{keys}; nothing can verify", "deploy obed25519")]
    if "active" not in found:
        return [Check("updates", OK, f"{keys}; nothing installed yet")]
    slots = f"slot {NAMES[found['active']]}, release {found['installed_seq']}"
    detail = f"{keys}; {slots}, root {found['root_epoch']}"
    if found["pending"]:
        words = f"{detail}; {found['pending_seq']} on trial, {found['tries_left']} tries left"
        return [Check("updates", WARN, words, "let it run until it is confirmed")]
    if found["last_bad_seq"] > found["installed_seq"]:
        reason = errors.name(found["fail_reason"])
        words = f"{detail}; {found['last_bad_seq']} failed: {reason}"
        return [Check("updates", WARN, words, "publish a release that is better")]
    return [Check("updates", OK, detail)]


def _board(found: Said, _: Mapping[str, Said]) -> list[Check]:
    if "error" not in found:
        return []
    remedy = "the configuration does not fit this board: `onebyte provision --set`"
    return [Check("board", FAIL, str(found["error"]), remedy)]


def _model(found: Said, _: Mapping[str, Said]) -> list[Check]:
    free, heap = int(found["heap_free"]), int(found["heap"])
    room = f"{free // _KB} of {heap // _KB} KiB free with all of it loaded"
    if free < _LEAST_HEAP_BYTES:
        memory = Check(
            "heap", FAIL, room, "a smaller model (`onebyte pareto`) or outbox_ram_records"
        )
    elif free < _LOW_HEAP_BYTES:
        memory = Check("heap", WARN, room, "TLS alone takes some 20 KiB: try it with the network")
    else:
        memory = Check("heap", OK, room)
    digest = str(found["sha256"])
    if "error" in found:
        words = str(found["error"])
        return [Check("model", FAIL, words, "`onebyte deploy` a model that fits"), memory]
    known = model_names().get(digest, "")
    detail = f"{found['name']}, {found['bytes']} bytes, {digest[:16]}"
    detail += f", the repository's {known}" if known else ""
    if not found["proven"]:
        return [Check("model", UNKNOWN, f"{detail}; not proven: no sensor to fit"), memory]
    return [Check("model", OK, f"{detail}; its golden vectors give the same here"), memory]


def _wanted_model(wanted: Path, found: Said) -> Check:
    try:
        digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {wanted}: {error.strerror or error}") from error
    if found.get("sha256") == digest:
        return Check("model file", OK, f"the board has {wanted}")
    return Check("model file", FAIL, f"the board has another than {wanted}", "`onebyte deploy`")


def _sensor(found: Said, said: Mapping[str, Said]) -> list[Check]:
    name = str(said.get("config", {}).get("sensor", "sensor"))
    if found.get("none"):
        return [Check("sensor", UNKNOWN, "not asked: see above")]
    if found["error"]:
        remedy = "check wiring, supply, `sensor` and `sensor_address`"
        return [Check("sensor", FAIL, f"{name}: {found['error']}", remedy)]
    expected = found["rate_mhz"] * found["ms"] / 1e6
    detail = f"{name}: {found['rows']} samples in {found['ms']} ms"
    if found["rows"] < _FEW_ROWS * expected:
        return [Check("sensor", FAIL, f"{detail}, {expected:.0f} expected", "check its supply")]
    noise = ", ".join(f"{value:g}" for value in found["std"])
    detail += f"; it deviates by {noise} counts, lay it still for its noise floor"
    if any(value == 0 for value in found["std"]):
        remedy = "a channel that never changes is broken, or not connected"
        return [Check("sensor", WARN, detail, remedy)]
    return [Check("sensor", OK, detail)]


def _network(found: Said, said: Mapping[str, Said]) -> list[Check]:
    kind = {"ppp": "PPP", "wifi": "Wi-Fi"}.get(str(said.get("board", {}).get("network")), "")
    if found.get("none"):
        if said.get("board", {}).get("made"):
            return [Check("network", OK, "none: decisions leave on the console")]
        return [Check("network", UNKNOWN, "not asked: see above")]
    if found["up"]:
        return [Check("network", OK, f"{kind} up after {found['ms']} ms")]
    remedy = {
        "Wi-Fi": "check name and password (`onebyte provision`), 2.4 GHz, and the distance",
        "PPP": "is the modem in data mode, are TX and RX crossed, is ppp_baud its speed?",
    }.get(kind, "")
    return [Check("network", FAIL, f"{kind}: {found['error'] or 'no answer'}", remedy)]


def _dns(found: Said, said: Mapping[str, Said]) -> list[Check]:
    host = said.get("config", {}).get("broker", "")
    if found.get("none"):
        return [] if _is_serial(said) else [Check("DNS", UNKNOWN, "not asked: no network")]
    if "error" in found:
        remedy = "check broker_host, and the name server (ip_dns)"
        return [Check("DNS", FAIL, f"{host}: {found['error']}", remedy)]
    return [Check("DNS", OK, f"{host} is {found['address']}")]


def _clock(found: Said, said: Mapping[str, Said]) -> list[Check]:
    if found.get("none"):
        return [Check("clock", UNKNOWN, "not asked: see above")]
    if found["quality"]:
        return [Check("clock", OK, "has the time of day")]
    if said.get("config", {}).get("tls"):
        remedy = "set it (docs/BOARDS.md, Time of day), or a certificate as old as the clock"
        return [Check("clock", WARN, "not set, and TLS compares it with certificates", remedy)]
    return [Check("clock", OK, "not set: records count from the start")]


def _broker(found: Said, said: Mapping[str, Said]) -> list[Check]:
    config = said.get("config", {})
    where = f"{config.get('broker', '')}:{config.get('port', '')}"
    if found.get("none"):
        return [] if _is_serial(said) else [Check("broker", UNKNOWN, "not asked: no network")]
    what = "broker, TLS" if config.get("tls") else "broker"
    if "error" not in found:
        return [Check(what, OK, f"{where} let us in after {found['ms']} ms")]
    remedy = _BROKER_REMEDIES.get(int(found["code"]), "does it listen there, and with TLS or not?")
    return [Check(what, FAIL, f"{where}: {found['error']}", remedy)]


_BROKER_REMEDIES = {
    errors.BROKER_CREDENTIALS: "check broker_user and broker_password (`onebyte provision`)",
    errors.BROKER_NOT_AUTHORISED: "let the broker's rules admit this user",
    errors.TLS_CERTIFICATE: "check the CA, the broker's name, and the board's clock",
    errors.TLS_CA: "`onebyte provision --ca`",
    errors.TLS_KEY: "`onebyte provision --cert --key`",
    errors.CONFIG_MISSING: "`onebyte provision --ca`",
}


def _power(found: Said, said: Mapping[str, Said]) -> list[Check]:
    config = said.get("config", {})
    checks = []
    if config.get("watchdog_ms"):
        checks.append(Check("watchdog", OK, f"bites after {config['watchdog_ms']} ms"))
    elif "watchdog_ms" in config:
        remedy = "set watchdog_ms: a node that hangs stays so"
        checks.append(Check("watchdog", WARN, "off", remedy))
    detail = f"last start: {found['cause'] or 'not known'}"
    if found["supply_mv"] >= 0:
        detail += f", supply {found['supply_mv']} mV"
    if found["early_ends"] >= _SUSPECT_ENDS:
        words = f"{detail}; {found['early_ends']} starts in a row ended early"
        remedy = "`onebyte logs` shows why; a weak supply does this, too"
        return [*checks, Check("start", WARN, words, remedy)]
    if found["cause"] == "watchdog":
        return [*checks, Check("start", WARN, detail, "it hung: `onebyte logs` may show where")]
    return [*checks, Check("start", OK, detail)]


def _is_serial(said: Mapping[str, Said]) -> bool:
    made = said.get("board", {})
    return bool(made.get("made")) and not made.get("network")


_JUDGES: dict[str, Callable[[Said, Mapping[str, Said]], list[Check]]] = {
    "kernels": _kernels,
    "model": _model,
    "files": _files,
    "config": _config,
    "board": _board,
    "sensor": _sensor,
    "network": _network,
    "dns": _dns,
    "broker": _broker,
    "clock": _clock,
    "updates": _updates,
    "power": _power,
}
