"""Runs the scripts that build and execute native modules, for pytest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from onebyte.crossbuild import natmods
from onebyte.errors import UserError

EMULATE = Path(__file__).with_name("emulate")
LONG_S = 900  # the firmware for the emulated RP2040 may have to be built


# What a compiler may call for integers where there is no division and no table jump; libgcc has
# them without any float code.
INTEGER_HELPERS = {
    "__aeabi_idiv",
    "__aeabi_idivmod",
    "__aeabi_uidiv",
    "__aeabi_uidivmod",
    "__gnu_thumb1_case_sqi",
    "__gnu_thumb1_case_uqi",
    "__gnu_thumb1_case_shi",
    "__gnu_thumb1_case_uhi",
}


def need(arch: str) -> None:
    """Skip where the compiler of an architecture is missing; in CI that is a failure."""
    try:
        natmods.make_settings(arch)
    except UserError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def run_script(
    path: Path,
    *arguments: str,
    missing: str = r"[\w.]+: (\w+ needs |no compiler)",
    timeout_s: float = LONG_S,
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; skip where it says that a tool is missing, unless this is CI.

    Args:
        path: of the script.
        arguments: its arguments.
        missing: how its message begins when a tool is missing, a regular expression.
        timeout_s: the longest that it may take.
    """
    done = subprocess.run(
        [sys.executable, path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if re.match(missing, done.stderr) and os.environ.get("CI") != "true":
        pytest.skip(done.stderr.strip())
    return done
