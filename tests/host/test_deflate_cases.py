"""The packed bytes that device tests unpack are what zlib makes, or at least reads."""

import zlib

import deflate_cases
import pytest

CASES = {
    "PACKED": (deflate_cases.CONTENT, -12),
    "BOMB": (deflate_cases.BOMB_CONTENT, -12),
    "FAR": (deflate_cases.FAR_CONTENT, -15),
}


@pytest.mark.parametrize("name", CASES)
def test_zlib_unpacks_them_to_their_content(name: str) -> None:
    content, window = CASES[name]
    assert zlib.decompress(getattr(deflate_cases, name), window) == content


def test_the_far_one_needs_more_than_the_window_of_a_node() -> None:
    reader = zlib.decompressobj(-12)
    with pytest.raises(zlib.error, match="too far back"):
        piece = reader.decompress(deflate_cases.FAR, 100)
        while piece:
            piece = reader.decompress(reader.unconsumed_tail, 100)
