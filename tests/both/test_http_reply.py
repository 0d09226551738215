"""Heads of HTTP replies: what is clear is taken, everything else has its reason."""

from check import Random, raises, raises_kind

from formats import errors
from ota import http_reply

PARTIAL = (
    b"HTTP/1.1 206 Partial Content\r\nServer: x\r\nContent-Length: 100\r\n"
    b"Content-Range: bytes 200-299/5000"
)


def values(head):
    """Return what a head promises as a tuple."""
    reply = http_reply.parse(head)
    return reply.first, reply.end, reply.total, reply.keeps_open


def test_what_is_clear_is_taken():
    for head, found in (
        (PARTIAL, (200, 300, 5000, True)),
        (PARTIAL.replace(b"5000", b"*"), (200, 300, 0, True)),
        (PARTIAL.replace(b"Content-Length: 100\r\n", b""), (200, 300, 5000, True)),
        (PARTIAL.replace(b"Content-", b"CONTENT-"), (200, 300, 5000, True)),
        (PARTIAL + b"\r\nconnection: Close", (200, 300, 5000, False)),
        (PARTIAL.replace(b"1.1", b"1.0"), (200, 300, 5000, False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000", (0, 5000, 5000, True)),
        (b"HTTP/1.1 200\r\ncontent-length:1\r\nX-Y: a:b", (0, 1, 1, True)),
        (b"HTTP/1.1 200\r\nP: a\r\nContent-Length: 4294967296", (0, 1 << 32, 1 << 32, True)),
        (PARTIAL.replace(b"5000", b"300"), (200, 300, 300, True)),
    ):
        assert values(head) == found, head


def test_what_is_no_part_of_an_object_is_refused():
    for head in (
        b"",
        b"\r\n",
        b"SSH-2.0-x",
        b"HTTP/2 200 OK\r\nContent-Length: 1",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 1",
        b"HTTP/1.1 +20 OK\r\nContent-Length: 1",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 1",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 1",
        b"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\nContent-Length: 1",
        b"HTTP/1.1 302 Found\r\nContent-Length: 1",
        b"HTTP/1.1 307 T\r\nContent-Length: 1",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12345678901",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1",
        b"HTTP/1.1 200 OK\r\n Content-Length: 1",
        b"HTTP/1.1 200 OK\r\n: 1",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        b"HTTP/1.1 206 P\r\nContent-Length: 1",
        PARTIAL.replace(b"bytes 2", b"rows 2"),
        PARTIAL.replace(b"200-299", b"200+299"),
        PARTIAL.replace(b"/5000", b""),
        PARTIAL.replace(b"/5000", b"/"),
        PARTIAL.replace(b"/5000", b"/299"),
        PARTIAL.replace(b"/5000", b"/-1"),
        PARTIAL.replace(b"200-299", b"300-299"),
        PARTIAL.replace(b"200-299", b"-299"),
        PARTIAL.replace(b"200-299", b"*"),
        PARTIAL.replace(b"Length: 100", b"Length: 101"),
        PARTIAL.replace(b"bytes 200", b"bytes 0x1"),
        # Readers differ in whether such a field counts, so it must not be passed over.
        PARTIAL + b"\r\nContent-Length : 7",
        PARTIAL + b"\r\n Transfer-Encoding: chunked",
    ):
        raises(errors.SOURCE_REPLY, http_reply.parse, head)


def test_an_object_that_ends_before_the_range_is_refused():
    raises(errors.SOURCE_SIZE, http_reply.parse, b"HTTP/1.1 416 Range Not Satisfiable")


def test_what_may_be_better_later_is_a_failed_attempt():
    for status in (404, 408, 410, 425, 429, 500, 502, 503, 504, 599):
        raises_kind(OSError, http_reply.parse, b"HTTP/1.1 %d X" % status)


def test_mutated_heads_raise_nothing_else():
    random = Random(8)
    n_taken = n_refused = 0
    for _ in range(3000):
        head = bytearray(PARTIAL)
        for _ in range(random.between(0, 2)):
            head[random.below(len(head))] = random.bits(8)
        if random.below(4) == 0:
            head = head[: random.between(0, len(head))]
        try:
            reply = http_reply.parse(bytes(head))
            assert 0 <= reply.first < reply.end and (not reply.total or reply.end <= reply.total)
            n_taken += 1
        except OSError:
            n_refused += 1
        except errors.OnebyteError as error:
            assert error.code in (errors.SOURCE_REPLY, errors.SOURCE_SIZE)
            n_refused += 1
    assert n_taken > 20 and n_refused > 500, (n_taken, n_refused)
