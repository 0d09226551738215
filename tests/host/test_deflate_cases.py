"""The packed bytes that device tests unpack are what zlib makes, or at least reads."""

import zlib

import deflate_cases
import pytest

CASES = {
    "PACKED": (deflate_cases.CONTENT, -12),
    "BOMB": (deflate_cases.BOMB_CONTENT, -12),
    "FAR": (deflate_cases.FAR_CONTENT, -15),
    "NEAR": (deflate_cases.NEAR_CONTENT, -12),
}


@pytest.mark.parametrize("name", CASES)
def test_zlib_unpacks_them_to_their_content(name: str) -> None:
    content, window = CASES[name]
    assert zlib.decompress(getattr(deflate_cases, name), window) == content


@pytest.mark.parametrize(("name", "window"), [("FAR", -12), ("NEAR", -11)])
def test_one_needs_more_than_the_window_of_a_node_and_one_all_of_it(
    name: str, window: int
) -> None:
    packed = getattr(deflate_cases, name)
    reader = zlib.decompressobj(window)
    with pytest.raises(zlib.error, match="too far back"):
        piece = reader.decompress(packed, 100)
        while piece:
            piece = reader.decompress(reader.unconsumed_tail, 100)
