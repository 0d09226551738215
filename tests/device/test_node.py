"""The whole node: samples in, records out, and every fault on the way."""

import io
from array import array

import fake_board
import micropython
import sample_model
from check import Random
from fake_board import Board, Source, make_node, run

from app import sensing
from app.config import Config
from drivers.replay import Replay
from formats import crc, errors, golden, messages, model, model_pack, recording, result
from pipeline.decision import Decision

try:
    import obkernels as kernels
except ImportError:
    import obtwin as kernels

N_CHANNELS, WINDOW, HOP, RATE_MHZ = 4, 64, 32, 52000


def _model_fields(**changes):
    # The classes follow the spread of the first channel, and much of it is novel.
    fields = sample_model.fields(
        trees=[[(0, 500), 0, (0, 1500), 1, 2]],
        novelty_ranges=[(-32768, 3000)] + [(-32768, 32767)] * 9,
        novelty_threshold=1,
        min_confidence=10,
        golden_vectors=[],
        golden_windows=[],
    )
    fields.update(changes)
    return fields


def _model(**changes):
    """A model file with golden windows that are true."""
    plain = model_pack.pack(_model_fields(**changes))
    info = model.parse(plain)
    kernel = kernels.Model(plain, bytearray(kernels.work_bytes(plain)))
    features = array("h", bytes(2 * info.n_features))
    answer = array("i", bytes(4 * (4 + info.n_classes)))
    ring = array("h", bytes(2 * info.window * info.n_channels))
    windows = []
    for seed in (1, 77, 0xDEADBEEF):
        golden.fill_into(ring, seed)
        kernel.features_into(ring, 0, features)
        kernel.predict_into(features, answer)
        windows.append((seed, crc.crc32(features), answer[0], answer[1], answer[2]))
    vectors = [(answer[0], answer[1], answer[2], tuple(features))]
    changes["golden_windows"], changes["golden_vectors"] = windows, vectors
    return model_pack.pack(_model_fields(**changes))


def _samples(rows, seed=1):
    """Something that moves, stays below the limits, and changes its character now and then."""
    random = Random(seed)
    samples = array("h")
    for row in range(rows):
        spread = 200 << (row // 150 % 6)
        for _ in range(N_CHANNELS):
            samples.append(random.between(-spread, spread))
    return samples


def _expected(file, segments):
    """The result bytes of segments of samples, window by window on plain slices."""
    info = model.parse(file)
    kernel = kernels.Model(file, bytearray(kernels.work_bytes(file)))
    features = array("h", bytes(2 * info.n_features))
    answer = array("i", bytes(4 * (4 + info.n_classes)))
    found = []
    for samples in segments:
        decision = Decision(
            info.encoding, info.k, info.n, info.min_confidence, info.novelty_threshold, info.levels
        )
        for row in range(0, len(samples) // N_CHANNELS - WINDOW + 1, HOP):
            rows = samples[row * N_CHANNELS : (row + WINDOW) * N_CHANNELS]
            kernel.features_into(rows, 0, features)
            kernel.predict_into(features, answer)
            found.append(decision.step(answer[0], answer[1], answer[2]))
    return found


def _node(samples=None, file=None, files=None, **changes):
    """(node, uplink, board) with a source that delivers `samples`."""
    source = Source(N_CHANNELS, RATE_MHZ)
    source.samples = samples or array("h")
    board = Board(_model() if file is None else file, source, kernels, files)
    made, uplink = make_node(board, **changes)
    return made, uplink, board


def _moving(rows, seed=1):
    return _node(_samples(rows, seed))


def test_every_window_becomes_a_numbered_record():
    samples = _samples(2000)
    made, uplink, board = _node(samples)
    run(made, board.clock, 400)
    expected = _expected(_model(), [samples])
    assert len(expected) == (2000 - WINDOW) // HOP + 1
    assert len(set(expected)) > 3, "the test would not see a mix-up"
    assert uplink.bytes() == expected
    assert [record[3] for record in uplink.records] == list(range(len(expected)))
    assert made.summary()["windows"] == len(expected)
    assert made.summary()["faults"] == 0


def test_a_replay_with_gaps_ends_by_itself():
    segments = [_samples(500, 3), _samples(70, 4), _samples(30, 5), _samples(300, 6)]
    file = io.BytesIO()
    recording.write(file, N_CHANNELS, RATE_MHZ, segments)
    board = Board(_model(), None, kernels)
    board.source = Replay(file, 0, board.clock)
    made, uplink = make_node(board)
    while not made.done:
        run(made, board.clock, 1)
        assert board.clock.now < 1000
    assert uplink.bytes() == _expected(_model(), segments)
    made.close()
    assert uplink.closed


def test_a_replay_waits_for_the_broker_but_not_for_ever():
    file = io.BytesIO()
    recording.write(file, N_CHANNELS, RATE_MHZ, [_samples(500)])
    board = Board(_model(), None, kernels)
    board.source = Replay(file, 0, board.clock)
    made, uplink = make_node(board, drain_s=3)
    uplink.online = False
    run(made, board.clock, 100, 10)
    assert not made.done
    run(made, board.clock, 40, 100)
    assert made.done
    n_queued = made.outbox.queued()
    assert n_queued == (500 - WINDOW) // HOP + 1
    made.close()
    again, uplink, _ = _node(files=board.files)
    run(again, board.clock, 3)
    assert len(uplink.records) == n_queued, "saved for the next boot"


def test_nothing_is_lost_while_the_broker_is_away():
    samples = _samples(4000, 9)
    made, uplink, board = _node(samples, outbox_ram_records=4, outbox_segment_records=8)
    expected = _expected(_model(), [samples])
    for turn in range(40):
        uplink.online = turn % 3 == 2
        uplink.lazy_records = 1 + turn % 5
        run(made, board.clock, 10, 3)
    uplink.online = True
    run(made, board.clock, 300)
    assert uplink.bytes() == expected
    assert made.outbox.queued() == 0
    assert made.outbox.dropped == 0


def test_what_waits_is_saved_in_time():
    made, uplink, board = _node(_samples(200), outbox_flush_s=2)
    uplink.online = False
    run(made, board.clock, 20)
    assert made.outbox.unsaved > 0
    run(made, board.clock, 3, 1000)
    assert made.outbox.unsaved == 0


def test_a_record_that_has_just_come_is_not_saved_at_once():
    made, uplink, board = _node(_samples(90), outbox_flush_s=2)
    run(made, board.clock, 10, 1000)
    assert uplink.records
    uplink.online = False
    board.source.samples += _samples(90)
    run(made, board.clock, 20)
    assert made.outbox.unsaved > 0, "the flash is for links that stay away"


def test_records_carry_the_time_of_their_decision():
    made, uplink, board = _moving(200)
    board.clock.now = 5123
    run(made, board.clock, 20)
    epoch, _, quality, _, time_s, time_ms = uplink.records[0]
    assert (epoch, quality, time_s) == (1, 1, 5)
    assert 123 <= time_ms < 150


def test_from_sample_to_byte_nothing_is_allocated():
    for k, n in ((1, 1), (2, 3)):
        made, _, _ = _node(_samples(1200), _model(k=k, n=n))
        path = made.sensing
        step = path.step
        for _ in range(30):  # the first calls intern and cache
            step(0)
        windows = path.windows
        micropython.heap_lock()
        try:
            for _ in range(60):
                step(0)
        finally:
            micropython.heap_unlock()
        assert path.windows > windows + 10


def test_faults_allocate_nothing_either():
    made, _, _ = _node(array("h", [1234] * N_CHANNELS * 1000))
    path = made.sensing
    for _ in range(10):
        path.step(0)
    micropython.heap_lock()
    try:
        for _ in range(40):
            path.step(0)
    finally:
        micropython.heap_unlock()
    assert path.faults > 10


def _reasons(uplink):
    return [result.parse(result.A, byte)[3] for byte in uplink.bytes()]


def test_a_silent_sensor_is_reported_again_and_again():
    made, uplink, board = _node(_samples(100), silent_ms=100)
    run(made, board.clock, 400)
    assert _reasons(uplink)[-3:] == [result.SENSOR_SILENT] * 3
    assert 3 <= made.summary()["faults"] <= 4


def test_a_sensor_that_resumes_starts_a_new_window():
    made, uplink, board = _node(_samples(90, 2), silent_ms=100)
    run(made, board.clock, 150)
    source = board.source
    source.samples = _samples(90, 2) + _samples(200, 8)
    run(made, board.clock, 50)
    expected = _expected(_model(), [_samples(200, 8)])
    assert uplink.bytes()[-len(expected) :] == expected


def test_a_stuck_sensor():
    made, uplink, board = _node(array("h", [5, 6, 7, 8] * 300))
    run(made, board.clock, 60)
    assert set(_reasons(uplink)) == {result.SENSOR_STUCK}


def test_a_saturated_sensor():
    samples = _samples(300)
    for row in range(0, 300, 5):
        samples[row * N_CHANNELS + 2] = 32767
    made, uplink, board = _node(samples)
    run(made, board.clock, 60)
    assert set(_reasons(uplink)) == {result.SENSOR_SATURATED}


def test_an_overrun_is_reported_and_breaks_the_window():
    made, uplink, board = _node(_samples(60))
    run(made, board.clock, 10)
    board.source.overruns = 1
    board.source.samples += _samples(60, 5)
    run(made, board.clock, 10)
    assert _reasons(uplink) == [result.SENSOR_OVERRUN], "no window of what is left and new"


def test_a_broken_bus_is_reported_once_per_interval_and_heals():
    made, uplink, board = _node(_samples(400), silent_ms=100)
    run(made, board.clock, 10)
    board.source.fails = True
    run(made, board.clock, 250)
    assert _reasons(uplink)[-3:] == [result.SENSOR_ERROR] * 3
    assert _reasons(uplink).count(result.SENSOR_ERROR) == 3
    board.source.fails = False
    run(made, board.clock, 30)
    assert _reasons(uplink)[-1] in (-1, result.UNDECIDED)


def test_a_broken_bus_breaks_the_window():
    made, uplink, board = _node(_samples(60))
    run(made, board.clock, 10)
    board.source.fails = True
    run(made, board.clock, 1)
    board.source.fails = False
    board.source.samples += _samples(60, 5)
    run(made, board.clock, 10)
    assert _reasons(uplink) == [result.SENSOR_ERROR], "no window of what is left and new"


def _refused(file, code, **changes):
    made, uplink, board = _node(_samples(300), file, **changes)
    assert made.model_error.code == code, made.model_error
    return made, uplink, board


def test_a_refused_model_is_a_fault_at_every_heartbeat():
    good = _model()
    damaged = bytearray(good)
    damaged[200] ^= 1
    for file, code in ((bytes(damaged), errors.CRC), (b"", errors.TOO_SHORT)):
        made, uplink, board = _refused(file, code, heartbeat_s=10)
        run(made, board.clock, 250, 100)
        assert uplink.bytes() == [0x4F] * 3
        assert made.summary()["faults"] == 3
        meta = messages.parse_meta(made.meta)
        assert (meta["encoding"], meta["model"]) == ("A", "0" * 16)
        messages.parse_status(made.status())


def test_another_answer_than_the_host_s_refuses_the_model():
    good = model.parse(_model())
    vector = good.golden_vector(0)
    seed, checksum, class_id, confidence, novelty = good.golden_window(1)
    wrong = (
        {"golden_vectors": [(vector[0], vector[1] ^ 1, vector[2], vector[3])]},
        {"golden_windows": [(seed, checksum ^ 1, class_id, confidence, novelty)]},
        {"golden_windows": [(seed, checksum, class_id, confidence ^ 1, novelty)]},
        {"golden_windows": [(seed, checksum, class_id, confidence, novelty ^ 1)]},
    )
    for changes in wrong:
        file = model_pack.pack(_model_fields(**changes))
        made, uplink, board = _refused(file, errors.GOLDEN_MISMATCH)
        run(made, board.clock, 3)
        assert uplink.bytes() == [0x4F]
        assert messages.parse_meta(made.meta)["labels"] == good.labels


def test_a_model_for_another_sensor_is_refused():
    _refused(_model(rate_mhz=RATE_MHZ + 1), errors.SAMPLES)


def test_encoding_b_says_so_in_its_own_way():
    labels = ["class %d" % i for i in range(20)]
    many = _model_fields(labels=labels, rows=[], trees=[[0], [19]])
    seed = (1, 0, 0, 0, 0)
    many["golden_windows"] = [seed]
    made, uplink, board = _refused(model_pack.pack(many), errors.GOLDEN_MISMATCH)
    run(made, board.clock, 3)
    assert uplink.bytes() == [240 + result.MODEL_INVALID]


def test_meta_and_status_describe_the_node():
    made, uplink, board = _moving(300)
    run(made, board.clock, 50, 100)
    meta = messages.parse_meta(made.meta)
    assert meta["window_ms"] == WINDOW * 1000000 // RATE_MHZ
    assert meta["hop_ms"] == HOP * 1000000 // RATE_MHZ
    assert meta["labels"] == model.parse(_model()).labels
    status = messages.parse_status(made.status())
    assert status["windows"] == status["next_seq"] == len(uplink.records)
    assert (status["epoch"], status["connects"], status["uptime_s"]) == (1, 1, 5)
    assert (status["time_quality"], status["flash_errors"]) == (1, 0)


def test_uptime_survives_the_wrap_of_the_ticks():
    made, _, board = _moving(100)
    for _ in range(5):
        board.clock.now = (board.clock.now + (1 << 28)) & ((1 << 30) - 1)
        made.step()
    assert made.summary()["uptime_s"] == 5 * (1 << 28) // 1000


def test_uptime_survives_a_status_that_is_later_than_its_step():
    made, uplink, board = _moving(100)

    def say_status(now_ms):
        board.clock.now += 7  # what came before it in this step took a while
        made.status()

    uplink.step = say_status
    run(made, board.clock, 100, 50)
    assert made.summary()["uptime_s"] == 5


def test_policy_comes_from_the_configuration():
    samples = _samples(3000, 4)
    made, uplink, board = _node(samples, policy="on_change", heartbeat_s=3600)
    run(made, board.clock, 500)
    expected = []
    for byte in _expected(_model(), [samples]):
        key = byte if byte & 15 == 15 else byte & 0x8F
        if not expected or expected[-1][0] != key:
            expected.append((key, byte))
    assert uplink.bytes() == [byte for _, byte in expected]
    assert len(expected) > 3


def test_refused_reads_on_so_that_a_replay_ends():
    source = Source(1, 1000)
    path = sensing.Refused(Config(fake_board.CONFIG), source)
    assert path.step(0) == 0x4F
    source.samples = array("h", [1] * 20)
    assert path.step(0) == sensing.NOTHING
    source.fails = True
    assert path.step(0) == sensing.IDLE
    assert not path.done
    source.done = True
    assert sensing.Refused(Config(fake_board.CONFIG), source).done
