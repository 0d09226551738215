"""The pages of the boards tell the truth: pins, figures and commands."""

import ast
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from onebyte.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "boards"
BOARDS = sorted(
    path.parent.name for path in ROOT.glob("boards/*/board.py") if path.parent.name != "unix"
)
HEADINGS = [
    "Wiring",
    "First flash",
    "First data set",
    "First model",
    "A running node",
    "Battery",
    "Trouble",
]

# Signal in a page's table -> constant in board.py.
SIGNALS = {
    "SDA": "SENSOR_SDA",
    "SCL": "SENSOR_SCL",
    "analog": "ANALOG",
    "switch": "SIGNAL",
    "UART TX": "PPP_TX",
    "UART RX": "PPP_RX",
}
ON_EVERY_BOARD = {"SDA", "SCL", "analog", "switch"}

# Number of a pin on the chip -> where it is on the board; nothing else here knows that.
PICO = {0: "1", 1: "2", 4: "6", 5: "7", 22: "29", 26: "31"}
HEADERS = {
    "pico": PICO,
    "pico_ppp": PICO,
    "pico_w": PICO,
    "esp32_s3": {4: "J1 4", 5: "J1 5", 8: "J1 12", 9: "J1 15"},
}


def text_of(board: str) -> str:
    """Return the page of a board."""
    return (PAGES / f"{board}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows, the tables' heads among them."""
    return [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]


def constants(board: str) -> dict[str, int]:
    """Return the integer constants of a board.py, without importing the hardware's modules."""
    tree = ast.parse((ROOT / "boards" / board / "board.py").read_text(encoding="utf-8"))
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, int)
    }


def wrong_pins(board: str, text: str) -> list[str]:
    """Return each signal that a page and board.py, or the header, do not say the same of."""
    known = constants(board)
    expected = {signal: known[name] for signal, name in SIGNALS.items() if name in known}
    table = [row for row in rows(section(text, "Wiring")) if row[1].isdigit()]
    said = {row[0]: int(row[1]) for row in table}
    wrong = [one for one in expected | said if expected.get(one) != said.get(one)]
    wrong += [
        f"{row[0]} on the header" for row in table if HEADERS[board].get(int(row[1])) != row[2]
    ]
    return wrong


def commands(text: str) -> list[str]:
    """Return every `onebyte` command of the sh blocks and of the running text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.split("\n")]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    # A command's bare name in a sentence need not have what it requires.
    inline = re.findall(r"`(onebyte [^` ]+ [^`]+)`", prose)
    return [line for line in [*lines, *inline] if line.startswith("onebyte ")]


def parse(line: str) -> None:
    """Parse a command's arguments, through its groups, without running it.

    Raises:
        click.ClickException: an argument or option that the command does not have.
    """
    _, *arguments = shlex.split(line)
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, f"no command {name}: {line}"
        command = found
    command.make_context(command.name, arguments, parent=context)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that the pages' commands name."""
    for name in ("ca.pem", "node.toml", "product.toml", "motion/model.obm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def test_every_board_has_a_page() -> None:
    assert len(BOARDS) >= 4
    assert sorted(path.stem for path in PAGES.glob("*.md")) == BOARDS


@pytest.mark.parametrize("board", BOARDS)
def test_page_has_the_headings(board: str) -> None:
    assert re.findall(r"^## (.*)$", text_of(board), re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("board", BOARDS)
def test_page_says_that_no_silicon_was_met(board: str) -> None:
    assert "has met silicon" in text_of(board)


@pytest.mark.parametrize("board", BOARDS)
def test_pins_are_those_of_board_py(board: str) -> None:
    said = {row[0] for row in rows(section(text_of(board), "Wiring"))}
    assert said >= ON_EVERY_BOARD
    assert wrong_pins(board, text_of(board)) == []


def test_a_wrong_pin_would_be_found() -> None:
    text = text_of("pico_ppp")
    assert wrong_pins("pico_ppp", text.replace("| SDA | 4 |", "| SDA | 5 |")) == [
        "SDA",
        "SDA on the header",
    ]
    assert wrong_pins("pico_ppp", re.sub(r"\| UART RX .*\n", "", text)) == ["UART RX"]


@pytest.mark.parametrize("board", BOARDS)
def test_figures_are_those_of_figures_py(board: str) -> None:
    known = runpy.run_path(str(ROOT / "boards" / board / "figures.py"))
    expected = {name: [f"{value[0]} uA", value[1]] for name, value in known["CURRENTS_UA"].items()}
    times = {name: [f"{value[0]} ms", value[1]] for name, value in known["TIMES_MS"].items()}
    expected |= {f"{name} (time)": value for name, value in times.items()}
    table = rows(section(text_of(board), "Battery"))
    assert {row[0]: row[1:3] for row in table if row[1].endswith((" uA", " ms"))} == expected


@pytest.mark.parametrize("board", BOARDS)
def test_battery_lives_are_what_the_command_prints(
    board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = section(text_of(board), "Battery")
    lines = [line for line in commands(text) if line.startswith("onebyte battery --")]
    assert lines
    printed = []
    for line in lines:
        done = CliRunner().invoke(cli, shlex.split(line)[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}"
        printed.append(done.output.splitlines()[-1])
    assert re.findall(rf"^battery {board}: .*$", text, re.MULTILINE) == printed


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.usefixtures("desk")
def test_commands_are_real(board: str) -> None:
    lines = commands(text_of(board))
    named = {shlex.split(line)[1] for line in lines}
    assert named >= {"flash", "provision", "deploy", "monitor", "collect", "train", "battery"}
    for line in lines:
        parse(line)


@pytest.mark.usefixtures("desk")
def test_a_wrong_option_would_be_found() -> None:
    for line in ("onebyte doctor --no-such-option 1", "onebyte keygen root keys --no-vendor 1"):
        with pytest.raises(click.ClickException):
            parse(line)


def test_boards_md_links_every_page() -> None:
    text = (ROOT / "docs" / "BOARDS.md").read_text(encoding="utf-8")
    for board in BOARDS:
        assert f"[`{board}`](boards/{board}.md)" in text


def test_no_advice_resets_a_node_softly() -> None:
    """Without `resume` mpremote begins with Ctrl-D, and the node's watchdog bites soon after."""
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("host_tools/onebyte/**/*.py")]:
        found = re.findall(r"mpremote (?:cp|fs|rtc|exec|run)\b", path.read_text(encoding="utf-8"))
        assert not found, f"{path.name}: {found}"
