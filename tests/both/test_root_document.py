"""Root documents survive, and what is not one is refused by name."""

from check import raises, raises_kind
from sample_release import flips, key, reason, root_fields

from formats import errors, root_document, root_pack, signed


def test_a_root_document_survives():
    for values in (
        root_fields(),
        root_fields(release_keys=[], revoked=[]),
        root_fields(root_keys=[key("k%d" % i) for i in range(8)], threshold=8, epoch=0xFFFFFFFF),
        root_fields(
            release_keys=[(key("release%d" % i), 0, 2) for i in range(8)],
            revoked=[key("x%d" % i)[:8] for i in range(64)],
        ),
    ):
        found = root_document.parse(root_pack.pack(values))
        for name in values:
            expected = values[name]
            expected = sorted(expected) if isinstance(expected, list) else expected
            assert getattr(found, name) == expected, name


def test_the_layout_is_the_one_of_the_spec():
    content = root_pack.pack(root_fields())
    assert len(content) == 20 + 3 * 32 + 2 * 40 + 8
    assert content[:20] == b"OBK\x1a\x01\x02\x03\x02\x01\0\xcc\0\x01\0\0\0\x07\0\0\0"
    assert content[20:52] == min(root_fields()["root_keys"])
    first = min(root_fields()["release_keys"])
    assert content[116:148] == first[0]
    assert content[148:156] == bytes([first[1], 0, first[2] & 255, first[2] >> 8, 0, 0, 0, 0])
    assert content[-8:] == signed.key_id(key("stolen"))


def test_what_does_not_fit_is_refused_by_name():
    a, b = key("a"), key("b")
    for code, changes in (
        (errors.ROOT_RANGE, {"epoch": 0}),
        (errors.ROOT_RANGE, {"epoch": 1 << 32}),
        (errors.ROOT_RANGE, {"vendor": 0}),
        (errors.ROOT_RANGE, {"threshold": 0}),
        (errors.ROOT_RANGE, {"threshold": 4}),
        (errors.ROOT_RANGE, {"root_keys": [], "threshold": 1}),
        (errors.ROOT_RANGE, {"root_keys": [key(str(i)) for i in range(9)]}),
        (errors.ROOT_RANGE, {"release_keys": [(key(str(i)), 0, 2) for i in range(9)]}),
        (errors.ROOT_RANGE, {"revoked": [key(str(i))[:8] for i in range(65)]}),
        (errors.ROOT_RANGE, {"release_keys": [(a, 0, 0)]}),
        (errors.ROOT_RANGE, {"release_keys": [(a, 0, 1)]}),
        (errors.ROOT_RANGE, {"release_keys": [(a, 0, 1 << 11)]}),
        (errors.ROOT_RANGE, {"release_keys": [(a, 65536, 2)]}),
        (errors.ROOT_KEYS, {"root_keys": [a, a]}),
        (errors.ROOT_KEYS, {"root_keys": [a, b], "release_keys": [(a, 0, 2)]}),
        (errors.ROOT_KEYS, {"release_keys": [(a, 0, 2), (a, 1, 2)]}),
        (errors.ROOT_KEYS, {"root_keys": [a, b[:31]]}),
        (errors.ROOT_KEYS, {"revoked": [b"7 bytes"]}),
        (errors.ROOT_KEYS, {"revoked": [a[:8], a[:8]]}),
        (errors.ROOT_REVOKED, {"root_keys": [a, b], "revoked": [signed.key_id(b)]}),
        (errors.ROOT_REVOKED, {"release_keys": [(a, 0, 2)], "revoked": [signed.key_id(a)]}),
    ):
        raises(code, root_pack.pack, root_fields(**changes))
    raises_kind(ValueError, root_pack.pack, {})


def test_every_cut_and_every_byte_more_is_refused():
    content = root_pack.pack(root_fields())
    for length in range(len(content)):
        assert reason(root_document.parse, content[:length]) == errors.ROOT_SIZE
    raises(errors.ROOT_SIZE, root_document.parse, content + b"\0")


def test_a_changed_bit_is_refused_by_code_or_means_something_else():
    content = root_pack.pack(root_fields())
    for bad in flips(content):
        code = reason(root_document.parse, bad)
        if code:
            assert 150 <= code < 160
        else:
            found = root_document.parse(bad)
            assert root_pack.pack({name: getattr(found, name) for name in root_pack.NEEDED}) == bad
