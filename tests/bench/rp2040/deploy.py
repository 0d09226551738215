"""Time `onebyte deploy` and `mpremote cp` of the same files; `make bench-deploy`.

    python tests/bench/rp2040/deploy.py [--limit RATIO]

The files are what a person has: the app's Python files and a model. mpremote copies them, to an
emulated Pico with an empty filesystem, over the socket that is its serial port. deploy compiles
them, signs them, brings them into a slot of the same board, and lets the board verify and arm it.
Each is a process of its own; its start counts.

Prints `ratio deploy_vs_mpremote V`, the one that counts: emulated time of mpremote by that of
deploy. While a program is at the port, what the board sleeps takes as long on the wall, and what
it executes takes as long as this machine needs, so `info *_wall_ms` and `info *_ms` differ little,
and both grow on a busy machine; `info *_cycles` are those that the board executed and do not.
`compiled` is mpremote's copy of the files that deploy makes of these; `again` a deploy of another
model to a board whose slot holds the rest. The exit status is 1 below the limit.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for folder in ("both", "fakes"):
    sys.path.insert(0, str(ROOT / "tests" / folder))

import signed_boards  # noqa: E402

from onebyte.crossbuild import firmware  # noqa: E402
from onebyte.emulator import littlefs  # noqa: E402
from onebyte.emulator.machine import Machine  # noqa: E402
from onebyte.errors import UserError  # noqa: E402
from onebyte.updates import keys, sources  # noqa: E402

BOARD = "pico"
LIMIT = 3.0
TIMEOUT_S = 600
PASSPHRASE = "bench"


@dataclass(frozen=True)
class Run:
    """What one program took.

    Attributes:
        ms: Emulated time.
        wall_ms: The same by the wall clock.
        cycles: What the board executed.
        said: What the program printed.
    """

    ms: float
    wall_ms: float
    cycles: int
    said: str


class Bench:
    """The files, the keys and the board.

    Args:
        folder: Takes all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.image = firmware.build(BOARD)
        self.vendor = signed_boards.Vendor(folder)
        self.key = folder / "release.pem"
        self.secret = folder / "passphrase"
        self.secret.write_text(f"{PASSPHRASE}\n")
        keys.write_pairs([(self.key.with_suffix(""), self.vendor.release_key, PASSPHRASE)])
        self.source = folder / "source"
        self.compiled = folder / "compiled"
        model = signed_boards.model()
        for path in sorted((ROOT / "firmware" / "app").glob("*.py")):
            write(self.source / "app" / path.name, path.read_bytes())
        for file in [*sources.app(self.source / "app", sources.Compiler("armv6m")), model]:
            write(self.compiled / file.path, file.content)
        write(self.source / model.path, model.content)

    def board(self, is_used: bool = False) -> Machine:
        """Return a Pico at its prompt, just provisioned, or with the files in a confirmed slot."""
        files = self.vendor.identity()
        if is_used:
            made = sources.layout(self.compiled, None)
            files |= signed_boards.in_slot(1, self.vendor.release(1, made))
            files |= signed_boards.state(active=1, installed_seq=1)
        machine = Machine(self.image.uf2, littlefs.make_image(files))
        machine.boot()
        machine.leave_raw_repl()
        return machine

    def mpremote(self, port: str, files: Path) -> list[str]:
        """Return the command that copies a folder."""
        tool = [sys.executable, "-m", "mpremote", "connect", port]
        return [*tool, "cp", "-r", str(files / "app"), str(files / "model"), ":"]

    def deploy(self, port: str, *what: str | Path) -> list[str]:
        """Return the command that deploys files."""
        tool = [sys.executable, "-m", "onebyte.cli", "deploy", "--port", port, "--no-restart"]
        secrets = ["--key", str(self.key), "--passphrase-file", str(self.secret)]
        return [*tool, *secrets, *map(str, what)]


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def timed(machine: Machine, make_command: Callable[[str], list[str]]) -> Run:
    """Run a program at the board's port."""
    before_ms, before_cycles, start = machine.emulated_ms, machine.cycles, time.monotonic()
    with machine.serial_port() as port:
        done = subprocess.run(
            make_command(port), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    if done.returncode != 0:
        raise UserError(f"{make_command('PORT')[2]}: {done.stderr.strip()[-500:]}")
    wall_ms = (time.monotonic() - start) * 1000
    return Run(
        machine.emulated_ms - before_ms, wall_ms, machine.cycles - before_cycles, done.stdout
    )


def measure(bench: Bench) -> dict[str, Run]:
    """Return the runs by name."""
    runs = {}
    for name, files in (("mpremote", bench.source), ("compiled", bench.compiled)):
        with bench.board() as machine:
            runs[name] = timed(machine, lambda port, files=files: bench.mpremote(port, files))
    model = bench.source / "model" / "model.obm"
    what = ("--app-folder", bench.source / "app", "--model", model)
    with bench.board() as machine:
        runs["deploy"] = timed(machine, lambda port: bench.deploy(port, *what))
    with bench.board(is_used=True) as machine:
        other = ("--model", ROOT / "models" / "plaid" / "model.obm")
        runs["again"] = timed(machine, lambda port: bench.deploy(port, *other))
    return runs


def report(bench: Bench, runs: dict[str, Run]) -> float:
    """Print the figures; return the ratio."""
    sizes = {name: size_of(getattr(bench, name)) for name in ("source", "compiled")}
    print("# emulated Pico without waits for its flash; each program's start counts")
    for name, size in sizes.items():
        print(f"info {name}_bytes {size}")
    for name, run in runs.items():
        print(f"info {name}_ms {run.ms:.0f}")
        print(f"info {name}_wall_ms {run.wall_ms:.0f}")
        print(f"info {name}_cycles {run.cycles}")
    for line in runs["again"].said.splitlines():
        print(f"# again: {line.partition(': ')[2]}")
    deploy = runs["deploy"]
    for name, other in (
        ("wall", runs["mpremote"].wall_ms / deploy.wall_ms),
        ("cycles", runs["mpremote"].cycles / deploy.cycles),
        ("compiled", runs["compiled"].ms / deploy.ms),
    ):
        print(f"info ratio_{name} {other:.2f}")
    ratio = runs["mpremote"].ms / deploy.ms
    print(f"ratio deploy_vs_mpremote {ratio:.2f}")
    return ratio


def size_of(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> int:
    """Parse the arguments, measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=LIMIT, help="the least ratio")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder))
            ratio = report(bench, measure(bench))
    except UserError as error:
        sys.exit(f"bench-deploy: {error}")
    return int(ratio < arguments.limit)


if __name__ == "__main__":
    sys.exit(main())
