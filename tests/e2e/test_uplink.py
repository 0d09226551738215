"""The uplink against real brokers: throughput, steps that do not wait, the last will."""

import json
import time
from pathlib import Path

import pytest
from bad_broker import BadBroker, Peer
from mqtt_process import need_mosquitto, probe_ours
from paho.mqtt import publish
from uplink_process import FirmwareNode, Host, UplinkNode, wait_until_saved

from onebyte.simulation.broker import Broker, TlsFiles
from onebyte.simulation.certificates import Ca

PATIENT = {"connect_ms": 20000, "read_ms": 20000, "write_ms": 20000}  # the machine may be slow


@pytest.mark.parametrize(("kind", "count"), [("mosquitto", 2000), ("amqtt", 300)])
def test_live_bytes_arrive_one_by_one_and_in_order(tmp_path: Path, kind: str, count: int) -> None:
    if kind == "mosquitto":
        need_mosquitto()
    with (
        Broker(kind) as broker,
        Host(broker.port) as host,
        UplinkNode(tmp_path / "node", broker.port, count) as node,
    ):
        host.work_until(count)
        report = node.stop()
    assert [decision.seq for decision in host.decisions] == list(range(count))
    assert host.n_bytes > 0.9 * count, "nothing waits, so nearly all go out as single bytes"
    assert (report["failures"], report["dropped"], report["connects"]) == (0, 0, 1)


def test_live_bytes_do_not_wait_for_delayed_acknowledgements(tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker, UplinkNode(tmp_path / "node", broker.port, 1000) as node:
        node.wait_until("sent")
        report = node.stop()
    # With 44 ms each, as umqtt.simple has it, it would be 23 a second.
    assert 1000 * 1000 / report["finished_ms"] > 50, report


def test_live_bytes_over_tls(tmp_path: Path) -> None:
    need_mosquitto()
    ca = Ca()
    (tmp_path / "ca.der").write_bytes(ca.der)
    files = TlsFiles(*ca.issue(tmp_path, "broker.test"))
    job = {"ca": str(tmp_path / "ca.der"), "hostname": "broker.test"}
    with (
        Broker("mosquitto", tls=files) as broker,
        UplinkNode(tmp_path / "node", broker.port, 200, **job) as node,
    ):
        node.wait_until("sent")
        report = node.stop()
    assert (report["made"], report["queued"], report["failures"]) == (200, 0, 0), report


def test_backlog_of_an_outage_arrives_in_batches(tmp_path: Path) -> None:
    need_mosquitto()
    # The broker's memory survives, so that it keeps what arrives before the host is back.
    broker = Broker("mosquitto", folder=tmp_path / "broker")
    with broker, Host(broker.port, clean_session=False) as host:
        wait_until_saved(tmp_path / "broker" / "mosquitto.db", b"ob/test/+/+")
        broker.kill()
        with UplinkNode(tmp_path / "node", broker.port, 1000, rate=2000) as node:
            node.wait_until("made")
            node.wait_until("failed")
            broker.start()
            host.work_until(1000)
            report = node.stop()
    assert [decision.seq for decision in host.decisions] == list(range(1000))
    assert host.n_bytes == 0 and 4 <= host.n_batches < 20
    assert report["dropped"] == 0 and report["failures"] > 0


def test_steps_do_not_wait_for_a_silent_broker(tmp_path: Path) -> None:
    def silent_after_announcement(peer: Peer) -> None:
        peer.accept()
        for _ in range(3):
            packet = peer.read()
            reply = b"\x90\x03" if packet.kind == 8 else b"\x40\x02"
            peer.send(reply + packet.packet_id.to_bytes(2) + (b"\1" if packet.kind == 8 else b""))
        peer.silence()

    job = {"rate": 100, "deadline_ms": 1000, "failures": 3}
    with (
        BadBroker(silent_after_announcement) as broker,
        UplinkNode(tmp_path / "node", broker.port, 200, **job) as node,
    ):
        node.wait_until("made")
        node.wait_until("failed")
        report = node.stop()
    assert report["made"] == 200 and report["queued"] == 200, "decisions went on meanwhile"
    assert report["failures"] >= 3 and "ETIMEDOUT" in report["last_error"], report
    # Each wait for an answer takes 1 s: a loop that waited, too, would turn a few times only.
    assert report["turns"] >= 100, "the uplink held up the loop"


def test_a_large_retained_command_keeps_nobody_away(tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker, Host(broker.port) as host:
        command = {"topic": "ob/test/node/cmd", "payload": bytes(60000), "qos": 1}
        publish.single(**command, retain=True, hostname=broker.host, port=broker.port)
        with UplinkNode(tmp_path / "node", broker.port, 100) as node:
            host.work_until(100)
            report = node.stop()
    assert (report["failures"], report["connects"]) == (0, 1), report
    assert report["bad_commands"] == 1, report


def test_last_will_and_status(tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto") as broker, Host(broker.port) as host:
        with UplinkNode(tmp_path / "node", broker.port, 10) as node:
            host.work_until(10)
            host.work_until_status(next_seq=10)
            node.stop()
        host.work_until_status(online=False)
        job = {"topic": "ob/test/node/+", "count": 2, "limits": PATIENT}
        report = probe_ours(broker.port, "subscribe_and_receive", **job)
    statuses = [json.loads(payload) for payload in host.statuses]
    assert statuses[0]["online"] and statuses[-2]["online"] and statuses[-2]["next_seq"] == 10
    assert statuses[-1] == {"v": 1, "online": False}
    topics = sorted(topic for topic, _ in report["delivered"])
    assert topics == ["ob/test/node/meta", "ob/test/node/s"], "both are retained"


def test_wrong_password_is_reported_and_not_hammered(tmp_path: Path) -> None:
    need_mosquitto()
    with (
        Broker("mosquitto", users={"somebody": "else"}) as broker,
        UplinkNode(tmp_path / "node", broker.port, 10, rate=100) as node,
    ):
        node.wait_until("made")
        node.wait_until("refused")
        time.sleep(2)  # many pauses long
        report = node.stop()
    assert (report["refusals"], report["connects"], report["queued"]) == (1, 0, 10)
    assert report["last_error"].startswith("BROKER_"), report


def run_refused(folder: Path, port: int, **changes: object) -> list[str]:
    """Let the firmware run against a broker that does not let it in; return what it says of it."""
    folder.mkdir(exist_ok=True)
    with FirmwareNode(folder, port, 5, 0, drain_s=600, **changes) as node:
        node.wait_for_line("onebyte node: broker ")
        report = node.interrupt()
        lines = node.lines[:-1]
    assert (report["connects"], report["queued"], report["dropped"]) == (0, 5, 0)
    return lines


def test_firmware_says_that_its_credentials_are_refused(tmp_path: Path) -> None:
    need_mosquitto()
    with Broker("mosquitto", users={"node": "sesame"}) as broker:
        login = {"broker_user": "node", "broker_password": "wrong"}
        (line,) = run_refused(tmp_path / "node", broker.port, **login)
    assert line == f"onebyte node: broker {broker.address}: BROKER_NOT_AUTHORISED(105)"


def test_firmware_says_that_the_certificate_is_of_another_host(tmp_path: Path) -> None:
    need_mosquitto()
    ca = Ca()
    (tmp_path / "ca.der").write_bytes(ca.der)
    files = TlsFiles(*ca.issue(tmp_path, "elsewhere.test"))
    with Broker("mosquitto", tls=files) as broker:
        trust = {"broker_tls": True, "broker_ca_path": str(tmp_path / "ca.der")}
        (line,) = run_refused(tmp_path / "node", broker.port, **trust)
    assert line.startswith(f"onebyte node: broker {broker.address}: TLS_CERTIFICATE(107): ")
    assert "Common Name" in line
