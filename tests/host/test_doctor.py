"""The doctor's verdicts, from what boards and nodes say; the emulated board is examined apart."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_refused, onebyte
from repl_board import ReplBoard

from formats import errors, messages, update_messages
from onebyte.boards import doctor
from onebyte.boards.facts import Facts
from onebyte.boards.link import DeviceError, open_board
from onebyte.boards.probes import PROBES
from onebyte.receiver import doctor as node_doctor
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.simulation.broker import Broker

MODEL = Path(__file__).parents[2] / "models" / "exercise" / "model.obm"
DIGEST = hashlib.sha256(MODEL.read_bytes()).hexdigest()
FACTS = Facts(
    "micropython", (1, 25, 0), (6, 3), "armv6m", "rp2", "Raspberry Pi Pico", "ab", "pico_ppp", None
)
CONFIG = {
    "source": "sealed 3",
    "node": "lab/p",
    "broker": "broker.test",
    "port": 8883,
    "tls": True,
    "sensor": "mpu6050",
    "console": "open",
    "watchdog_ms": 8000,
}
GOOD: dict[str, dict[str, Any]] = {
    "files": {
        **{"free": 900_000, "total": 10**6, "block": 4096},
        **{"problem": "", "error": "", "leftover": []},
    },
    "config": CONFIG,
    "power": {"cause": "power_on", "early_ends": 0, "supply_mv": 4200},
    "kernels": {"name": "obkernels", "version": 1, "told": []},
    "updates": {
        **{"frozen": True, "vendor": 1, "class": 2, "verifier": "native", "active": 1},
        **{"pending": 0, "tries_left": 0, "installed_seq": 5, "pending_seq": 0},
        **{"last_bad_seq": 0, "fail_reason": 0, "root_epoch": 1, "security_floor": 0},
    },
    "board": {"made": True, "network": "ppp"},
    "model": {
        **{"bytes": 14484, "sha256": DIGEST, "name": "exercise 1", "proven": True},
        **{"heap_free": 120_000, "heap": 200_000},
    },
    "sensor": {
        **{"rows": 75, "error": "", "std": [2.5, 3.0], "mean": [0, 0], "ms": 1500},
        "rate_mhz": 50000,
    },
    "network": {"up": True, "ms": 900, "error": ""},
    "dns": {"address": "10.0.0.1"},
    "clock": {"quality": 1, "time_s": 1},
    "broker": {"ms": 300},
}


def judged(**changes: Any) -> dict[str, doctor.Check]:
    """Return the checks by name; a change replaces keys of what one probe said."""
    said = {name: {**values, **changes.get(name, {})} for name, values in GOOD.items()}
    said = {
        name: changes[name] if "only" in changes.get(name, {}) else said[name] for name in said
    }
    return {check.name: check for check in doctor.judge(FACTS, said)}


def test_good_board_has_nothing_to_do() -> None:
    checks = judged()
    assert {check.verdict for check in checks.values()} == {doctor.OK}
    assert not any(check.remedy for check in checks.values())
    names = (
        "image mpy kernels model heap filesystem configuration sensor network DNS clock updates"
    )
    assert {*names.split(), "broker, TLS", "watchdog", "start"} == set(checks)
    assert "the repository's exercise" in checks["model"].detail


@pytest.mark.parametrize(
    ("changes", "name", "verdict", "words"),
    [
        ({"files": {"free": 20_000}}, "filesystem", "fail", "nearly full"),
        ({"files": {"free": 80_000}}, "filesystem", "warn", "78 of"),
        ({"files": {"problem": "not blank"}}, "filesystem", "fail", "not mounted: not blank"),
        ({"files": {"error": "EIO"}}, "filesystem", "fail", "EIO"),
        ({"config": {"error": "CONFIG_MISSING(80)"}}, "configuration", "fail", "MISSING"),
        ({"config": {"watchdog_ms": 0}}, "watchdog", "warn", "off"),
        ({"power": {"early_ends": 3}}, "start", "warn", "3 starts in a row ended early"),
        ({"power": {"cause": "watchdog"}}, "start", "warn", "watchdog"),
        ({"kernels": {"name": "obtwin"}}, "kernels", "warn", "slow twin"),
        ({"kernels": {"version": 9}}, "kernels", "fail", "version 9"),
        ({"kernels": {"error": "KERNEL_VERSION"}}, "kernels", "fail", "KERNEL"),
        ({"kernels": {"told": ["is for x64"]}}, "mpy", "warn", "is for x64"),
        ({"updates": {"verifier": ""}}, "updates", "fail", "nothing can verify"),
        (
            {"updates": {"pending": 2, "pending_seq": 6, "tries_left": 3}},
            *("updates", "warn", "6 on trial, 3 tries left"),
        ),
        (
            {"updates": {"last_bad_seq": 9, "fail_reason": errors.TRIAL_MODEL}},
            *("updates", "warn", "9 failed: TRIAL_MODEL"),
        ),
        ({"board": {"made": False, "error": "no such pin"}}, "board", "fail", "no such pin"),
        ({"model": {"error": "CRC(5)"}}, "model", "fail", "CRC"),
        ({"model": {"proven": False}}, "model", "unknown", "not proven"),
        ({"model": {"heap_free": 20_000}}, "heap", "warn", "19 of 195"),
        ({"model": {"heap_free": 9_000}}, "heap", "fail", "8 of 195"),
        ({"sensor": {"error": "WHO_AM_I is 0x00"}}, "sensor", "fail", "WHO_AM_I"),
        ({"sensor": {"rows": 20}}, "sensor", "fail", "75 expected"),
        ({"sensor": {"std": [0, 3.0]}}, "sensor", "warn", "deviates by 0, 3"),
        ({"network": {"up": False, "error": "no answer"}}, "network", "fail", "PPP: no answer"),
        ({"dns": {"error": "-2"}}, "DNS", "fail", "broker.test: -2"),
        ({"clock": {"quality": 0}}, "clock", "warn", "TLS"),
        (
            {"broker": {"error": "TLS_CERTIFICATE(107)", "code": 107}},
            *("broker, TLS", "fail", "broker.test:8883: TLS_CERTIFICATE"),
        ),
        ({"broker": {"error": "ECONNREFUSED", "code": 0}}, "broker, TLS", "fail", "REFUSED"),
        ({"sensor": {"broken": "MemoryError"}}, "sensor", "unknown", "MemoryError"),
    ],
)
def test_each_fault_has_its_verdict_and_a_remedy(
    changes: dict[str, Any], name: str, verdict: str, words: str
) -> None:
    checks = judged(**changes)
    assert checks[name].verdict == verdict and words in checks[name].detail, checks[name]
    assert checks[name].remedy or verdict == doctor.UNKNOWN
    others = {one.name for one in checks.values() if one.verdict == doctor.FAIL}
    assert others <= {name}


def failed_broker(code: int) -> dict[str, Any]:
    return {"broker": {"error": "X", "code": code}}


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        (failed_broker(errors.BROKER_CREDENTIALS), "broker, TLS", "broker_password"),
        (failed_broker(errors.BROKER_NOT_AUTHORISED), "broker, TLS", "rules"),
        (failed_broker(errors.TLS_CERTIFICATE), "broker, TLS", "clock"),
        (failed_broker(errors.TLS_CA), "broker, TLS", "--ca`"),
        (failed_broker(errors.TLS_KEY), "broker, TLS", "--cert --key"),
        (failed_broker(errors.CONFIG_MISSING), "broker, TLS", "--ca`"),
        (failed_broker(0), "broker, TLS", "does it listen there"),
        ({"network": {"up": False}}, "network", "modem"),
        ({"network": {"up": False}, "board": {"network": "wifi"}}, "network", "password"),
        ({"files": {"free": 20_000}}, "filesystem", "mpremote resume fs rm"),
        ({"files": {"problem": "not blank"}}, "filesystem", "erase"),
        ({"updates": {"verifier": ""}}, "updates", "obed25519"),
        ({"kernels": {"told": ["is for x64"]}}, "mpy", "armv6m"),
        ({"kernels": {"broken": "ImportError: no module"}}, "kernels", "older than these tools"),
    ],
)
def test_remedy_is_that_of_the_cause(changes: dict[str, Any], name: str, words: str) -> None:
    assert words in judged(**changes)[name].remedy


def test_probe_that_fails_is_known_by_its_last_line() -> None:
    class Examined:
        def exec(self, source: str, silence_s: float) -> str:
            if "flash_mount" in source:
                return 'a driver prints\n{"free": 1}\n'
            if "from app import settings" in source:
                return "{"
            raise DeviceError("/dev/board", "Traceback:\r\n File\r\nMemoryError: 9 bytes\r\n")

    said = doctor.examine(Examined(), lambda name: None)
    assert said["files"] == {"free": 1}
    assert said["config"] == {"broken": "answered '{'"}
    assert said["model"] == {"broken": "MemoryError: 9 bytes"}


def test_probe_that_fails_has_the_name_of_its_line() -> None:
    said = {name: {"broken": "MemoryError"} for name in GOOD}
    shown = [check.name for check in doctor.judge(FACTS, said) if "Memory" in check.detail]
    assert {"configuration", "DNS", "filesystem", "start"} < set(shown)
    assert not {"config", "dns", "files", "power"} & set(shown)


def test_image_says_whose_it_is() -> None:
    found = {
        board: doctor.judge(replace(FACTS, board=board), GOOD)[0].detail for board in ("", "x")
    }
    assert "not an image of ours" in found[""] and "not" not in found["x"]


# A sensor that swings by 2 around 12, a model whose golden vectors differ, and who loads it.
STAND_INS = """
from formats import errors
import gc,sys
class Source:
 n_channels=2
 overruns=gaps=0
 rate_mhz=50000
 def read_into(self,ring,at,most):
  for i in range(4):ring[i]=10+4*(i//2)
  return 2
class B:source=Source()
class C:model_path='/model.obm'
K=1
class I:
 name='m'
 rate_mhz=50000
class app:
 class loader:
  parse=lambda content,kernels:I
  def prove(found,content,board,config):raise errors.OnebyteError(errors.TRIAL_MODEL,'golden')
sys.modules['app']=app
"""


def test_probes_say_what_they_find_and_leave_nothing() -> None:
    sources = {probe.name: probe.source for probe in PROBES}
    with ReplBoard(frozen=("formats.errors",)) as fake, open_board(fake.path) as board:
        found = board.ask(sources["files"])
        assert found["total"] == 64 * 4096 and 0 < found["free"] < found["total"]
        assert board.exec("print(os.listdir('/'))") == "[]\n", "the test file is still there"
        board.exec(STAND_INS)
        found = board.ask(sources["sensor"])
        assert (found["std"], found["mean"], found["error"]) == ([2, 2], [12, 12], "")
        found = board.ask(sources["model"])
        assert "golden" in found["error"] and "proven" not in found


def test_board_of_which_only_the_prompt_answers() -> None:
    """The command as a whole; a board with the app is examined in the emulator."""
    with ReplBoard() as fake:
        with open_board(fake.path) as opened:
            opened.exec("marked = True")
        code, out, err = onebyte("doctor", "--port", fake.path, "--json", "--model", MODEL)
        assert (code, err) == (1, "")
        checks = {check["name"]: check for check in json.loads(out)["checks"]}
        assert list(checks) == ["image", "mpy", "app", "filesystem", "model file"]
        assert set(checks["app"]) == {"name", "verdict", "detail", "remedy"}
        assert checks["app"]["verdict"] == doctor.FAIL
        assert checks["filesystem"]["verdict"] == doctor.OK
        assert "onebyte provision --install" in checks["app"]["remedy"]
        assert "not an image of ours" in checks["image"]["detail"]
        assert checks["model file"]["verdict"] == doctor.FAIL
        assert onebyte("doctor", "--port", fake.path)[0] == 1, "a board without a node is not well"
        with open_board(fake.path) as opened:
            assert opened.exec("print('marked' in globals())") == "False\n", "not started again"


def test_console_board_has_no_network_to_fail() -> None:
    none = {"only": True, "none": True}
    checks = judged(network=none, dns=none, broker=none, board={"network": ""})
    assert checks["network"].verdict == doctor.OK and "DNS" not in checks
    checks = judged(network=none, dns=none, broker=none)
    assert {checks[name].verdict for name in ("DNS", "broker")} == {doctor.UNKNOWN}


def test_another_model_than_wanted(tmp_path: Path) -> None:
    other = tmp_path / "other.obm"
    other.write_bytes(b"other")
    for path, verdict in ((MODEL, doctor.OK), (other, doctor.FAIL)):
        found = doctor.judge(FACTS, GOOD, path)[-1]
        assert (found.name, found.verdict) == ("model file", verdict)


STATUS = dict.fromkeys(messages.STATUS_KEYS, 0) | {"epoch": 3, "heap_free": 90_000, "windows": 100}
META = {
    **{"encoding": "A", "labels": ["a", "b"], "model": DIGEST[:16]},
    **{"name": "exercise 1", "window_ms": 2000, "hop_ms": 1000},
}
REPORT = {key: 0 for key in update_messages.REPORT_KEYS} | {"root": 1, "record": 1}


def report(**changes: Any) -> dict[str, Any]:
    text = {"phase": "idle", "slot": "a", "seq": 5}
    return {**REPORT, **text, **changes}


def node_lines(status: dict[str, Any] | None = None, **heard: Any) -> dict[str, Any]:
    whole = {"online": True, **STATUS, **(status or {})}
    found = node_doctor.judge(node_doctor.Heard(whole, META, report(), **heard))
    return {name: (verdict, detail, remedy) for name, verdict, detail, remedy in found}


def test_node_in_the_field_that_is_well() -> None:
    lines = node_lines({"reset": "power_on", "wakes": 4, "supply_mv": 3900, "flash_held": 0})
    assert {verdict for verdict, *_ in lines.values()} == {"ok"}, lines
    assert "exercise 1" in lines["model"][1] and "release 0" in lines["updates"][1]


def test_node_in_the_field_says_it_in_people_s_words() -> None:
    lines = node_lines({"uptime_s": 216_000, "time_quality": 2}, damaged=["meta: X"])
    assert "up for 2.5 days" in lines["status"][1] and lines["clock"][1] == "synchronised"
    assert node_lines({"time_quality": 0})["clock"][1] == "counts from the start"
    assert lines["message"][:2] == ("fail", "meta: X")
    silent = {name: verdict for name, verdict, *_ in node_doctor.judge(node_doctor.Heard())}
    assert silent == dict.fromkeys(("status", "model", "updates"), "unknown")
    bad = report(bad_seq=9, installed_seq=5, reason=errors.TRIAL_HEAP)
    heard = node_doctor.Heard(None, {**META, "window_ms": 0, "name": "refused: CRC"}, bad)
    found = {line[0]: line for line in node_doctor.judge(heard)}
    assert found["model"][1:3] == ("fail", "refused: CRC")
    assert found["updates"][1] == "warn" and "9 failed: TRIAL_HEAP" in found["updates"][2]


@pytest.mark.parametrize(
    ("status", "name", "verdict"),
    [
        ({"heap_free": 5000}, "heap", "fail"),
        ({"heap_free": 20000}, "heap", "warn"),
        ({"faults": 100}, "sensor", "fail"),
        ({"faults": 10}, "sensor", "warn"),
        ({"dropped": 1}, "delivery", "warn"),
        ({"flash_errors": 1}, "filesystem", "fail"),
        ({"reset": "watchdog"}, "start", "warn"),
        ({"reset": "brownout"}, "start", "warn"),
        ({"supply_mv": 2900, "flash_held": 1}, "supply", "warn"),
        ({"online": False}, "status", "warn"),
    ],
)
def test_node_in_the_field_that_is_not(status: dict[str, Any], name: str, verdict: str) -> None:
    line = node_lines(status)[name]
    assert line[0] == verdict and line[2]


def test_node_over_a_broker_in_json_and_as_a_page(tmp_path: Path) -> None:
    with Broker() as broker, Link(BrokerSettings("127.0.0.1", broker.port), []) as link:
        where = ("doctor", "--broker", f"127.0.0.1:{broker.port}", "--tenant", "lab")
        got = onebyte(*where, "--device", "nobody", "--timeout", 0.3)
        assert_refused(got, "nothing of lab/nobody")
        told = [
            ("ob/lab/p/s", messages.pack_status({**STATUS, "faults": 100})),
            ("ob/lab/p/meta", messages.pack_meta(META)),
            ("ob/lab/p/u", update_messages.pack_report(report())),
        ]
        link.deliver(told, 10)
        link.deliver([("ob/lab/odd/s", b"{")], 10)
        code, out, _ = onebyte(*where, "--device", "odd", "--timeout", 0.3)
        assert code == 1 and "fail    message       status: " in out
        where = (*where, "--device", "p")
        code, out, err = onebyte(*where, "--json", "--model", MODEL)
        assert (code, err) == (1, "")
        page = json.loads(out)
        verdicts = {check["name"]: check["verdict"] for check in page["checks"]}
        assert page["where"] == "lab/p"
        assert (verdicts["sensor"], verdicts["heap"], verdicts["model file"]) == (
            "fail",
            "ok",
            "ok",
        )
        link.deliver([("ob/lab/p/s", messages.pack_status(STATUS))], 10)
        other = tmp_path / "x.obm"
        other.write_bytes(b"x")
        code, out, _ = onebyte(*where, "--model", other)
        assert code == 1 and "another than" in out and "-> `onebyte publish`" in out
        assert onebyte(*where)[0] == 0
    got = onebyte("doctor", "--broker", "127.0.0.1", "--port", "/dev/x")
    assert_refused(got, "--broker needs --tenant and --device, and no --port")
