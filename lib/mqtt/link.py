"""One TCP or TLS connection whose calls return at once; only the name lookup may wait.

MicroPython cannot bound getaddrinfo(): where a slow name server matters, configure an address.
"""

import select

from formats import errors

_EINPROGRESS = (115, 119)  # Linux and lwIP, ESP-IDF
_EAGAIN = 11
_ECONNABORTED = 103
_ENOTCONN = 107
_IPPROTO_TCP = 6
_TCP_NODELAY = 1


def tls_context(ca_der, identity=None):
    """Return a context that trusts one CA and insists on a certificate for the right host.

    Args:
        ca_der: The CA certificate as DER bytes.
        identity: This node's certificate and its key as DER bytes, None when it has none.

    Raises:
        OnebyteError: TLS_CA: it is not a certificate; TLS_KEY: the identity is none.
    """
    import tls  # boards without TLS can still import this module

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined] # stubs lack it
    try:
        context.load_verify_locations(ca_der)
    except (OSError, ValueError) as error:
        raise errors.OnebyteError(errors.TLS_CA, str(error)) from None
    if identity:
        try:
            context.load_cert_chain(identity[0], identity[1])
        except (OSError, ValueError) as error:
            raise errors.OnebyteError(errors.TLS_KEY, str(error)) from None
    return context


class Link:
    """Opens, encrypts, reads and writes without blocking.

    Args:
        net: The `socket` module, or something with its `getaddrinfo` and `socket`.
    """

    def __init__(self, net):
        self._net = net
        self._addresses = []
        self._poller = None
        self._tcp = None
        self.sock = None

    def open(self, host, port):
        """Look the name up and begin to connect. OSError when that fails at once."""
        self.close()
        self._addresses = self._net.getaddrinfo(host, port, 0, self._net.SOCK_STREAM)
        self._next_address()

    def _next_address(self):
        """Begin to connect to the first address that does not fail at once."""
        while True:
            try:
                self._begin(*self._addresses.pop(0))
                return
            except OSError:
                # Such as an IPv6 address on a network without IPv6.
                self._close_socket()
                if not self._addresses:
                    raise

    def _begin(self, family, kind, proto, _, address):
        self._tcp = self.sock = self._net.socket(family, kind, proto)
        self._tcp.setblocking(False)
        try:
            # A one-byte packet must not wait for the acknowledgement of the one before.
            self._tcp.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        except (OSError, ValueError, AttributeError):
            pass  # an older port without the option: one write per packet is most of the gain
        try:
            self._tcp.connect(address)
        except OSError as error:
            if error.errno not in _EINPROGRESS:
                raise
        self._watch()

    def _watch(self):
        self._poller = select.poll()
        self._poller.register(self.sock, select.POLLIN | select.POLLOUT)

    def is_connected(self):
        """Return whether TCP is established; tries the name's next address after a failure."""
        events = self.wait(0, True)
        if not events & (select.POLLERR | select.POLLHUP):
            return bool(events & select.POLLOUT)
        try:
            self._tcp.read(1)  # raises the reason
            raise OSError(_ECONNABORTED, "not connected")
        except OSError:
            self._close_socket()
            if not self._addresses:
                raise
        self._next_address()
        return False

    def secure(self, context, host):
        """Continue with TLS. The handshake happens inside the reads and writes that follow."""
        self.sock = context.wrap_socket(
            self._tcp, server_hostname=host, do_handshake_on_connect=False
        )
        self._watch()

    def wait(self, timeout_ms, to_write):
        """Return the events, or 0 after `timeout_ms`. Waits for bytes, and for room to write."""
        if self._poller is None:
            raise OSError(_ENOTCONN)
        self._poller.modify(self.sock, select.POLLIN | (select.POLLOUT if to_write else 0))
        for event in self._poller.ipoll(timeout_ms):
            return event[1]
        return 0

    def readinto(self, view):
        """Fill `view` as far as bytes wait: how many, 0 at the end, None when none wait."""
        if self.sock is None:
            raise OSError(_ENOTCONN)
        try:
            return self.sock.readinto(view)
        except ValueError as error:
            raise _refused(error) from None

    def write(self, view):
        """Write what fits now and return how many bytes that was."""
        if self.sock is None:
            raise OSError(_ENOTCONN)
        try:
            return self.sock.write(view) or 0
        except ValueError as error:
            raise _refused(error) from None
        except OSError as error:
            if error.errno != _EAGAIN:
                raise
            return 0

    def close(self):
        """Close; may be called twice."""
        self._addresses = []
        self._close_socket()

    def _close_socket(self):
        for sock in (self.sock, self._tcp):
            if sock is not None:
                try:
                    sock.close()
                except OSError:
                    pass  # the peer's reset can surface here, and the link is gone either way
        self.sock = self._tcp = self._poller = None


def _refused(error):
    """Mbed TLS reports a certificate it does not accept as ValueError, with the reason."""
    return errors.OnebyteError(errors.TLS_CERTIFICATE, str(error).strip())
