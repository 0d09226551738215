"""All pages: their links lead somewhere, and what they name exists."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from onebyte.cli import cli

ROOT = Path(__file__).resolve().parents[2]
LISTING = subprocess.run(
    ["git", "-C", ROOT, "ls-files", "*.md"], check=True, capture_output=True, text=True
)
PAGES = [ROOT / name for name in LISTING.stdout.split()]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("0*.md"))

# Paths in backquotes are counted from one of these folders.
FOLDERS = (ROOT, ROOT / "host_tools" / "onebyte", ROOT / "host_tools" / "onebyte" / "emulator")
STARTS = ("tests", "lib", "firmware", "boards", "host_tools", "docs", "models", "js", "crossbuild")
# What a signature is for begins like a command.
NO_COMMANDS = {"onebyte manifest 1", "onebyte root 1"}


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the names under which a page's headings can be linked to."""
    found = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def wrong_links(page: Path, text: str) -> Iterator[str]:
    """Yield the links of a page that lead nowhere."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text())):
            yield link


def wrong_paths(text: str) -> Iterator[str]:
    """Yield the paths in backquotes that are not there; patterns and places to fill in may be."""
    for word in re.findall(r"`([\w./-]+)(?=[` ])", text):
        is_ours = word.split("/")[0] in STARTS and "/" in word
        if is_ours and not any((folder / word).exists() for folder in FOLDERS):
            yield word


def wrong_targets(text: str) -> Iterator[str]:
    """Yield what `make` is told to do and cannot."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    for target in re.findall(r"(?:`|^ *)make ([a-z][a-z0-9-]*)", text, re.MULTILINE):
        if target not in known:
            yield target


def command_lines(text: str) -> Iterator[str]:
    """Yield every command line of the tools: in blocks, indented, and within sentences."""
    for line in re.findall(r"^ *(onebyte [^\n]*)$", text, re.MULTILINE):
        yield line.partition("  #")[0].strip()
    yield from re.findall(r"`(onebyte [^`\n]+)`", without_blocks(text))


def wrong_commands(text: str) -> Iterator[str]:
    """Yield command lines whose command or option does not exist.

    A bare name in a sentence need not have what the command requires, and a file of an example
    need not be there: tests of the single pages look at that.
    """
    for line in set(command_lines(text)) - NO_COMMANDS:
        command: click.Command = cli
        context = click.Context(cli)
        words = [word.partition("=")[0] for word in shlex.split(line)[1:]]
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            found = command.get_command(context, name)
            if found is None:
                if not name.endswith(":") and re.fullmatch(r"[a-z-]+", name):
                    yield line
                break
            command = found
        known = {option for one in command.get_params(context) for option in one.opts}
        known |= {option for one in command.get_params(context) for option in one.secondary_opts}
        if any(word.startswith("--") and word not in known for word in words):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_only_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert list(wrong_links(page, text)) == []
    assert list(wrong_paths(text)) == []
    assert list(wrong_targets(text)) == []
    assert list(wrong_commands(text)) == []


def test_what_does_not_exist_would_be_found() -> None:
    page = ROOT / "docs" / "SPEC.md"
    text = "[a](DESIGN.md#no-such-heading) [b](NOWHERE.md) [c](#topics) [d](DESIGN.md#errors)"
    assert list(wrong_links(page, text)) == ["DESIGN.md#no-such-heading", "NOWHERE.md"]
    assert list(wrong_paths("`lib/formats/nothing.py` `lib/formats/model.py`, `js/pace.mjs`")) == [
        "lib/formats/nothing.py"
    ]
    assert list(wrong_targets("`make tset`, `make test`\n    make firmwear BOARD=pico")) == [
        "tset",
        "firmwear",
    ]
    text = "`onebyte trian x`\n    onebyte doctor --no-such  # x\n`onebyte keygen root --vendor 3`"
    assert sorted(wrong_commands(text)) == ["onebyte doctor --no-such", "onebyte trian x"]
    assert list(wrong_commands("`onebyte node: ...`, `onebyte keygen rot`")) == [
        "onebyte keygen rot"
    ]


def test_decisions_are_numbered_without_a_gap() -> None:
    for number, path in enumerate(DECISIONS, 1):
        assert path.name.startswith(f"{number:04}-")
        assert path.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_index_of_decisions_has_each_with_its_title() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| \[(.*)\]\((\S+)\) \|", index, re.MULTILINE)
    titles = [path.read_text(encoding="utf-8").partition("\n")[0][2:] for path in DECISIONS]
    names = [path.name for path in DECISIONS]
    assert [f"{number}. {title}" for number, title, _ in listed] == titles
    assert [name for _, _, name in listed] == names
