"""A real MQTT broker on a free loopback port: mosquitto where it is installed, amqtt otherwise."""

import asyncio
import base64
import hashlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from onebyte.errors import UserError
from onebyte.simulation.process import Child

HOST = "127.0.0.1"
KINDS = ("mosquitto", "amqtt")
_START_S = 30.0
_MOSQUITTO_PBKDF2_ROUNDS = 101  # the default of mosquitto_passwd


class TlsFiles(NamedTuple):
    """PEM files: the broker's own certificate and key, and the CA whose clients it lets in."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Broker:
    """A broker process that accepts MQTT 3.1.1 on 127.0.0.1 for as long as the `with` block runs.

    Args:
        kind: "mosquitto", "amqtt", or None for the first one installed.
        port: TCP port, 0 for a free one; the port stays the same over stop() and start().
        users: names and passwords; None lets everybody in. mosquitto only.
        tls: the broker's certificate and key; None for plain TCP. mosquitto only.
        folder: where retained messages and sessions survive a restart, and the log is kept; None
            for a temporary folder and no persistence. mosquitto only keeps data there.

    Raises:
        UserError: the port is taken, the broker is not installed, or it refused to start.
    """

    def __init__(
        self,
        kind: str | None = None,
        port: int = 0,
        users: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
        folder: Path | None = None,
    ) -> None:
        self.kind = kind or ("mosquitto" if find_mosquitto() else "amqtt")
        if self.kind not in KINDS:
            raise UserError(f"unknown broker {self.kind!r}, choose one of {', '.join(KINDS)}")
        if self.kind == "amqtt" and (users or tls):
            raise UserError("passwords and TLS need mosquitto, which is not installed")
        self.host = HOST
        self.port = port
        self._fixed_port = port != 0
        self._users = users
        self._tls = tls
        self._keep = folder
        self._folder: Path | None = None
        # Removed at the program's end, too, should nobody call stop().
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """host:port, as the `--broker` option takes it."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start the process and return once it accepts connections."""
        assert self._child is None, "already started"
        if self._fixed_port:
            check_port_free(self.port)
        self._folder = self._keep or self._make_temporary()
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start_process()
        except BaseException:
            self.stop()
            raise
        self._fixed_port = True

    def _make_temporary(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="onebyte-broker-")
        return Path(self._temporary.name)

    def _start_process(self) -> None:
        assert self._folder is not None
        n_attempts = 1 if self._fixed_port else 3
        for attempt in range(n_attempts):
            if not self._fixed_port:
                self.port = free_port()
            self._child = Child(self._command(), self._folder / "broker.log")
            try:
                return self._wait_until_it_accepts()
            except UserError:
                # Somebody may have taken the free port between finding and using it.
                if attempt == n_attempts - 1:
                    raise
                self._stop_process()

    def stop(self) -> None:
        """Stop the process and remove its temporary folder. May be called twice."""
        self._stop_process()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        self._folder = None

    def _stop_process(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End the process at once, as a crash would; start() brings it back on the same port."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._child is None else self._child.pid

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        if self.kind == "amqtt":
            return [
                sys.executable,
                "-m",
                "onebyte.simulation.broker",
                str(self.port),
                str(os.getpid()),
            ]
        program = find_mosquitto()
        if program is None:
            raise UserError("mosquitto is not installed")
        assert self._folder is not None
        config = self._folder / "mosquitto.conf"
        config.write_text(self._mosquitto_config(self._folder))
        return [program, "-c", str(config)]

    def _mosquitto_config(self, folder: Path) -> str:
        lines = [
            f"listener {self.port} {HOST}",
            "max_queued_messages 100000",
            "set_tcp_nodelay true",
        ]
        if os.geteuid() == 0:
            # Otherwise it changes to a user who cannot read the files of this folder.
            lines.append("user root")
        if self._users:
            passwords = folder / "passwords"
            passwords.write_text("".join(map(_password_line, self._users.items())))
            passwords.chmod(0o600)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        else:
            lines.append("allow_anonymous true")
        if self._tls:
            lines += [f"certfile {self._tls.certificate}", f"keyfile {self._tls.key}"]
            if self._tls.client_ca:
                lines += [f"cafile {self._tls.client_ca}", "require_certificate true"]
        if self._keep is not None:
            lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        return "\n".join(lines) + "\n"

    def _wait_until_it_accepts(self) -> None:
        assert self._child is not None
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._child.returncode is not None:
                raise UserError(f"{self.kind} ended at once: {self._child.tail(2)}")
            try:
                socket.create_connection((HOST, self.port), 1.0).close()
                return
            except OSError:
                time.sleep(0.02)
        raise UserError(f"{self.kind} does not accept connections on {self.address}")


def find_mosquitto() -> str | None:
    """Return the path of mosquitto, or None. Debian keeps it in a folder outside a user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_port_free(port: int) -> None:
    """Raise UserError when the loopback port cannot be listened on."""
    with socket.socket() as probe:
        # As brokers do, or the port would count as taken for a minute after each of them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}") from None


def _password_line(user: tuple[str, str]) -> str:
    """One line of a password file as mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    name, password = user
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _MOSQUITTO_PBKDF2_ROUNDS)
    encoded = [base64.b64encode(part).decode() for part in (salt, key)]
    return f"{name}:$7${_MOSQUITTO_PBKDF2_ROUNDS}${encoded[0]}${encoded[1]}\n"


async def _serve_amqtt(port: int, parent: int) -> None:
    # Only the child process needs it, and it takes half a second to import.
    from amqtt.broker import Broker as AmqttBroker

    broker = AmqttBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set() and os.getppid() == parent:
        try:
            await asyncio.wait_for(stop.wait(), 1.0)
        except TimeoutError:
            continue
    await broker.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_serve_amqtt(int(sys.argv[1]), int(sys.argv[2])))
