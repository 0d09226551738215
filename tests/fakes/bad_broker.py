"""A broker on a loopback port that misbehaves exactly as a test tells it; also an honest one.

A script is a function of one `Peer`; it runs once for each connection. Packets of the client are
parsed strictly, so a client's malformed packet shows up in `problems`.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 4, 8, 12, 14
CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"
_GIVE_UP_S = 20.0


class Malformed(Exception):
    """The client sent a packet that MQTT 3.1.1 does not allow."""


class Packet:
    """One packet of the client.

    Attributes:
        kind: upper half of the first byte.
        flags: lower half.
        body: everything after the length.
    """

    def __init__(self, head: int, body: bytes) -> None:
        self.kind = head >> 4
        self.flags = head & 15
        self.body = body
        self.topic = ""
        self.packet_id = 0
        self.payload = b""
        if self.kind == PUBLISH:
            self._parse_publish()
        elif self.kind == SUBSCRIBE:
            self.packet_id = int.from_bytes(body[:2])
            self.topic, rest = _text(body[2:])
            if self.flags != 2 or len(rest) != 1 or rest[0] > 2 or not self.packet_id:
                raise Malformed("SUBSCRIBE")
        elif self.kind == CONNECT and not body.startswith(b"\0\4MQTT\4"):
            raise Malformed("CONNECT")

    def _parse_publish(self) -> None:
        self.topic, rest = _text(self.body)
        if self.flags & 6:
            self.packet_id = int.from_bytes(rest[:2])
            rest = rest[2:]
            if not self.packet_id:
                raise Malformed("PUBLISH with packet id 0")
        self.payload = rest


class Peer:
    """One connection, seen from the broker."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.packets: list[Packet] = []

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read(self, kind: int | None = None) -> Packet:
        """Return the client's next packet; of this kind, skipping others, when one is named."""
        while True:
            head = self._exactly(1)[0]
            length = shift = 0
            while True:
                byte = self._exactly(1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
                if shift > 21:
                    raise Malformed("length of more than 4 bytes")
            packet = Packet(head, self._exactly(length))
            self.packets.append(packet)
            if kind is None or packet.kind == kind:
                return packet

    def send(self, data: bytes) -> None:
        """Send bytes at once."""
        self.sock.sendall(data)

    def dribble(self, data: bytes, gap_s: float) -> None:
        """Send one byte after another with a pause between them."""
        for byte in data:
            self.sock.sendall(bytes([byte]))
            time.sleep(gap_s)

    def accept(self) -> Packet:
        """Let the client in."""
        packet = self.read(CONNECT)
        self.send(CONNACK)
        return packet

    def silence(self) -> None:
        """Read and never answer, until the client has gone."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def stall(self, stop: threading.Event) -> None:
        """Not even read, so that the client's send buffer fills up."""
        stop.wait(_GIVE_UP_S)

    def reset(self) -> None:
        """End the connection by RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def serve(self) -> None:
        """Be an honest broker, minus the routing: acknowledge whatever asks for it."""
        while True:
            packet = self.read()
            if packet.kind == CONNECT:
                self.send(CONNACK)
            elif packet.kind == PUBLISH and packet.packet_id:
                self.send(puback(packet.packet_id))
            elif packet.kind == SUBSCRIBE:
                self.send(suback(packet.packet_id))
            elif packet.kind == PINGREQ:
                self.send(PINGRESP)
            elif packet.kind == DISCONNECT:
                return


Script = Callable[[Peer], None]


class BadBroker:
    """Listens while the `with` block runs; connection i gets script i, the last one repeats."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stop = threading.Event()
        self.peers: list[Peer] = []
        self.problems: list[str] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "BadBroker":
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop.set()
        # Closing alone does not wake a thread that is blocked in accept() or recv().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a script does not end"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(_GIVE_UP_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
            peer = Peer(sock)
            self.peers.append(peer)
            self._start(self._run, script, peer)

    def _run(self, script: Script, peer: Peer) -> None:
        try:
            script(peer)
        except Malformed as error:
            self.problems.append(str(error))
        except (OSError, EOFError):
            pass  # the client left, which is what most tests are about
        finally:
            peer.sock.close()


def puback(packet_id: int) -> bytes:
    """Return a PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2)


def suback(packet_id: int, code: int = 1) -> bytes:
    """Return a SUBACK for one topic."""
    return b"\x90\x03" + packet_id.to_bytes(2) + bytes([code])


def publish(topic: str, payload: bytes, packet_id: int = 0) -> bytes:
    """Return a PUBLISH, with QoS 1 when it has a packet id."""
    name = topic.encode()
    body = len(name).to_bytes(2) + name
    if packet_id:
        body += packet_id.to_bytes(2)
    body += payload
    length, rest = b"", len(body)
    while True:
        rest, low = rest >> 7, rest & 127
        length += bytes([low | (128 if rest else 0)])
        if not rest:
            return bytes([0x32 if packet_id else 0x30]) + length + body


def _text(data: bytes) -> tuple[str, bytes]:
    """Split a length-prefixed UTF-8 string from what follows it."""
    count = int.from_bytes(data[:2])
    if len(data) < 2 + count or not count:
        raise Malformed("a field longer than its packet")
    try:
        return data[2 : 2 + count].decode(), data[2 + count :]
    except UnicodeDecodeError:
        raise Malformed("a name that is not UTF-8") from None
