"""PPP: comes up, comes back, and never connects over a session that has not ended."""

import board_folders

from app.link_ppp import LinkPpp

_, _, network = board_folders.load("pico_ppp")

DEADLINE_MS = 5000


class Line:
    """A link and its peer."""

    def __init__(self):
        network.modem = network.Modem()
        self.modem = network.modem
        self.pauses = []
        self.now = 1 << 29
        self.link = LinkPpp(network.PPP(None), DEADLINE_MS, 60000, self.randint)

    def randint(self, low, high):
        """Note the range and take its end."""
        self.pauses.append((low, high))
        return high

    def steps(self, count, tick_ms=100):
        """Let time go by; return whether the link is up at the end."""
        is_up = False
        for _ in range(count):
            is_up = self.link.step(self.now)
            self.now = self.now + tick_ms & (1 << 30) - 1
        return is_up

    def said(self):
        """Return and forget what PPP was told."""
        words = list(self.modem.log)
        self.modem.log.clear()
        return words


def test_comes_up_and_stays_so():
    line = Line()
    assert not line.steps(1)
    assert line.steps(100, 1000)
    assert line.said() == ["connect"]
    assert (line.link.connects, line.link.last_error, line.pauses) == (1, "", [])
    assert line.link.rest_ms(line.now) == 1000


def test_a_peer_that_does_not_answer_is_tried_again_ever_less():
    line = Line()
    line.modem.answers = False
    assert not line.steps(400, 1000)
    assert line.link.last_error == "no answer from the peer"
    ceilings = [high for _, high in line.pauses]
    assert ceilings[:8] == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]
    assert line.link.failures == len(ceilings)
    words = line.said()
    assert words[:4] == ["connect", "disconnect"] * 2
    line.modem.answers = True
    assert line.steps(65, 1000)
    assert line.link.connects == 1 and line.link.last_error == ""


def test_a_peer_that_goes_and_comes_back():
    line = Line()
    assert line.steps(3)
    line.modem.error = 5
    assert not line.steps(1)
    assert line.link.last_error == "the peer has gone"
    assert line.said() == ["connect", "free"], "lwIP's part is freed, or connect finds it busy"
    line.modem.error = 0
    assert line.steps(30)
    assert line.link.connects == 2


def test_an_error_while_connecting_is_told_by_its_number():
    line = Line()
    line.modem.answers = False
    line.steps(2)
    line.modem.error = 9
    assert not line.steps(1)
    assert line.link.last_error == "PPP error 9"


def test_a_goodbye_without_an_answer_is_waited_for_and_not_for_ever():
    line = Line()
    assert line.steps(3)
    line.said()
    line.modem.closes = False
    line.link._ppp.isconnected = lambda: False
    assert not line.steps(70)
    assert line.said() == ["disconnect"], "the old session still says goodbye"
    assert not line.steps(20)
    words = line.said()
    assert words[0] == "connect" and line.link.last_error == "[Errno 114] EALREADY", words


def test_close_hangs_up_once():
    line = Line()
    line.link.close()
    assert line.said() == []
    assert line.steps(3)
    line.link.close()
    line.link.close()
    assert line.said() == ["connect", "disconnect"]
    assert line.steps(3)
    assert line.said() == ["connect"]
    line.link.doubt()
    assert line.steps(1), "the peer itself says when it has gone"


def test_it_has_left_when_the_peer_knows_or_does_not_answer():
    line = Line()
    assert line.link.has_left(line.now), "nothing was ever begun"
    assert line.steps(3)
    assert not line.link.has_left(line.now)
    line.link.close()
    assert line.link.has_left(line.now)
    line.modem.closes = False
    assert line.steps(3)
    line.link.close()
    line.link._since_ms = line.now  # the link takes the time of a clock that the test has not
    assert not line.link.has_left(line.now + 400)
    assert line.link.has_left(line.now + 500)
