"""The demonstration on the emulated board: every byte right, with TLS, and when links fail."""

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt_process import need_mosquitto
from rich.console import Console
from small_model import small_model

from onebyte import cli, toolchain
from onebyte.crossbuild import firmware
from onebyte.emulator.machine import Machine
from onebyte.errors import UserError
from onebyte.receiver.link import Link
from onebyte.receiver.monitor import Decision, Note
from onebyte.simulation import board_demo, broker, demo, emulated, playback
from onebyte.simulation.emulated import EmulatedNode

LAST_LINE = re.compile(
    r"demo-rp2040: windows=(\d+) published=(\d+) received=(\d+) lost=(\d+) wrong=(\d+)"
)
SECONDS = 16.0
GONE_MS, BACK_MS = 8_000, 12_000  # of the broker, while the board measures
HANG_S = 900
EXERCISE = toolchain.ROOT / "models" / "exercise"


@pytest.fixture(scope="module")
def scene() -> demo.Scene:
    return demo.prepare(EXERCISE, SECONDS, True)


class Lines(demo.DemoLines):
    """Shows nothing."""

    def __init__(self, scene: demo.Scene) -> None:
        super().__init__(scene, Console(file=io.StringIO()))

    def show(self, item: Decision | Note) -> None:
        pass


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run(*arguments: str | Path) -> tuple[int, list[str]]:
    """Run the command; return its exit code and lines."""
    command = [Path(sys.executable).with_name("onebyte"), "demo-rp2040", *arguments]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=HANG_S
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def check(part: playback.Part, node: EmulatedNode) -> None:
    print("\n".join(board_demo.describe(part, node)))
    assert (part.lost, part.wrong) == (0, 0)
    assert part.published == part.received == part.windows
    report = part.report
    assert (report["queued"], report["dropped"], report["flash_errors"]) == (0, 0, 0)
    assert (report["overruns"], report["gaps"]) == (0, 1)  # the one gap is the chip's start
    assert report["kernels"] == "obkernels"


@pytest.mark.parametrize("security", ["plain", "tls"])
def test_the_demo_as_it_is_typed(security: str, pico_ppp: firmware.Firmware) -> None:
    options = ["--firmware", str(pico_ppp.uf2), "--seconds", str(SECONDS)]
    if security == "tls":
        need_mosquitto()
        options.append("--tls")
    code, lines = run(*options)
    assert code == 0, lines
    windows, published, received, lost, wrong = map(int, LAST_LINE.fullmatch(lines[-1]).groups())
    assert windows == published == received == SECONDS - 1
    assert (lost, wrong) == (0, 0)
    (broker,) = [line for line in lines if line.startswith("broker: ")]
    assert ("TLS, with a certificate" in broker) == (security == "tls")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_takes_everything_down(
    number: int, code: int, pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    command = [Path(sys.executable).with_name("onebyte"), "demo-rp2040"]
    with subprocess.Popen(
        [*command, "--firmware", pico_ppp.uf2, "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        next(line for line in iter(process.stdout.readline, "") if "0x" in line)
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        children = " ".join(task.read_text() for task in tasks).split()
        process.send_signal(number)
        _, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, err.strip()) == (code, "")
    assert len(children) == 2, "broker and node"
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_image_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"MicroPython in words. " * 100)
    code, lines = run("--firmware", tmp_path / "x.bin", "--seconds", "5")
    assert code == 2
    assert re.fullmatch(r"onebyte: error: board rp2040 failed: .* PC 0x1\w+", lines[-1]), lines


def test_without_an_image_it_says_what_to_type(tmp_path: Path) -> None:
    code, lines = run("--firmware", tmp_path / "none.uf2")
    assert code == 2
    assert lines == [
        f"onebyte: error: there is no image {tmp_path}/none.uf2: run make firmware BOARD=pico_ppp"
    ]


def test_a_model_for_another_sensor_is_refused(pico_ppp: firmware.Firmware) -> None:
    scene = demo.prepare(small_model())
    with pytest.raises(UserError, match=r"MPU-6050 measures 6 channels at 50 Hz, .* wants 3 at"):
        board_demo.check_parts(pico_ppp.uf2, scene)


def test_a_wrong_byte_is_found(
    scene: demo.Scene,
    pico_ppp: firmware.Firmware,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The chip measures something else than the host thinks, from the fifth second to the ninth.
    recording = bytearray(scene.script.recording)
    recording[5 * 50 * 12 : 9 * 50 * 12] = bytes(reversed(recording[5 * 50 * 12 : 9 * 50 * 12]))
    script = dataclasses.replace(scene.script, recording=bytes(recording))
    other = dataclasses.replace(scene, script=script)
    monkeypatch.setattr(demo, "prepare", lambda folder, seconds, is_stream: other)
    assert cli.main(["demo-rp2040", "--firmware", str(pico_ppp.uf2)]) == 1
    last_line = capsys.readouterr().out.splitlines()[-1]
    *_, lost, wrong = map(int, LAST_LINE.fullmatch(last_line).groups())
    assert lost == 0
    assert 1 <= wrong <= 8


def test_the_python_broker_does_it_too(
    scene: demo.Scene,
    pico_ppp: firmware.Firmware,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker, "find_mosquitto", lambda: None)
    with board_demo.open_broker(tmp_path, False) as service:
        assert service.broker.kind == "amqtt"
        options = board_demo.options_for(pico_ppp.uf2, service)
        part, node = board_demo.perform(scene, options, service, tmp_path / "board", Lines(scene))
    check(part, node)
    with (
        pytest.raises(UserError, match="TLS need mosquitto"),
        board_demo.open_broker(tmp_path, True),
    ):
        pass


def test_a_refused_model_is_an_error_and_not_a_loss(
    scene: demo.Scene, pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    damaged = bytearray(scene.model_file)
    damaged[len(damaged) // 2] ^= 1
    other = dataclasses.replace(scene, model_file=bytes(damaged))
    with board_demo.open_broker(tmp_path, False) as service:
        options = board_demo.options_for(pico_ppp.uf2, service)
        with pytest.raises(UserError, match="board rp2040 refused its model: CRC"):
            board_demo.perform(other, options, service, tmp_path / "board", Lines(scene))


@pytest.mark.parametrize("kind", ["stall", "drop", "hangup"])
def test_nothing_is_lost_while_the_link_is_gone(
    kind: str, scene: demo.Scene, pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    outages = [{"at_ms": 6000, "for_ms": 7000, "kind": kind}]
    with board_demo.open_broker(tmp_path, False) as service:
        # So few that the flash is needed, too.
        config = {"outbox_ram_records": 2}
        options = board_demo.options_for(pico_ppp.uf2, service, outages, config)
        part, node = board_demo.perform(scene, options, service, tmp_path / "board", Lines(scene))
    check(part, node)
    # A stall outlasts the node's patience with its broker, the others end the session itself.
    assert part.report["connects"] >= 2
    assert node.stats["connects"] == (1 if kind == "stall" else 2)


def test_nothing_is_lost_while_the_broker_is_gone(
    scene: demo.Scene,
    pico_ppp: firmware.Firmware,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_mosquitto()
    with board_demo.open_broker(tmp_path, False) as service:
        links = []

        class Host(Link):
            def open(self) -> None:
                super().open()
                links.append(self)

        class Board(Machine):
            """The broker comes and goes by the board's clock, which stands still meanwhile."""

            def run_ms(self, duration_ms: float) -> str:
                pid = service.broker.pid
                if pid is not None and GONE_MS <= self.emulated_ms < BACK_MS:
                    service.broker.kill()
                elif pid is None and self.emulated_ms >= BACK_MS:
                    service.broker.start()
                    wait_until(lambda: links[0].n_connects > 1)
                return super().run_ms(duration_ms)

        monkeypatch.setattr(board_demo, "Link", Host)
        monkeypatch.setattr(emulated, "Machine", Board)
        options = board_demo.options_for(pico_ppp.uf2, service)
        part, node = board_demo.perform(scene, options, service, tmp_path / "board", Lines(scene))
    check(part, node)
    assert part.report["connects"] >= 2


def test_the_board_s_own_configuration_is_what_the_table_allows(tmp_path: Path) -> None:
    with board_demo.open_broker(tmp_path, False) as service:
        config = board_demo.options_for(tmp_path, service).node_config()
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    code = (
        "import sys; sys.path[:0] = ['firmware', 'lib']\n"
        f"from app import config; c = config.load({str(path)!r}); print(c.sensor, c.policy)"
    )
    program = Path(sys.executable).with_name("micropython")
    if not program.is_file():
        assert os.environ.get("CI") != "true", "CI needs micropython"
        pytest.skip("micropython is not installed")
    done = subprocess.run(
        [program, "-c", code], cwd=toolchain.ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["mpu6050", "all"], done.stdout + done.stderr
