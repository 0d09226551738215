"""Give a board its configuration: files first, then two sealed copies, each judged on the board.

Power may fail and the cable may be pulled at any byte: the board then has the configuration of
before or the new one, each with the certificates that it names: new ones have other names, and the
old ones go last. docs/SPEC.md: Sealed copy.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from formats import sealed
from formats.errors import OnebyteError
from onebyte.boards import find, node_config
from onebyte.boards.link import Board, DeviceError, MissingFile, open_board
from onebyte.boards.node_config import Values
from onebyte.boards.profile import PATH_KEYS, Profile, Target
from onebyte.errors import UserError

__all__ = [
    "Current",
    "Result",
    "apply",
    "clear",
    "each",
    "match_boards",
    "read_current",
]

COPIES = ("/id/config.a", "/id/config.b")
_BY_HAND = "/config.json"

# Removes certificates and keys of an earlier configuration, and what a pulled cable left of files.
_TIDY = """
import os
for n in os.listdir('/id'):
 is_ours=n.endswith('.der') and n[:-4].split('-')[0] in ('ca','cert','key')
 if n.endswith('.new') or is_ours and '/id/'+n not in KEPT:os.remove('/id/'+n)
"""

# Judges the new copy before it gets its name; NEW is its path there.
_JUDGE = """
try:
 from app import config as _c
 from formats import sealed as _s
except ImportError:
 _c=None
if _c:
 _f=open(NEW,'rb')
 _t=_f.read()
 _f.close()
 _c.parse(_s.parse(_t)[1],'')
print('judged' if _c else 'no app')
"""


@dataclass(frozen=True)
class Current:
    """The configuration that a board has.

    Attributes:
        values: What counts; empty when there is none.
        number: Of the sealed copy that counts, 0 without one.
        index: Which of COPIES that is, -1 without one.
        has_json: There is a config.json besides.
    """

    values: Values = field(default_factory=dict)
    number: int = 0
    index: int = -1
    has_json: bool = False


@dataclass(frozen=True)
class Result:
    """What became of one board: a line, and whether it is a failure."""

    line: str
    failed: bool


def read_current(board: Board) -> Current:
    """Return the configuration that counts on a board; one that is damaged counts as none.

    Raises:
        UserError: the line failed.
    """
    copies = [_read(board, path) for path in COPIES]
    by_hand = _read(board, _BY_HAND)
    found = sealed.newest(copies)
    number, content, index = found or (0, by_hand, -1)
    values: Values = {}
    if content is not None:
        with suppress(OnebyteError):
            values = node_config.parse(content)
    return Current(values, number, index, by_hand is not None)


def _read(board: Board, path: str) -> bytes | None:
    try:
        return board.read_file(path)
    except MissingFile:
        return None


def apply(board: Board, profile: Profile, current: Current, is_fresh: bool = False) -> str:
    """Write a profile to a board and return a line that says what it is now.

    Args:
        board: Its program is stopped.
        profile: What is to change.
        current: What the board has.
        is_fresh: Nothing of `current` is kept.

    Raises:
        UserError: the configuration is refused, here or on the board, or the line failed; the
            board has the one of before, or the new one.
    """
    values = {**({} if is_fresh else current.values), **profile.values}
    node_config.check(values)
    content = node_config.pack(values)
    _check_product(board, profile)
    for name, file in profile.files.items():
        board.write_file(profile.place(name), file)
    is_judged = write_copies(board, content, current)
    kept = ["/" + values.get(key, "").lstrip("/") for key in PATH_KEYS]
    board.exec(f"KEPT={kept!r}\n{_TIDY}")
    node = f"{values['tenant']}/{values['device']}"
    words = [f"{board.device}: {node}, configuration {current.number + 1} in two sealed copies"]
    words.append("judged by the board" if is_judged else "not judged by the board: it has no app")
    if current.has_json:
        words.append("its config.json does not count any more")
    return "; ".join(words)


def write_copies(board: Board, content: bytes, current: Current) -> bool:
    """Write both copies, the older one first; return whether the board's own code judged them.

    Raises:
        UserError: see `apply`.
    """
    copy = sealed.pack(current.number + 1, content)
    is_judged = False
    # Until the first is whole and has its name, the one that counts is not touched.
    for path in sorted(COPIES, key=lambda path: COPIES.index(path) == current.index):
        try:
            answer = board.write_file(path, copy, judge=_JUDGE)
        except DeviceError as error:
            reason = error.traceback.strip().splitlines()[-1]
            raise UserError(
                f"{board.device}: the board's app refuses the configuration, nothing changed "
                f"({reason}): is it older than these tools?"
            ) from error
        is_judged = answer == "judged"
    return is_judged


def clear(board: Board) -> str:
    """Remove the sealed copies, so that config.json counts."""
    removed = sum(board.remove_file(path) for path in COPIES)
    return f"{board.device}: {removed} sealed copies removed; config.json counts"


def _check_product(board: Board, profile: Profile) -> None:
    product = board.facts.product
    if (
        product
        and product.get("frozen")
        and ("product" in profile.files or "root" in profile.files)
    ):
        raise UserError(
            f"{board.device}: the image itself says which product it is, and no file can say "
            "otherwise: leave product and root out"
        )


def match_boards(targets: Sequence[Target]) -> list[tuple[Target, str | UserError]]:
    """Return the port of each target, or why it has none; asks the boards for their numbers.

    Raises:
        UserError: a board is needed by its number, and none is there.
    """
    wanted = {one.unique_id for one in targets if one.unique_id and not one.port}
    ports: dict[str, str] = {}
    problems: list[str] = []
    if wanted:
        found = find.find_ports(ask=False)
        if not found:
            raise UserError("no board found: plug one in, with a cable that carries data")
        for one in found:
            try:
                with open_board(one.where) as board:
                    number = board.facts.unique_id
                    ports[number] = one.where
                    if number not in wanted:
                        board.restart()  # somebody else's node, which we have stopped to ask it
            except UserError as error:
                problems.append(str(error))
    matched: list[tuple[Target, str | UserError]] = []
    named = {target.port for target in targets if target.port}
    for target in targets:
        where: str | UserError = target.port
        if target.unique_id and not target.port:
            lacking = "; ".join([f"no board has the number {target.unique_id}", *problems])
            where = ports.get(target.unique_id) or UserError(lacking)
            if where in named:
                where = UserError(f"{where} has this number, and stands in another row")
        matched.append((target, where))
    return matched


def each(
    targets: Sequence[tuple[Target, str | UserError]], action: Callable[[Board, Target], str]
) -> list[Result]:
    """Do it to one board after the other; one that fails does not stop the rest."""
    results = []
    for target, where in targets:
        try:
            if isinstance(where, UserError):
                raise where
            with open_board(where) as board:
                number = board.facts.unique_id
                if target.unique_id and number != target.unique_id:
                    board.restart()
                    raise UserError(f"{where} has the number {number}, not {target.unique_id}")
                results.append(Result(action(board, target), False))
        except UserError as error:
            results.append(Result(f"{target}: {error}", True))
    return results
