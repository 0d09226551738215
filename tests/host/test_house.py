"""The house rules that a program can check. Every check is shown to find a planted breach."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TOP_LEVEL = {
    *("README.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "pyproject.toml"),
    *(".ci", ".gitignore"),
    *("boards", "docs", "firmware", "host_tools", "lib", "models", "tests"),
}

# The longest each kind of file may be; the first pattern that matches counts.
MAX_LINES = {
    "lib/native/obed25519/monocypher/*.c": 1200,  # an excerpt of a release, line for line
    "lib/native/**/*.[ch]": 300,
    "lib/**/*.py": 350,
    "firmware/**/*.py": 350,
    "boards/**/*.py": 350,
    "host_tools/**/*.py": 400,
    "host_tools/**/*.mjs": 400,
    "README.md": 200,
}
MAX_FUNCTION_LINES = 40
MAX_FILE_BYTES = 2_000_000

FORBIDDEN = {
    "a path of one machine": re.compile(r"/wor[k]/|\.\./share[d]|/roo[t]/|/hom[e]/[a-z]"),
    "a registry's host": re.compile(
        r"pypi\.org|pythonhosted\.org|deb\.debian\.org|npmjs\.(org|com)"
    ),
    "an open end": re.compile(r"\bTO[D]O\b|\bFIX[M]E\b|\bXX[X]\b"),
    "an issue's number": re.compile(r"(?i)\bissue #?\d|[ (]#\d{1,4}\b(?![\w\".;'-])"),
}
VAGUE_NAMES = {"utils", "helpers", "manager", "common", "misc"}
SOURCES = {".py", ".c", ".h", ".md", ".mjs", ".toml", ".yml", ".mk", ".cmake", ".ini", ".pyi", ""}


def tracked_files(root: Path) -> list[Path]:
    listing = subprocess.run(
        ["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    return [root / name for name in listing.stdout.split("\0") if name and (root / name).is_file()]


def check_top_level(root: Path, files: list[Path]) -> Iterator[str]:
    """The folders at the top are fixed."""
    for name in sorted({path.relative_to(root).parts[0] for path in files} - TOP_LEVEL):
        yield f"{name}: not one of the files and folders at the top"


def check_forbidden(root: Path, files: list[Path]) -> Iterator[str]:
    """No file mentions what means nothing to its reader."""
    for path in files:
        if path.suffix not in SOURCES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for what, pattern in FORBIDDEN.items():
                if pattern.search(line):
                    yield f"{path.relative_to(root)}:{number}: {what}"


def check_sizes(root: Path, files: list[Path]) -> Iterator[str]:
    """Files stay small enough to be read, and binaries small enough to be cloned."""
    limits = [(set(root.glob(pattern)), limit) for pattern, limit in MAX_LINES.items()]
    for path in files:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            yield f"{path.relative_to(root)}: {size} bytes"
        limit = next((limit for paths, limit in limits if path in paths), None)
        lines = path.read_bytes().count(b"\n")
        if limit is not None and lines > limit:
            yield f"{path.relative_to(root)}: {lines} lines, at most {limit}"


def check_functions(root: Path, files: list[Path]) -> Iterator[str]:
    """A function fits on a screen; its docstring does not count."""
    for path in files:
        # Tests are often tables; their functions may be longer.
        if path.suffix != ".py" or path.relative_to(root).parts[0] == "tests":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                start = node.body[1].lineno if has_docstring and node.body[1:] else node.lineno
                lines = (node.end_lineno or start) - start + 1
                if lines > MAX_FUNCTION_LINES:
                    name = f"{path.relative_to(root)}:{node.lineno} {node.name}"
                    yield f"{name}: {lines} lines, at most {MAX_FUNCTION_LINES}"


def check_names(root: Path, files: list[Path]) -> Iterator[str]:
    """A module's name says what it holds."""
    for path in files:
        if path.stem in VAGUE_NAMES:
            yield f"{path.relative_to(root)}: a name that says nothing"


def check_docstrings(root: Path, files: list[Path]) -> Iterator[str]:
    """Every module says in one line what it is for."""
    for path in files:
        if path.suffix == ".py" and path.stat().st_size > 0:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            if not text:
                yield f"{path.relative_to(root)}: no docstring"


def check_skips(root: Path, files: list[Path]) -> Iterator[str]:
    """A skip prints its reason; pytest has shorter forms that do not."""
    bare = re.compile(r"(pytest|mark)\.ski[p]\(\s*\)|mark\.ski[p]\s*$", re.MULTILINE)
    for path in files:
        if path.suffix == ".py" and bare.search(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(root)}: a skip without a reason"


Check = Callable[[Path, list[Path]], Iterator[str]]

# Check -> a file that breaks it.
# Their texts are spelled so that this file does not hold what it looks for.
BREACHES: list[tuple[Check, str, str]] = [
    (check_top_level, "notes.txt", "x"),
    (check_forbidden, "docs/a.md", "see /WORK/MAIN".lower()),
    (check_forbidden, "docs/a.md", "HTTPS://PYPI.ORG/PROJECT/X".lower()),
    (check_forbidden, "lib/a.c", "// todo: later".upper()),
    (check_forbidden, "host_tools/a.mjs", "// fixme: later".upper()),
    (check_forbidden, "lib/a.py", f"# fixes issue {12}"),
    (check_forbidden, "lib/a.py", f"x = 1 # see {chr(35)}12"),
    (check_sizes, "lib/formats/long.py", "x = 1\n" * 351),
    (check_sizes, "lib/native/kernels/long.c", "int x;\n" * 301),
    (check_sizes, "models/big.bin", "x" * (MAX_FILE_BYTES + 1)),
    (check_functions, "lib/a.py", "def f():\n" + "    x = 1\n" * 40),
    (check_names, "host_tools/onebyte/utils.py", ""),
    (check_docstrings, "lib/formats/a.py", "x = 1\n"),
    (check_skips, "tests/host/test_a.py", "IMPORT PYTEST\nPYTEST.SKIP()\n".lower()),
]
CHECKS = list(dict.fromkeys(check for check, _, _ in BREACHES))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_project_keeps_the_rule(check: Check) -> None:
    assert list(check(ROOT, tracked_files(ROOT))) == []


@pytest.mark.parametrize(("check", "name", "text"), BREACHES)
def test_rule_finds_its_breach(check: Check, name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    fine = tmp_path / "lib" / "formats" / "fine.py"
    fine.parent.mkdir(parents=True, exist_ok=True)
    fine.write_text('"""Fine: nothing to find here."""\n\n\ndef f():\n    return 1\n')
    (found,) = check(tmp_path, [path, fine])
    assert found.startswith(name)


def test_every_top_level_name_exists() -> None:
    present = {path.relative_to(ROOT).parts[0] for path in tracked_files(ROOT)}
    assert present == TOP_LEVEL
