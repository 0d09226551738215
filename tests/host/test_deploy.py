"""`onebyte deploy` before it meets a board, and what the desk is answered."""

import ast
import hashlib
import json
import re
import time
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import signed_boards
from click.testing import CliRunner
from signed_boards import Vendor

from onebyte.boards import deploy, deploy_release
from onebyte.boards.deploy_release import Standing
from onebyte.boards.transport import Lost, Silent
from onebyte.commands.deploy import command
from onebyte.errors import UserError

STANDING = {
    **{"phase": "idle", "running": "a", "epoch": 1, "installed_seq": 4, "pending_seq": 0},
    **{"last_bad_seq": 6, "security_floor": 3, "vendor": 7, "product_class": 3, "hardware": 2},
    **{"firmware": 1, "tenant": "lab", "mpy_abi": 6, "arch": 4, "slot_bytes": 262144},
    **{"seq": 4, "manifest": "/s/a/manifest"},
}


class FakeWire:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


class FakeBoard:
    """A board whose running slot is a dict."""

    device = "/dev/board"

    def __init__(self, files: dict[str, bytes], platform: str = "rp2") -> None:
        self.files = files
        self.transport = self
        self.serial = FakeWire()
        self.facts = type("Facts", (), {"platform": platform, "arch": "armv6m"})
        self.says: list[str] = []
        self.done: list[str] = []

    def exec(
        self, code: str, timeout_s: float = 0, on_output: Callable[[bytes], object] | None = None
    ) -> str:
        self.done.append(code)
        self.patience_s = timeout_s
        for line in self.says if on_output else ():
            on_output(f"{line}\r\n".encode())
        return "".join(f"{line}\n" for line in self.says)

    def stop(self) -> None:
        self.done.append("stop")

    def restart(self) -> None:
        self.done.append("restart")

    def read_file(self, path: str) -> bytes:
        return self.files[path]


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path)


def in_slot_a(vendor: Vendor) -> FakeBoard:
    files = [*signed_boards.app("hello"), signed_boards.model()]
    slot = signed_boards.in_slot(1, vendor.release(4, files))
    return FakeBoard({f"/{name}": content for name, content in slot.items()})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to deploy"),
        (["--model", "x.obm"], "files need --key"),
        (["releases/5", "--model", "x.obm"], "a RELEASE is signed already"),
        (["releases/5", "--key", "k.pem"], "a RELEASE is signed already"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(command, [*arguments, "--port", "/dev/nowhere"])
    assert isinstance(done.exception, UserError), done.output
    assert words in str(done.exception) and "\n" not in str(done.exception)


def test_a_model_alone_keeps_the_app_by_its_hashes(vendor: Vendor) -> None:
    board = in_slot_a(vendor)
    other = signed_boards.model(signed_boards.MODEL.with_name("holdout.obm"))
    release = deploy_release.make(board, Standing(STANDING), [other], vendor.release_key, {})
    found = release.manifest
    assert (found.manifest_seq, found.content_version, found.tenant) == (7, 3, "")
    assert (found.vendor, found.product_class, found.hardware_mask, found.mpy_abi) == (7, 3, 4, 6)
    names = [entry[4] for entry in found.files]
    assert "node.mpy" in names and names.count("model.obm") == 1
    assert len(release.objects) == 1, "the app is not sent"


def test_an_app_replaces_the_whole_app_and_keeps_the_model(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("def main(updates, path):\n    return 0\n")
    new = signed_boards.sources.app(tmp_path, signed_boards.sources.Compiler())
    board = in_slot_a(vendor)
    release = deploy_release.make(board, Standing(STANDING), new, vendor.release_key, {})
    assert [entry[4] for entry in release.manifest.files] == ["run.mpy", "model.obm"]
    fresh = deploy_release.make(
        board, Standing(STANDING), new, vendor.release_key, {"fresh": True}
    )
    assert [entry[4] for entry in fresh.manifest.files] == ["run.mpy"]


def test_files_for_another_mpy_version_are_refused_here(vendor: Vendor) -> None:
    older = Standing({**STANDING, "mpy_abi": 5})
    board = in_slot_a(vendor)
    files = signed_boards.app("hello")
    with pytest.raises(UserError, match="mpy"):
        deploy_release.make(board, older, files, vendor.release_key, {"fresh": True})


def test_next_seq_is_above_all_that_the_board_knows() -> None:
    for name in ("installed_seq", "pending_seq", "last_bad_seq"):
        assert Standing({**STANDING, name: 9}).next_seq == 10


def test_the_same_files_make_the_same_release(vendor: Vendor) -> None:
    board = in_slot_a(vendor)
    made = [
        deploy_release.make(
            board, Standing(STANDING), [signed_boards.model()], vendor.release_key, {}
        ).content
        for _ in range(2)
    ]
    assert made[0] == made[1], "an interrupted copy could not go on"


def test_desk_gets_what_it_asks_for_with_ctrl_c_escaped(vendor: Vendor) -> None:
    board = in_slot_a(vendor)
    release = deploy_release.make(
        board, Standing(STANDING), [signed_boards.model()], vendor.release_key, {"fresh": True}
    )
    desk = deploy._Desk(board, release, None)
    ((name, content),) = release.objects.items()
    desk.take(b"noise\r\ndesk get %s 0 100\r\nde" % name.encode())
    desk.take(b"sk get %s 100 4096\r\n" % name.encode())
    wire = board.serial.written
    assert b"\x03" not in wire
    for piece in (content[:100], content[100:4196]):
        length, crc = int(wire[:8], 16), int(wire[8:16], 16)
        got = wire[16 : 16 + length].replace(b"\x1bE", b"\x03").replace(b"\x1b[", b"\x1b")
        assert (got, crc) == (piece, zlib.crc32(piece))
        wire = wire[16 + length :]
    assert wire == b""
    assert desk.sent.n_bytes == min(len(content), 4196)
    desk.take(b"desk end 135 SIGNED_KEY(135)\r\n")
    assert desk.end == (135, "SIGNED_KEY(135)")
    with pytest.raises(UserError, match="has lost a file"):
        desk.take(b"desk get %s 0 10\r\n" % (b"0" * 64))


@pytest.mark.parametrize(("platform", "window"), [("rp2", 4096), ("esp32", 112)])
def test_desk_is_opened_for_the_release_and_its_end_is_heard(
    vendor: Vendor, platform: str, window: int
) -> None:
    board = in_slot_a(vendor)
    board.facts = type("Facts", (), {"platform": platform, "arch": "armv6m"})
    standing = Standing(STANDING)
    release = deploy_release.make(
        board, standing, [signed_boards.model()], vendor.release_key, {"fresh": True}
    )
    board.says = ["noise", "desk end 0 armed"]
    assert deploy.send(board, standing, release).n_bytes == 0
    assert 30 <= board.patience_s <= 300, "it verifies and unpacks in silence"
    (code,) = board.done
    found = re.fullmatch(r"updates\.desk\.receive\(u,(\{.*\}),(\d+)\)", code)
    assert found and int(found[2]) == window, "a UART loses what nobody reads"
    assert ast.literal_eval(found[1]) == {
        **{"seq": 7, "bytes": len(release.content), "root": 1, "url": ""},
        "manifest": hashlib.sha256(release.content).hexdigest(),
    }
    board.says = ["desk end 135 SIGNED_KEY(135)"]
    with pytest.raises(deploy.Refused, match=r"refuses the release: SIGNED_KEY\(135\)"):
        deploy.send(board, standing, release)
    board.says = []
    with pytest.raises(Silent, match="ended without a word"):
        deploy.send(board, standing, release)


HEALTHY = "onebyte update: release 7 is healthy"
NOT_NOW = "desk end 214 the trial is trial"
ON_TRIAL = {"phase": "trial", "installed_seq": 6, "pending_seq": 7}
CONFIRMED = {"phase": "idle", "installed_seq": 7, "pending_seq": 0}
TAKEN_BACK = {"phase": "idle", "installed_seq": 6, "pending_seq": 0}


class Answers(FakeBoard):
    """A board that is stopped on trial; each time it has another answer, and then its standing."""

    def __init__(self, *answers: tuple[str, dict[str, object]]) -> None:
        super().__init__({})
        self.answers = list(answers)

    def stop(self) -> None:
        super().stop()
        (self.says, self.stands) = [self.answers[0][0]], self.answers.pop(0)[1]

    def exec(self, code: str, *more: object) -> str:
        said = super().exec(code, *more)
        self.says = [json.dumps({**STANDING, **self.stands})]
        return said


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([("desk end 0 confirmed", CONFIRMED)], ""),
        ([(NOT_NOW, ON_TRIAL), (NOT_NOW, ON_TRIAL), ("desk end 0 confirmed", CONFIRMED)], ""),
        ([("desk end 214 the trial is idle", CONFIRMED)], ""),  # by the server, meanwhile
        ([("desk end 214 the trial is idle", TAKEN_BACK)], "not confirmed: the trial is idle"),
        ([("desk end 131 another release", {**ON_TRIAL, "pending_seq": 8})], "not confirmed: ano"),
    ],
)
def test_healthy_release_is_confirmed_by_the_board_and_by_nobody_else(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[str, dict[str, object]]], verdict: str
) -> None:
    board = Answers(*answers)
    port = FakePort("onebyte update: release 6 is healthy", *[HEALTHY] * len(answers))
    told: list[str] = []
    monkeypatch.setattr(deploy, "Transport", lambda device: port)
    monkeypatch.setattr(deploy, "Board", lambda device, transport: board)
    if verdict:
        with pytest.raises(deploy.Refused, match=verdict):
            deploy.wait_for_verdict("/dev/board", 7, 5, told.append)
    else:
        deploy.wait_for_verdict("/dev/board", 7, 5, told.append)
    assert board.answers == []
    asked = [code for code in board.done if code.endswith("make_files(),'/'),7)\n")]
    assert len(asked) == board.done.count("stop") == board.done.count("restart") == len(answers)
    assert board.done[-1] == "restart"
    again = [HEALTHY, "release 7 was not healthy when it was stopped; its next start is looked at"]
    assert told == again * (len(answers) - 1) + [HEALTHY]


def test_trial_that_is_in_the_way_is_given_up_first(monkeypatch: pytest.MonkeyPatch) -> None:
    board = FakeBoard({})
    phases = ["trial", "idle"]
    told: list[str] = []

    def standing(_: object) -> Standing:
        return Standing({**STANDING, "phase": phases.pop(0), "pending_seq": 5})

    monkeypatch.setattr(deploy.link, "open_board", lambda port: nullcontext(board))
    monkeypatch.setattr(deploy_release, "read_standing", standing)
    with deploy.open_settled("/dev/board", told.append) as (opened, found):
        assert opened is board and found.phase == "idle"
    assert board.done == ["updates.desk.abandon(u)", "restart"]
    assert told == ["/dev/board: the trial of release 5 is given up"]


def test_board_that_is_refused_something_goes_on_with_what_it_ran(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    board = FakeBoard({})
    monkeypatch.setattr(deploy.link, "open_board", lambda port: nullcontext(board))
    for says, words in (
        ("null", "trusts nobody yet"),
        ("desk none no module named 'ota'\nnull", "has no loader for releases"),
        ("{", "is damaged"),
    ):
        board.says, board.done = [says], []
        with pytest.raises(UserError, match=words), deploy.open_settled("", print):
            pass
        assert board.done[1:] == ["restart"]
    board.says, board.done = [json.dumps(STANDING)], []
    with pytest.raises(UserError, match="wrong"), deploy.open_settled("", print):
        raise UserError("wrong passphrase")
    assert board.done[1:] == ["restart"]
    board.done = []
    with pytest.raises(Lost), deploy.open_settled("", print):
        raise Lost("pulled")
    assert len(board.done) == 1


class FakePort:
    """Console lines for a listener."""

    def __init__(self, *lines: str) -> None:
        self.serial = self
        self._lines = [f"{line}\r\n".encode() for line in lines]

    def read_some(self) -> bytes:
        return self._lines.pop(0)

    def close(self) -> None:
        pass


def test_console_that_never_says_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    port = FakePort("onebyte node: sensor: gone")
    port.read_some = lambda: port._lines.pop() if port._lines else b""
    monkeypatch.setattr(deploy, "Transport", lambda device: port)
    start_s = time.monotonic()
    words = r"no verdict on release 7 within 0 s: onebyte node: sensor: gone"
    with pytest.raises(deploy.Refused, match=words):
        deploy.wait_for_verdict("/dev/board", 7, 0.2, print)
    assert time.monotonic() - start_s < 60


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("onebyte update: release 7 is confirmed", "confirmed"),
        ("onebyte update: release 7 failed: TRIAL_HEAP(212)", "failed: TRIAL_HEAP(212)"),
        (
            "onebyte boot: slot a, release 4; release 7 was taken back: TRIAL_SPENT(190)",
            "was taken back: TRIAL_SPENT(190)",
        ),
    ],
)
def test_console_says_how_a_trial_ends(
    line: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = FakePort(
        *("ob1 noise", "onebyte boot: slot a, release 4; release 6 was taken back: X(1)"),
        *("onebyte update: release 6 is confirmed", line),
    )
    monkeypatch.setattr(deploy, "Transport", lambda device: port)
    if verdict == "confirmed":
        deploy.wait_for_verdict("/dev/board", 7, 5, print)
        return
    with pytest.raises(deploy.Refused) as refused:
        deploy.wait_for_verdict("/dev/board", 7, 5, print)
    assert str(refused.value) == f"/dev/board: release 7 {verdict}; the board runs what it ran"
