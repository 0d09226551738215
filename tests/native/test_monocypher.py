"""The curve arithmetic in lib/native/obed25519 is Monocypher's release, line for line.

    python tests/native/test_monocypher.py

writes the excerpt anew, after PACKAGE or LINES changed.
"""

from onebyte import download, toolchain

# The source archive that carries Monocypher 4.0.3; its Python binding is not used.
PACKAGE = ("pymonocypher", "4.0.3.4", "pymonocypher-4.0.3.4.tar.gz")
SHA256 = "5e56e3d3eb770a53e0b9f6274146663c11a11f3d0de5cd48e3be0428d1b07a4a"
MEMBER = "pymonocypher-4.0.3.4/monocypher.c"
EXCERPT = toolchain.ROOT / "lib" / "native" / "obed25519" / "monocypher" / "monocypher.c"

# First and last line of each part, and what it holds.
LINES = (
    (1, 55),  # the licence, and the header's inclusion
    (60, 79),  # macros and types
    (92, 121),  # loading and storing numbers
    (128, 130),
    (134, 136),
    (144, 158),  # comparison
    (161, 161),
    (163, 169),
    (924, 934),  # arithmetic modulo 2^255 - 19
    (943, 954),
    (971, 978),
    (1013, 1174),
    (1176, 1499),
    (1509, 1515),
    (1596, 1603),  # arithmetic modulo L
    (1618, 1697),
    (1712, 2065),  # Ed25519
)


def excerpt() -> str:
    """Return the parts of the release."""
    archive = download.pypi_file(*PACKAGE, SHA256)
    lines = download.extract_member(archive, MEMBER).decode().splitlines(keepends=True)
    return "".join("".join(lines[first - 1 : last]) for first, last in LINES)


def test_excerpt_has_the_lines_of_the_release():
    assert EXCERPT.read_text(encoding="utf-8") == excerpt()


if __name__ == "__main__":
    EXCERPT.write_text(excerpt(), encoding="utf-8")
