"""The energy ledger: exact totals, unknown currents left alone, no heap."""

from check import Random, heap_lock, raises_kind

from app import ledger, power
from app.ledger import Ledger

CURRENTS = {
    "active": 67400,
    "light_sleep": 240,
    "deep_sleep": 8,
    "radio_connect": 146000,
    "radio_on": 210000,
    "radio_idle": 40100,
}


def total(book, phase):
    """Return the microampere milliseconds of a phase."""
    return book.charge_uah[phase] * 3600000 + book.rest[phase]


def test_each_phase_is_charged_with_its_current():
    for is_always_linked, radio_ua in ((False, 210000), (True, 40100)):
        book = Ledger(CURRENTS, is_always_linked)
        book.mark(power.PHASE_ACTIVE, 1000)
        now_ms = 1000
        for phase, duration_ms in ((0, 60000), (1, 12), (2, 664), (3, 200), (4, 7), (1, 3)):
            now_ms += duration_ms
            book.mark(phase, now_ms)
        assert total(book, 0) == 60000 * 240
        assert total(book, 1) == 15 * 67400
        assert total(book, 2) == 664 * 146000
        assert total(book, 3) == 200 * radio_ua
        assert total(book, 4) == 7 * 67400


def test_nothing_is_lost_by_rounding():
    random = Random(9)
    book = Ledger(CURRENTS, False)
    expected = [0] * 5
    now_ms = (1 << 30) - 5000000  # the ticks wrap on the way
    book.mark(power.PHASE_ACTIVE, now_ms)
    ua = (240, 67400, 146000, 210000, 67400)
    for _ in range(5000):
        phase = random.below(5)
        duration_ms = random.below((1, 10, 1000, 5000, 9000000)[random.below(5)])
        now_ms = (now_ms + duration_ms) & 0x3FFFFFFF
        book.mark(phase, now_ms)
        expected[phase] += duration_ms * ua[phase]
    assert [total(book, phase) for phase in range(5)] == expected
    assert max(book.rest) < 3600000


def test_a_deep_sleep_has_its_own_current():
    book = Ledger(CURRENTS, False)
    book.mark(power.PHASE_SLEEP, 0)
    book.mark(power.PHASE_SLEEP, 1000)
    charge_uah, rest = book.after_deep_sleep(86400000)
    assert (charge_uah[0], rest[0]) == (192, 1000 * 240)
    assert total(book, power.PHASE_SLEEP) == 1000 * 240, "it has not slept yet"


def test_an_unknown_current_is_not_guessed():
    book = Ledger({"active": 20000}, False)
    book.mark(power.PHASE_ACTIVE, 0)
    for phase in range(5):
        book.mark(phase, (phase + 1) * 1000)
    book.restore(*book.after_deep_sleep(1000))
    assert [total(book, phase) > 0 for phase in range(5)] == [False, True, False, False, True]
    assert [book.is_known(phase) for phase in range(5)] == [False, True, False, False, True]
    empty = Ledger({}, True)
    assert not any(empty.is_known(phase) for phase in range(5))


def test_totals_go_on_after_a_sleep():
    book = Ledger(CURRENTS, False)
    book.mark(power.PHASE_ACTIVE, 0)
    book.mark(power.PHASE_ACTIVE, 50)  # of a boot
    book.restore([1, 2, 3, 4, 5], [6, 3600000 - 1, 8, 9, 10])
    assert list(book.charge_uah) == [1, 3, 3, 4, 5]
    assert list(book.rest) == [6, 50 * 67400 - 1, 8, 9, 10]
    charge_uah, rest = book.after_deep_sleep(450000)
    assert (charge_uah[0], rest[0]) == (2, 6)


def test_marks_cost_no_heap():
    lock, unlock = heap_lock()
    book = Ledger(CURRENTS, False)
    for i in range(10):
        book.mark(i % 5, i)
    lock()
    try:
        now_ms = 10
        for i in range(500):
            now_ms = (now_ms + i * 7) & 0x3FFFFFFF
            book.mark(i % 5, now_ms)
    finally:
        unlock()
    assert book.charge_uah[3] > 0


def test_intermediate_values_fit_the_small_integers_of_the_boards():
    assert ledger._CHUNK_MS * ledger._MOST_UA + ledger._REST_END < 1 << 30
    raises_kind(ValueError, Ledger, {"active": 500001}, False)
