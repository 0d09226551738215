"""`onebyte deploy` to the emulated Pico: a first app, a bad one, and a cable that is pulled."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import signed_boards
from signed_boards import MODEL, Vendor

from formats import slot_state
from formats.slot_state import SLOT_A, SLOT_B
from onebyte.boards import deploy, deploy_release, link
from onebyte.boards.transport import Lost
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.updates import keys, sources

PASSPHRASE = "for tests"
CONFIG = {
    "tenant": "lab",
    "device": "pico",
    "broker_host": "nowhere",
    "sensor": "mpu6050",
    "safe_boot_ms": 500,
}
BOOT_S = 60
WAIT_S = 900  # for a verdict, which comes by the board's clock
TIMEOUT_S = 1800
SENT = re.compile(r"release (\d+) armed; (\d+) objects, (\d+) bytes sent")


@pytest.fixture(scope="module")
def pico(engine: object) -> firmware.Firmware:
    return firmware.build("pico")


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    keys.write_pairs([(made.folder / "release", made.release_key, PASSPHRASE)])
    (made.folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    return made


@pytest.fixture(scope="module")
def board(
    pico: firmware.Firmware, vendor: Vendor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A Pico that was provisioned and has no slot; its sensor moves. The tests share it."""
    t = np.arange(6000) / 50
    waves = [4000 * np.sin(2 * np.pi * (0.5 + i * 0.3) * t + i) for i in range(6)]
    rows = tmp_path_factory.mktemp("rows") / "rows.i16"
    rows.write_bytes(np.stack(waves, 1).astype("<i2").tobytes())
    files = {"config.json": json.dumps(CONFIG).encode(), **vendor.identity()}
    chip = {"chip": "mpu6050", "rows": str(rows)}
    with Machine(pico.uf2, littlefs.make_image(files), devices=[chip]) as machine:
        machine.read_until("onebyte boot: no slot may run", BOOT_S)
        yield machine


def run_deploy(port: str, vendor: Vendor, *what: str | Path) -> tuple[int, str]:
    """Run the command; return its exit status and all that it said."""
    command = [sys.executable, "-m", "onebyte.cli", "deploy", "--port", port, "--wait", WAIT_S]
    command += ["--key", vendor.folder / "release.pem"]
    command += ["--passphrase-file", vendor.folder / "passphrase", *what]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def sent_of(said: str) -> tuple[int, int, int]:
    """Return (seq, objects, bytes) of what was sent."""
    found = SENT.search(said)
    assert found, said
    return int(found[1]), int(found[2]), int(found[3])


def state_of(pico: firmware.Firmware, board: Machine) -> slot_state.State:
    """Return the record of the slots."""
    files = littlefs.read_image(board.flash()[pico.sizes.filesystem_start :])
    return slot_state.parse(files["st/state"])


def write_app(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "run.py").write_text(text)
    return folder


def test_pulled_cable_loses_nothing_and_the_next_call_goes_on(
    pico: firmware.Firmware, board: Machine, vendor: Vendor
) -> None:
    files = [
        signed_boards.model(),
        *sources.app(signed_boards.ROOT / "firmware/app", sources.Compiler()),
    ]

    def pull(done: int, total: int) -> None:
        if done > total // 2:
            transport.serial._port.close()

    with (
        board.serial_port() as port,
        pytest.raises(Lost, match=r"the connection was lost.* deploy again, and the rest is sent"),
        deploy.open_settled(port, print) as (opened, standing),
    ):
        transport = opened.transport
        release = deploy_release.make(opened, standing, files, vendor.release_key, {})
        deploy.send(opened, standing, release, pull)
    # Nobody answers: the board starts anew, and runs what it ran.
    assert "onebyte boot: no slot may run, the frozen app does" in board.run_ms(20000)
    with board.serial_port() as port:
        with deploy.open_settled(port, print) as (opened, standing):
            assert standing.next_seq == 1
            again = deploy_release.make(opened, standing, files, vendor.release_key, {})
            assert again.content == release.content
            sent = deploy.send(opened, standing, again)
            opened.restart()
            total = sum(len(content) for content in release.objects.values())
            assert sent.n_bytes < total * 6 // 10, (sent.n_bytes, total)
        deploy.wait_for_verdict(port, 1, WAIT_S, print)
    state = state_of(pico, board)
    assert (state.active, state.installed_seq, state.pending) == (SLOT_A, 1, 0)


def test_another_model_alone_is_sent_and_the_app_is_kept(
    pico: firmware.Firmware, board: Machine, vendor: Vendor
) -> None:
    with board.serial_port() as port:
        status, said = run_deploy(port, vendor, "--model", MODEL.with_name("holdout.obm"))
    assert status == 0, said
    assert "release 2 is confirmed" in said
    seq, n_objects, n_bytes = sent_of(said)
    assert (seq, n_objects) == (2, 2) and n_bytes < 30000, said
    assert state_of(pico, board).active == SLOT_B


def test_app_that_crashes_is_taken_back_and_the_status_is_1(
    pico: firmware.Firmware, board: Machine, vendor: Vendor, tmp_path: Path
) -> None:
    bad = write_app(tmp_path / "bad", "raise ValueError('bad app')\n")
    (bad / "safe_boot.py").write_text("")
    with board.serial_port() as port:
        status, said = run_deploy(port, vendor, "--app-folder", bad, "--tries", "2")
    assert status == 1, said
    assert "release 3 was taken back: TRIAL_SPENT(190); the board runs what it ran" in said
    state = state_of(pico, board)
    assert (state.active, state.installed_seq, state.last_bad_seq) == (SLOT_B, 2, 3)


def test_foreign_key_is_refused_by_the_board(board: Machine, vendor: Vendor) -> None:
    with board.serial_port() as port, link.open_board(port) as opened:
        standing = deploy_release.read_standing(opened)
        files = [signed_boards.model()]
        release = deploy_release.make(opened, standing, files, keys.generate(), {})
        with pytest.raises(deploy.Refused, match="SIGNED_KEY"):
            deploy.send(opened, standing, release)
        assert deploy_release.read_standing(opened).values == standing.values
