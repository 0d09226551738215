"""From an empty chip to decisions of a model of one's own: commands and an emulated Pico.

The emulated IMU measures a made-up person who does what the schedule of `onebyte collect` says.
Afterwards they move again, differently each time, and the node decides what it is.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onebyte.emulator.machine import Machine
from onebyte.errors import UserError
from onebyte.simulation.broker import Broker
from onebyte.simulation.emulated import BROKER_NAME, N_CHANNELS, RATE_MHZ

__all__ = ["MOVEMENTS", "Course", "movement"]

MOVEMENTS = {"resting": 0.0, "walking": 1.8, "shaking": 5.5}  # label -> swings a second
_RATE_HZ = RATE_MHZ / 1000
_LONGEST_S = 1800.0  # of one movement: a chip at its end falls silent
_SETTLE_S = 6.0  # windows of 2 s, of which 2 of 3 have to agree
_COUNTED_S = 8.0
_SLICE_MS = 250.0
_COMMAND_S = 240.0
_UF2_BLOCK = 512
_GATEWAY = "10.0.0.1"
_PORT = 1883
_INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
_TENANT, _DEVICE = "demo", "course"
_PRODUCT = {"vendor": 1, "product_class": 7, "hardware": 1, "firmware": 1}
_CONFIG = f"""\
tenant = "{_TENANT}"
device = "{_DEVICE}"
broker_host = "{BROKER_NAME}"
policy = "all"
sensor = "mpu6050"
sensor_rate_mhz = {RATE_MHZ}
sensor_range_g = 8
sensor_range_dps = 2000
# The broker counts the PC's seconds, the board its own.
keepalive_s = 3600
silent_ms = 60000
reconnect_max_s = 2
safe_boot_ms = 500
"""


def movement(label: str, seconds: float, seed: int) -> np.ndarray:
    """Return int16 rows of six channels as an MPU-6050 at 8 g and 2000 dps counts them."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * _RATE_HZ)) / _RATE_HZ
    frequency_hz = MOVEMENTS[label] * rng.uniform(0.85, 1.15)
    strength = rng.uniform(0.7, 1.3) * bool(frequency_hz)
    swing = np.sin(2 * np.pi * frequency_hz * t + rng.uniform(0, 2 * np.pi))
    sway = 1 + 0.3 * np.sin(2 * np.pi * 0.3 * t + rng.uniform(0, 2 * np.pi))
    axes = np.array([1500, 900, 600, 500, 300, 200])
    rows = (strength * swing * sway)[:, None] * axes + rng.normal(0, 60, (len(t), N_CHANNELS))
    rows[:, 2] += 4096  # 1 g
    counts: np.ndarray = np.rint(rows).astype("<i2")
    return counts


class Drive:
    """The BOOTSEL drive of an RP2040: vanishes when it has an image's blocks; a context manager.

    Args:
        folder: its place.
        taken: file that gets the image.
    """

    def __init__(self, folder: Path, taken: Path) -> None:
        self._folder, self._taken = folder, taken
        self._must_end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        folder.mkdir(parents=True)
        (folder / "INFO_UF2.TXT").write_text(_INFO)

    def __enter__(self) -> "Drive":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._must_end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._must_end.wait(0.02):
            for path in self._folder.glob("*.uf2"):
                data = path.read_bytes()
                n_blocks = int.from_bytes(data[24:28], "little") if len(data) > _UF2_BLOCK else -1
                if len(data) == n_blocks * _UF2_BLOCK:
                    self._taken.write_bytes(data)
                    shutil.rmtree(self._folder)
                    return


@dataclass
class Course:
    """All steps, in their order.

    Attributes:
        folder: where everything goes; empty or absent.
        image: the .uf2 file.
        first_model: a model file for the node's first hour.
        say: takes lines for people.
        collect_s: seconds of recording, all movements together.
        steps: title of each step -> whether it did what it should.
        right, decisions: of the decisions on the host that were counted.
    """

    folder: Path
    image: Path
    first_model: Path
    say: Callable[[str], None]
    collect_s: float = 60.0
    steps: dict[str, bool] = field(default_factory=dict)
    right: int = 0
    decisions: int = 0
    _seed: int = 100

    @property
    def accuracy(self) -> float:
        """Share of the counted decisions that say what the IMU played."""
        return self.right / self.decisions if self.decisions else 0.0

    @property
    def is_right(self) -> bool:
        """Whether every step did what it should."""
        return bool(self.steps) and all(self.steps.values())

    def summary(self) -> str:
        """Return the last line."""
        ok = sum(self.steps.values())
        return f"steps={len(self.steps)} ok={ok} accuracy={self.accuracy:.2f}"

    def run(self) -> None:
        """Take all steps; the first that fails is the last.

        Raises:
            UserError: a command failed; the line has its words.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with self._step("flash"):
            self._flash()
        with Broker() as broker, self._switch_on(broker) as machine:
            with self._step("provision"), machine.serial_port() as port:
                self._provision(port)
            # Without --app: an RP2040 runs the app from its image.
            with self._step("deploy"), machine.serial_port(speed=2) as port:
                self._deploy(port, self.first_model)
            with self._step("collect"), machine.serial_port(speed=5) as port:
                self._collect(machine, port)
            with self._step("train"):
                self._onebyte("train", self._data, "--jobs", "1")
            with self._step("deploy the model"), machine.serial_port(speed=2) as port:
                self._deploy(port, self._data / "model.obm")
            with self._step("decisions on the host"):
                self._decide(machine, broker)

    @property
    def _data(self) -> Path:
        return self.folder / "motion"

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self.say(f"-- {title}")
        self.steps[title] = False
        start_s = time.monotonic()
        yield
        self.steps[title] = True
        self.say(f"   {time.monotonic() - start_s:.1f} s")

    def _command(self, *argv: object) -> list[str]:
        words = [str(part) for part in argv]
        self.say("   onebyte " + " ".join(words).replace(f"{self.folder}{os.sep}", ""))
        return [sys.executable, "-m", "onebyte.cli", *words]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "ONEBYTE_PASSPHRASE": "a passphrase of the demonstration"}

    def _onebyte(self, *argv: object) -> str:
        done = subprocess.run(
            self._command(*argv),
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=self._environment(),
        )
        if done.returncode:
            words = " ".join((done.stderr or done.stdout).split())
            raise UserError(f"onebyte {argv[0]} failed: {words[-600:]}")
        return done.stdout

    def _flash(self) -> None:
        drive = self.folder / "RPI-RP2"
        with Drive(drive, self.folder / "flashed.uf2"):
            self._onebyte("flash", self.image, "--drive", drive)

    def _switch_on(self, broker: Broker) -> Machine:
        modem = {
            "names": {BROKER_NAME: _GATEWAY},
            "redirects": {f"{_GATEWAY}:{_PORT}": broker.port},
        }
        chip = {"chip": "mpu6050", "rows": str(self._play("resting"))}
        return Machine(self.folder / "flashed.uf2", devices=[chip], ppp=modem)

    def _play(self, label: str) -> Path:
        """Return a file with a movement that no other call has given."""
        self._seed += 1
        path = self.folder / f"movement-{self._seed}.i16"
        path.write_bytes(movement(label, _LONGEST_S, self._seed).tobytes())
        return path

    def _provision(self, port: str) -> None:
        keys = self.folder / "keys"
        keys.mkdir()
        self._onebyte("keygen", "release", keys / "release")
        self._onebyte(
            *("keygen", "root", keys, "--vendor", _PRODUCT["vendor"], "--keys", 1),
            *("--threshold", 1, "--release-key", f"{keys / 'release.pub'}:any:all"),
        )
        (self.folder / "product.json").write_text(json.dumps(_PRODUCT))
        (self.folder / "node.toml").write_text(_CONFIG)
        self._onebyte(
            *("provision", "--port", port, "--file", self.folder / "node.toml"),
            *("--product", self.folder / "product.json", "--root", keys / "root.1"),
        )

    def _deploy(self, port: str, model: Path) -> None:
        key = self.folder / "keys" / "release.pem"
        said = self._onebyte("deploy", "--port", port, "--model", model, "--key", key)
        self.say(f"   {said.splitlines()[-1]}")

    def _collect(self, machine: Machine, port: str) -> None:
        """Collect; the person does what the schedule says, as soon as it says so."""
        rounds = 2
        each_s = self.collect_s / (rounds * len(MOVEMENTS))
        schedule = ",".join(f"{label}:{each_s:g}" for label in MOVEMENTS)
        command = self._command(
            *("collect", self._data, "--port", port, "--schedule", schedule, "--rounds", rounds),
            *("--subject", "pat", "--license", "CC0-1.0", "--no-plot"),
        )
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.strip())
            if line.startswith("now: "):
                label = line.split()[1].rstrip(",")
                machine.set_device(0, rows=str(self._play(label)))
        out, _ = process.communicate(timeout=_COMMAND_S)
        if process.returncode:
            raise UserError(f"onebyte collect failed: {' '.join(said[-3:])}")
        last = out.splitlines()[-1]
        self.say(f"   {last}")
        if " gaps=0 duplicates=0 " not in last:
            raise UserError(f"the recording is not whole: {last}")

    def _decide(self, machine: Machine, broker: Broker) -> None:
        command = self._command(
            *("monitor", "--broker", broker.address, "--tenant", _TENANT, "--json")
        )
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read_lines, args=(process, lines), daemon=True)
        reader.start()
        try:
            self._run_s(machine, _SETTLE_S)
            for label in [*MOVEMENTS, *MOVEMENTS]:
                machine.set_device(0, rows=str(self._play(label)))
                self._run_s(machine, _SETTLE_S)
                _empty(lines)
                self._run_s(machine, _COUNTED_S)
                self._count(label, _empty(lines))
        finally:
            process.terminate()
            process.wait(10)
            reader.join(10)
            assert process.stdout is not None
            process.stdout.close()
        if self.decisions < 2 * len(MOVEMENTS) * (_COUNTED_S - 3):
            raise UserError(f"only {self.decisions} decisions arrived")

    def _count(self, label: str, lines: list[str]) -> None:
        decided = [str(json.loads(line).get("label", "")) for line in lines]
        self.decisions += len(decided)
        self.right += decided.count(label)
        self.say(f"   {label}: {decided.count(label)} of {len(decided)} decisions say so")

    def _run_s(self, machine: Machine, seconds: float) -> None:
        end_ms = machine.emulated_ms + seconds * 1000
        while machine.emulated_ms < end_ms:
            machine.run_ms(_SLICE_MS)
        time.sleep(0.3)  # for what is on its way through the broker


def _read_lines(process: subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            lines.put(line)


def _empty(lines: "queue.Queue[str]") -> list[str]:
    found: list[Any] = []
    while not lines.empty():
        found.append(lines.get())
    return found
