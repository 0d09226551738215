"""Runs `onebyte` in this process, which is much faster than a new one for each test."""

import contextlib
import io
import signal
import subprocess
import sys

from onebyte import cli

_TIMEOUT_S = 900  # a hang; the longest demo takes a minute


def onebyte(*argv: object) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr; a bug's exception comes out."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([str(part) for part in argv])
    finally:
        signal.signal(signal.SIGTERM, before)
    return code, out.getvalue(), err.getvalue()


def onebyte_process(*argv: object) -> tuple[int, str, str]:
    """Return the same of a process of its own."""
    command = [sys.executable, "-m", "onebyte.cli", *map(str, argv)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


def assert_refused(got: tuple[int, str, str], *words: str) -> None:
    """Check that a command ended as the user's mistake: exit code 2, one line, these words."""
    code, out, err = got
    assert (code, out) == (2, ""), got
    assert err.startswith("onebyte: error: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err, err
