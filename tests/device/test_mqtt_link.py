"""The link over real sockets on the loopback interface: addresses, refusals, closing."""

import errno
import random
import select
import socket
import time

from mqtt.link import Link


def address_of(port):
    """Return the loopback address as getaddrinfo gives it."""
    return socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM)[0]


def listen():
    """Return (listening socket, port)."""
    while True:
        port = random.randint(20000, 60000)
        sock = socket.socket()
        try:
            sock.bind(address_of(port)[-1])
        except OSError:
            continue
        sock.listen(1)
        return sock, port


class Net:
    """The socket module with a name server of its own."""

    SOCK_STREAM = socket.SOCK_STREAM
    socket = staticmethod(socket.socket)

    def __init__(self, *addresses):
        self._addresses = addresses

    def getaddrinfo(self, *_):
        """Return what this name has."""
        return list(self._addresses)


def until_connected(link):
    """Wait for TCP; OSError when it fails."""
    for _ in range(100):
        if link.is_connected():
            return
        time.sleep_ms(10)
    raise AssertionError("not connected")


def number_of(function, *args):
    """Return the errno that function(*args) raises."""
    try:
        function(*args)
    except OSError as error:
        return error.errno
    raise AssertionError("no OSError")


def free_port():
    """Return a port that nobody listens on."""
    sock, port = listen()
    sock.close()
    return port


def test_bytes_go_both_ways():
    server, port = listen()
    link = Link(socket)
    link.open("127.0.0.1", port)
    until_connected(link)
    peer, _ = server.accept()
    buf = bytearray(4)
    view = memoryview(buf)
    assert link.readinto(view) is None, "nothing to read is no end"
    assert link.write(b"ping") == 4 and peer.read(4) == b"ping"
    peer.write(b"po")
    assert link.wait(1000, False) & select.POLLIN
    assert link.readinto(view) == 2 and buf[:2] == b"po"
    peer.close()
    assert link.wait(1000, False) & select.POLLIN
    assert link.readinto(view) == 0
    link.close()
    link.close()
    server.close()
    assert number_of(link.readinto, view) == number_of(link.write, b"x") == errno.ENOTCONN
    assert number_of(link.wait, 0, False) == errno.ENOTCONN


def test_refused_port():
    link = Link(socket)
    link.open("127.0.0.1", free_port())
    assert number_of(until_connected, link) == errno.ECONNREFUSED
    link.close()


def test_next_address_after_one_that_refuses():
    server, port = listen()
    link = Link(Net(address_of(free_port()), address_of(free_port()), address_of(port)))
    link.open("a name with three addresses", port)
    until_connected(link)
    link.close()
    server.close()


def test_next_address_after_one_that_fails_at_once():
    server, port = listen()
    nowhere = (99, socket.SOCK_STREAM, 6, None, address_of(port)[-1])  # no such address family
    link = Link(Net(nowhere, address_of(port)))
    link.open("a name on another network", port)
    until_connected(link)
    link.close()
    server.close()
    assert number_of(Link(Net(nowhere)).open, "only there", port)


def test_wait_ends_after_its_time():
    server, port = listen()
    link = Link(socket)
    link.open("127.0.0.1", port)
    until_connected(link)
    start = time.ticks_ms()
    assert link.wait(60, False) == 0
    assert 55 <= time.ticks_diff(time.ticks_ms(), start) < 30000
    link.close()
    server.close()


def test_write_takes_what_fits():
    server, port = listen()
    link = Link(socket)
    link.open("127.0.0.1", port)
    until_connected(link)
    peer, _ = server.accept()
    block = bytes(100000)
    sizes = [link.write(block) for _ in range(200)]
    assert sizes[0] > 0 and sizes[-1] == 0, "a full buffer is no error"
    link.close()
    peer.close()
    server.close()
