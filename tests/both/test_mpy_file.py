"""A native module's file is whole, or a part of one."""

import io

from formats import mpy_file

# Of armv6m: two names, one of them MicroPython's own, 6 bytes of code, 3 of constants, 200 zeroed,
# three relocations: a place with a count, the next place, a place.
NAMES = b"\x02\x00\x08step\x00\x0d"
CODE = b"\x32coding\x70\x03\x81\x48abc"
RELOCATIONS = b"\x03\x82\x00\x05\x10\x0d\x04\xff"
MODULE = b"M\x06\x13\x1f" + NAMES + CODE + RELOCATIONS


def is_whole(data):
    """Return what is said of these bytes as a file."""
    return mpy_file.is_whole(io.BytesIO(data))


def test_whole_module():
    assert is_whole(MODULE)
    assert is_whole(MODULE + b"more")


def test_every_part_of_it_is_cut_off():
    for n_bytes in range(len(MODULE)):
        assert not is_whole(MODULE[:n_bytes]), n_bytes


def test_without_relocations_the_constants_are_the_end():
    module = b"M\x06\x13\x1f" + NAMES + CODE.replace(b"\x70", b"\x60")
    assert is_whole(module)
    assert not is_whole(module[:-1])


def test_python_code_is_left_to_micropython():
    assert is_whole(b"M\x06\x00\x1f\x00\x00\x10")
