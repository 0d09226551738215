"""The configuration of a node, judged here by the same code as on the device.

`firmware/app/config.py` is loaded as a module of its own: the rest of the app needs a board.
"""

import importlib.util
from collections.abc import Mapping
from functools import cache
from typing import Any

from formats import flatjson
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.toolchain import ROOT

__all__ = ["check", "check_value", "convert", "is_secret", "pack", "parse", "rules", "shown"]

_SOURCE = ROOT / "firmware" / "app" / "config.py"
_TRUTH = {"true": True, "false": False}
_SET = "(set)"

Values = dict[str, Any]


@cache
def _device_code() -> Any:
    spec = importlib.util.spec_from_file_location("onebyte_node_config", _SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rules() -> Mapping[str, tuple[Any, ...]]:
    """Return the device's table: key -> kind, default, range."""
    table: Mapping[str, tuple[Any, ...]] = _device_code().KEYS
    return table


def is_secret(key: str) -> bool:
    """Return whether a value must not be shown."""
    return key in _device_code().SECRETS


def check(values: Values) -> None:
    """Refuse what the node would refuse.

    Raises:
        UserError: it names the key and what is allowed, and no secret.
    """
    try:
        _device_code().Config(values)
    except OnebyteError as error:
        raise UserError(f"the configuration is refused: {error.detail}") from error


def check_value(key: str, value: Any) -> None:
    """Refuse a value that is wrong by itself.

    Raises:
        UserError: no such key, or not allowed.
    """
    if key not in rules():
        raise UserError(f"{key!r} is no key of a configuration; docs/CONFIG.md lists them")
    try:
        _device_code().check_value(key, value)
    except OnebyteError as error:
        raise UserError(error.detail) from error


def convert(key: str, text: str) -> Any:
    """Return what a person wrote as the key's kind of value, checked.

    Raises:
        UserError: no such key, or not allowed.
    """
    kind = rules()[key][0] if key in rules() else ""
    value: Any = text
    if kind == "bool":
        value = _TRUTH.get(text.lower(), text)
    elif kind == "int" and text.strip().removeprefix("-").isdecimal():
        value = int(text)
    check_value(key, value)
    return value


def pack(values: Values) -> bytes:
    """Return the JSON that a node reads, in the order of docs/CONFIG.md.

    Raises:
        UserError: a text has a character that a node's JSON cannot hold.
    """
    content = flatjson.pack([(key, values[key]) for key in rules() if key in values])
    for key, value in values.items():
        try:
            parse(flatjson.pack([(key, value)]))
        except OnebyteError as error:
            raise UserError(f"{key} has a character that is not allowed") from error
    return content


def parse(content: bytes) -> Values:
    """Return the values in such a JSON; they need not be allowed.

    Raises:
        OnebyteError: it is none.
    """
    return dict(flatjson.parse(content, 8192))


def shown(values: Values) -> list[str]:
    """Return a line for each value, without the secrets."""
    return [
        f"{key} = {_SET if is_secret(key) and values[key] else repr(values[key])}"
        for key in rules()
        if key in values
    ]
