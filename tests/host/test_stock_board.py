"""A board with MicroPython's own image: our files on it, then a release, a bad one, a way back.

A real interpreter on a real LittleFS, behind a pseudo terminal, that starts anew with each reset.
It says that it is an ESP32-S3; only its native modules are this machine's.
"""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from repl_board import ReplBoard
from signed_boards import MODEL, Vendor

from formats import slot_state
from formats.slot_state import SLOT_A
from onebyte.boards import install
from onebyte.boards.link import open_board
from onebyte.crossbuild import natmods
from onebyte.updates import keys

N_BLOCKS = 512  # an ESP32-S3 with 4 MiB of flash leaves 2 MiB to its files
PASSPHRASE = "for tests"
NODE = """
tenant = "home"
device = "kitchen"
broker_host = "127.0.0.1"
broker_port = 9
wifi_ssid = "home"
wifi_password = "secret"
sensor = "mpu6050"
safe_boot_ms = 100
"""


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    made.product()
    for name, key in (("release", made.release_key), ("foreign", keys.generate())):
        keys.write_pairs([(made.folder / name, key, PASSPHRASE)])
    (made.folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    (made.folder / "node.toml").write_text(NODE)
    return made


@pytest.fixture(scope="module")
def stock(vendor: Vendor) -> Iterator[ReplBoard]:
    """A board as `onebyte provision --install` leaves it. The tests share it, in their order."""
    for module in natmods.MODULES:
        if not (natmods.DIST / "x64" / f"{module}.mpy").is_file():
            natmods.build("x64", None, module)
    here = dataclasses.replace(install.TARGETS["esp32_s3"], arch="x64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(install.TARGETS, "esp32_s3", here)
        with ReplBoard(n_blocks=N_BLOCKS, chip="esp32") as board:
            options = ("--file", vendor.folder / "node.toml", "--port", board.path)
            options += ("--product", vendor.folder / "pump.toml")
            code, out, err = onebyte("provision", "--install", "esp32_s3", *options)
            assert code == 0, err
            assert "home/kitchen, configuration 1 in two sealed copies; judged" in out
            yield board


def deploy(
    board: ReplBoard, vendor: Vendor, *what: object, key: str = "release"
) -> tuple[int, str, str]:
    options = ("--port", board.path, "--key", vendor.folder / f"{key}.pem", "--wait", 300)
    return onebyte("deploy", *options, "--passphrase-file", vendor.folder / "passphrase", *what)


def state_of(board: ReplBoard) -> slot_state.State:
    with open_board(board.path) as opened:
        return slot_state.parse(opened.read_file("/st/state"))


def hear(board: ReplBoard, text: bytes, since: int) -> None:
    """Wait until the board has said this since then; whoever opens a port may be late for it."""
    deadline = time.monotonic() + 300
    while text not in board.said[since:] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert text in board.said[since:], board.said[since:]


def check_modules(board: ReplBoard) -> None:
    """Start the board anew; the app has to be the slot's, and what judged it the board's own."""
    with open_board(board.path) as opened:
        since = len(board.said)
        opened.restart()
    hear(board, b"onebyte node: broker ", since)
    with open_board(board.path) as opened:
        told = opened.ask(
            "import sys,json\nprint(json.dumps([getattr(sys.modules[n],'__file__','')"
            " for n in ('ota.loader','obed25519','app.run')]))"
        )
    assert told == ["/lib/ota/loader.mpy", "/lib/obed25519.mpy", "/s/a/app/run.mpy"]


def test_pulled_cable_then_the_first_release_is_tried_and_confirmed(
    stock: ReplBoard, vendor: Vendor
) -> None:
    stock.unplug_after = stock.n_in + 40_000
    got = deploy(stock, vendor, "--app", "--model", MODEL)
    assert_refused(got, "the connection was lost", "deploy again, and the rest is sent")
    stock.replug()
    code, out, err = deploy(stock, vendor, "--app", "--model", MODEL)
    assert code == 0, out + err
    assert "slot a, release 1, on trial" in out and "release 1 is confirmed" in out
    state = state_of(stock)
    assert (state.active, state.installed_seq, state.pending) == (SLOT_A, 1, 0)
    check_modules(stock)


def test_bad_app_is_taken_back_and_the_status_is_1(
    stock: ReplBoard, vendor: Vendor, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text("raise ValueError('bad app')\n")
    (tmp_path / "safe_boot.py").write_text("")
    code, out, err = deploy(stock, vendor, "--app-folder", tmp_path, "--tries", 2)
    assert code == 1, out + err
    assert out.count("slot b, release 2, on trial") == 2
    assert err.startswith("onebyte: error: ") and err.count("\n") == 1
    assert "release 2 was taken back: TRIAL_SPENT(190); the board runs what it ran" in err
    state = state_of(stock)
    assert (state.active, state.installed_seq, state.last_bad_seq) == (SLOT_A, 1, 2)
    check_modules(stock)


def test_foreign_key_is_refused_by_the_board(stock: ReplBoard, vendor: Vendor) -> None:
    before = state_of(stock)
    got = deploy(stock, vendor, "--model", MODEL.with_name("holdout.obm"), key="foreign")
    assert_refused(got, "the board refuses the release: SIGNED_KEY")
    assert slot_state.pack(state_of(stock)) == slot_state.pack(before)


def test_doctor_knows_files_from_an_image_and_the_slot_before_its_start(stock: ReplBoard) -> None:
    since = len(stock.said)
    code, out, err = onebyte("provision", "--set", "safe_boot_ms=60000", "--port", stock.path)
    assert code == 0, err
    for _ in range(5):
        hear(stock, b"Ctrl-C within 60000 ms", since)
        since = len(stock.said)
        _, out, _ = onebyte("doctor", "--port", stock.path, "--json")
        checks = {check["name"]: check for check in json.loads(out)["checks"]}
        # The sensor samples in real time: while this computer stands still, its FIFO runs over.
        if not checks["sensor"]["detail"].endswith("expected"):
            break
    assert "Generic ESP32S3 module" in checks["image"]["detail"]
    assert checks["image"]["detail"].endswith("with our files for esp32_s3")
    assert "in files; slot a, release 1" in checks["updates"]["detail"]
    for name in ("kernels", "model", "heap", "configuration", "sensor", "network", "watchdog"):
        assert checks[name]["verdict"] == "ok", checks[name]
