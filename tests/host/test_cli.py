"""The command line as a whole: help, examples, exit codes, one line for what the user can fix."""

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from command_line import onebyte

from formats import errors
from formats.errors import OnebyteError
from onebyte import cli, toolchain
from onebyte.arguments import BrokerAddress, TopicName
from onebyte.commands import ANYWHERE, GROUPS
from onebyte.errors import UserError

COMMANDS = {
    name: command
    for name in cli.cli.list_commands(click.Context(cli.cli))
    if (command := cli.cli.get_command(click.Context(cli.cli), name)) is not None
}
SHOWN = [name for name, command in COMMANDS.items() if not command.hidden]


def fail_with(monkeypatch, error):
    """Make `onebyte broken` raise."""

    @click.command("broken")
    def broken():
        raise error

    monkeypatch.setattr(cli.cli, "get_command", lambda ctx, name: broken)


def test_help_fits_one_screen_and_names_every_command():
    code, out, err = onebyte("--help")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "..." not in out.split("Models", 1)[1], "a short_help is longer than 23 characters"
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(SHOWN), "GROUPS names each command once"
    words = out.split()
    for name in SHOWN:
        assert COMMANDS[name].short_help, f"{name} has no short_help"
        assert name in words


@pytest.mark.parametrize("name", SHOWN)
def test_every_command_has_help_with_an_example(name):
    code, out, err = onebyte(name, "--help")
    assert (code, err) == (0, "")
    assert f"onebyte {name} " in out.split("Example", 1)[1]


@pytest.mark.parametrize(
    "words",
    [
        (name, under)
        for name, command in COMMANDS.items()
        if isinstance(command, click.Group) and not command.hidden
        for under in command.commands
    ],
)
def test_every_command_of_a_group_has_help_with_an_example(words):
    code, out, err = onebyte(*words, "--help")
    assert (code, err) == (0, "")
    assert f"onebyte {' '.join(words)} " in out.split("Example", 1)[1]


@pytest.mark.parametrize("name", SHOWN)
def test_every_command_is_explained_in_the_docs(name):
    folder = Path(__file__).parents[2]
    texts = [folder / "README.md", *(folder / "docs").glob("*.md")]
    assert any(f"onebyte {name}" in path.read_text(encoding="utf-8") for path in texts)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_explained(name):
    for param in COMMANDS[name].params:
        if isinstance(param, click.Option) and param.name != "help":
            assert param.help, f"{name} {param.opts[0]}"


def test_without_arguments_the_help_is_shown_and_the_exit_code_is_2():
    code, out, err = onebyte()
    assert code == 2
    assert "Models" in out + err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nosuch"], "No such command 'nosuch'. See 'onebyte --help'."),
        (["--nosuch"], "No such option '--nosuch'. See 'onebyte --help'."),
        (["monitor"], "Missing option '--broker' or '--serial'. See 'onebyte monitor --help'."),
        (
            ["monitor", "--broker", "host:99999"],
            "Invalid value for '--broker': 'host:99999' has no port from 1 to 65535 after the "
            "colon. See 'onebyte monitor --help'.",
        ),
        (
            ["monitor", "--broker", "h", "--device", "UPPER"],
            "Invalid value for '--device': 'UPPER' must be 1 to 32 of a-z 0-9 _ -. See 'onebyte "
            "monitor --help'.",
        ),
        (
            ["monitor", "--broker", "h", "--tls-ca", "/no/such/file"],
            "Invalid value for '--tls-ca': File '/no/such/file' does not exist. See 'onebyte "
            "monitor --help'.",
        ),
        (
            ["simulate", "-n", "0"],
            "Invalid value for '-n' / '--nodes': 0 is not in the range 1<=x<=1000. See 'onebyte "
            "simulate --help'.",
        ),
    ],
)
def test_wrong_arguments_are_one_line_and_code_2(argv, message):
    assert onebyte(*argv) == (2, "", f"onebyte: error: {message}\n")


def test_user_error_is_one_line_and_code_2(monkeypatch):
    fail_with(monkeypatch, UserError("two\n  lines"))
    assert onebyte("broken") == (2, "", "onebyte: error: two lines\n")


def test_refused_data_is_one_line_with_its_reason_code(monkeypatch):
    fail_with(monkeypatch, OnebyteError(errors.CRC, "over 100 bytes"))
    assert onebyte("broken") == (2, "", "onebyte: error: CRC(5): over 100 bytes\n")


def test_commands_that_read_the_repository_say_so_without_it(monkeypatch, tmp_path):
    monkeypatch.setattr(toolchain, "ROOT", tmp_path)
    for name in COMMANDS:
        code, out, err = onebyte(name, "--help")
        if name in ANYWHERE:
            assert (code, err) == (0, "") and out
        else:
            assert (code, out) == (2, "")
            assert err.startswith(f"onebyte: error: onebyte {name} reads files of the repository")
    assert set(COMMANDS) > ANYWHERE


def test_interrupt_is_130_without_a_message(monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    code, out, err = onebyte("broken")
    assert (code, out, err.strip()) == (130, "", "")


def test_file_that_the_system_refuses_is_one_line_and_code_2(monkeypatch):
    fail_with(monkeypatch, PermissionError(13, "Permission denied", "keys/root.1"))
    message = "onebyte: error: cannot use keys/root.1: Permission denied\n"
    assert onebyte("broken") == (2, "", message)


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OSError(9, "Bad descriptor")])
def test_bug_keeps_its_traceback(monkeypatch, error):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)):
        onebyte("broken")


def test_exit_code_of_the_process():
    done = subprocess.run(
        [sys.executable, "-m", "onebyte.cli", "nosuch"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "onebyte: error: No such command 'nosuch'. See 'onebyte --help'.\n"


def test_closed_pipe_is_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m onebyte.cli --help | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker", ("broker", None)),
        ("broker:1", ("broker", 1)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("[::1]:1883", ("::1", 1883)),
        ("[::1]", ("::1", None)),
    ],
)
def test_broker_address(text, expected):
    assert BrokerAddress().convert(text, None, None) == expected


@pytest.mark.parametrize(
    "text", ["", ":1883", "host:", "host:0", "host:65536", "host:x", "::1", "a b", "mqtt://host:1"]
)
def test_broker_address_refuses(text):
    with pytest.raises(click.BadParameter):
        BrokerAddress().convert(text, None, None)


@pytest.mark.parametrize("text", ["", "a/b", "+", "A", "ä", "x" * 33])
def test_topic_name_refuses(text):
    with pytest.raises(click.BadParameter):
        TopicName().convert(text, None, None)


def test_end_by_the_system_is_told_from_success() -> None:
    with pytest.raises(SystemExit) as ended:
        cli._terminate(signal.SIGTERM, None)
    assert ended.value.code == 128 + 15
