"""Wi-Fi that remembers: the fast way, the full one, and when what is remembered is forgotten."""

import board_folders

from app import wifi_cache
from app.link_wifi import LinkWifi, Network, strongest

_, _, network = board_folders.load("pico_w")
import wifi_radio  # noqa: E402

LEASE = ("192.168.4.20", "255.255.255.0", "192.168.4.1", "192.168.4.1")
MARK = wifi_cache.network_mark("home", "secret")


class Store:
    """Memory that outlives a link."""

    def __init__(self):
        self.content = b""
        self.writes = 0

    def read(self):
        """Return it."""
        return self.content

    def write(self, content):
        """Keep it."""
        self.content = content
        self.writes += 1


class Place:
    """A link somewhere; `again()` is its next boot."""

    def __init__(self, fixed=None, password="secret", takes_channel=True):
        network.air = network.Air()
        self.air = network.air
        self.store = Store()
        self.settings = Network("home", password, fixed)
        self.settings.fast_ms = 3000
        self.settings.full_ms = 20000
        self.takes_channel = takes_channel
        self.pauses = []
        self.now = 1000
        self.again()

    def again(self):
        """Boot."""
        radio = wifi_radio.Radio(network, self.takes_channel)
        self.link = LinkWifi(radio, self.settings, self.store, self.randint, lambda: self.now)
        self.air.log.clear()

    def randint(self, low, high):
        """Note the range and take its end."""
        self.pauses.append((low, high))
        return high

    def steps(self, count, tick_ms=100):
        """Let time go by; return whether the link is up at the end."""
        is_up = False
        for _ in range(count):
            is_up = self.link.step(self.now)
            self.now += tick_ms
        return is_up

    def said(self):
        """Return and forget what the interface was told."""
        words = list(self.air.log)
        self.air.log.clear()
        return words


FULL = ["on", "scan", "dhcp", "connect b {'channel': 11}"]
FAST = ["on", "address 192.168.4.20", "connect b {'channel': 11}"]


def test_the_first_connect_scans_and_the_next_ones_do_not():
    place = Place()
    assert place.steps(2)
    assert place.said() == FULL
    known = wifi_cache.parse(place.store.content, MARK)
    assert (known.bssid, known.channel, known.lease) == (b"\2bbbbb", 11, LEASE)
    place.again()
    assert place.steps(2)
    assert place.said() == FAST
    assert (place.link.connects, place.link.fast_connects) == (1, 1)
    assert place.store.writes == 1, "flash is spared while nothing changes"


def test_the_esp32_does_not_take_the_channel():
    place = Place(takes_channel=False)
    assert place.steps(2)
    assert place.said()[-1] == "connect b {}"


def test_an_access_point_that_moved_is_looked_for():
    place = Place()
    place.steps(2)
    place.air.points[1] = (b"home", b"\2ddddd", 3, -40)
    place.again()
    assert place.steps(4)
    assert place.said() == FAST + ["off", "on", "scan", "dhcp", "connect d {'channel': 3}"]
    assert wifi_cache.parse(place.store.content, MARK).bssid == b"\2ddddd"
    assert place.link.fast_connects == 0 and place.pauses == []


def test_the_fast_way_ends_at_its_deadline():
    place = Place()
    place.steps(2)
    place.again()
    assert not place.link.step(place.now)
    place.link._radio.is_connected = lambda: False
    place.said()
    place.now += 2900
    assert not place.link.step(place.now) and place.said() == []
    place.now += 100
    place.link.step(place.now)
    assert place.said()[:3] == ["off", "on", "scan"]
    assert place.store.content == b""


def test_without_dhcp_the_full_way_ends_at_its_deadline():
    place = Place()
    place.air.has_dhcp = False
    assert not place.steps(1, 19900)
    assert not place.steps(1)
    assert place.link.last_error == ""
    assert not place.steps(1)
    assert place.link.last_error == "no answer from the access point or DHCP"
    assert place.said()[-1] == "off"


def test_pauses_grow_and_end_with_success():
    place = Place(password="wrong")
    place.steps(400, 1000)
    assert place.link.last_error == "wrong password"
    ceilings = [high for _, high in place.pauses]
    assert ceilings[:8] == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
    assert place.link.failures == len(ceilings)
    place.air.password = "wrong"
    assert place.steps(70, 1000)
    assert place.link.last_error == ""
    place.air.points.clear()
    assert not place.link.step(place.now)
    assert place.link.last_error == "the access point has gone"
    assert place.pauses[-1] == (0, 1000)
    assert "wrong" not in str(place.store.content)


def test_a_name_that_nobody_has_is_said():
    place = Place()
    place.air.points = place.air.points[2:]
    assert not place.steps(3)
    assert place.link.last_error == "no access point of this name"
    assert place.said() == ["on", "scan", "off"]


def test_a_lease_that_stopped_working_is_forgotten_once():
    place = Place()
    place.steps(2)
    place.again()
    assert place.steps(2)
    place.said()
    place.link.doubt()
    assert place.link.last_error == "no answer with the address of last time"
    assert place.steps(2)
    assert place.said() == ["off"] + FULL
    place.link.doubt()
    assert place.steps(2) and place.said() == [], "what DHCP has just given is not doubted"


def test_another_network_or_password_forgets():
    place = Place()
    place.steps(2)
    for ssid, password in (("home", "other"), ("other", "secret")):
        place.settings = Network(ssid, password)
        place.again()
        place.steps(1)
        assert place.said()[:2] == ["on", "scan"]


def test_a_fixed_address_is_never_asked_for():
    fixed = ("10.0.0.7", "255.0.0.0", "10.0.0.1", "9.9.9.9")
    place = Place(fixed)
    assert place.steps(2)
    assert place.said() == ["on", "scan", "address 10.0.0.7", "connect b {'channel': 11}"]
    assert wifi_cache.parse(place.store.content, MARK).lease is None
    place.again()
    assert place.steps(2)
    assert place.said() == ["on", "address 10.0.0.7", "connect b {'channel': 11}"]


def test_fast_ms_of_zero_never_tries_what_is_remembered():
    place = Place()
    place.steps(2)
    place.settings.fast_ms = 0
    place.again()
    assert place.steps(2)
    assert place.said() == FULL


def test_an_interface_that_fails_is_no_end():
    place = Place()
    place.air.fails = OSError("Wifi Internal Error")
    assert not place.steps(2)
    assert place.link.last_error == "Wifi Internal Error"
    place.air.fails = None
    assert place.steps(20)


def test_close_switches_off_and_the_next_step_begins_anew():
    place = Place()
    place.link.close()
    assert place.said() == []
    assert place.steps(2)
    place.said()
    place.link.close()
    place.link.close()
    assert place.said() == ["off"]
    assert place.steps(2)
    assert place.said() == FAST
    assert place.link.rest_ms(place.now) > 0


def test_the_cache_is_refused_when_anything_in_it_is_wrong():
    content = wifi_cache.pack(wifi_cache.Known(b"\2aaaaa", 6, LEASE), MARK)
    assert len(content) == wifi_cache.CACHE_BYTES
    assert wifi_cache.parse(content, MARK).lease == LEASE
    assert wifi_cache.parse(content, MARK ^ 1) is None
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= 4
        assert wifi_cache.parse(bytes(damaged), MARK) is None
    for length in (0, 25, 27):
        assert wifi_cache.parse((content + b"x")[:length], MARK) is None


def test_strongest():
    assert strongest([]) is None
    assert strongest([(b"a", 1, -80), (b"b", 2, -40), (b"c", 3, -60)]) == (b"b", 2)
