"""Where the passphrases of keys come from: a file, a variable of the environment, or the terminal.

Never from the command line, where every user of the machine could read them.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from onebyte.errors import UserError

__all__ = ["VARIABLE", "Passphrases", "passphrase_option"]

VARIABLE = "ONEBYTE_PASSPHRASE"


class Passphrases:
    """Gives the passphrase of one key after the other.

    Args:
        files: Of --passphrase-file, one for each key in their order, or one for all; may be empty.
    """

    def __init__(self, files: tuple[Path, ...] = ()) -> None:
        self._files = files
        self._n_asked = 0

    def of(self, what: str) -> str:
        """Return the passphrase of a key that exists.

        Raises:
            UserError: There is none, and nobody to ask.
        """
        return self._given(what) or self._ask(what, is_new=False)

    def new(self, what: str) -> str:
        """Return the passphrase of a new key; on a terminal it is asked for twice.

        Raises:
            UserError: As `of`.
        """
        return self._given(what) or self._ask(what, is_new=True)

    def _given(self, what: str) -> str | None:
        number = self._n_asked
        self._n_asked += 1
        if self._files:
            if len(self._files) > 1 and number >= len(self._files):
                raise UserError(f"no --passphrase-file for {what}: give one for each key, or one")
            return _read(self._files[number if len(self._files) > 1 else 0])
        if VARIABLE in os.environ:
            return _checked(os.environ[VARIABLE], f"the variable {VARIABLE}")
        return None

    def _ask(self, what: str, is_new: bool) -> str:
        if not sys.stdin.isatty():
            raise UserError(
                f"no terminal to ask for the passphrase of {what}: "
                f"use --passphrase-file, or the variable {VARIABLE}"
            )
        text = f"passphrase of {what}"
        asked = click.prompt(text, hide_input=True, confirmation_prompt=is_new, err=True)
        return _checked(asked, text)


def passphrase_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --passphrase-file; the function gets `passphrase_files`."""
    option = click.option(
        "--passphrase-file",
        "passphrase_files",
        multiple=True,
        type=click.Path(path_type=Path),
        help=f"First line is the passphrase, one file a key or one for all; or ${VARIABLE}.",
    )
    return option(function)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return _checked(file.readline().rstrip("\r\n"), str(path))
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _checked(text: str, where: str) -> str:
    if not text:
        raise UserError(f"{where} is empty; a key needs a passphrase")
    return text
