"""What can go wrong between the command line and the world ends as one line and exit code 2."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte, onebyte_process
from mqtt_process import need_mosquitto

from onebyte.arguments import PASSWORD_VARIABLE
from onebyte.simulation.broker import Broker, TlsFiles
from onebyte.simulation.certificates import Ca


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


def issue(ca: Ca, folder: Path, host: str, valid_from_days: int = -1) -> TlsFiles:
    return TlsFiles(*ca.issue(folder, host, valid_from_days))


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
def test_monitor_with_refused_credentials(
    user: str | None, password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_mosquitto()
    monkeypatch.setenv(PASSWORD_VARIABLE, password or "")
    with Broker("mosquitto", users={"anna": "sesame"}) as broker:
        login = [] if user is None else ["--user", user]
        got = onebyte("monitor", "--broker", broker.address, *login)
        assert_refused(got, broker.address, "the broker refuses us: Not authorized")


def test_monitor_with_the_right_credentials_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    need_mosquitto()
    monkeypatch.setenv(PASSWORD_VARIABLE, "sesame")
    with Broker("mosquitto", users={"anna": "sesame"}) as broker:
        options = ["--broker", broker.address, "--user", "anna", "--timeout", "0.1"]
        assert onebyte("monitor", *options) == (0, "", "")


def test_monitor_with_a_user_but_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    got = onebyte("monitor", "--broker", "localhost", "--user", "anna")
    assert_refused(got, "ONEBYTE_PASSWORD")


def test_monitor_over_tls_gets_in(ca: Ca, ca_file: Path, tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto", tls=issue(ca, tmp_path, "127.0.0.1")) as broker:
        options = ["--broker", broker.address, "--tls-ca", ca_file, "--timeout", "0.1"]
        assert onebyte("monitor", *options) == (0, "", "")


# Processes of their own: paho-mqtt leaves the socket of a failed handshake to the collector.
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
    with Broker("mosquitto", tls=issue(ca, tmp_path, host, days)) as broker:
        got = onebyte_process("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, broker.address, "certificate refused", words)


def test_monitor_with_a_certificate_of_another_authority(ca_file: Path, tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto", tls=issue(Ca("another"), tmp_path, "127.0.0.1")) as broker:
        got = onebyte_process("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, "certificate refused")
        got = onebyte_process("monitor", "--broker", broker.address, "--tls")
        assert_refused(got, "certificate refused")


def test_monitor_with_tls_on_a_plain_port_and_the_other_way_round(
    ca: Ca, ca_file: Path, tmp_path: Path
) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker:
        got = onebyte_process("monitor", "--broker", broker.address, "--tls-ca", ca_file)
        assert_refused(got, broker.address)
    with Broker("mosquitto", tls=issue(ca, tmp_path, "127.0.0.1")) as broker:
        got = onebyte_process("monitor", "--broker", broker.address)
        assert_refused(got, broker.address, "is it an MQTT broker without TLS?")


@pytest.mark.parametrize("content", [b"", b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_monitor_with_a_ca_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    got = onebyte("monitor", "--broker", "localhost", "--tls-ca", path)
    assert_refused(got, f"{path} holds no PEM certificate")
