"""Messages and topics: strict on every runtime alike."""

from check import Random, raises

from formats import errors, flatjson, messages, topics

META = {
    "encoding": "A",
    "labels": ["rest", 'say "hi" \\ bye', "größer", "\U0001f600"],
    "model": "0123456789abcdef",
    "name": "exercise 1",
    "window_ms": 2000,
    "hop_ms": 1000,
}
STATUS = {key: i + 1 for i, key in enumerate(messages.STATUS_KEYS)}
STATUS["time_quality"] = 2
COMMAND = b'{"v":1,"cmd":"resend","epoch":3,"seq":4294967295}'


def changed(values, **changes):
    values = dict(values)
    values.update(changes)
    return values


def test_meta_survives():
    assert messages.parse_meta(messages.pack_meta(META)) == META
    many = changed(META, encoding="B", labels=["%03d" % i + '"' * 21 for i in range(240)])
    many["name"] = '"' * 64
    payload = messages.pack_meta(many)
    assert len(payload) < messages.MAX_META_BYTES
    assert messages.parse_meta(payload) == many


def test_status_survives():
    parsed = messages.parse_status(messages.pack_status(STATUS))
    assert parsed.pop("online") is True
    assert parsed == STATUS
    assert messages.parse_status(messages.WILL) == {"online": False}


def test_what_a_node_knows_of_its_power_is_optional():
    powered = changed(STATUS, reset="watchdog", wakes=3, supply_mv=3100, uah_radio=12)
    parsed = messages.parse_status(messages.pack_status(powered))
    assert parsed.pop("online") is True
    assert parsed == powered
    for key in messages.CHARGE_KEYS + ("supply_mv",):
        messages.parse_status(messages.pack_status(changed(STATUS, **{key: 0})))
    for key, value, code in (
        ("reset", "gremlins", errors.MESSAGE_RANGE),
        ("reset", 1, errors.MESSAGE_TYPE),
        ("wakes", -1, errors.MESSAGE_RANGE),
        ("flash_held", 1, errors.MESSAGE_KEYS),
        ("uah_sleep", "1", errors.MESSAGE_TYPE),
        ("uah_total", 1, errors.MESSAGE_KEYS),
    ):
        bad = changed(STATUS, **{key: value})
        raises(code, messages.pack_status, bad)
        payload = flatjson.pack([("v", 1), ("online", True)] + list(bad.items()))
        raises(code, messages.parse_status, payload)


def test_command_survives():
    assert messages.pack_resend(3, 0xFFFFFFFF) == COMMAND
    assert messages.parse_command(COMMAND) == {"cmd": "resend", "epoch": 3, "seq": 0xFFFFFFFF}


def test_meta_out_of_range_is_refused_both_ways():
    for key, value, code in (
        ("encoding", "B", errors.MESSAGE_RANGE),
        ("encoding", "C", errors.MESSAGE_RANGE),
        ("encoding", 0, errors.MESSAGE_TYPE),
        ("labels", ["one"], errors.MESSAGE_RANGE),
        ("labels", ["one", "one"], errors.MESSAGE_RANGE),
        ("labels", ["", "one"], errors.MESSAGE_RANGE),
        ("labels", ["x" * 25, "one"], errors.MESSAGE_RANGE),
        ("labels", ["%d" % i for i in range(241)], errors.MESSAGE_RANGE),
        ("labels", "ab", errors.MESSAGE_TYPE),
        ("model", "0123456789abcdeF", errors.MESSAGE_RANGE),
        ("model", "0123456789abcde", errors.MESSAGE_RANGE),
        ("name", "x" * 65, errors.MESSAGE_RANGE),
        ("window_ms", -1, errors.MESSAGE_RANGE),
        ("window_ms", True, errors.MESSAGE_TYPE),
        ("hop_ms", "1", errors.MESSAGE_TYPE),
    ):
        bad = changed(META, **{key: value})
        raises(code, messages.pack_meta, bad)
        payload = flatjson.pack([("v", 1)] + list(bad.items()))
        raises(code, messages.parse_meta, payload)


def test_status_out_of_range_is_refused_both_ways():
    for key, value, code in (
        ("epoch", 0, errors.MESSAGE_RANGE),
        ("epoch", 65536, errors.MESSAGE_RANGE),
        ("time_quality", 3, errors.MESSAGE_RANGE),
        ("queued", -1, errors.MESSAGE_RANGE),
        ("queued", 1 << 53, errors.MESSAGE_RANGE),
        ("faults", False, errors.MESSAGE_TYPE),
        ("faults", ["x"], errors.MESSAGE_TYPE),
    ):
        bad = changed(STATUS, **{key: value})
        raises(code, messages.pack_status, bad)
        payload = flatjson.pack([("v", 1), ("online", True)] + list(bad.items()))
        raises(code, messages.parse_status, payload)
    raises(errors.MESSAGE_KEYS, messages.parse_status, b'{"v":1,"online":true}')
    raises(errors.MESSAGE_KEYS, messages.parse_status, b'{"v":1,"online":false,"epoch":1}')
    raises(errors.MESSAGE_KEYS, messages.parse_status, b'{"v":1}')
    raises(errors.MESSAGE_TYPE, messages.parse_status, b'{"v":1,"online":1}')


def test_bad_commands_have_their_reasons():
    for code, payload in (
        (errors.MESSAGE_KEYS, b'{"cmd":"resend","epoch":1,"seq":1}'),
        (errors.MESSAGE_KEYS, b'{"v":1,"cmd":"resend","epoch":1}'),
        (errors.MESSAGE_KEYS, b'{"v":1,"cmd":"resend","epoch":1,"seq":1,"x":1}'),
        (errors.MESSAGE_KEYS, b'{"v":1,"cmd":"resend","epoch":1,"seq":1,"seq":1}'),
        (errors.MESSAGE_VERSION, b'{"v":2,"cmd":"resend","colour":1}'),
        (errors.MESSAGE_TYPE, b'{"v":true,"cmd":"resend","epoch":1,"seq":1}'),
        (errors.MESSAGE_TYPE, b'{"v":1,"cmd":1,"epoch":1,"seq":1}'),
        (errors.MESSAGE_TYPE, b'{"v":1,"cmd":"resend","epoch":true,"seq":1}'),
        (errors.MESSAGE_TYPE, b'{"v":1,"cmd":"resend","epoch":"1","seq":1}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"cmd":"reboot","epoch":1,"seq":1}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"cmd":"resend","epoch":0,"seq":1}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"cmd":"resend","epoch":1,"seq":4294967296}'),
        (errors.MESSAGE_SIZE, COMMAND + b" " * 4096),
    ):
        raises(code, messages.parse_command, payload)
    raises(errors.MESSAGE_RANGE, messages.pack_resend, 0, 0)
    raises(errors.MESSAGE_RANGE, messages.pack_resend, 1, -1)


def test_every_truncation_is_refused():
    for good, parse in (
        (COMMAND, messages.parse_command),
        (messages.pack_meta(META), messages.parse_meta),
        (messages.pack_status(STATUS), messages.parse_status),
    ):
        for length in range(len(good)):
            raises(errors.MESSAGE_SYNTAX, parse, good[:length])


def test_what_is_json_is_read():
    for payload, value in (
        (b'{"a":1}', 1),
        (b' { "a"\t:\n-12\r} ', -12),
        (b'{"a":0}', 0),
        (b'{"a":-0}', 0),
        (b'{"a":9999999999999999}', 9999999999999999),
        (b'{"a":true}', True),
        (b'{"a":false}', False),
        (b'{"a":[]}', []),
        (b'{"a":[ "x" , "" ]}', ["x", ""]),
        (b'{"a":"\\"\\\\\\/\\u00e9\\uD83d\\ude00"}', '"\\/\u00e9\U0001f600'),
        (b'{"a":"\xc3\xa9"}', "\u00e9"),
    ):
        parsed = flatjson.parse(payload, 100)
        assert parsed == {"a": value} and type(parsed["a"]) is type(value), payload


def test_what_is_not_our_json_is_refused():
    for payload in (
        b"",
        b"{}",
        b"null",
        b"[]",
        b'{"a":1}x',
        b'{"a":1}{"a":1}',
        b'{"a":1,}',
        b'{,"a":1}',
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":-}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":0x1}',
        b'{"a":1_0}',
        b'{"a":12345678901234567}',
        b'{"a":null}',
        b'{"a":NaN}',
        b'{"a":tru}',
        b'{"a":truex}',
        b'{"a":{}}',
        b'{"a":[1]}',
        b'{"a":[["x"]]}',
        b'{"a":["x",]}',
        b'{"a":["x" "y"]}',
        b"{a:1}",
        b"{'a':1}",
        b"{1:1}",
        b'{"a":"\n"}',
        b'{"a":"\x7f"}',
        b'{"a":"\\n"}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u12"}',
        b'{"a":"\\u12g4"}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"a":"\\udc00"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc3"}',
        b'{"a":"\\',
        b'{"a":"\\\x00"}',
        b'\xef\xbb\xbf{"a":1}',
    ):
        raises(errors.MESSAGE_SYNTAX, flatjson.parse, payload, 4096)


def test_mutated_messages_raise_nothing_else():
    random = Random(21)
    letters = b'{}[]",:\\0123456789-truefalsu \xc3\xa9\xff'
    for good, parse in (
        (COMMAND, messages.parse_command),
        (messages.pack_meta(META), messages.parse_meta),
    ):
        for _ in range(1500):
            bad = bytearray(good)
            for _ in range(random.between(1, 3)):
                bad[random.below(len(bad))] = letters[random.below(len(letters))]
            try:
                parse(bytes(bad))
            except errors.OnebyteError as error:
                assert 60 <= error.code < 70


def test_topics_survive():
    for kind in topics.KINDS:
        topic = topics.pack("lab-1", "node_7", kind)
        assert topic == "ob/lab-1/node_7/" + kind
        assert topics.parse(topic) == ("lab-1", "node_7", kind)


def test_bad_topics_are_refused():
    for topic in (
        "",
        "ob/a/b",
        "ob/a/b/r/",
        "/ob/a/b/r",
        "xb/a/b/r",
        "ob//b/r",
        "ob/a/B/r",
        "ob/a/+/r",
        "ob/a/b/wanted",
        "ob/" + "a" * 33 + "/b/r",
        "ob/\u00e4/b/r",
    ):
        raises(errors.TOPIC, topics.parse, topic)
    raises(errors.TOPIC, topics.pack, "a", "b", "x")
    raises(errors.TOPIC, topics.pack, "a/b", "c", "r")
    raises(errors.TOPIC, topics.pack, "a", "", "r")
