"""Who may import whom. Every rule is shown to catch its breach in a planted tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What the boards share, in the folder above theirs.
CHIP_FILES = {"chip", "chip_rp2040", "chip_esp32", "node_board", "wifi_radio", "record_source"}

# Our own packages and modules, by the first part of an import's name.
OURS = {"formats", "pipeline", "drivers", "mqtt", "app", "obkernels", "obtwin", "onebyte", "board"}
OURS |= {"ota", "obed25519", "obed25519_twin", "obchoice", "sensors", "figures", *CHIP_FILES}

# What every part of the host tools may use: it knows none of the parts.
BASE = {f"onebyte.{name}" for name in ("errors", "download", "toolchain", "debian", "kernels")}

# Where a file stands -> which of ours it may import. The first pattern that matches counts.
ALLOWED = {
    "lib/formats/**/*.py": {"formats"},
    "lib/pipeline/**/*.py": {"formats"},
    # One sensor a file, on what the chips with a FIFO or those with a timer share.
    "lib/drivers/**/*.py": {"formats", "drivers.fifo", "drivers.timer_ring"},
    "lib/mqtt/**/*.py": {"formats.errors", "mqtt"},
    "lib/native/**/*.py": {"formats", "obtwin", "obkernels"},
    "firmware/app/run.py": {"formats", "app", "board"},  # what a release carries of the start
    "firmware/app/**/*.py": {"formats", "pipeline", "mqtt", "app"},  # drivers come from the board
    "firmware/ota/verifier.py": {"obed25519", "obed25519_twin"},
    "firmware/ota/http_source.py": {"formats", "ota", "mqtt.link"},
    "firmware/ota/**/*.py": {"formats", "ota"},  # pure: what it judges by is handed in
    "firmware/*.py": {"app", "board", "formats", "ota.updates"},
    "boards/*/board.py": {"drivers", "formats", "obchoice", *CHIP_FILES},
    "boards/chip.py": set(),
    "boards/chip_*.py": {"chip"},
    "boards/node_board.py": {"obchoice", "chip", "sensors", "figures"},
    "boards/record_source.py": {"chip", "sensors"},
    "boards/sensors.py": {"drivers", "formats"},  # buses and pins are handed in
    "boards/wifi_radio.py": set(),
    "boards/rp2040_boot/*.py": {"app.safe_boot", "board", "ota.updates"},
    "host_tools/onebyte/training/*.py": {"formats", "pipeline", "onebyte.training", *BASE},
    "host_tools/onebyte/receiver/*.py": {"formats", "onebyte.receiver", *BASE},
    "host_tools/onebyte/boards/deploy*.py": {
        "formats",
        "onebyte.boards",
        "onebyte.updates",
        *BASE,
    },
    "host_tools/onebyte/boards/install.py": {
        "onebyte.boards",
        "onebyte.crossbuild.natmods",
        "onebyte.updates.sources",
        *BASE,
    },
    "host_tools/onebyte/boards/*.py": {"formats", "ota.trust", "onebyte.boards", *BASE},
    "host_tools/onebyte/collect/*.py": {
        "formats",
        "onebyte.collect",
        "onebyte.boards",
        "onebyte.simulation.device",  # where MicroPython's unix port is
        *BASE,
    },
    "host_tools/onebyte/energy/*.py": {"onebyte.energy", *BASE},
    "host_tools/onebyte/crossbuild/*.py": {"onebyte.crossbuild", "onebyte.emulator", *BASE},
    "host_tools/onebyte/emulator/*.py": {"onebyte.emulator", *BASE},
    "host_tools/onebyte/updates/*.py": {
        "formats",
        "ota.trust",
        "onebyte.updates",
        "onebyte.receiver",
        *BASE,
    },
    "host_tools/onebyte/passphrases.py": BASE,
    "host_tools/onebyte/questions.py": {"onebyte.boards", *BASE},
    "host_tools/onebyte/simulation/*.py": {
        "formats",
        "pipeline.decision",
        "onebyte.simulation",
        "onebyte.emulator",
        "onebyte.receiver",
        "onebyte.training",
        "onebyte.updates",
        *BASE,
    },
    "host_tools/onebyte/commands/*.py": {"formats", "onebyte"},
    "host_tools/onebyte/cli.py": {"formats.errors", "onebyte.commands", *BASE},
    "host_tools/onebyte/arguments.py": {"onebyte.receiver", *BASE},
    "host_tools/onebyte/*.py": {"formats", "onebyte.inspect", "onebyte.inspect_signed", *BASE},
}

# The hardware's modules and the only files that may touch them.
HARDWARE = {"machine", "esp32", "rp2", "network", "bluetooth"}
MAY_TOUCH_HARDWARE = (
    "boards/*/board.py",
    "boards/chip.py",
    "boards/chip_*.py",
    "boards/rp2040_boot/_boot.py",
    "firmware/ota/platform_*.py",
)

# CPython modules that the boards do not have; device code must not import them.
NOT_ON_DEVICE = {"dataclasses", "typing", "enum", "abc", "logging", "contextlib", "pathlib"}
DEVICE = ("lib/**/*.py", "firmware/**/*.py", "boards/**/*.py")

# Only the command line parses arguments; nothing is built on it.
COMMAND_LINE = (
    "host_tools/onebyte/cli.py",
    "host_tools/onebyte/arguments.py",  # the options that several commands share
    "host_tools/onebyte/passphrases.py",
    "host_tools/onebyte/questions.py",
    "host_tools/onebyte/commands/**/*.py",
)


def imports_of(path: Path) -> Iterator[str]:
    """Yield the absolute dotted name of everything a file imports, names included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                package = path.parents[node.level - 1].name
                module = f"{package}.{module}".rstrip(".")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def matches(root: Path, patterns: tuple[str, ...] | list[str]) -> set[Path]:
    return {path for pattern in patterns for path in root.glob(pattern)}


def is_within(name: str, starts: set[str]) -> bool:
    return any(name == start or name.startswith(start + ".") for start in starts)


def check_neighbours(root: Path) -> Iterator[str]:
    """A module imports only those of ours that stand below it."""
    seen: set[Path] = set()
    for pattern, allowed in ALLOWED.items():
        for path in sorted(matches(root, [pattern]) - seen):
            seen.add(path)
            for name in imports_of(path):
                if name.split(".")[0] in OURS and not is_within(name, allowed):
                    yield f"{path.relative_to(root)} imports {name}"


def check_stages(root: Path) -> Iterator[str]:
    """A stage of the pipeline knows no other stage; only the app wires them."""
    for path in sorted(matches(root, ["lib/pipeline/*.py"])):
        for name in imports_of(path):
            if name.split(".")[0] == "pipeline":
                yield f"{path.relative_to(root)} imports {name}"


def check_hardware(root: Path) -> Iterator[str]:
    """Only a board's file and the platform files touch the hardware's modules."""
    for path in sorted(matches(root, DEVICE) - matches(root, MAY_TOUCH_HARDWARE)):
        for name in imports_of(path):
            if name.split(".")[0] in HARDWARE:
                yield f"{path.relative_to(root)} imports {name}"


def check_device_modules(root: Path) -> Iterator[str]:
    """Device code imports nothing that only CPython has."""
    for path in sorted(matches(root, DEVICE)):
        for name in imports_of(path):
            if name.split(".")[0] in NOT_ON_DEVICE:
                yield f"{path.relative_to(root)} imports {name}"


def check_command_line(root: Path) -> Iterator[str]:
    """The library neither knows the command line nor parses arguments."""
    command_line = matches(root, COMMAND_LINE)
    for path in sorted(matches(root, ["host_tools/**/*.py"])):
        forbidden = {"onebyte.cli"}
        if path not in command_line:
            forbidden |= {"click", "onebyte.arguments", "onebyte.commands"}
        for name in imports_of(path):
            if is_within(name, forbidden):
                yield f"{path.relative_to(root)} imports {name}"


def check_bridge(root: Path) -> Iterator[str]:
    """Tests that run on MicroPython know neither pytest nor the host's package."""
    folders = ["tests/both/*.py", "tests/device/*.py", "tests/heap/*.py"]
    for path in sorted(matches(root, folders)):
        for name in imports_of(path):
            if name.split(".")[0] in {"pytest", "hypothesis", "unittest", "onebyte"}:
                yield f"{path.relative_to(root)} imports {name}"


# Check -> a file that breaks it, for the test that no check is blind.
CHECKS = {
    check_neighbours: ("lib/formats/bad.py", "from pipeline import window"),
    check_stages: ("lib/pipeline/bad.py", "from . import window"),
    check_hardware: ("lib/drivers/bad.py", "from machine import Pin"),
    check_device_modules: ("firmware/app/bad.py", "import dataclasses"),
    check_command_line: ("host_tools/onebyte/bad.py", "import click"),
    check_bridge: ("tests/both/test_bad.py", "import pytest"),
}

BREACHES = [
    (check_neighbours, "lib/drivers/bad.py", "import pipeline.window"),
    (check_neighbours, "lib/drivers/bad.py", "from drivers import replay"),
    (check_neighbours, "lib/mqtt/bad.py", "from formats import record"),
    (check_neighbours, "firmware/app/bad.py", "from drivers import replay"),
    (check_neighbours, "firmware/ota/bad.py", "from app import node"),
    (check_neighbours, "firmware/ota/bad.py", "import obkernels"),
    (check_hardware, "firmware/ota/slots.py", "import esp32"),
    (check_neighbours, "firmware/app/bad.py", "def f():\n    import onebyte"),
    (check_neighbours, "host_tools/onebyte/bad.py", "from app import node"),
    (check_neighbours, "host_tools/onebyte/bad.py", "from onebyte.training import train"),
    (check_neighbours, "host_tools/onebyte/training/bad.py", "import onebyte.simulation.broker"),
    (check_neighbours, "host_tools/onebyte/receiver/bad.py", "from onebyte.training import train"),
    (
        check_neighbours,
        "host_tools/onebyte/crossbuild/bad.py",
        "from onebyte.training import train",
    ),
    (check_neighbours, "host_tools/onebyte/bad.py", "from onebyte.crossbuild import natmods"),
    (check_neighbours, "host_tools/onebyte/boards/bad.py", "from onebyte.emulator import machine"),
    (check_neighbours, "boards/sensors.py", "from app import node"),
    (check_neighbours, "boards/chip.py", "import sensors"),
    (check_neighbours, "firmware/app/bad.py", "import chip"),
    (check_hardware, "firmware/app/bad.py", "import machine"),
    (check_hardware, "boards/sensors.py", "from machine import Pin"),
    (check_command_line, "host_tools/onebyte/commands/bad.py", "from onebyte.cli import main"),
    (check_command_line, "host_tools/onebyte/bad.py", "from onebyte.commands import train"),
    *((check, path, line) for check, (path, line) in CHECKS.items()),
]

FINE = {
    "lib/formats/model.py": "from . import errors\nimport struct",
    "lib/mqtt/client.py": "from formats import errors\nfrom umqtt.simple import MQTTClient",
    "lib/drivers/chip.py": "from drivers.fifo import FifoChip\nfrom formats import errors",
    "boards/unix/board.py": "import machine\nfrom drivers import replay",
    "boards/chip.py": "from machine import I2C",
    "boards/chip_rp2040.py": "import machine\nfrom chip import Watchdog",
    "boards/sensors.py": "from drivers.mpu6050 import MPU6050",
    "firmware/app/node.py": "from pipeline.window import Window\nfrom . import outbox",
    "host_tools/onebyte/cli.py": "import click\nimport onebyte.commands",
    "host_tools/onebyte/training/train.py": "from pipeline import policy\nimport onebyte.kernels",
    "host_tools/onebyte/crossbuild/natmods.py": "from onebyte.crossbuild import xtensa",
    "tests/both/test_model.py": "import check\nfrom formats import model",
}


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_project_keeps_the_rule(check) -> None:
    assert list(check(ROOT)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_rule_accepts_what_is_meant(check, tmp_path: Path) -> None:
    for name, text in FINE.items():
        write(tmp_path, name, text)
    assert list(check(tmp_path)) == []


@pytest.mark.parametrize(("check", "name", "text"), BREACHES)
def test_rule_finds_its_breach(check, name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, name, text)
    (found,) = check(tmp_path)
    assert found.startswith(f"{name} imports ")


def test_every_pattern_still_means_some_file() -> None:
    # A renamed folder would otherwise switch its rule off in silence.
    for pattern in [*ALLOWED, *DEVICE, *COMMAND_LINE, "boards/*/board.py"]:
        assert matches(ROOT, [pattern]), f"no file is {pattern}"
