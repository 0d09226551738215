"""Brokers start on a free loopback port, refuse what they must, and never stay behind."""

import os
import signal
import socket
import subprocess
import sys
import time

import bad_broker as bad
import pytest
from bad_broker import BadBroker

from onebyte.errors import UserError
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.simulation.broker import KINDS, Broker, check_port_free, find_mosquitto


def need(kind):
    """Skip without mosquitto on a developer's machine; in CI it has to be there."""
    if kind == "mosquitto" and find_mosquitto() is None:
        assert os.environ.get("CI") != "true", "CI needs mosquitto"
        pytest.skip("mosquitto is not installed")


def receive(link, n_messages, timeout_s=60.0):
    received = []
    deadline = time.monotonic() + timeout_s
    while len(received) < n_messages and time.monotonic() < deadline:
        received += [(m.topic, m.payload, m.retained) for m in link.messages(0.2)]
    return received


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_broker_delivers_in_order_and_is_gone_afterwards(kind):
    need(kind)
    with Broker(kind) as broker:
        pid = broker.pid
        assert is_alive(pid)
        with Link(BrokerSettings(broker.host, broker.port), ["a/+"]) as link:
            sent = [("a/x", b"%d" % i, False) for i in range(200)]
            for topic, payload, _ in sent:
                link.publish(topic, payload)
            assert receive(link, 200) == sent
    assert not is_alive(pid)
    check_port_free(broker.port)


@pytest.mark.parametrize("kind", KINDS)
def test_broker_keeps_its_port_over_a_crash_and_the_link_comes_back(kind):
    need(kind)
    with Broker(kind) as broker:
        port = broker.port
        with Link(BrokerSettings(broker.host, port), ["a/+"]) as link:
            broker.kill()
            broker.start()
            assert broker.port == port
            deadline = time.monotonic() + 60
            while link.n_connects < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert link.n_connects >= 2
            link.publish("a/y", b"back")
            assert receive(link, 1) == [("a/y", b"back", False)]


@pytest.mark.parametrize("kind", KINDS)
def test_broker_refuses_a_taken_port(kind):
    need(kind)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used: Address already in use"):
            Broker(kind, port=port).start()


def test_broker_retained_messages_survive_a_restart(tmp_path):
    need("mosquitto")
    broker = Broker("mosquitto", folder=tmp_path / "data")
    for round_ in range(2):
        with broker, Link(BrokerSettings(broker.host, broker.port), ["keep"]) as link:
            if round_ == 0:
                link._client.publish("keep", b"me", qos=1, retain=True).wait_for_publish(5)
            else:
                assert receive(link, 1) == [("keep", b"me", True)]


def test_broker_says_why_it_did_not_start(tmp_path, monkeypatch):
    false = tmp_path / "mosquitto"
    false.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 3\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="mosquitto ended at once: no such option"):
        Broker("mosquitto").start()


def test_broker_without_mosquitto_is_amqtt(monkeypatch):
    monkeypatch.setattr("onebyte.simulation.broker.find_mosquitto", lambda: None)
    assert Broker().kind == "amqtt"
    with pytest.raises(UserError, match="need mosquitto"):
        Broker(users={"u": "p"})
    with pytest.raises(UserError, match="mosquitto is not installed"):
        Broker("mosquitto").start()
    with pytest.raises(UserError, match="unknown broker 'hivemq'"):
        Broker("hivemq")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_broker_ends_with_an_interrupted_command(kind, number, tmp_path):
    """The command line turns SIGTERM into a normal exit; SIGINT raises KeyboardInterrupt."""
    need(kind)
    program = (
        "import signal, sys, time\n"
        "from onebyte import cli\n"
        "from onebyte.simulation import broker\n"
        "signal.signal(signal.SIGTERM, cli._terminate)\n"
        f"started = broker.Broker({kind!r})\n"
        "started.start()\n"
        "print(started.pid, started.port, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        pid, port = map(int, process.stdout.readline().split())
        assert is_alive(pid)
        process.send_signal(number)
        process.wait(60)
    assert not is_alive(pid)
    check_port_free(port)


def unsuback(peer):
    """Wait for an UNSUBSCRIBE and return what answers it."""
    return b"\xb0\x02" + peer.read(10).body[:2]


def retained(topic):
    return bytes([0x31]) + bad.publish(topic, b"x")[1:]


def test_what_is_retained_is_waited_for_however_slow_the_broker_is():
    def in_portions(peer):
        peer.accept()
        peer.send(bad.suback(peer.read(bad.SUBSCRIBE).packet_id) + retained("a/1"))
        for number in (2, 3):
            # Nothing came for a while, and the question is answered after what was still to come.
            answer = unsuback(peer)
            peer.send(retained(f"a/{number}") + bad.publish("a/live", b"x") + answer)
        peer.send(unsuback(peer))
        peer.silence()

    with (
        BadBroker(in_portions) as broker,
        Link(BrokerSettings("127.0.0.1", broker.port), ["a/+"]) as link,
    ):
        assert [message.topic for message in link.retained()] == ["a/1", "a/2", "a/3"]


def test_what_is_live_is_waited_for_until_the_broker_has_no_more():
    def late(peer):
        peer.accept()
        peer.send(bad.suback(peer.read(bad.SUBSCRIBE).packet_id))
        answer = unsuback(peer)
        peer.send(bad.publish("a/1", b"x") + answer)
        peer.send(unsuback(peer))
        peer.silence()

    with (
        BadBroker(late) as broker,
        Link(BrokerSettings("127.0.0.1", broker.port), ["a/+"]) as link,
    ):
        assert [message.topic for message in link.settle()] == ["a/1"]


def test_a_broker_that_answers_no_more_is_one_line(monkeypatch):
    def mute(peer):
        peer.accept()
        peer.send(bad.suback(peer.read(bad.SUBSCRIBE).packet_id))
        peer.silence()

    with (
        BadBroker(mute) as broker,
        Link(BrokerSettings("127.0.0.1", broker.port), ["a/+"]) as link,
    ):
        monkeypatch.setattr("onebyte.receiver.link._ANSWER_S", 0.1)
        with pytest.raises(UserError, match="connected, but no answer"):
            list(link.settle())


def test_nobody_is_said_to_be_online_before_it_hears():
    """Who waits for that word may send at once."""

    def broker_of_one(peer):
        peer.accept()
        peer.send(bad.suback(peer.read().packet_id))
        peer.send(bad.puback(peer.read().packet_id))
        peer.serve()

    with BadBroker(broker_of_one) as broker:
        with Link(BrokerSettings("127.0.0.1", broker.port), ["a/+"], "here"):
            pass
        kinds = [packet.kind for packet in broker.peers[0].packets]
    assert kinds[:3] == [bad.CONNECT, bad.SUBSCRIBE, bad.PUBLISH]
