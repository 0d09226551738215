"""The emulator's parts that are written in JavaScript, tested with node's own runner."""

import os
import subprocess
from pathlib import Path

import pytest

from onebyte.emulator.engine import Engine

_FOLDER = Path(__file__).parent
_DEADLINE_S = 120


def _run(engine: Engine, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine.node, "--test", *map(str, arguments)],
        env={**os.environ, "ONEBYTE_RP2040JS": str(engine.package)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )


@pytest.mark.parametrize("path", sorted(_FOLDER.glob("*.test.mjs")), ids=lambda path: path.name)
def test_passes(engine: Engine, path: Path) -> None:
    done = _run(engine, path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


def test_a_failure_is_a_failure(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "wrong.test.mjs"
    path.write_text("import test from 'node:test'; test('x', () => { throw new Error('no'); });")
    assert _run(engine, path).returncode != 0
