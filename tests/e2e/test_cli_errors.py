"""What can go wrong between the command line and the world ends as one line and exit code 2."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ca import Ca
from mqtt_process import need_mosquitto

from onebyte.arguments import PASSWORD_VARIABLE
from onebyte.broker import Broker


def onebyte(*argv: object, password: str | None = None) -> tuple[int, str, str]:
    """Run the command line in a process of its own; return exit code, stdout and stderr."""
    environment = {key: value for key, value in os.environ.items() if key != PASSWORD_VARIABLE}
    if password is not None:
        environment[PASSWORD_VARIABLE] = password
    done = subprocess.run(
        [sys.executable, "-m", "onebyte.cli", *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


def assert_refused(got: tuple[int, str, str], *words: str) -> None:
    code, out, err = got
    assert (code, out) == (2, ""), got
    assert err.startswith("onebyte: error: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err, err


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@pytest.fixture
def ca_file(ca: Ca, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(ca.der))
    return path


def test_monitor_without_a_broker_behind_the_port() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        assert_refused(onebyte("monitor", "--broker", address), address, "Connection refused")


def test_monitor_with_an_unknown_host() -> None:
    got = onebyte("monitor", "--broker", "no-such-host.invalid")
    assert_refused(got, "unknown host no-such-host.invalid")


def test_monitor_with_a_server_that_is_no_broker() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(4)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert_refused(
            onebyte("monitor", "--broker", address), address, "is it an MQTT broker without TLS?"
        )
        thread.join(10)


@pytest.mark.parametrize(
    ("user", "password"), [("anna", "wrong"), ("nobody", "sesame"), (None, None)]
)
def test_monitor_with_refused_credentials(user: str | None, password: str | None) -> None:
    need_mosquitto()
    with Broker("mosquitto", users={"anna": "sesame"}) as broker:
        login = [] if user is None else ["--user", user]
        got = onebyte("monitor", "--broker", broker.address, *login, password=password)
        assert_refused(got, broker.address, "the broker refuses us: Not authorized")


def test_monitor_with_the_right_credentials_gets_in() -> None:
    need_mosquitto()
    with Broker("mosquitto", users={"anna": "sesame"}) as broker:
        options = ["--broker", broker.address, "--user", "anna", "--timeout", "0.1"]
        assert onebyte("monitor", *options, password="sesame") == (0, "", "")


def test_monitor_with_a_user_but_no_password() -> None:
    got = onebyte("monitor", "--broker", "localhost", "--user", "anna")
    assert_refused(got, "ONEBYTE_PASSWORD")


def test_monitor_over_tls_gets_in(ca: Ca, ca_file: Path, tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto", tls=ca.issue(tmp_path, "127.0.0.1")) as broker:
        options = ["--broker", broker.address, "--tls-ca", ca_file, "--timeout", "0.1"]
        assert onebyte("monitor", *options) == (0, "", "")


@pytest.mark.parametrize(
    ("host", "days", "words"),
    [
        ("other.test", -1, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("127.0.0.1", -10, "certificate has expired"),
        ("127.0.0.1", 10, "certificate is not yet valid"),
    ],
)
def test_monitor_with_a_wrong_certificate(
    ca: Ca, ca_file: Path, tmp_path: Path, host: str, days: int, words: str
) -> None:
    need_mosquitto()
    with Broker("mosquitto", tls=ca.issue(tmp_path, host, days)) as broker:
        got = onebyte("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, broker.address, "certificate refused", words)


def test_monitor_with_a_certificate_of_another_authority(ca_file: Path, tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto", tls=Ca("another").issue(tmp_path, "127.0.0.1")) as broker:
        got = onebyte("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, "certificate refused")
        got = onebyte("monitor", "--broker", broker.address, "--tls")
        assert_refused(got, "certificate refused")


def test_monitor_with_tls_on_a_plain_port_and_the_other_way_round(
    ca: Ca, ca_file: Path, tmp_path: Path
) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker:
        got = onebyte("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, broker.address)
    with Broker("mosquitto", tls=ca.issue(tmp_path, "127.0.0.1")) as broker:
        got = onebyte("monitor", "--broker", broker.address)
        assert_refused(got, broker.address, "is it an MQTT broker without TLS?")


@pytest.mark.parametrize("content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_monitor_with_a_ca_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    got = onebyte("monitor", "--broker", "localhost", "--tls-ca", path)
    assert_refused(got, f"{path} holds no PEM certificate")
