"""The README tells the truth: its commands run, and its tables name all that exists."""

import json
import random
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from onebyte.cli import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAX_LINES = 200
MAX_WIDTH = 120

# These wait for something, or run longer than a test should; tests/e2e runs them for real. Here
# their arguments are parsed.
LONG_RUNNING = {"demo", "demo-rp2040", "simulate", "monitor", "evaluate"}


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Return every command line of the README, without its comment."""
    lines = [
        line.partition("  #")[0].strip() for block in blocks("sh") for line in block.split("\n")
    ]
    return [line for line in lines if line]


def table_names(prefix: str) -> list[str]:
    """Return the words after `prefix` in the first column of tables."""
    cells = re.findall(r"^\|([^|]*)\|", README, re.MULTILINE)
    return [name for cell in cells for name in re.findall(rf"`{prefix} ([a-z0-9-]+)", cell)]


def make_recordings(folder: Path, recipe: dict) -> None:
    """Write the CSV files that the README's recipe describes: three people, every label."""
    noise = random.Random(1)
    names = [channel["name"] for channel in recipe["samples"]["channels"]]
    rows = recipe["samples"]["window"] * 8
    for person in ("anna", "ben", "cara"):
        for number, label in enumerate(recipe["labels"]):
            path = folder / recipe["dataset"]["path"] / person / f"{label}_1.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [",".join(names)]
            for row in range(rows):
                wave = number * ((row * (number + 1)) % 10 - 5) / 10
                lines.append(",".join(f"{wave + noise.gauss(0, 0.02):.4f}" for _ in names))
            path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the user's own recordings and recipe as the README describes them."""
    folder = tmp_path_factory.mktemp("readme")
    (text,) = blocks("toml")
    (folder / "my-sensor").mkdir()
    (folder / "my-sensor" / "recipe.toml").write_text(text)
    make_recordings(folder / "my-sensor", tomllib.loads(text))
    (folder / "models").symlink_to(ROOT / "models")
    return folder


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program, *arguments = shlex.split(line)
    path = Path(sys.executable).with_name(Path(program).name)
    return subprocess.run(
        [path, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def parse(line: str) -> None:
    """Parse the arguments of an `onebyte` command without running it.

    Raises:
        click.ClickException: an argument or option that the command does not have.
    """
    _, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"no command onebyte {name}"
    command.make_context(name, arguments, parent=click.Context(cli))


def test_readme_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(len(line) for line in lines if not line.startswith("|")) <= MAX_WIDTH


def test_commands_of_the_readme_run(workplace: Path) -> None:
    # In their order: what one command writes, a later one reads.
    ran = 0
    for line in commands():
        if not line.startswith(("onebyte ", ".venv/bin/onebyte ")):
            continue
        if shlex.split(line)[1] in LONG_RUNNING:
            parse(line)
            continue
        done = run(line, workplace)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 2


def test_other_commands_are_known() -> None:
    for line in commands():
        program, *arguments = shlex.split(line)
        if program == "make":
            targets = [argument for argument in arguments if "=" not in argument]
            subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)
        else:
            assert Path(program).name in {"onebyte", "git", "cd", "mosquitto_sub"}, line


def test_wrong_arguments_would_be_found() -> None:
    with pytest.raises(click.ClickException):
        parse("onebyte monitor --no-such-option 1")


def test_table_names_every_command() -> None:
    context = click.Context(cli)
    existing = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    public = [name for name, command in existing.items() if command and not command.hidden]
    assert sorted(table_names("onebyte")) == sorted(public)


def test_table_names_every_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z0-9-]+):.*?## ", makefile, re.MULTILINE)
    assert sorted(table_names("make")) == sorted(targets)


def test_figures_are_those_of_the_model_cards() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(models/\1/MODEL\.md\) \|(.*)$", README, re.MULTILINE)
    committed = {path.parent.name for path in ROOT.glob("models/*/model.obm")}
    assert {name for name, _ in rows} == committed
    for name, row in rows:
        metrics = json.loads((ROOT / "models" / name / "metrics.json").read_text())
        size = (ROOT / "models" / name / "model.obm").stat().st_size
        assert f"{metrics['macro_f1']:.3f}" in row, name
        assert f"{size:,} bytes" in row, name
