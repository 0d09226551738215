"""What is said when the emulator's parts are missing or are not those that were pinned."""

import subprocess
from pathlib import Path

import pytest

from onebyte.emulator import engine
from onebyte.errors import UserError


def fake_node(folder: Path, version: str) -> None:
    program = folder / "node"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)


def test_missing_or_old_node_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"needs node: install Node\.js 18"):
        engine.load_engine()
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    fake_node(tmp_path, "v16.20.2")
    with pytest.raises(UserError, match=r"node v16\.20\.2 is too old"):
        engine.load_engine()


def test_missing_npm_is_named(monkeypatch, tmp_path: Path) -> None:
    fake_node(tmp_path, "v20.1.0")
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.which", {"node": str(tmp_path / "node")}.get)
    with pytest.raises(UserError, match="needs npm: install Debian's package npm"):
        engine.load_engine()


def test_parts_are_found_again(engine: engine.Engine) -> None:
    assert (engine.package / "dist" / "esm" / "cortex-m0-core.js").is_file()
    assert engine.bootrom.stat().st_size == 16384


def test_another_core_is_refused(engine: engine.Engine, tmp_path: Path) -> None:
    # The corrections of the instruction loop must each find their place.
    core = engine.package / "dist" / "esm" / "cortex-m0-core.js"
    other = tmp_path / "core.js"
    other.write_text(core.read_text().replace("this.logger.info(LOG_NAME, 'SEV');", ""))
    script = Path(__file__).parents[2] / "host_tools/onebyte/emulator/js/core.mjs"
    program = (
        f"import fs from 'node:fs'; import {{ compileLoop }} from '{script}';"
        "compileLoop(fs.readFileSync(process.argv[1], 'utf8'));"
    )

    def compiled(path: Path) -> subprocess.CompletedProcess[str]:
        command = [engine.node, "--input-type=module", "-e", program, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert compiled(core).returncode == 0
    done = compiled(other)
    assert done.returncode != 0 and "rp2040js is not the expected one: SEV" in done.stderr
