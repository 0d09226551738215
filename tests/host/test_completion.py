"""Completion in bash, zsh and fish, as docs/BOARDS.md says how to switch it on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal

BIN = Path(sys.executable).parent
DOCS = (Path(__file__).parents[2] / "docs" / "BOARDS.md").read_text(encoding="utf-8")
SHELLS = ("bash", "zsh", "fish")


def complete(shell: str, words: str, position: int) -> str:
    """Ask as a shell's script does, for what may stand at a position of a line."""
    asked = {"_ONEBYTE_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    # fish hands over the word itself instead of its number.
    asked["COMP_CWORD"] = words.split(" ")[position] if shell == "fish" else str(position)
    done = subprocess.run(
        [BIN / "onebyte"],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_and_options_complete(shell: str) -> None:
    assert "provision" in re.split(r"[\s,\t]", complete(shell, "onebyte pro", 1))
    options = complete(shell, "onebyte doctor --p", 2)
    assert "--port" in options and "--json" not in options


@pytest.mark.parametrize("shell", SHELLS)
def test_documented_line_gives_the_shells_script(shell: str) -> None:
    (command,) = re.findall(rf"^ +.*(_ONEBYTE_COMPLETE={shell}_source onebyte)\b", DOCS, re.M)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "_onebyte_completion" in done.stdout and f"{shell}_complete" in done.stdout


def test_a_real_bash_completes() -> None:
    bash = shutil.which("bash")
    assert bash, "every machine that runs these tests has one"
    script = (
        'eval "$(_ONEBYTE_COMPLETE=bash_source onebyte)"\n'
        "COMP_WORDS=(onebyte doc); COMP_CWORD=1\n_onebyte_completion onebyte doc onebyte\n"
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [bash, "-c", script],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["doctor"], done.stdout + done.stderr


def test_tab_in_a_real_bash(tmp_path: Path) -> None:
    """Commands, options and files, typed at a terminal after the documented line."""
    bash = shutil.which("bash")
    assert bash, "every machine that runs these tests has one"
    (line,) = re.findall(r"^ +(eval .*_ONEBYTE_COMPLETE=bash_source onebyte\)\")", DOCS, re.M)
    (tmp_path / "blink.py").write_text("")
    (tmp_path / "models").mkdir()
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}
    with Terminal([bash, "--noprofile", "--norc", "-i"], env, tmp_path) as terminal:
        terminal.type(f"PS1='re''ady '; {line}\n".encode())
        terminal.shows(b"ready ")
        for typed, shown in (
            ("onebyte doct", "onebyte doctor "),
            ("onebyte doctor --por", "onebyte doctor --port "),
            ("onebyte run bl", "onebyte run blink.py "),
            ("onebyte train mo", "onebyte train models/"),
            ("onebyte keygen rel", "onebyte keygen release "),
            # What takes a port or a key with its scope is no path, and is completed as one.
            ("onebyte logs --port bl", "onebyte logs --port blink.py "),
            ("onebyte flash --port bl", "onebyte flash --port blink.py "),
            ("onebyte collect d --port bl", "onebyte collect d --port blink.py "),
            ("onebyte monitor --serial bl", "onebyte monitor --serial blink.py "),
            ("onebyte keygen root k --release-key bl", "--release-key blink.py "),
            ("onebyte rotate-keys k --add-release bl", "--add-release blink.py "),
        ):
            terminal.type(f"{typed}\t".encode())
            terminal.shows(shown.encode())
            terminal.screen = b""
            terminal.type(b"\x15\n")  # the line is taken back
            terminal.shows(b"ready ")
