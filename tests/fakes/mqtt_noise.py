"""Bytes that no broker should send, and what the MQTT packets and session must do with them."""

from mqtt import packets

_SEEDS = (
    b"\x20\x02\x00\x00",
    b"\x40\x02\x00\x01",
    b"\x90\x03\x00\x01\x01",
    b"\xd0\x00",
    b"\x30\x06\x00\x01tabc",
    b"\x32\x08\x00\x01t\x00\x07abc",
    b"\x30\xff\xff\xff\x7f",
    b"\x32\x85\x01\x00\x01t\x00\x09" + bytes(128),
    b"\x32\x85\x03\x00\x01t\x00\x0a" + bytes(384),
)


class Stream:
    """Hands out bytes in pieces, as a socket does: random ones when given a `Random`."""

    def __init__(self, data, random=None):
        self._data = data
        self._random = random

    @property
    def is_empty(self):
        """Return whether everything was handed out."""
        return not self._data

    def readinto(self, view):
        """Fill `view` as far as this piece goes; None when nothing is left."""
        if not self._data:
            return None
        n = min(len(view), len(self._data))
        if self._random:
            n = self._random.between(1, n)
        view[:n] = self._data[:n]
        self._data = self._data[n:]
        return n


def make_noise(random):
    """Return valid packets, some of them cut or damaged, mixed with random bytes."""
    data = b""
    for _ in range(random.between(1, 6)):
        seed = _SEEDS[random.below(len(_SEEDS))] if random.below(5) else random.bytes(9)
        part = bytearray(seed)
        if random.below(3) == 0:
            part[random.below(len(part))] = random.bits(8)
        if random.below(6) == 0:
            part = part[: random.below(len(part)) + 1]
        data += bytes(part)
    return data


def check_reader(reader, data, random):
    """Read `data` in random pieces; return (packets, whether the rest was refused).

    Any exception but an OSError, and any packet larger than the reader's buffer, is a failure.
    """
    reader.reset()
    stream = Stream(data, random)
    n_packets = 0
    try:
        while not stream.is_empty:
            if not reader.read(stream.readinto):
                continue
            n_packets += 1
            if reader.head & 0xF0 == packets.PUBLISH:
                topic, payload, _ = packets.parse_publish(reader.head, reader.body)
                assert topic and len(topic) + len(payload) <= len(reader.body) - 2
    except OSError:
        return n_packets, True
    return n_packets, False


def check_session(client, sock, clock, data, random):
    """Publish while the peer sends `data` in pieces; return whether it was acknowledged.

    Args:
        client: Open `mqtt.client.Client` over tests/fakes/fake_net.py.
        sock: Its fake socket.
        clock: Its fake clock.
        data: What the peer sends.
        random: Random.
    """
    while data:
        n = random.between(1, 12)
        sock.feed(data[:n])
        data = data[n:]
    start = clock.now
    try:
        client.publish("t", b"x", False, 1)
        is_acknowledged = True
    except OSError:
        assert client.is_closed and sock.closed
        is_acknowledged = False
    assert clock.now - start <= client._limits.read_ms + sock.net.idle_ms, "past the deadline"
    client.close()
    return is_acknowledged
