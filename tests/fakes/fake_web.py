"""A web server behind tests/fakes/fake_net.py that serves one object, well or badly."""

from fake_net import Net, Socket

HEAD = "HTTP/1.1 %s\r\nServer: fake\r\nContent-Length: %d\r\n%s\r\n"


class WebNet(Net):
    """Hands out sockets with a web server behind them.

    Attributes:
        content: the object, under any name.
        requests: (path, first byte, last byte) of every request.
        n_connections: how many there were.
        addresses: where they went.
        is_reached: False: no connection is established.
        knows_ranges: False: it answers everything with the whole object.
        closes: it closes the connection after every reply.
        replies: replies for the next requests, instead of those that are right.
        piece: bytes that arrive at once.
        room: bytes that a new connection takes before it stalls, None for any number.
        edit: function from a right reply to the one that is sent.
    """

    def __init__(self, clock, content):
        super().__init__(clock, 1)
        self.content = content
        self.requests = []
        self.n_connections = 0
        self.addresses = []
        self.is_reached = True
        self.knows_ranges = True
        self.closes = False
        self.replies = []
        self.piece = 600
        self.room = None
        self.edit = lambda reply: reply

    def socket(self, family, kind, proto):
        """Return the next socket."""
        self.n_connections += 1
        self.sockets.append(WebSocket(self, [], False))
        self.sockets[-1].room = self.room
        return self.sockets[-1]

    def reply(self, first, last):
        """Return the reply to a request for a range."""
        if self.replies:
            return self.replies.pop(0)
        end = min(last + 1, len(self.content))
        more = "Connection: close\r\n" if self.closes else ""
        if not self.knows_ranges:
            return (HEAD % ("200 OK", len(self.content), more)).encode() + self.content
        if first >= end:
            return (HEAD % ("416 Range Not Satisfiable", 0, more)).encode()
        more += "Content-Range: bytes %d-%d/%d\r\n" % (first, end - 1, len(self.content))
        return (HEAD % ("206 Partial Content", end - first, more)).encode() + self.content[
            first:end
        ]


class WebSocket(Socket):
    """One connection to the server.

    Attributes:
        fault: what the next read or write raises, None for none.
    """

    _request = b""
    fault = None

    def connect(self, address):
        """Note where to."""
        self.net.addresses.append(address)
        super().connect(address)

    def ioctl(self, request, argument):
        """Be ready as soon as the server is reached."""
        found = super().ioctl(request, argument)
        return found if self.net.is_reached or found < 0 else 0

    def readinto(self, view):
        """Hand out what has arrived."""
        if self.fault:
            raise self.fault
        return super().readinto(view)

    def write(self, data):
        """Take bytes of a request; answer when it is complete."""
        assert self.net.is_reached
        if self.fault:
            raise self.fault
        n = super().write(data)
        self._request += bytes(data[: n or 0])
        if self._request.endswith(b"\r\n\r\n"):
            self._answer(self._request.decode().split("\r\n"))
            self._request = b""
        return n

    def _answer(self, lines):
        net = self.net
        span = next(line for line in lines if line.startswith("Range: bytes="))
        first, last = [int(number) for number in span[13:].split("-")]
        net.requests.append((lines[0].split(" ")[1], first, last))
        reply = net.edit(net.reply(first, last))
        for at in range(0, len(reply), net.piece):
            self.feed(reply[at : at + net.piece])
        self.then_end = net.closes
