"""Make keys and releases with the host library, and let a node bear every attack on them.

    python tests/attacks/run.py [only=ROW] [planted=NAME|all] [times=1]

The private keys stay here: the attacks run on MicroPython's unix port and ask for signatures over
a pipe. The last line counts; the exit status is 1 when an attack got through, was refused for
another reason than it should, or changed anything.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("tests/attacks", "tests/both", "tests/fakes", "lib/native/obed25519")
sys.path[:0] = [str(ROOT / name) for name in _FOLDERS]

# ruff: noqa: E402 - the imports need the path
import material
import mutated_models
import sample_model
import signature_cases
from check import Random

from onebyte.updates import packing
from onebyte.updates.release import Release

HERE = Path(__file__).parent
TIMEOUT_S = 600

# What a start imports. Files of these names lie where an attacker could put them.
EVIL_MODULES = (
    *("hashlib", "binascii", "struct", "json", "os", "io", "time", "errno", "random", "select"),
    *("socket", "deflate", "vfs", "collections", "formats", "ota", "product", "obed25519"),
    *("obed25519_twin", "app", "mqtt", "pipeline", "main", "board", "obkernels"),
)


def prepare(folder: Path) -> material.Keys:
    """Write what the attacks need."""
    found = material.write(folder, sample_model.pack(), sample_model.pack(model_version=8))
    for seq in (4, material.INSTALLED, material.NEW):
        for file in packing.files_of(Release(folder / str(seq))):
            path = folder / "plain" / str(seq) / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
    (folder / "evil").mkdir()
    for module in EVIL_MODULES:
        (folder / "evil" / f"{module}.py").write_text("EVIL = True\n")
    (folder / "models").mkdir()
    random = Random(5)
    for i in range(50):
        damaged = mutated_models.mutated(sample_model.pack(), random)
        (folder / "models" / str(i)).write_bytes(bytes(damaged))
    edges = [case for case in signature_cases.edge_cases() if not case.is_valid]
    edges += [case for case in signature_cases.random_cases(60) if not case.is_valid]
    (folder / "edges").write_bytes(
        b"".join(
            struct.pack("<I", len(case.message)) + case.public_key + case.signature + case.message
            for case in edges
        )
    )
    return found


def answer(question: str, keys: material.Keys) -> str:
    """Answer a question of the other process: `key NAME` or `sign NAME HEX`."""
    what, name, *rest = question.split()
    if what == "key":
        return keys[name].public.hex()
    return keys[name].sign(bytes.fromhex(rest[0] if rest else "")).hex()


def run_planted() -> int:
    """Take one check away after the other; every run has to fail by its counts."""
    names = (HERE / "planted.py").read_text().partition("PLANTED = {")[2]
    found = re.findall(r'^    "(\w+)":', names, re.MULTILINE)
    n_caught = 0
    for name in found:
        lines: list[str] = []
        status = run([f"planted={name}"], lines.append)
        counts = lines[-1].split() if lines else []
        is_caught = status == 1 and counts[:1] == ["attacks"] and len(counts) == 5
        n_caught += is_caught
        print(f"planted {name}: " + ("caught, " if is_caught else "NOT caught, ") + lines[-1])
    print(f"attacks planted bugs={len(found)} caught={n_caught}")
    return 0 if found and n_caught == len(found) else 1


def run(arguments: list[str], say: Callable[[str], None] = print) -> int:
    """Run the attacks once; return the exit status."""
    interpreter = Path(sys.executable).with_name("micropython")
    program = str(interpreter) if interpreter.is_file() else shutil.which("micropython")
    if program is None:
        sys.exit("attacks: there is no MicroPython; make venv-dev installs it")
    with tempfile.TemporaryDirectory() as name:
        keys = prepare(Path(name))
        command = [program, "-X", "heapsize=16m", str(HERE / "attacks.py"), name, *arguments]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            for line in process.stdout:
                if line.startswith("?"):
                    process.stdin.write(answer(line[1:], keys) + "\n")
                    process.stdin.flush()
                elif not line.startswith("onebyte "):  # what the node itself says
                    say(line.rstrip("\n"))
            return process.wait(TIMEOUT_S)


if __name__ == "__main__":
    os.environ.pop("ONEBYTE_CONFIG", None)
    sys.exit(run_planted() if "planted=all" in sys.argv else run(sys.argv[1:]))
