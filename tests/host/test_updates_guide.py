"""The guide to updates tells the truth: its commands run in its order, its reasons exist."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from command_line import onebyte
from update_folder import use_cheap_keys

from formats import errors
from onebyte import toolchain
from onebyte.cli import cli
from onebyte.updates import verifying
from onebyte.updates.release import Release
from onebyte.updates.roots import read_chain

GUIDE = (toolchain.ROOT / "docs" / "UPDATES.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Return the arguments of every `onebyte` line of the guide."""
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("onebyte ")]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_cheap_keys(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(toolchain.ROOT / "models")
    (toml,) = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "release.toml").write_text(toml)
    return tmp_path


def test_the_commands_of_the_guide_run_in_its_order(workplace: Path) -> None:
    n_run = 0
    for argv in commands():
        if argv[0] == "publish":  # tests/e2e runs it; here its arguments are parsed
            command = cli.get_command(click.Context(cli), "publish")
            assert command is not None
            command.make_context("publish", argv[1:], parent=click.Context(cli))
            continue
        if argv[0] == "rollback":
            # The guide has not made release 4; its release 5 is as good.
            shutil.copytree("releases/5", "releases/4")
        code, out, err = onebyte(*argv)
        assert (code, err) == (0, ""), f"{argv}\n{out}{err}"
        n_run += 1
    assert n_run >= 8
    chain = read_chain(workplace / "keys")
    assert chain.epoch == 2 and len(chain.newest.revoked) == 1
    assert Release(Path("releases/6")).signed().manifest.manifest_seq == 6


def test_its_node_file_is_what_verify_takes(workplace: Path) -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (workplace / "node.json").write_text(text)
    assert set(verifying.read_device(workplace / "node.json")) == {
        *("vendor", "product_class", "hardware", "firmware")
    }


def test_its_reasons_are_those_of_the_formats() -> None:
    table = GUIDE.split("| reason | do |", 1)[1].split("\n\n", 1)[0]
    names = re.findall(r"`([A-Z_]+)`", table)
    assert len(names) > 12
    for name in names:
        assert isinstance(getattr(errors, name), int), name
