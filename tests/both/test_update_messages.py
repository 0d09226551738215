"""Messages about updates, ids of objects and their addresses: strict on every runtime alike."""

import hashlib

from check import Random, raises
from sample_release import file_entry, root_fields, seal

from formats import (
    errors,
    flatjson,
    manifest,
    objects,
    root_pack,
    signed,
    slot_state,
    update_messages,
    url,
)
from ota import slots

DIGEST = "0123456789abcdef" * 4
WANT = {"seq": 12, "manifest": DIGEST, "bytes": 4096, "root": 1, "url": ""}
ACK = b'{"v":1,"seq":12,"record":4294967295}'
REPORT = {key: i for i, key in enumerate(update_messages.REPORT_KEYS)}
REPORT.update({"phase": "trial", "slot": "b"})


def changed(values, **changes):
    values = dict(values)
    values.update(changes)
    return values


def test_messages_survive():
    for address in ("", "http://10.0.0.7:8080/updates/", "https://x.example/"):
        want = changed(WANT, url=address)
        payload = update_messages.pack_want(want)
        assert update_messages.parse_want(payload) == want
        assert len(payload) <= update_messages.MAX_WANT_BYTES
    assert update_messages.pack_ack(12, 0xFFFFFFFF) == ACK
    assert update_messages.parse_ack(ACK) == (12, 0xFFFFFFFF)
    assert update_messages.parse_report(update_messages.pack_report(REPORT)) == REPORT


def test_longest_messages_fit():
    longest = "https://" + "h" * (url.MAX_BYTES - 9) + "/"
    want = changed(WANT, seq=0xFFFFFFFF, root=0xFFFFFFFF, url=longest)
    assert update_messages.parse_want(update_messages.pack_want(want)) == want
    report = {key: 0xFFFFFFFF for key in update_messages.REPORT_KEYS}
    report.update({"phase": "recovery", "slot": "b", "reason": 0xFFFF, "refused": 0xFFFF})
    payload = update_messages.pack_report(report)
    assert len(payload) < 512  # what an uplink's packet buffer takes without updates
    assert update_messages.parse_report(payload) == report


def test_phases_and_slots_are_those_of_the_table():
    assert set(update_messages.PHASES) == set(slots.PHASES) - {slots.OFF}
    assert update_messages.SLOTS[1:] == slot_state.NAMES[1:]


def refused_both_ways(good, pack, parse, cases):
    for key, value, code in cases:
        bad = changed(good, **{key: value})
        raises(code, pack, bad)
        raises(code, parse, flatjson.pack([("v", 1)] + list(bad.items())))
    for key in good:
        raises(errors.MESSAGE_KEYS, pack, {k: good[k] for k in good if k != key})


def test_want_out_of_range_is_refused_both_ways():
    refused_both_ways(
        WANT,
        update_messages.pack_want,
        update_messages.parse_want,
        (
            ("seq", 0, errors.MESSAGE_RANGE),
            ("seq", 1 << 32, errors.MESSAGE_RANGE),
            ("seq", True, errors.MESSAGE_TYPE),
            ("seq", "1", errors.MESSAGE_TYPE),
            ("bytes", 0, errors.MESSAGE_RANGE),
            ("bytes", signed.MAX_BYTES + 1, errors.MESSAGE_RANGE),
            ("root", 0, errors.MESSAGE_RANGE),
            ("manifest", DIGEST[1:], errors.MESSAGE_RANGE),
            ("manifest", DIGEST + "0", errors.MESSAGE_RANGE),
            ("manifest", DIGEST.upper(), errors.MESSAGE_RANGE),
            ("manifest", 1, errors.MESSAGE_TYPE),
            ("url", 1, errors.MESSAGE_TYPE),
            ("url", "ftp://x/", errors.SOURCE_URL),
            ("more", 1, errors.MESSAGE_KEYS),
        ),
    )


def test_report_out_of_range_is_refused_both_ways():
    refused_both_ways(
        REPORT,
        update_messages.pack_report,
        update_messages.parse_report,
        (
            ("phase", "off", errors.MESSAGE_RANGE),
            ("phase", 3, errors.MESSAGE_TYPE),
            ("slot", "none", errors.MESSAGE_RANGE),
            ("slot", "-", errors.MESSAGE_RANGE),
            ("seq", 0, errors.MESSAGE_RANGE),
            ("reason", 65536, errors.MESSAGE_RANGE),
            ("refused", 0, errors.MESSAGE_RANGE),
            ("refused_seq", 0, errors.MESSAGE_RANGE),
            ("done_bytes", 16, errors.MESSAGE_RANGE),
            ("record", -1, errors.MESSAGE_RANGE),
            ("more", 1, errors.MESSAGE_KEYS),
        ),
    )
    nothing = changed(REPORT, slot="-", seq=0, content=0)
    assert update_messages.parse_report(update_messages.pack_report(nothing)) == nothing
    raises(errors.MESSAGE_RANGE, update_messages.pack_report, changed(nothing, content=1))


def test_bad_acknowledgements_have_their_reasons():
    for code, payload in (
        (errors.MESSAGE_VERSION, b'{"v":2,"seq":1,"record":1}'),
        (errors.MESSAGE_KEYS, b'{"v":1,"seq":1}'),
        (errors.MESSAGE_KEYS, b'{"v":1,"seq":1,"record":1,"x":1}'),
        (errors.MESSAGE_TYPE, b'{"v":1,"seq":1,"record":"1"}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"seq":0,"record":1}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"seq":1,"record":0}'),
        (errors.MESSAGE_RANGE, b'{"v":1,"seq":1,"record":4294967296}'),
        (errors.MESSAGE_SYNTAX, b""),
        (errors.MESSAGE_SIZE, ACK + b" " * 128),
    ):
        raises(code, update_messages.parse_ack, payload)
    raises(errors.MESSAGE_RANGE, update_messages.pack_ack, 0, 1)


def test_mutated_messages_raise_nothing_else():
    random = Random(4)
    letters = b'{}[]",:\\0123456789-truefalsu \xc3\xa9\xff'
    for good, parse in (
        (update_messages.pack_want(changed(WANT, url="http://h:1/")), update_messages.parse_want),
        (ACK, update_messages.parse_ack),
        (update_messages.pack_report(REPORT), update_messages.parse_report),
    ):
        for length in range(len(good)):
            raises(errors.MESSAGE_SYNTAX, parse, good[:length])
        for _ in range(600):
            bad = bytearray(good)
            for _ in range(random.between(1, 3)):
                bad[random.below(len(bad))] = letters[random.below(len(letters))]
            try:
                parse(bytes(bad))
            except errors.OnebyteError as error:
                assert 60 <= error.code < 70 or error.code == errors.SOURCE_URL


def test_addresses():
    for text, found in (
        ("http://h/", (False, "h", 80, "/")),
        ("https://a.b-c.example/", (True, "a.b-c.example", 443, "/")),
        ("http://10.1.2.3:8080/u/v1.2/~x_y/", (False, "10.1.2.3", 8080, "/u/v1.2/~x_y/")),
        ("https://h:65535/", (True, "h", 65535, "/")),
    ):
        assert url.parse(text) == found
    for text in (
        "",
        "h",
        "http://",
        "http:///",
        "http://h",
        "http://h/x",
        "HTTP://h/",
        "http:/h/",
        "http://h:/",
        "http://h:0/",
        "http://h:080/",
        "http://h:65536/",
        "http://h:123456/",
        "http://h:+1/",
        "http://u@h/",
        "http://u:p@h/",
        "http://[::1]/",
        "http://h/a?b/",
        "http://h/a#b/",
        "http://h/%2e/",
        "http://h/../",
        "http://h//",
        "http://h/a b/",
        "http://h/\r\nX: y/",
        "http://-h/",
        "http://\u00e9/",
        "http://" + "h" * 250 + "/",
    ):
        raises(errors.SOURCE_URL, url.parse, text)


def test_ids_of_objects():
    plain = file_entry(manifest.MODEL, "m.obm", b"content")
    digest = hashlib.sha256(b"content").digest()
    deflated = plain[:1] + (manifest.DEFLATE, 7, 4000, "m.obm", digest)
    assert objects.file_id(plain) == objects.hash_id(digest)
    assert objects.file_id(deflated) == objects.hash_id(digest) + ".z4000"
    assert objects.root_id(12) == "root12"
    for name in (objects.file_id(plain), objects.file_id(deflated), "root1", "root4294967295"):
        assert objects.is_id(name)
    for name in (
        "",
        "root",
        "root0",
        "root01",
        "root-1",
        "root12345678901",
        DIGEST[1:],
        DIGEST + "0",
        DIGEST + ".z",
        DIGEST + ".z0",
        DIGEST + ".y1",
        DIGEST.upper(),
        "../" + DIGEST[3:],
    ):
        assert not objects.is_id(name), name


def test_topics_of_chunks():
    for chunk in (0, 1, 16383):
        topic = objects.pack_topic("lab-1", DIGEST, chunk)
        assert topic == "ob/lab-1/~/%s/%d" % (DIGEST, chunk)
        assert objects.parse_topic(topic) == ("lab-1", DIGEST, chunk)
    for args in (("lab-1", DIGEST, 16384), ("lab-1", DIGEST, -1), ("~", DIGEST, 0), ("a", "b", 0)):
        raises(errors.TOPIC, objects.pack_topic, *args)
    for topic in (
        "",
        "ob/a/~/%s" % DIGEST,
        "ob/a/~/%s/" % DIGEST,
        "ob/a/~/%s/00" % DIGEST,
        "ob/a/~/%s/01" % DIGEST,
        "ob/a/~/%s/+" % DIGEST,
        "ob/a/~/%s/99999" % DIGEST,
        "ob/a/b/%s/0" % DIGEST,
        "xb/a/~/%s/0" % DIGEST,
        "ob/A/~/%s/0" % DIGEST,
        "ob/a/~/root0/0",
        "ob/a/~/%s/0/0" % DIGEST,
    ):
        raises(errors.TOPIC, objects.parse_topic, topic)


def test_a_signed_document_says_its_length_early():
    # Ten signatures reach beyond a first chunk of 512 bytes; the length stands behind them.
    for n_signers in (1, 3, 10):
        body = root_pack.pack(root_fields())
        names = ["r%d" % i for i in range(n_signers)]
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
        content = seal(signed.ROOT, body, *names)
        needed = signed.HEADER_BYTES + signed.ENTRY_BYTES * n_signers + 12
        for n in range(needed):
            assert objects.signed_bytes(content[:n]) == 0
        for n in (needed, needed + 1, len(content)):
            assert objects.signed_bytes(content[:n]) == len(content)
