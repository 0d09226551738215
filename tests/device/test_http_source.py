"""Objects over HTTP against a fake web server: what comes, what is refused, and what it costs."""

import gc

from check import Random, raises, raises_kind
from fake_net import Clock
from fake_web import HEAD, WebNet

from formats import errors
from ota import http_source
from ota.http_source import HttpSource

_ETIMEDOUT = 110
_ECONNRESET = 104

ID = "0123456789abcdef" * 4
URL = "http://server:8080/updates/"
DEADLINE_MS = 20000


class World:
    """A source, its server and the time."""

    def __init__(self, content=b"", n_bytes=0, context=None):
        self.clock = Clock()
        self.net = WebNet(self.clock, content or Random(6).bytes(n_bytes))
        self.source = HttpSource(self.net, DEADLINE_MS, context)
        self.source.locate(URL)

    def piece(self, at, n_bytes, object_id=ID):
        """Return one piece."""
        self.source.begin(object_id, at, n_bytes)
        return self.wait()

    def wait(self):
        """Return what was asked for; no step may wait."""
        for _ in range(3000):
            before = self.clock.now
            found = self.source.step(self.clock.now)
            assert self.clock.now - before <= 3, "a step that waits"
            if found is not None:
                return found
        raise AssertionError("no piece")

    def fetch(self, at=0, object_id=ID):
        """Return the object from an offset on."""
        found = b""
        while at + len(found) < len(self.net.content):
            start = at + len(found)
            piece = self.piece(start, len(self.net.content) - start, object_id)
            assert 1 <= len(piece) <= http_source.PIECE_BYTES
            found += piece
        return found


def test_an_object_comes_in_ranges_over_one_connection():
    world = World(n_bytes=5000)
    assert world.fetch() == world.net.content
    spans = [(first, last) for _, first, last in world.net.requests]
    assert spans == [(0, 2047), (2048, 4095), (4096, 4999)]
    assert world.net.requests[0][0] == "/updates/" + ID
    assert world.net.n_connections == 1
    (request, *_) = world.net.sockets[0].writes
    assert request == (
        b"GET /updates/%s HTTP/1.1\r\nHost: server:8080\r\nRange: bytes=0-2047\r\n"
        b"Accept-Encoding: identity\r\n\r\n" % ID.encode()
    )


def test_it_goes_on_at_any_offset_and_in_any_pieces():
    for piece in (1, 7, 100, 2048, 10000):
        world = World(n_bytes=4500)
        world.net.piece = piece
        for at in (0, 1, 2047, 2048, 4499):
            assert world.fetch(at) == world.net.content[at:], (piece, at)


def test_a_source_that_nobody_has_asked_does_nothing():
    world = World(b"x")
    assert HttpSource(world.net, DEADLINE_MS).step(0) is None
    assert world.source.step(0) is None and world.net.n_connections == 0
    world.piece(0, 1)
    assert world.source.step(2 * DEADLINE_MS) is None, "nor one that has given all"
    world.fetch()
    assert world.net.n_connections == 1


def test_nothing_leaves_before_the_server_is_reached():
    world = World(b"content")
    world.net.is_reached = False
    world.source.begin(ID, 0, 7)
    assert [world.source.step(now_ms) for now_ms in range(5)] == [None] * 5
    assert world.net.addresses == [("server", 8080)]
    world.net.is_reached = True
    assert world.source.step(5) == b"content"


def test_a_body_may_take_many_steps():
    world = World(n_bytes=300)
    reply = world.net.reply(0, 299)
    world.net.edit = lambda reply: b""
    world.source.begin(ID, 0, 300)
    assert world.source.step(0) is None
    for at in range(0, len(reply), 7):
        world.net.sockets[0].feed(reply[at : at + 7])
        found = world.source.step(at)
        assert (found is None) == (at + 7 < len(reply))
    assert found == world.net.content


def test_the_default_port_is_not_named():
    world = World(b"x")
    world.source.locate("http://server/")
    world.fetch()
    assert b"\r\nHost: server\r\n" in world.net.sockets[-1].writes[0]


def test_a_request_that_does_not_fit_leaves_in_pieces():
    world = World(b"content")
    world.source.begin(ID, 0, 7)
    world.source.step(0)
    sock = world.net.sockets[0]
    assert len(sock.writes) == 1, "all at once when there is room"
    world = World(b"content")
    world.net.room = 0
    world.source.begin(ID, 0, 7)
    found = None
    for now_ms in range(200):
        for sock in world.net.sockets:
            sock.room = 5
        found = found or world.source.step(now_ms)
    assert found == b"content" and len(world.net.sockets[0].writes) > 10


def test_a_server_without_ranges_sends_the_file_once():
    world = World(n_bytes=9000)
    world.net.knows_ranges = False
    assert world.fetch() == world.net.content
    assert len(world.net.requests) == 1 and world.net.n_connections == 1
    world = World(n_bytes=9000)
    world.net.knows_ranges = False
    assert world.fetch(5000) == world.net.content[5000:], "what is there already is passed over"
    assert len(world.net.requests) == 1


def test_a_file_that_another_is_asked_for_instead_of_is_given_up():
    world = World(n_bytes=9000)
    world.net.knows_ranges = False
    world.piece(0, 9000)
    world.piece(2048, 6952, "root1")
    assert world.net.n_connections == 2, "the rest of the first file cannot be stopped otherwise"
    world.piece(100, 8900, "root1")
    assert world.net.n_connections == 3, "and nobody can go back in one"


def test_bytes_that_are_there_already_are_passed_over_in_one_step():
    world = World(n_bytes=100)
    world.net.knows_ranges = False
    world.net.piece = 10000
    assert world.piece(40, 60) == world.net.content[40:]
    # More of a file that comes whole is in the buffer than was asked for.
    world = World(n_bytes=9000)
    world.net.knows_ranges = False
    world.piece(0, 9000)
    assert world.piece(2048, 100) == world.net.content[2048:2148]
    assert world.piece(2200, 100) == world.net.content[2200:2300]
    assert world.net.n_connections == 1
    raises(errors.SOURCE_SIZE, world.piece, 9000, 1)
    assert world.net.n_connections == 2, "nothing of it is left there"


def test_what_is_asked_for_in_the_middle_needs_another_connection():
    for knows_ranges in (True, False):
        world = World(n_bytes=9000)
        world.net.knows_ranges = knows_ranges
        world.net.edit = lambda reply: reply[:1000]
        world.source.begin(ID, 0, 9000)
        assert world.source.step(0) is None
        world.net.edit = lambda reply: reply
        assert world.piece(100, 8900) == world.net.content[100:2148]
        assert world.net.n_connections == 2 and world.net.sockets[0].closed


def test_a_server_that_closes_after_each_reply_costs_connections_only():
    world = World(n_bytes=5000)
    world.net.closes = True
    assert world.fetch() == world.net.content
    assert world.net.n_connections == 3
    world = World(n_bytes=5000)
    world.net.closes = True
    world.net.knows_ranges = False
    assert world.fetch() == world.net.content
    assert world.net.n_connections == 1, "not before all has come"


def test_a_connection_that_died_while_nothing_was_asked_is_opened_again():
    world = World(n_bytes=5000)
    assert world.piece(0, 5000) == world.net.content[:2048]
    world.net.sockets[0].then_end = True
    world.net.sockets[0].write = len  # nobody answers there any more
    assert world.fetch(2048) == world.net.content[2048:]
    assert world.net.n_connections == 2


def test_a_reset_of_a_connection_that_has_served_is_no_failure_once():
    for is_sent in (False, True):
        world = World(n_bytes=5000)
        world.piece(0, 5000)
        first = world.net.sockets[0]
        world.net.edit = lambda reply: b""
        world.source.begin(ID, 2048, 2952)
        assert not is_sent or world.source.step(0) is None
        first.fault = OSError(_ECONNRESET)
        world.net.edit = lambda reply: reply
        assert world.wait() == world.net.content[2048:4096], is_sent
        assert world.net.n_connections == 2 and first.closed


def test_a_reset_is_a_failure_the_second_time_or_in_a_reply():
    for begun, connections in ((0, 2), (20, 1)):
        world = World(n_bytes=5000)
        world.piece(0, 5000)
        world.net.edit = lambda reply, begun=begun: reply[:begun]
        world.source.begin(ID, 2048, 2952)
        for i in range(connections):
            assert world.source.step(0) is None, "the request is sent"
            world.net.sockets[i].fault = OSError(_ECONNRESET)
            assert i == connections - 1 or world.source.step(0) is None
        error = raises_kind(OSError, world.source.step, 0)
        assert error.errno == _ECONNRESET and world.net.n_connections == connections


def test_a_connection_that_dies_in_the_middle_is_a_failed_attempt():
    for n_bytes in (0, 20, 200, 1500):
        world = World(n_bytes=5000)
        world.net.piece = 100
        world.net.edit = lambda reply, n_bytes=n_bytes: reply[:n_bytes]
        world.source.begin(ID, 0, 5000)
        world.source.step(0)
        world.net.sockets[0].then_end = True
        error = raises_kind(OSError, lambda world=world: [world.source.step(0) for _ in range(99)])
        assert error.errno == _ECONNRESET
        assert world.net.n_connections == 1 and world.net.sockets[0].closed


def test_redirects_and_other_replies_are_refused():
    for status in ("301 Moved", "302 Found", "307 T", "308 P", "403 Forbidden", "100 Continue"):
        world = World(n_bytes=100)
        reply = HEAD % (status, 0, "Location: http://elsewhere/x\r\n")
        world.net.replies = [reply.encode()]
        raises(errors.SOURCE_REPLY, world.piece, 0, 100)
        assert world.net.sockets[0].closed and world.net.n_connections == 1
    for status in ("404 Not Found", "503 Busy"):
        world = World(n_bytes=100)
        world.net.replies = [(HEAD % (status, 0, "")).encode()]
        raises_kind(OSError, world.piece, 0, 100)
        assert world.fetch() == world.net.content, "the next attempt may do better"


def test_lengths_that_cannot_be_are_refused():
    world = World(n_bytes=3000)
    raises(errors.SOURCE_SIZE, world.piece, 0, 2999)  # longer than the manifest says
    raises(errors.SOURCE_SIZE, world.piece, 3000, 5)  # shorter
    world.net.knows_ranges = False
    raises(errors.SOURCE_SIZE, world.piece, 0, 2999)
    raises(errors.SOURCE_SIZE, world.piece, 3000, 5)
    world.net.knows_ranges = True
    world.net.edit = lambda reply: reply.replace(b"bytes 0-2047/3000", b"bytes 0-2048/3000")
    raises(errors.SOURCE_REPLY, world.piece, 0, 3000)


def _reply(content, first, end):
    more = "Content-Range: bytes %d-%d/%d\r\n" % (first, end - 1, len(content))
    return (HEAD % ("206 Partial Content", end - first, more)).encode() + content[first:end]


def test_another_range_than_the_one_asked_for_is_refused():
    for at, first, end in (
        (0, 1, 2048),
        (0, 0, 2049),
        (0, 1, 3000),
        (100, 0, 2148),
        (100, 99, 2148),
        (100, 101, 3000),
        (952, 951, 3000),
        (2048, 0, 2049),
        (2048, 2047, 3000),
        (2048, 2049, 3000),
    ):
        world = World(n_bytes=3000)
        world.net.replies = [_reply(world.net.content, first, end)]
        raises(errors.SOURCE_REPLY, world.piece, at, 3000 - at)
        assert world.net.sockets[0].closed
        assert world.fetch(at) == world.net.content[at:]
    world.net.replies = [_reply(world.net.content, 0, 3000)]
    world.source.close()
    assert world.fetch(100) == world.net.content[100:], "the whole one has all that is asked for"


def test_more_than_the_range_is_refused():
    for at, n_bytes, piece in ((0, 100, 600), (50, 50, 600), (2048, 952, 600), (0, 1000, 10000)):
        world = World(n_bytes=at + n_bytes)
        world.net.piece = piece
        world.net.edit = lambda reply: reply + b"more"
        if at + n_bytes < 600 or piece > 600:
            raises(errors.SOURCE_REPLY, world.piece, at, n_bytes)
            continue
        # What came behind the last byte is read in place of the next reply.
        world.piece(at, n_bytes)
        raises(errors.SOURCE_REPLY, world.piece, at, n_bytes)


def test_a_server_that_gives_less_than_asked_for_is_asked_again():
    world = World(n_bytes=100)
    more = "Content-Range: bytes 0-9/100\r\n"
    reply = (HEAD % ("206 P", 10, more)).encode() + world.net.content[:10]
    world.net.replies = [reply]
    assert world.piece(0, 100) == world.net.content[:10]
    assert world.fetch(10) == world.net.content[10:]


def test_a_document_of_unknown_length_comes_whole():
    world = World(n_bytes=1500)
    assert world.piece(0, 4096) == world.net.content
    world = World(n_bytes=2500)
    assert world.piece(0, 4096) + world.piece(2048, 2048) == world.net.content


def test_an_endless_head_is_refused():
    world = World(n_bytes=10)
    world.net.edit = lambda reply: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000
    raises(errors.SOURCE_REPLY, world.piece, 0, 10)
    world.net.edit = lambda reply: b"HTTP/1.1 200 OK" + b" " * 9000
    raises(errors.SOURCE_REPLY, world.piece, 0, 10)
    world.net.edit = lambda reply: b"\r\n\r\n" + reply
    raises(errors.SOURCE_REPLY, world.piece, 0, 10)


def test_a_server_that_drips_meets_the_deadline():
    for n_bytes in (0, 10, 300):
        world = World(n_bytes=2000)
        world.net.edit = lambda reply: b""
        world.source.begin(ID, 0, 2000)
        assert world.source.step(world.clock.now) is None
        reply = world.net.reply(0, 1999)[:n_bytes]
        error = None
        for i in range(300):
            world.clock.now += 100
            world.net.sockets[0].feed(reply[i : i + 1]) if i < len(reply) else None
            try:
                assert world.source.step(world.clock.now) is None
            except OSError as found:
                error = found
                break
        assert error.errno == _ETIMEDOUT and world.net.sockets[0].closed
        assert abs(world.clock.now - DEADLINE_MS) < 500, world.clock.now


def test_a_server_that_does_not_answer_meets_the_deadline():
    world = World(n_bytes=10)
    world.source.begin(ID, 0, 10)
    world.net.edit = lambda reply: b""
    assert world.source.step(0) is None
    assert world.source.step(DEADLINE_MS - 1) is None
    error = raises_kind(OSError, world.source.step, DEADLINE_MS)
    assert error.errno == _ETIMEDOUT
    world.net.edit = lambda reply: reply
    assert world.fetch() == world.net.content


def test_each_piece_has_the_whole_deadline_and_no_more():
    mask = 0x3FFFFFFF  # where the ticks wrap
    for began_ms in (0, mask - 20000):
        world = World(n_bytes=5000)
        world.source.begin(ID, 0, 5000)
        assert world.source.step(began_ms)
        world.net.edit = lambda reply: b""
        second_ms = (began_ms + 15000) & mask
        world.source.begin(ID, 2048, 2952)
        assert world.source.step(second_ms) is None
        last_ms = (second_ms + DEADLINE_MS - 1) & mask
        assert world.source.step(last_ms) is None
        # Another connection is no more time.
        world.net.sockets[0].then_end = True
        assert world.source.step(last_ms) is None and world.source.step(last_ms) is None
        assert world.net.n_connections == 2
        error = raises_kind(OSError, world.source.step, (last_ms + 1) & mask)
        assert error.errno == _ETIMEDOUT


def test_close_ends_everything():
    world = World(n_bytes=5000)
    world.piece(0, 5000)
    world.source.begin(ID, 2048, 2952)
    world.source.close()
    world.source.close()
    assert world.net.sockets[0].closed
    assert world.source.step(0) is None and world.net.n_connections == 1
    assert world.fetch(2048) == world.net.content[2048:]


def test_another_address_is_another_connection():
    world = World(n_bytes=50)
    world.fetch()
    world.source.locate(URL)
    world.fetch()
    assert world.net.n_connections == 1
    world.source.locate("http://other/")
    world.fetch()
    assert world.net.n_connections == 2 and world.net.sockets[0].closed


def test_https_needs_something_to_trust():
    world = World()
    raises(errors.SOURCE_URL, world.source.locate, "https://server/")
    raises(errors.SOURCE_URL, world.source.locate, "ftp://server/")


class Context:
    """An SSL context that encrypts nothing and notes whose certificate would be looked at."""

    def __init__(self):
        self.hosts = []

    def wrap_socket(self, sock, server_hostname, do_handshake_on_connect):
        """Return the same socket."""
        assert not do_handshake_on_connect and not sock.writes
        self.hosts.append(server_hostname)
        return sock


def test_https_is_for_the_host_of_the_address():
    for place, port, host in (("server", 443, b"server"), ("server:80", 80, b"server:80")):
        context = Context()
        world = World(b"content", context=context)
        world.fetch()
        assert context.hosts == [] and world.net.addresses == [("server", 8080)]
        world.source.locate("https://%s/" % place)
        assert world.fetch() == b"content"
        assert context.hosts == ["server"] and world.net.addresses[1:] == [("server", port)]
        assert b"\r\nHost: %s\r\n" % host in world.net.sockets[-1].writes[0]


def test_a_certificate_that_is_refused_is_the_reason():
    for is_sent in (False, True):
        world = World(b"content", context=Context())
        world.net.edit = lambda reply: b""
        world.net.is_reached = False
        world.source.locate("https://server/")
        world.source.begin(ID, 0, 7)
        assert world.source.step(0) is None
        world.net.is_reached = True
        assert not is_sent or world.source.step(0) is None
        world.net.sockets[0].fault = ValueError("not this one")
        raises(errors.TLS_CERTIFICATE, world.source.step, 0)
        assert world.net.n_connections == 1 and world.net.sockets[0].closed


def test_noise_ends_in_a_refusal_and_the_heap_does_not_grow():
    random = Random(9)
    world = World(n_bytes=3000)
    world.net.piece = 5000
    n_refused = n_failed = n_right = 0
    gc.collect()
    heap = gc.mem_alloc()
    for _ in range(400):
        kind = random.below(4)

        def edit(reply, kind=kind):
            reply = bytearray(reply)
            if kind == 0:
                return random.bytes(random.between(1, 300)) + b"\r\n\r\n"
            for _ in range(random.between(0, 2)):
                reply[random.below(90)] = random.bits(8)
            return bytes(reply if kind == 1 else reply[: random.between(1, len(reply))])

        world.net.edit = edit
        world.source.close()
        world.source.begin(ID, 0, 3000)
        try:
            piece = None
            for _ in range(60):
                world.clock.now += 500
                if world.net.sockets and random.below(20) == 0:
                    world.net.sockets[-1].then_end = True
                piece = piece or world.source.step(world.clock.now)
            assert piece is not None and len(piece) <= http_source.PIECE_BYTES
            n_right += 1
        except OSError:
            n_failed += 1
        except errors.OnebyteError as error:
            assert error.code in (errors.SOURCE_REPLY, errors.SOURCE_SIZE)
            n_refused += 1
        world.net.sockets.clear()
        world.net.requests.clear()
        world.net.addresses.clear()
    assert min(n_refused, n_failed, n_right) > 20, (n_refused, n_failed, n_right)
    world.source.close()
    gc.collect()
    assert gc.mem_alloc() - heap < http_source.PIECE_BYTES, "it keeps its buffer"
