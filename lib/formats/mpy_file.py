"""Whether the file of a native module (.mpy) is whole.

MicroPython 1.25 takes what lies behind a file's end for bytes 0xFF: it never stops reading a
number there, or runs the module with half of its addresses. So a module that was cut off while it
was copied would hang the board at every boot.
"""

_KIND_NATIVE_MODULE = 2
_FLAG_RELOCATIONS = 0x10
_FLAG_RODATA = 0x20
_FLAG_BSS = 0x40
_END_OF_RELOCATIONS = 0xFF
_CHUNK_BYTES = 256


def is_whole(file) -> bool:
    """Return whether a file goes on to the end of what its first bytes announce.

    A file of another kind counts as whole: what is wrong with it MicroPython says itself.

    Args:
        file: The file, open as bytes, at its start.
    """
    try:
        _walk(file)
    except EOFError:
        return False
    return True


def _walk(file) -> None:
    _skip(file, 4)
    n_names, n_objects = _number(file), _number(file)
    for _ in range(n_names):
        length = _number(file)
        if not length & 1:  # odd: one of MicroPython's own names, by number
            _skip(file, (length >> 1) + 1)
    kind_length = _number(file)
    if n_objects or kind_length & 3 != _KIND_NATIVE_MODULE:
        return
    _skip(file, kind_length >> 3)
    flags = _number(file)
    rodata = _number(file) if flags & _FLAG_RODATA else 0
    if flags & _FLAG_BSS:
        _number(file)
    _skip(file, rodata)
    if flags & _FLAG_RELOCATIONS:
        _walk_relocations(file)


def _walk_relocations(file) -> None:
    op = _byte(file)
    while op != _END_OF_RELOCATIONS:
        if op & 1:
            _number(file)  # a new place
        if op < 12 and op & 2:
            _number(file)  # how often
        op = _byte(file)


def _byte(file) -> int:
    data = file.read(1)
    if not data:
        raise EOFError
    return data[0]


def _number(file) -> int:
    value = 0
    while True:
        byte = _byte(file)
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value


def _skip(file, n_bytes: int) -> None:
    while n_bytes > 0:
        data = file.read(min(n_bytes, _CHUNK_BYTES))
        if not data:
            raise EOFError
        n_bytes -= len(data)
