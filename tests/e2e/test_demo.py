"""The demonstration: broker, firmware on the unix port, host; every byte compared."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte, onebyte_process
from rich.console import Console
from small_model import small_model

from formats import result
from onebyte import toolchain
from onebyte.errors import UserError
from onebyte.receiver.monitor import Note
from onebyte.simulation import demo, device, playback, script
from onebyte.simulation.broker import KINDS, Broker, check_port_free, find_mosquitto
from onebyte.training import datasets, recipe

LAST_LINE = re.compile(
    r"demo: windows=(\d+) published=(\d+) received=(\d+) lost=0 wrong=0 accuracy=([01]\.\d\d)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the small model's folder that a test may damage."""
    return Path(shutil.copytree(small_model(), tmp_path / "motion"))


@pytest.fixture(scope="module")
def scene() -> demo.Scene:
    return demo.prepare(small_model())


def perform(scene: demo.Scene, folder: Path, kind: str | None = None) -> playback.Part:
    with Broker(kind) as broker:
        lines = demo.DemoLines(scene, Console(file=io.StringIO()))
        return demo.perform(scene, broker, folder / "node", 0, lines)[0]


def test_demo_of_the_repository() -> None:
    code, out, err = onebyte_process("demo", "--seconds", "30", "--speed", "100")
    lines = out.splitlines()
    assert code == 0, out + err
    windows, published, received, accuracy = LAST_LINE.fullmatch(lines[-1]).groups()
    assert windows == published == received
    assert 20 <= int(windows) <= 30
    assert float(accuracy) > 0.3
    assert sum(bool(re.match(r" *\d+  0x[0-9A-F]{2}  ", line)) for line in lines) == int(windows)
    assert re.search(r"^broker: (mosquitto|amqtt) on 127\.0\.0\.1:\d+$", out, re.MULTILINE)
    assert re.search(r"^kernels on the node: (native module|MicroPython twin)", out, re.MULTILINE)
    picture = toolchain.ROOT / "build" / "demo" / "timeline.png"
    assert f"timeline: {picture}" in lines
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_demo_with_each_broker(kind: str, scene: demo.Scene, tmp_path: Path) -> None:
    if kind == "mosquitto" and find_mosquitto() is None:
        assert os.environ.get("CI") != "true", "CI needs mosquitto"
        pytest.skip("mosquitto is not installed")
    part = perform(scene, tmp_path, kind)
    assert (part.windows, part.published, part.received) == (24, 24, 24)
    assert (part.lost, part.wrong) == (0, 0)
    assert demo.score(part) > 0.5
    assert not part.node.is_running


def test_demo_with_the_twin_gives_the_same_bytes(
    scene: demo.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [root for root in device.import_roots() if "natmod" not in str(root)]
    monkeypatch.setattr(device, "import_roots", lambda: roots)
    part = perform(scene, tmp_path)
    assert part.report["kernels"] == "obtwin"
    assert (part.received, part.lost, part.wrong) == (24, 0, 0)


def test_demo_finds_a_byte_that_differs(scene: demo.Scene, tmp_path: Path) -> None:
    right = scene.script
    tampered = (right.expected[0] ^ 0x10, *right.expected[1:], 0)
    changed = script.Script(
        right.recording, right.duration_s, tampered, (*right.truth, 0), right.segment_starts
    )
    other = demo.Scene(
        scene.title, scene.group, scene.model_path, scene.model_file, scene.model, changed
    )
    part = perform(other, tmp_path)
    assert playback.summary([part]) == "windows=25 published=24 received=24 lost=1 wrong=1"


def test_demo_leaves_no_process_and_no_folder_behind(folder: Path) -> None:
    code, out, err = onebyte("demo", "--model", folder, "--speed", "0")
    assert code == 0, out + err
    port = re.search(r"broker: \w+ on 127\.0\.0\.1:(\d+)", out)
    assert port
    with Broker(port=int(port[1])):
        pass  # would be refused if the demo's broker still had it
    assert not (toolchain.ROOT / "build" / "demo" / "node").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_demo_that_is_interrupted_takes_everything_down(
    number: int, code: int, folder: Path
) -> None:
    command = [sys.executable, "-m", "onebyte.cli", "demo", "--model", str(folder), "--speed", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        port = next(int(line.rsplit(":", 1)[1]) for line in lines if line.startswith("broker:"))
        next(line for line in lines if "0x" in line)
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        children = " ".join(task.read_text() for task in tasks).split()
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err.strip()) == (code, "")
    check_port_free(port)
    assert len(children) == 2, "broker and node"
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_runs_at_the_same_time_have_folders_of_their_own(tmp_path: Path) -> None:
    with demo.run_folder(tmp_path, False) as first, demo.run_folder(tmp_path, False) as second:
        assert first != second and first.is_dir() and tmp_path not in (first, second)
    assert not first.exists() and not second.exists()
    with demo.run_folder(tmp_path, True) as kept:
        assert kept == tmp_path
    assert kept.exists()


def test_demo_keeps_the_node_when_asked(folder: Path) -> None:
    code, out, _ = onebyte("demo", "--model", folder, "--speed", "0", "--keep")
    kept = toolchain.ROOT / "build" / "demo" / "node"
    assert code == 0
    assert f"node's folder: {kept}" in out
    assert (kept / "node.log").is_file()
    shutil.rmtree(kept)


def test_demo_on_a_terminal_shows_the_last_decisions(scene: demo.Scene, tmp_path: Path) -> None:
    console = Console(width=100, force_terminal=True, record=True, file=io.StringIO())
    lines = demo.DemoLines(scene, console)
    with Broker() as broker:
        demo.perform(scene, broker, tmp_path / "node", 0, lines)
    lines.show(Note("demo", "watch", "online"))
    text = console.export_text()
    assert "24 of 24 windows" in text
    assert re.search(r"24\s+0x[0-9A-F]{2}\s+", text)


def test_demo_draws_a_lost_window_as_undecided(scene: demo.Scene, tmp_path: Path) -> None:
    part = playback.Part(device.Node(tmp_path, _options(), b"", b""), scene.script)
    assert demo.decided(part) == [None] * 24
    assert demo.score(part) == 0.0
    demo.draw(scene, part, tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000


def _options() -> device.NodeOptions:
    return device.NodeOptions("127.0.0.1", 1, "t", "d", 1)


def test_expected_bytes_start_afresh_in_each_segment(scene: demo.Scene) -> None:
    """k of n is 2 of 3: the first window of every recording is undecided."""
    undecided = result.pack_fault(result.A, result.UNDECIDED)
    assert scene.script.segment_starts == (0, 8, 16)
    assert [scene.script.expected[i] for i in (0, 8, 16)] == [undecided] * 3


def test_node_that_cannot_start_is_one_line(
    scene: demo.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = tmp_path / "micropython"
    false.write_text("#!/bin/sh\necho 'no such board' >&2\nexit 3\n")
    false.chmod(0o755)
    monkeypatch.setattr(device, "find_micropython", lambda: false)
    with pytest.raises(UserError, match=r"^node watch failed: no such board$"):
        perform(scene, tmp_path)


def test_demo_without_micropython(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "find_unix_port", lambda: None)
    with pytest.raises(UserError, match="make micropython-unix"):
        device.find_micropython()


# What else can be wrong is one line and exit code 2.


def test_demo_without_a_recipe(tmp_path: Path) -> None:
    assert_refused(onebyte("demo", "--model", tmp_path), "there is no recipe at", str(tmp_path))


def test_demo_without_a_holdout_model(folder: Path) -> None:
    (folder / "holdout.obm").unlink()
    assert_refused(onebyte("demo", "--model", folder), "holdout.obm", "onebyte train makes it")


def test_demo_of_a_recipe_that_leaves_nobody_out(folder: Path) -> None:
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace('[demo]\ngroup = "ben"\n', ""))
    assert_refused(onebyte("demo", "--model", folder), "no group under [demo]")


def test_demo_of_a_group_that_does_not_exist(folder: Path) -> None:
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace('group = "ben"', 'group = "eve"'))
    assert_refused(onebyte("demo", "--model", folder), "no recording of 'eve'", "anna, ben, chris")


def test_demo_with_a_model_of_another_version(folder: Path) -> None:
    path = folder / "holdout.obm"
    content = bytearray(path.read_bytes())
    content[4] = 9
    path.write_bytes(content)
    assert_refused(onebyte("demo", "--model", folder), "VERSION(3)")


@pytest.mark.parametrize(("length", "name"), [(0, "TOO_SHORT(1)"), (100, "SIZE(4)")])
def test_demo_with_a_truncated_model(length: int, name: str, folder: Path) -> None:
    path = folder / "holdout.obm"
    path.write_bytes(path.read_bytes()[:length])
    assert_refused(onebyte("demo", "--model", folder), name)


def test_demo_with_a_damaged_model(folder: Path) -> None:
    path = folder / "holdout.obm"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_refused(onebyte("demo", "--model", folder), "CRC(5)")


def test_demo_with_recordings_that_do_not_fit_the_model(folder: Path) -> None:
    text = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(text.replace("rate_hz = 25", "rate_hz = 26"))
    assert_refused(onebyte("demo", "--model", folder), "another rate than the model")


def test_demo_without_the_dataset(folder: Path) -> None:
    shutil.rmtree(folder / "data")
    assert_refused(onebyte("demo", "--model", folder))


def test_demo_without_dataset_and_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert_refused(onebyte("demo"), "the package index is out of reach", "seglearn")


def test_simulate_without_a_model(folder: Path) -> None:
    (folder / "model.obm").unlink()
    assert_refused(onebyte("simulate", "--model", folder), "model.obm", "No such file")


def test_simulate_without_the_broker(folder: Path) -> None:
    with Broker() as gone:
        address = gone.address
    code, out, err = onebyte("simulate", "--model", folder, "-n", "1", "--broker", address)
    assert (code, out.count("\n")) == (2, 1)
    assert err == f"onebyte: error: cannot connect to {address}: Connection refused\n"


def test_scripts_need_the_right_channels(scene: demo.Scene) -> None:
    dataset = datasets.load(recipe.load(small_model()))
    narrow = [
        datasets.Recording(r.name, r.samples[:, :2], r.class_id, r.group)
        for r in dataset.recordings
    ]
    with pytest.raises(UserError, match="other channels"):
        script.make_script(scene.model_file, datasets.Dataset(dataset.rate_mhz, narrow))
