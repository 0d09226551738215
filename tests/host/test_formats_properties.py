"""Properties of every byte format: what is packed is parsed, and nothing else gets through."""

import io
import json
import struct
import tracemalloc
from array import array
from typing import Any

import pytest
import sample_model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from formats import (
    batch,
    errors,
    fields,
    flatjson,
    json_fields,
    messages,
    model,
    model_pack,
    record,
    recording,
    result,
    topics,
    trees,
)
from formats.crc import crc16, crc32
from formats.errors import OnebyteError

settings.register_profile(
    "formats", deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("formats")

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
I16 = st.integers(-0x8000, 0x7FFF)
EPOCH = st.integers(1, 0xFFFF)
QUALITY = st.integers(0, 2)
COUNTER = st.integers(0, json_fields.COUNTER_MAX)
RECORD = st.tuples(EPOCH, U8, QUALITY, U32, U32, st.integers(0, 999))

# Text as the formats allow it: no control characters, no surrogates.
LETTER = st.characters(min_codepoint=0x20, exclude_characters="\x7f", exclude_categories=["Cs"])


def text(max_bytes: int, min_size: int = 0) -> st.SearchStrategy[str]:
    words = st.text(LETTER, min_size=min_size, max_size=max_bytes)
    return words.map(lambda word: word.encode()[:max_bytes].decode(errors="ignore"))


LABELS = st.lists(text(24, 1), min_size=2, max_size=240, unique=True)


def fields_of_model(draw: st.DrawFn) -> dict[str, Any]:
    return sample_model.random_fields(draw(st.integers(1, 0xFFFFFFFF)))


MODEL = st.composite(fields_of_model)()


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_checksums_continue_and_match_an_independent_one(head: bytes, tail: bytes) -> None:
    whole = head + tail
    assert crc32(tail, crc32(head)) == crc32(whole)
    assert crc16(whole, len(head), len(whole), crc16(whole, 0, len(head))) == slow_crc16(whole)


def slow_crc16(data: bytes) -> int:
    """The definition: polynomial 0x1021, one bit after the other."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


@given(st.binary(max_size=12))
@example("\ud7ff\ue000".encode())
def test_text_is_what_python_decodes_without_controls(data: bytes) -> None:
    try:
        good = all(c >= " " and c != "\x7f" for c in data.decode())
    except UnicodeDecodeError:
        good = False
    assert fields.is_text(data, 0, len(data)) == good


@given(st.integers(0, 1), st.integers(0, 239), st.integers(0, 7), st.booleans())
def test_results_survive(encoding: int, class_id: int, level: int, novel: bool) -> None:
    class_id %= result.MAX_CLASSES[encoding]
    parsed = result.parse(encoding, result.pack_class(encoding, class_id, level, novel))
    assert parsed == (class_id, *((0, False) if encoding else (level, novel)), -1)


@given(RECORD, st.integers(0, 40))
def test_records_survive(fields_: tuple[int, ...], offset: int) -> None:
    buf = bytearray(b"\xa5" * (offset + record.RECORD_BYTES + 3))
    record.pack_into(buf, offset, *fields_)
    assert record.parse(buf, offset) == fields_
    assert buf[:offset] == b"\xa5" * offset and buf[-3:] == b"\xa5" * 3


@given(st.binary(max_size=40), st.integers(-1, 40))
def test_records_are_refused_with_a_reason(data: bytes, offset: int) -> None:
    try:
        parsed = record.parse(data, offset)
    except OnebyteError as error:
        assert 40 <= error.code < 50
    else:
        buf = bytearray(record.RECORD_BYTES)
        record.pack_into(buf, 0, *parsed)
        assert buf == data[offset : offset + record.RECORD_BYTES]


@st.composite
def backlogs(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Records of one batch whose times a batch holds exactly."""
    epoch, byte, quality, seq, time_s, time_ms = draw(RECORD)
    deltas = draw(st.lists(st.tuples(U8, st.integers(0, 600)), max_size=batch.MAX_RECORDS - 1))
    seq = min(seq, 0xFFFFFFFF - len(deltas))
    time_s = min(time_s, 0xFFFFFFFF - 20000)
    rows = [(epoch, byte, quality, seq, time_s, time_ms)]
    for i, (following, delta_ds) in enumerate(deltas, 1):
        time_ms += 100 * delta_ds
        rows.append((epoch, following, quality, seq + i, time_s + time_ms // 1000, time_ms % 1000))
    return rows


@given(backlogs())
def test_batches_survive(rows: list[tuple[int, ...]]) -> None:
    payload = batch.pack(rows)
    assert batch.span(rows) == len(rows)
    assert len(payload) == 16 + 3 * len(rows)
    parsed = batch.parse(payload)
    assert parsed.records == rows
    assert batch.pack(parsed.records) == payload


@given(EPOCH, U32)
def test_anchors_survive(epoch: int, seq: int) -> None:
    parsed = batch.parse(batch.pack_anchor(epoch, seq))
    assert (parsed.epoch, parsed.first_seq, parsed.next_seq, parsed.count) == (epoch, seq, seq, 0)


@given(st.lists(RECORD, max_size=20))
def test_span_and_pack_agree(rows: list[tuple[int, ...]]) -> None:
    count = batch.span(rows)
    assert (count > 0) == (len(rows) > 0)
    if count:
        assert batch.parse(batch.pack(rows[:count])).count == count
    if count < len(rows):
        with pytest.raises(OnebyteError):
            batch.pack(rows[: count + 1])


@given(st.binary(max_size=60) | backlogs().map(batch.pack), st.data())
def test_batches_are_refused_with_a_reason(payload: bytes, data: st.DataObject) -> None:
    bad = bytearray(payload)
    for _ in range(data.draw(st.integers(0, 3))):
        if bad:
            bad[data.draw(st.integers(0, min(len(bad), 24) - 1))] = data.draw(U8)
    try:
        parsed = batch.parse(bytes(bad))
    except OnebyteError as error:
        assert 50 <= error.code < 60
        return
    packed = (
        batch.pack(parsed.records)
        if parsed.count
        else batch.pack_anchor(parsed.epoch, parsed.first_seq)
    )
    assert packed == bytes(bad), "one meaning, one form"


META = st.fixed_dictionaries(
    {
        "labels": LABELS,
        "model": st.text("0123456789abcdef", min_size=16, max_size=16),
        "name": text(64),
        "window_ms": COUNTER,
        "hop_ms": COUNTER,
    }
)
STATUS = st.fixed_dictionaries(
    {key: COUNTER for key in messages.STATUS_KEYS} | {"epoch": EPOCH, "time_quality": QUALITY}
)


@given(META)
def test_meta_survives_and_is_plain_json(meta: dict[str, Any]) -> None:
    meta["encoding"] = "AB"[result.encoding_of(len(meta["labels"]))]
    payload = messages.pack_meta(meta)
    assert messages.parse_meta(payload) == meta
    assert json.loads(payload) == {"v": 1, **meta}
    assert messages.parse_meta(json.dumps({"v": 1, **meta}, indent=1).encode()) == meta


@given(STATUS)
def test_status_survives_and_is_plain_json(status: dict[str, int]) -> None:
    payload = messages.pack_status(status)
    assert messages.parse_status(payload) == {"online": True, **status}
    assert json.loads(payload) == {"v": 1, "online": True, **status}


@given(EPOCH, U32)
def test_commands_survive(epoch: int, seq: int) -> None:
    parsed = messages.parse_command(messages.pack_resend(epoch, seq))
    assert parsed == {"cmd": "resend", "epoch": epoch, "seq": seq}


VALUES = st.integers(-(10**15), 10**15) | st.booleans() | text(20) | st.lists(text(8), max_size=4)


@given(st.dictionaries(text(8), VALUES, min_size=1), st.booleans())
def test_our_json_is_read_as_the_json_module_reads_it(value: dict[str, Any], ascii_: bool) -> None:
    assert flatjson.parse(flatjson.pack(list(value.items())), 1 << 20) == value
    dumped = json.dumps(value, ensure_ascii=ascii_).encode()
    assert flatjson.parse(dumped, 1 << 20) == value


JSON_WORDS = """
    { } [ ] : , " \\ u00e9 ud83d 0 - 1 e . true false null é
    "v" "v":1 "cmd":"resend" "epoch":1 "seq":1
"""
JSON_PIECES = st.lists(st.sampled_from(JSON_WORDS.split()), max_size=12)


@given(JSON_PIECES.map("".join).map(str.encode) | st.binary(max_size=60))
@example(messages.WILL)
def test_messages_are_refused_with_a_reason(payload: bytes) -> None:
    for parse in (messages.parse_meta, messages.parse_status, messages.parse_command):
        try:
            parse(payload)
        except OnebyteError as error:
            assert 60 <= error.code < 70
    try:
        parsed = flatjson.parse(payload, 4096)
    except OnebyteError:
        return
    assert json.loads(payload) == parsed


NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=32)


@given(NAME, NAME, st.sampled_from(topics.KINDS), st.text(max_size=20))
def test_topics_survive_and_others_are_refused(
    tenant: str, device: str, kind: str, other: str
) -> None:
    topic = topics.pack(tenant, device, kind)
    assert topics.parse(topic) == (tenant, device, kind)
    for bad in (other, topic + other, other + topic, topic.replace("ob/", "ob/" + other, 1)):
        try:
            assert topics.pack(*topics.parse(bad)) == bad
        except OnebyteError as error:
            assert error.code == errors.TOPIC


@given(
    st.integers(1, 16).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(
                st.lists(st.lists(I16, min_size=n, max_size=n), min_size=1, max_size=5),
                min_size=1,
                max_size=5,
            ),
        )
    ),
    st.integers(1, 0xFFFFFFFF),
    st.integers(1, 7),
)
def test_recordings_survive(
    content: tuple[int, list[list[list[int]]]], rate_mhz: int, max_rows: int
) -> None:
    n_channels, segments = content
    flat = [array("h", [value for row in rows for value in row]) for rows in segments]
    file = io.BytesIO()
    recording.write(file, n_channels, rate_mhz, flat)
    reader = recording.Reader(file)
    assert (reader.n_channels, reader.rate_mhz) == (n_channels, rate_mhz)
    buf = memoryview(array("h", [0] * (max_rows * n_channels)))
    for wanted in flat:
        assert reader.next_segment() == len(wanted) // n_channels
        got: list[int] = []
        while rows := reader.read_into(buf, max_rows):
            got += buf[: rows * n_channels].tolist()
        assert got == wanted.tolist()
    assert reader.next_segment() == 0


@given(st.binary(max_size=80), st.booleans())
def test_recordings_are_refused_with_a_reason(data: bytes, with_magic: bool) -> None:
    head = recording.MAGIC + b"\x01" if with_magic else b""
    try:
        recording.Reader(io.BytesIO(head + data))
    except OnebyteError as error:
        assert 90 <= error.code < 100


def values_of(parsed: model.Model) -> dict[str, Any]:
    """Return what `model_pack.pack` needs to make the same model."""
    same = {
        name: getattr(parsed, name)
        for name in (*model_pack.NEEDED, *model_pack.OPTIONAL)
        if name not in ("trees", "rows")
    }
    same["trees"] = [parsed.trees.nodes(i) for i in range(parsed.n_trees)]
    same["rows"] = [parsed.trees.row(i) for i in range(parsed.n_rows)]
    return same


@settings(max_examples=150)
@given(MODEL)
def test_models_survive(values: dict[str, Any]) -> None:
    file = model_pack.pack(values)
    assert model.check(file) == 0
    assert model_pack.pack(values_of(model.parse(file))) == file
    assert model_pack.pack(values_of(model.parse(bytearray(file), checked=True))) == file


SMALL_FILES = [sample_model.pack(), model_pack.pack(sample_model.smallest())]


@pytest.mark.parametrize("file", SMALL_FILES, ids=["every section", "smallest"])
def test_any_single_bit_flip_of_a_model_is_refused(file: bytes) -> None:
    bad = bytearray(file)
    for bit in range(8 * len(file)):
        bad[bit >> 3] ^= 1 << (bit & 7)
        assert model.check(bad) != 0, bit
        bad[bit >> 3] ^= 1 << (bit & 7)


@settings(max_examples=100)
@given(MODEL, st.data())
def test_any_single_bit_flip_of_any_model_is_refused(
    values: dict[str, Any], data: st.DataObject
) -> None:
    file = bytearray(model_pack.pack(values))
    for bit in data.draw(st.lists(st.integers(0, 8 * len(file) - 1), max_size=20)):
        file[bit >> 3] ^= 1 << (bit & 7)
        assert model.check(file) != 0
        file[bit >> 3] ^= 1 << (bit & 7)


@settings(max_examples=1000)
@given(st.sampled_from(SMALL_FILES), st.data())
def test_a_mutated_model_with_a_right_crc_is_refused_or_readable(
    file: bytes, data: st.DataObject
) -> None:
    bad = bytearray(file)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(4, len(bad) - 5))
        bad[at] = data.draw(U8)
    bad[-4:] = struct.pack("<I", crc32(bytes(bad[:-4])))
    try:
        parsed = model.parse(bytes(bad))
    except OnebyteError as error:
        assert 1 <= error.code < 40 and error.code == model.check(bad)
        return
    again = model_pack.pack(values_of(parsed))
    n_known = sum(parsed.section(kind)[1] > 0 for kind in range(1, model.LAST_KIND + 1))
    is_empty_golden = parsed.section(model.GOLDEN)[1] == 4
    if n_known == bad[5] and not is_empty_golden:
        assert again == bytes(bad), "one meaning, one form"


@given(st.binary(max_size=200), st.integers(0, 3))
def test_noise_is_no_model(data: bytes, n_right: int) -> None:
    head = (b"", model.MAGIC, model.MAGIC + b"\x01", model.MAGIC + b"\x01\x01\x34\x00")[n_right]
    assert 1 <= model.check(head + data) < 40


@given(st.recursive(st.integers(0, 6), lambda kids: st.tuples(st.integers(0, 9), I16, kids, kids)))
def test_trees_survive(tree: Any) -> None:
    def preorder(node: Any) -> list[Any]:
        if isinstance(node, int):
            return [node]
        return [node[:2], *preorder(node[2]), *preorder(node[3])]

    def depth(node: Any) -> int:
        return 0 if isinstance(node, int) else 1 + max(depth(node[2]), depth(node[3]))

    nodes = preorder(tree)
    assert model_pack.depth_of(nodes) == depth(tree)
    values = sample_model.smallest()
    values["program"] = [(1, 0, 0, 0, 0)] * 10
    values["labels"] = list("abcdefg")
    values["trees"] = [[0], nodes, nodes]
    if depth(tree) > trees.MAX_DEPTH:
        return
    parsed = model.parse(model_pack.pack(values))
    assert parsed.trees.nodes(1) == nodes and parsed.trees.nodes(2) == nodes
    assert parsed.max_depth == depth(tree)


def hostile_inputs() -> list[tuple[Any, bytes]]:
    huge_model = bytearray(SMALL_FILES[1])
    struct.pack_into("<I", huge_model, 8, 0xFFFFFFFC)
    huge_section = bytearray(SMALL_FILES[1])
    struct.pack_into("<I", huge_section, 48, 0xFFFFFFFF)
    huge_section[-4:] = struct.pack("<I", crc32(bytes(huge_section[:-4])))
    many_rows = struct.pack("<4sBBHII", recording.MAGIC, 1, 16, 4096, 1, 0xFFFFFFFF)
    return [
        (model.check, bytes(huge_model)),
        (model.check, bytes(huge_section)),
        (batch.parse, struct.pack("<BBHIIHH", 1, 0, 1, 0, 0, 0, 65535)),
        (lambda data: recording.Reader(io.BytesIO(data)), many_rows),
        (messages.parse_command, b"{" * 1_000_000),
        (messages.parse_command, b'{"a":' + b"[" * 4000),
        (messages.parse_command, b'{"v":' + b"9" * 4000),
        (messages.parse_meta, b'{"labels":[' + b'"",' * 5000),
    ]


@pytest.mark.parametrize("index", range(8))
def test_hostile_lengths_cost_no_memory(index: int) -> None:
    parse, data = hostile_inputs()[index]
    tracemalloc.start()
    try:
        outcome = parse(data)
    except OnebyteError:
        outcome = 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome != 0
    assert peak < 20_000 + 20 * min(len(data), messages.MAX_META_BYTES), peak
