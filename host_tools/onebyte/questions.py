"""What `onebyte provision` asks on a terminal. Passwords are not echoed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from onebyte.boards import node_config
from onebyte.boards.facts import Facts
from onebyte.boards.profile import Profile, add_file
from onebyte.errors import UserError

__all__ = ["ask"]

_TLS_PORT = 8883
_NO_BROKER = "none"
_ON_A_PC = "replay"  # its default; nobody means it who plugs a board in
_WIRELESS = ("pico_w", "esp32_s3")
_SERIAL = ("pico",)
_PPP = ("pico_ppp",)


def ask(facts: Facts, known: dict[str, Any], passphrase: Callable[[str], str]) -> Profile:
    """Ask for what a board of this kind needs; what it has already is the default.

    Args:
        facts: What the board is.
        known: The configuration that it has.
        passphrase: Asks for the passphrase of a key's file.

    Raises:
        UserError: the passphrase of a file is wrong.
    """
    asked = _Asked(known)
    asked.value("tenant", "tenant, whose node it is")
    asked.value("device", "device, its name")
    choices = ", ".join(name for name in node_config.rules()["sensor"][2] if name != _ON_A_PC)
    asked.value("sensor", f"sensor ({choices})", is_offered="sensor" in known)
    asked.value("sensor_rate_mhz", "its rate in thousandths of a Hz, as the model has it")
    if has_radio(facts):
        asked.value("wifi_ssid", "name of the Wi-Fi network")
        asked.secret("wifi_password", "its password")
    elif facts.board in _PPP:
        asked.value("ppp_baud", "bits a second of the modem's line")
    if facts.board in _SERIAL:
        asked.values["broker_host"] = known.get("broker_host", _NO_BROKER)
        return Profile(asked.values)
    return _ask_broker(asked, passphrase)


def has_radio(facts: Facts) -> bool:
    """Return whether a board joins a Wi-Fi network."""
    words = facts.machine.lower()
    return facts.board in _WIRELESS or "pico w" in words or facts.platform == "esp32"


def _ask_broker(asked: "_Asked", passphrase: Callable[[str], str]) -> Profile:
    asked.value("broker_host", "the broker's name or address")
    ca = _ask_ca(passphrase)
    if ca.files:
        asked.known.setdefault("broker_port", _TLS_PORT)
    asked.value("broker_port", "its port")
    asked.value("broker_user", "user name there (empty: none)")
    if asked.values["broker_user"]:
        asked.secret("broker_password", "password there")
    return Profile({**ca.values, **asked.values}, ca.files)


def _ask_ca(passphrase: Callable[[str], str]) -> Profile:
    """Ask for a certificate, again until it is one; without an answer there is none."""
    text = "certificate of its authority, PEM or DER (empty: no TLS, or as it is)"
    while answer := click.prompt(text, default="", show_default=False):
        try:
            return add_file(Profile(), "ca", Path(answer).expanduser(), passphrase)
        except UserError as error:
            click.echo(f"  {error}")
    return Profile()


class _Asked:
    """Asks for one value after the other, again until it is allowed."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = dict(known)
        self.values: dict[str, Any] = {}

    def value(self, key: str, text: str, is_offered: bool = True) -> None:
        """Ask for a value; the default is what the board has, or the key's own."""
        default = self.known.get(key, node_config.rules()[key][1])
        shown = default if is_offered and default != "required" else None
        self._ask(key, text, default=shown)

    def secret(self, key: str, text: str) -> None:
        """Ask for a value that is not echoed; empty keeps the one that the board has."""
        kept = self.known.get(key, "")
        note = " (empty: as it is)" if kept else " (empty: none)"
        self._ask(key, text + note, default=kept, hide_input=True, show_default=False)

    def _ask(self, key: str, text: str, **how: Any) -> None:
        while True:
            try:
                self.values[key] = node_config.convert(key, str(click.prompt(text, **how)))
                return
            except UserError as error:
                click.echo(f"  {error}")
