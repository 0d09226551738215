"""Types and options of the command line that more than one command takes."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from onebyte.errors import UserError

PASSWORD_VARIABLE = "ONEBYTE_PASSWORD"
_LOOPBACK = "127.0.0.1"
_PORT = 1883
_TLS_PORT = 8883
_MAX_PORT = 65535
_NAME = re.compile(r"[a-z0-9_-]{1,32}")


class BrokerAddress(click.ParamType[tuple[str, int | None]]):
    """`host`, `host:port` or `[ipv6]:port`; the port is None when it is left out."""

    name = "host[:port]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | None]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, ""
        elif not (port.isascii() and port.isdigit() and 1 <= int(port) <= _MAX_PORT):
            self.fail(f"{text!r} has no port from 1 to {_MAX_PORT} after the colon", param, ctx)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            self.fail(f"{text!r}: write an IPv6 address as [address]:port", param, ctx)
        if not host or any(c.isspace() or c == "/" for c in host):
            self.fail(f"{text!r} is not a host or host:port", param, ctx)
        return host, int(port) if port else None


class ListenAddress(click.ParamType[tuple[str, int]]):
    """`port`, `host:port` or `[ipv6]:port` to listen on; without a host this machine alone."""

    name = "[host:]port"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        text = str(value)
        host, port = BrokerAddress().convert(
            text if ":" in text else f"{_LOOPBACK}:{text}", param, ctx
        )
        if port is None:
            self.fail(f"{text!r} is not a port or host:port", param, ctx)
        return host, port


class TopicName(click.ParamType[str]):
    """A tenant or a device: 1-32 of a-z 0-9 _ -."""

    name = "name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if not _NAME.fullmatch(str(value)):
            self.fail(f"{value!r} must be 1 to 32 of a-z 0-9 _ -", param, ctx)
        return str(value)


def _exercise() -> Path:
    from onebyte import toolchain  # only a demo needs it

    return toolchain.ROOT / "models" / "exercise"


def complete_path(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell complete a path where something that is none may stand, too."""
    return [CompletionItem(incomplete, type="file")]


recipe_argument = click.argument("model", type=click.Path(path_type=Path))

port_option = click.option(
    "--port",
    default="",
    shell_complete=complete_path,
    help="The board's serial port, or socket://host:port; else the only board that is there.",
)

demo_model_option = click.option(
    "--model",
    "model_folder",
    type=click.Path(path_type=Path),
    default=_exercise,
    help="Folder with recipe.toml and holdout.obm.  [default: models/exercise]",
)

jobs_option = click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Folds computed at the same time; the result is the same for any number.",
)


def broker_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a broker.

    The function gets `settings` (BrokerSettings), None where no broker is given.
    """

    @click.option("--broker", type=BrokerAddress(), help="The broker's address.")
    @click.option("--user", help=f"User name; the password stands in ${PASSWORD_VARIABLE}.")
    @click.option("--tls", is_flag=True, help="Encrypt, trust the system's authorities.")
    @click.option(
        "--tls-ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Encrypt, trust only the authority in this PEM file.",
    )
    @functools.wraps(function)
    def with_settings(
        *args: Any,
        broker: tuple[str, int | None] | None,
        user: str | None,
        tls: bool,
        tls_ca: Path | None,
        **options: Any,
    ) -> Any:
        if broker is None:
            return function(*args, settings=None, **options)
        from onebyte.receiver.link import BrokerSettings  # loads the MQTT library

        encrypted = tls or tls_ca is not None
        host, port = broker
        settings = BrokerSettings(
            host,
            port or (_TLS_PORT if encrypted else _PORT),
            user,
            _password(user),
            encrypted,
            tls_ca,
        )
        return function(*args, settings=settings, **options)

    return with_settings


def _password(user: str | None) -> str | None:
    """The password from the environment: on the command line every user could read it."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if user is not None and password is None:
        raise UserError(f"--user needs the password in the variable {PASSWORD_VARIABLE}")
    return password
