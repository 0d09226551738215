"""Sealed copies, and which configuration of a node counts."""

import io

from check import raises

from app import settings
from formats import errors, sealed

_OLD = b'{"tenant":"lab","device":"old","broker_host":"b"}'
_NEW = b'{"tenant":"lab","device":"new","broker_host":"b"}'
_PATH = "/nowhere/config.json"
_A, _B = ["/nowhere/" + name for name in settings.COPIES]


class _Files:
    """An `open` over a dict."""

    def __init__(self, content):
        self.content = content

    def __call__(self, path, mode):
        assert mode == "rb"
        if path not in self.content:
            raise OSError(2)
        return io.BytesIO(self.content[path])


def _device(content):
    return settings.load(_PATH, _Files(content)).device


def test_what_was_sealed_comes_back():
    for content in (b"", b"x", bytes(range(256)) * 32):
        for number in (1, 0x12345678, sealed.MAX_NUMBER):
            assert sealed.parse(sealed.pack(number, content)) == (number, content)


def test_every_flipped_bit_and_every_cut_is_found():
    copy = sealed.pack(7, b"content")
    for at in range(len(copy)):
        for bit in range(8):
            damaged = bytearray(copy)
            damaged[at] ^= 1 << bit
            assert sealed.newest([damaged]) is None, (at, bit)
        assert sealed.newest([copy[:at]]) is None, at
    assert sealed.newest([copy + b"\0"]) is None


def test_reasons():
    copy = sealed.pack(7, b"content")
    raises(errors.SEALED_SIZE, sealed.parse, copy[:19])
    raises(errors.SEALED_SIZE, sealed.parse, copy[:-1])
    raises(errors.SEALED_SIZE, sealed.parse, copy + bytes(sealed.MAX_CONTENT_BYTES))
    raises(errors.SEALED_MAGIC, sealed.parse, b"x" + copy[1:])
    raises(errors.SEALED_VERSION, sealed.parse, copy[:4] + b"\2" + copy[5:])
    raises(errors.SEALED_CRC, sealed.parse, copy[:-1] + b"\0")
    raises(errors.SEALED_RANGE, sealed.pack, 0, b"")
    raises(errors.SEALED_RANGE, sealed.pack, sealed.MAX_NUMBER + 1, b"")
    raises(errors.SEALED_SIZE, sealed.pack, 1, bytes(sealed.MAX_CONTENT_BYTES + 1))


def test_highest_number_of_those_that_are_whole_counts():
    old, new = sealed.pack(8, _OLD), sealed.pack(9, _NEW)
    assert _device({_A: old, _B: new}) == "new"
    assert _device({_A: new, _B: old}) == "new"
    assert _device({_A: new[:-1], _B: old}) == "old"
    assert _device({_B: old}) == "old"
    assert sealed.newest([old, sealed.pack(8, _NEW)])[1] == _OLD
    assert sealed.newest([None, None]) is None


def test_file_for_people_counts_without_a_whole_copy_only():
    damaged = sealed.pack(9, _NEW)[:-1]
    assert settings.find(_PATH, _Files({_A: damaged})) is None
    # Not there either: the error is that of the JSON file.
    assert (
        _PATH in raises(errors.CONFIG_MISSING, settings.load, _PATH, _Files({_A: damaged})).detail
    )


def test_wrong_content_of_a_whole_copy_is_an_error_and_no_fallback():
    wrong = {_A: sealed.pack(9, _NEW.replace(b'"new"', b"1")), _B: sealed.pack(8, _OLD)}
    raises(errors.CONFIG_TYPE, settings.load, _PATH, _Files(wrong))
    detail = raises(errors.CONFIG_SYNTAX, settings.load, _PATH, _Files({_B: sealed.pack(1, b"{")}))
    assert settings.COPIES[1] in detail.detail


def test_copies_lie_beside_the_file():
    assert settings.find("config.json", _Files({"id/config.a": sealed.pack(3, _OLD)}))[0] == 3
