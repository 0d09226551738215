"""The `network` module of a board with Wi-Fi or PPP; the test decides who answers.

`air` says which access points there are, `modem` how the other end of PPP behaves.
"""

STA_IF = 0
STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_WRONG_PASSWORD = -3
STAT_NO_AP_FOUND = -2
STAT_GOT_IP = 3


class Air:
    """What there is to connect to.

    Attributes:
        points: list of (ssid, bssid, channel, signal in dBm).
        password: of all of them.
        lease: what DHCP gives.
        has_dhcp: whether it answers.
        log: what the interface was told.
    """

    def __init__(self):
        self.points = [(b"home", b"\2aaaaa", 6, -70), (b"home", b"\2bbbbb", 11, -50)]
        self.points.append((b"other", b"\2ccccc", 1, -20))
        self.password = "secret"
        self.lease = ("192.168.4.20", "255.255.255.0", "192.168.4.1", "192.168.4.1")
        self.has_dhcp = True
        self.log = []
        self.fails = None


air = Air()


class WLAN:
    """The station interface; it is connected as soon as it may be."""

    def __init__(self, kind):
        assert kind == STA_IF
        self._on = False
        self._point = None
        self._status = STAT_IDLE
        self._fixed = None

    def active(self, *on):
        """Switch, or say."""
        if not on:
            return self._on
        self._on = on[0]
        self._point, self._status = None, STAT_IDLE
        air.log.append("on" if on[0] else "off")
        return None

    def scan(self):
        """Return (ssid, bssid, channel, signal, security, hidden)."""
        assert self._on
        air.log.append("scan")
        return [point + (3, False) for point in air.points]

    def connect(self, ssid, key, bssid=None, **more):
        """Begin to connect."""
        if air.fails:
            raise air.fails
        assert self._on
        air.log.append("connect %s %s" % (bssid[1:2].decode(), more))
        self._status = STAT_NO_AP_FOUND
        for point in air.points:
            if point[0] == ssid.encode() and point[1] == bssid:
                self._status = STAT_CONNECTING if key == air.password else STAT_WRONG_PASSWORD
                self._point = point if key == air.password else None

    def disconnect(self):
        """Leave."""
        self._point = None

    def ipconfig(self, dhcp4):
        """Ask DHCP from now on."""
        assert dhcp4
        air.log.append("dhcp")
        self._fixed = None

    def ifconfig(self, *lease):
        """Take an address, or say."""
        if not lease:
            return self._fixed or air.lease
        air.log.append("address " + lease[0][0])
        self._fixed = lease[0]
        return None

    def isconnected(self):
        """Whether there are an access point and an address."""
        return self._point in air.points and bool(self._fixed or air.has_dhcp)

    def status(self):
        """Return a STAT_ number."""
        return STAT_GOT_IP if self.isconnected() else self._status


class Modem:
    """The peer: `answers` when it is there, `error` what PPP reports, `closes` at a goodbye."""

    def __init__(self):
        self.answers = True
        self.error = 0
        self.closes = True
        self.log = []


modem = Modem()

_INACTIVE, _ACTIVE, _ERROR, _CONNECTING, _CONNECTED = range(5)


class PPP:
    """As MicroPython's over lwIP, extmod/network_ppp_lwip.c: its states and what they allow."""

    def __init__(self, stream):
        self.stream = stream
        self._state = _INACTIVE

    def _look(self):
        if self._state == _CONNECTING and modem.answers:
            self._state = _CONNECTED
        if self._state in (_CONNECTING, _CONNECTED) and modem.error:
            self._state = _ERROR

    def connect(self):
        """Begin to connect."""
        modem.log.append("connect")
        if self._state != _INACTIVE:
            raise OSError(114)
        self._state = _CONNECTING

    def disconnect(self):
        """Say goodbye; over when the peer has answered."""
        modem.log.append("disconnect")
        if modem.closes:
            self._state = _INACTIVE

    def __del__(self):
        modem.log.append("free")
        self._state = _INACTIVE

    def status(self):
        """Return the state, or the error below zero."""
        self._look()
        return -modem.error if self._state == _ERROR else self._state

    def isconnected(self):
        """Whether there is an address."""
        self._look()
        return self._state == _CONNECTED
