"""The emulator's parts that are written in JavaScript, tested with node's own runner."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from onebyte import emulator
from onebyte.emulator.engine import Engine

_FOLDER = Path(__file__).parent
_SOURCES = Path(emulator.__file__).with_name("js")
_DEADLINE_S = 600


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


def test_sockets_are_of_the_loopback_interface() -> None:
    texts = {path.name: path.read_text() for path in _SOURCES.glob("*.mjs")}
    used = {
        name: set(re.findall(r"['\"]node:([\w/]+)['\"]", text)) for name, text in texts.items()
    }
    assert set().union(*used.values()) <= {"fs", "net", "path", "readline", "url"}
    with_net = {name for name, modules in used.items() if "net" in modules}
    assert with_net == {"ipv4_tcp.mjs", "serial_server.mjs"}
    connects = texts["ipv4_tcp.mjs"]
    assert re.findall(r"\bnet\.\w+\(.*?,", connects) == ["net.connect({ host: LOOPBACK,"]
    assert "const LOOPBACK = '127.0.0.1';" in connects
