"""The `onebyte` command: finds its subcommands in `onebyte.commands`, loads one when used."""

import importlib
import pkgutil
import signal
import sys
from collections.abc import Sequence

import click

import onebyte.commands
from formats.errors import OnebyteError
from onebyte.errors import UserError

_USER_ERROR = 2
_INTERRUPTED = 130

# Columns of the list of commands.
_HEAD = 9
_NAME = 12
_CELL = 36


class LazyGroup(click.Group):
    """A group whose commands are the modules of `onebyte.commands`, each with a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        modules = pkgutil.iter_modules(onebyte.commands.__path__)
        return sorted(module.name.replace("_", "-") for module in modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"onebyte.commands.{cmd_name.replace('-', '_')}")
        return module.command  # type: ignore[no-any-return]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; refuse it where what it reads is not there."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in onebyte.commands.ANYWHERE:
            from onebyte import toolchain

            toolchain.check_checkout(f"onebyte {name}")
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write two commands a line, by group: a list of one a line is longer than a screen."""
        formatter.write("\n")
        for group, names in onebyte.commands.GROUPS.items():
            cells = [self._cell(ctx, name) for name in names]
            for i in range(0, len(cells), 2):
                head = "" if i else group
                row = "".join(cell.ljust(_CELL) for cell in cells[i : i + 2])
                formatter.write(f"{head:{_HEAD}}{row}".rstrip() + "\n")

    def _cell(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        text = command.get_short_help_str(_CELL - _NAME - 1) if command else ""
        return f"{name:{_NAME}}{text}"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """From labelled recordings to a sensor that says its decision in one byte.

    \b
    Example: onebyte train models/exercise
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Mistakes of the user, data that we refuse and files that the system refuses end as one line on
    stderr and code 2, an interrupt as 130. Everything else is a bug and keeps its traceback.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(args=argv, prog_name="onebyte", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _USER_ERROR
    except click.ClickException as error:
        return _refuse(_usage_message(error))
    except (UserError, OnebyteError) as error:
        return _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return _refuse(f"cannot use {error.filename}: {error.strerror}")
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _refuse(message: str) -> int:
    print(f"onebyte: error: {' '.join(message.split())}", file=sys.stderr)
    return _USER_ERROR


def _usage_message(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')}. See '{error.ctx.command_path} --help'."
    return message


def _terminate(number: int, frame: object) -> None:
    # A normal exit, so that brokers and devices started by us are stopped.
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
