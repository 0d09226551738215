"""TLS and passwords against a real mosquitto: who is let in, and one clear line when nobody is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bad_broker import BadBroker, Peer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from mqtt_process import Report, need_mosquitto, probe_ours

from onebyte.simulation.broker import Broker, TlsFiles
from onebyte.simulation.certificates import Ca

HOST = "broker.test"
LIMITS = {"connect_ms": 20000, "read_ms": 10000, "write_ms": 10000}  # the machine may be slow


@pytest.fixture(autouse=True)
def mosquitto() -> None:
    need_mosquitto()


@pytest.fixture(scope="module")
def ca() -> Ca:
    return Ca()


@contextmanager
def tls_broker(ca: Ca, folder: Path, name: str = HOST, days: int = -1) -> Iterator[Broker]:
    files = TlsFiles(*ca.issue(folder, name, days))
    with Broker("mosquitto", tls=files, users={"node": "sesame"}) as broker:
        yield broker


def connect(broker: Broker, ca: Ca, folder: Path, **job: object) -> Report:
    path = folder / "ca.der"
    path.write_bytes(ca.der)
    login = {"user": "node", "password": "sesame", "hostname": HOST}
    do = str(job.pop("do", "publish"))
    return probe_ours(broker.port, do, limits=LIMITS, ca=str(path), **{**login, **job})


def assert_refused(report: Report, name: str, *words: str) -> None:
    assert report["error"] == "OnebyteError", report
    assert report["text"].startswith(name), report
    assert "\n" not in report["text"]
    for word in words:
        assert word in report["text"], report


def test_right_certificate_and_password(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path) as broker:
        report = connect(broker, ca, tmp_path)
    assert report["error"] is None, report


def test_certificate_for_an_address(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path, "127.0.0.1") as broker:
        report = connect(broker, ca, tmp_path, hostname="127.0.0.1")
    assert report["error"] is None, report


def test_wrong_host_name(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path, "elsewhere.test") as broker:
        report = connect(broker, ca, tmp_path)
    assert_refused(report, "TLS_CERTIFICATE(107): ", "Common Name")


def test_unknown_ca(ca: Ca, tmp_path: Path) -> None:
    # The same name, another key: what somebody in the middle can make.
    with tls_broker(Ca(), tmp_path) as broker:
        report = connect(broker, ca, tmp_path)
    assert_refused(report, "TLS_CERTIFICATE(107): ", "not correctly signed by the trusted CA")


def test_expired_certificate(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path, days=-10) as broker:
        report = connect(broker, ca, tmp_path)
    assert_refused(report, "TLS_CERTIFICATE(107): ", "expired")


def test_certificate_of_the_future(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path, days=10) as broker:
        report = connect(broker, ca, tmp_path)
    assert_refused(report, "TLS_CERTIFICATE(107): ", "future")


@pytest.mark.parametrize("login", [("node", "wrong"), ("nobody", "sesame"), ("node", "")])
def test_wrong_user_or_password(ca: Ca, tmp_path: Path, login: tuple[str, str]) -> None:
    with tls_broker(ca, tmp_path) as broker:
        report = connect(broker, ca, tmp_path, user=login[0], password=login[1])
    assert report["error"] == "OnebyteError", report
    assert report["text"] in ("BROKER_CREDENTIALS(104)", "BROKER_NOT_AUTHORISED(105)")


def test_ca_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "ca.der"
    path.write_bytes(b"not a certificate")
    report = probe_ours(1, "connect", ca=str(path))
    assert report["text"].startswith("TLS_CA(108)")


def test_broker_without_tls(ca: Ca, tmp_path: Path) -> None:
    with Broker("mosquitto") as broker:
        report = connect(broker, ca, tmp_path)
    assert report["error"] == "OSError" and report["ms"] < LIMITS["connect_ms"], report


def test_silence_in_the_handshake(ca: Ca, tmp_path: Path) -> None:
    path = tmp_path / "ca.der"
    path.write_bytes(ca.der)
    with BadBroker(Peer.silence) as broker:
        report = probe_ours(broker.port, "connect", ca=str(path), hostname=HOST)
    assert (report["error"], report["errno"]) == ("OSError", 110), report
    assert 600 <= report["ms"] + 1 < 15000


def test_publishing_over_tls(ca: Ca, tmp_path: Path) -> None:
    with tls_broker(ca, tmp_path) as broker:
        job = {"do": "publish_many", "count": 500, "size": 1, "qos": 1}
        report = connect(broker, ca, tmp_path, **job)
    # With the 44 ms that an acknowledgement may be delayed it would be 22 s.
    assert report["error"] is None and report["action_ms"] < 15000, report


def identity(ca: Ca, folder: Path) -> list[str]:
    """Return the paths of a node's own certificate and key, as DER."""
    certificate, key = ca.issue(folder, "node")
    der = serialization.Encoding.DER
    plain = serialization.PrivateFormat.TraditionalOpenSSL
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    (folder / "key.der").write_bytes(
        secret.private_bytes(der, plain, serialization.NoEncryption())
    )
    public = x509.load_pem_x509_certificate(certificate.read_bytes())
    (folder / "cert.der").write_bytes(public.public_bytes(der))
    return [str(folder / "cert.der"), str(folder / "key.der")]


def test_broker_that_asks_for_the_nodes_certificate(ca: Ca, tmp_path: Path) -> None:
    ca.write(tmp_path / "ca.pem")
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    ours.mkdir()
    foreign.mkdir()
    files = TlsFiles(*ca.issue(tmp_path, HOST), tmp_path / "ca.pem")
    with Broker("mosquitto", tls=files) as broker:
        assert connect(broker, ca, tmp_path, identity=identity(ca, ours))["error"] is None
        assert connect(broker, ca, tmp_path)["error"] is not None
        stranger = identity(Ca(), foreign)
        assert connect(broker, ca, tmp_path, identity=stranger)["error"] is not None


def test_own_certificate_that_is_none(ca: Ca, tmp_path: Path) -> None:
    (tmp_path / "ca.der").write_bytes(ca.der)
    certificate, key = identity(ca, tmp_path)
    for wrong in ([key, key], [certificate, certificate]):
        report = probe_ours(1, "connect", ca=str(tmp_path / "ca.der"), identity=wrong)
        assert report["text"].startswith("TLS_KEY(109)"), report
