"""MicroPython's PPP, TCP and TLS on the emulated chip, against servers of this machine."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mqtt_process import need_mosquitto

from onebyte.crossbuild import firmware
from onebyte.emulator.machine import Machine
from onebyte.simulation.broker import Broker, TlsFiles
from onebyte.simulation.certificates import Ca

NAME = "broker.onebyte.test"

CONNECT = """
import machine, network, socket, time
uart = machine.UART(0, %d, tx=0, rx=1, txbuf=4096, rxbuf=4096)
ppp = network.PPP(uart)
ppp.connect()
while not ppp.isconnected():
    time.sleep_ms(5)
def tcp(host, port):
    s = socket.socket()
    s.connect(socket.getaddrinfo(host, port)[0][-1])
    return s
def why(function, *arguments):
    try:
        function(*arguments)
    except (OSError, ValueError) as error:
        return str(error).strip()
    return "nothing"
"""

# One publish to a topic to which this very client is subscribed: there and back.
ECHO = """
s.write(b"\\x10\\x0f\\x00\\x04MQTT\\x04\\x02\\x00<\\x00\\x03abc")
print(s.read(4))
s.write(b"\\x82\\x06\\x00\\x01\\x00\\x01t\\x00")
print(s.read(5))
for i in range(5):
    t = time.ticks_us()
    s.write(b"\\x30\\x05\\x00\\x01thi")
    print(s.read(7), "us", time.ticks_diff(time.ticks_us(), t))
"""

SECURE = """
import tls
def secure(name, ca, server_hostname=None):
    s = tcp(name, 8883)
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(bytes.fromhex(ca))
    return context.wrap_socket(s, server_hostname=server_hostname or name)
"""


@contextmanager
def machine_with(
    built: firmware.Firmware, redirects: dict[str, int], baud: int = 115_200, **options
) -> Iterator[Machine]:
    modem = {"redirects": redirects, "names": {NAME: "10.0.0.1"}, **options}
    with Machine(built.uf2, ppp=modem) as machine:
        machine.exec(CONNECT % baud)
        yield machine


@contextmanager
def server(serve) -> Iterator[int]:
    """Run `serve(socket)` for each connection to a port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_the_session_has_address_gateway_and_name_server(pico_ppp: firmware.Firmware) -> None:
    with machine_with(pico_ppp, {}) as machine:
        assert machine.exec("print(ppp.ifconfig())").strip() == (
            "('10.0.0.2', '255.255.255.255', '10.0.0.1', '10.0.0.1')"
        )
        # A name is answered at once, and what nobody knows does not exist.
        machine.exec("t = time.ticks_ms()")
        assert "10.0.0.1" in machine.exec(f"print(socket.getaddrinfo('{NAME}', 1))")
        assert machine.exec("print(why(tcp, 'nowhere.test', 1))").strip() == "-2"
        stats = machine.modem()
        assert (stats["names"], stats["bad_frames"], stats["damaged"]) == (2, 0, 0)


def test_nothing_but_the_redirects_is_reached(pico_ppp: firmware.Firmware) -> None:
    accepted = []
    with (
        server(accepted.append) as port,
        machine_with(pico_ppp, {"10.0.0.1:7": port}) as machine,
    ):
        for host, other in (("192.168.0.1", 7), ("10.0.0.1", port), ("8.8.8.8", 53)):
            assert "ECONNRESET" in machine.exec(f"print(why(tcp, '{host}', {other}))")
        assert machine.modem()["refused"] == 3
        assert accepted == []
        machine.exec("tcp('10.0.0.1', 7)")
        assert machine.modem()["connections"] == 1


@pytest.mark.parametrize(("baud", "least_ms", "most_ms"), [(115_200, 8, 40), (921_600, 1, 15)])
def test_an_mqtt_echo_takes_what_the_line_takes(
    baud: int, least_ms: float, most_ms: float, pico_ppp: firmware.Firmware
) -> None:
    redirects = {}
    with Broker() as broker:
        redirects["10.0.0.1:1883"] = broker.port
        # What a busy PC needs for an answer is next to nothing for the board.
        with machine_with(pico_ppp, redirects, baud, factor=0.01) as machine:
            printed = machine.exec(f"s = tcp('{NAME}', 1883)" + ECHO)
    assert "b' \\x02\\x00\\x00'" in printed
    trips = [int(us) / 1000 for us in re.findall(r"b'0\\x05\\x00\\x01thi' us (\d+)", printed)]
    assert len(trips) == 5
    print(f"{baud} baud: echoes of {trips} ms")
    # A packet of 47 bytes and more each way, and what the core needs.
    assert least_ms < min(trips) < most_ms


def test_many_bytes_arrive_in_order(pico_ppp: firmware.Firmware) -> None:
    content = bytes(i * 7 % 251 for i in range(20_000))
    got = bytearray()

    def serve(connection: socket.socket) -> None:
        connection.sendall(content)
        while chunk := connection.recv(4096):
            got.extend(chunk)

    with (
        server(serve) as port,
        # The server never answers, and nobody waits for that.
        machine_with(pico_ppp, {"10.0.0.1:7": port}, factor=1000) as machine,
    ):
        machine.exec("s = tcp('10.0.0.1', 7)\ndata = s.read(20000)\nt = time.ticks_ms()")
        assert machine.exec("print(len(data), sum(data))").split() == ["20000", str(sum(content))]
        # lwIP has memory for 8000 bytes; a write that comes faster than the line is refused.
        machine.exec(
            "for i in range(0, 20000, 500):\n    s.write(data[i : i + 500])\n    time.sleep_ms(50)"
            "\ns.close()\ntime.sleep_ms(500)"
        )
        deadline = time.monotonic() + 120
        while len(got) < len(content) and time.monotonic() < deadline:
            machine.run_ms(50)
        assert machine.modem()["retransmitted"] == 0
    assert bytes(got) == content


def test_a_server_that_needs_its_time_gets_it(pico_ppp: firmware.Firmware) -> None:
    is_over = threading.Event()
    waits = iter((2, 60))

    def serve(connection: socket.socket) -> None:
        connection.recv(1)
        is_over.wait(next(waits))
        with suppress(OSError):
            connection.sendall(b"!")

    code = "s = tcp('10.0.0.1', 7)\ns.settimeout(2)\ns.write(b'?')\nprint(why(s.read, 1))"
    with server(serve) as port:
        redirects = {"10.0.0.1:7": port}
        # Two seconds of the server are a fifth of one of the board's.
        with machine_with(pico_ppp, redirects) as machine:
            assert machine.exec(code).strip() == "nothing"
        # Without pacing the board's deadline is over before the server has its answer.
        with machine_with(pico_ppp, redirects, factor=1000) as machine:
            assert "ETIMEDOUT" in machine.exec(code)
        is_over.set()


def test_tls_accepts_the_right_certificate_only(
    pico_ppp: firmware.Firmware, tmp_path: Path
) -> None:
    need_mosquitto()
    ca, other = Ca(), Ca("another CA")
    files = TlsFiles(*ca.issue_for_boards(tmp_path, [NAME]))
    with (
        Broker(tls=files) as broker,
        machine_with(pico_ppp, {"10.0.0.1:8883": broker.port}) as machine,
    ):
        machine.exec(SECURE)
        before_ms, before_s = machine.emulated_ms, machine.cpu_s
        printed = machine.exec(f"s = secure('{NAME}', '{ca.der.hex()}')\nprint(s.cipher())")
        print(
            f"handshake {machine.emulated_ms - before_ms:.0f} ms emulated, "
            f"{machine.cpu_s - before_s:.1f} s of the processor"
        )
        assert "ECDHE-ECDSA" in printed
        assert machine.exec(ECHO).count("thi") == 5
        wrong = machine.exec(f"print(why(secure, '{NAME}', '{other.der.hex()}'))")
        assert "not correctly signed by the trusted CA" in wrong
        name = machine.exec(f"print(why(secure, '{NAME}', '{ca.der.hex()}', 'other.test'))")
        assert "does not match with the expected CN" in name


def test_a_board_that_was_reset_gets_a_new_session(pico_ppp: firmware.Firmware) -> None:
    with Broker() as broker, machine_with(pico_ppp, {"10.0.0.1:1883": broker.port}) as machine:
        machine.exec("s = tcp('10.0.0.1', 1883)" + ECHO)
        machine.reset()
        machine.boot()
        machine.exec(CONNECT % 115_200)
        assert machine.exec("s = tcp('10.0.0.1', 1883)" + ECHO).count("thi") == 5
        stats = machine.modem()
    assert (stats["connects"], stats["connections"], stats["open"]) == (2, 2, 1)


@pytest.mark.parametrize("kind", ["stall", "drop", "hangup"])
def test_a_link_that_failed_works_again(kind: str, pico_ppp: firmware.Firmware) -> None:
    # A session that was ended stays so until somebody begins another one.
    ended = "while ppp.status() > 0:\n    time.sleep_ms(50)\nppp.__del__()\nppp.connect()\n"
    with Broker() as broker, machine_with(pico_ppp, {"10.0.0.1:1883": broker.port}) as machine:
        machine.outage(kind, 2000)
        assert "nothing" not in machine.exec(
            "s = socket.socket()\ns.settimeout(1)\nprint(why(s.connect, ('10.0.0.1', 1883)))"
        )
        machine.run_ms(4000)
        if kind == "hangup":
            machine.exec(ended)
        machine.exec("while not ppp.isconnected():\n    time.sleep_ms(5)")
        assert machine.exec("s = tcp('10.0.0.1', 1883)" + ECHO).count("thi") == 5
