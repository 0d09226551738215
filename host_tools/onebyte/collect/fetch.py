"""Recordings from a board's flash: fetched, checked, stored; only then removed from the board."""

import base64
import binascii
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from formats import flatjson
from onebyte.collect.board_link import Repl
from onebyte.collect.capture import Capture, from_content
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.spool import FOLDER, write_whole
from onebyte.errors import UserError

__all__ = ["Run", "add", "fetch", "remove", "start_recording"]

_PIECE_BYTES = 1536
_NAME = re.compile(r"rec/(\d{4})-(\d{4})\.obs")
_MAX_PLAN_BYTES = 2048
_LIST_S = 120.0  # hashing a full flash

_FILES = "import board as _b\n_f=_b.make_files()\n"
_LIST = _FILES + "from app import record_setup as _s\nprint(_s.listing(_f))"
_UNPLAN = _FILES + "from app import record_plan as _r\n_r.remove(_f)"
_PLAN = _FILES + "from app import record_plan as _r\n_r.write(_f,{plan!r})"


@dataclass(frozen=True)
class Run:
    """A recording on a board's flash that is now here.

    Attributes:
        number: as the board counts its runs.
        content: all of its segments.
        on_board: their paths there.
        here: copies of them, until they are in the data set.
        digests: their SHA-256 in hex.
    """

    number: int
    content: bytes
    on_board: Sequence[str]
    here: Sequence[Path]
    digests: Sequence[str]

    @property
    def session(self) -> str:
        """A name that the same recording gets again."""
        return f"flash-{hashlib.sha256(self.content).hexdigest()[:8]}-{self.number:04}"

    def capture(self) -> Capture:
        """Return what it holds."""
        return from_content(self.content, self.session)


def start_recording(board: Repl, plan: dict[str, Any]) -> None:
    """Let a board record to its flash from its next start on.

    Raises:
        UserError: the board has no recorder of its own.
    """
    content = flatjson.pack(plan.items())
    if len(content) > _MAX_PLAN_BYTES:
        raise UserError(f"the settings take {len(content)} bytes, at most {_MAX_PLAN_BYTES}")
    _check_has_recorder(board)
    board.exec(_PLAN.format(plan=content))


def _check_has_recorder(board: Repl) -> None:
    found = board.exec(
        "try:\n import board\n from app import record_setup\n print('yes')\n"
        "except ImportError:\n print('no')"
    )
    if found.strip() != "yes":
        raise UserError(
            f"{board.device}: the board has no recorder of its own: flash an image of `make "
            "firmware`, or `onebyte provision --install BOARD`"
        )


def fetch(
    board: Repl, dataset: Dataset, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Run]:
    """Bring all recordings here; what is here already from a broken attempt is not sent again.

    Args:
        board: at its raw REPL, where its recording has ended.
        dataset: where they belong; a file whose recording it has is removed from the board.
        progress: is called with bytes done and their total.

    Raises:
        UserError: the line failed, or a hash is wrong; what came stays for the next attempt.
    """
    _check_has_recorder(board)
    board.exec(_UNPLAN)
    stored = dataset.segments()
    listed = []
    for one in _parse(board.exec(_LIST, _LIST_S)):
        if one[2] in stored:  # the cable was pulled while the run was removed
            _remove(board, one[0])
        else:
            listed.append(one)
    total = sum(n_bytes for _, n_bytes, _ in listed)
    done = 0
    runs: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for path, n_bytes, digest in listed:
        found = _NAME.fullmatch(path)
        assert found is not None
        here = dataset.folder / FOLDER / f"{digest}.part"

        def show(now: int, before: int = done) -> None:
            progress(before + now, total)

        _fetch_file(board, (path, n_bytes, digest), here, show)
        done += n_bytes
        runs[int(found[1])].append((path, here))
    return [
        Run(
            number,
            b"".join(here.read_bytes() for _, here in files),
            [path for path, _ in files],
            [here for _, here in files],
            [here.stem for _, here in files],
        )
        for number, files in sorted(runs.items())
    ]


def remove(board: Repl, run: Run) -> None:
    """Remove a run that is in the data set from the board, then its copies here."""
    for path in run.on_board:
        _remove(board, path)
    for here in run.here:
        here.unlink(missing_ok=True)


def _remove(board: Repl, path: str) -> None:
    board.exec(f"import os\nos.remove({path!r})")


def add(dataset: Dataset, run: Run, session: Session) -> tuple[Capture, list[Path]]:
    """Store a run; what the board knows of label, subject and license counts."""
    capture = run.capture()
    told = {
        key: str(capture.source[key]) for key in ("subject", "license") if capture.source.get(key)
    }
    capture = replace(capture, source={**capture.source, "segments": list(run.digests)})
    files = dataset.add(capture, Session(**{**vars(session), **told}))
    return capture, files


def _parse(text: str) -> list[tuple[str, int, str]]:
    try:
        listed = [
            (str(path), int(n_bytes), str(digest)) for path, n_bytes, digest in json.loads(text)
        ]
    except (ValueError, TypeError) as error:
        raise UserError(f"the board lists its recordings wrongly: {text[:80]!r}") from error
    for path, _, digest in listed:
        if not _NAME.fullmatch(path) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise UserError(f"the board lists a recording of another kind: {path!r}")
    return listed


def _fetch_file(
    board: Repl, listed: tuple[str, int, str], here: Path, show: Callable[[int], None]
) -> None:
    path, n_bytes, digest = listed
    content = here.read_bytes()[:n_bytes] if here.exists() else b""
    try:
        while len(content) < n_bytes:
            piece = board.exec(
                "from binascii import b2a_base64 as _e\n"
                f"with open({path!r},'rb') as _d:\n _d.seek({len(content)})\n"
                f" print(_e(_d.read({_PIECE_BYTES})).decode())"
            )
            try:
                got = base64.b64decode(piece.strip(), validate=True)
            except binascii.Error as error:
                raise UserError(f"{board.device}: an answer is damaged; try again") from error
            if not got:
                raise UserError(f"{board.device}: {path} became shorter")
            content += got
            show(len(content))
    finally:
        if content or not n_bytes:
            write_whole(here, content)
    if hashlib.sha256(content).hexdigest() != digest:
        here.unlink(missing_ok=True)
        raise UserError(f"{board.device}: {path} arrived damaged; it is still there, try again")
