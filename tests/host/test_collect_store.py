"""What is kept, and when it is let go of: the spool, the data set, the recordings on a board."""

import hashlib
import json
import os
import re
from base64 import b64encode
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pytest
from made_blocks import INFO, assembled, samples

from formats import sample_block
from onebyte.collect import fetch, store
from onebyte.collect import spool as spool_module
from onebyte.collect.capture import Capture, Channel, channels_of, from_content
from onebyte.collect.dataset import Dataset, Session
from onebyte.collect.spool import Spool, leftovers, new_session, write_whole
from onebyte.collect.stream import blocks_of
from onebyte.collect.text_lines import parse_channels
from onebyte.errors import UserError
from onebyte.training import folder
from onebyte.training.recipe import DatasetSource

ANNA = Session("anna", "CC0", 0.0)
LABELLED = INFO[:-1] + b',"label":"run","subject":"ben","license":""}'


def content(n_blocks: int, first: int = 0, info: bytes = INFO) -> bytes:
    """Return an info block and blocks of ten rows."""
    blocks = [samples(i, 10 * i).content for i in range(first, first + n_blocks)]
    return b"".join([sample_block.pack(sample_block.INFO, 0, info), *blocks])


def capture(session: str, marks: list[tuple[int, str]], n_rows: int = 900) -> Capture:
    got = assembled(*(samples(i, 10 * i) for i in range(n_rows // 10)))
    return Capture(session, channels_of(got.info), 100.0, 100.0, got.pieces, marks)


def stored_rows(dataset: Dataset) -> list[int]:
    """Return the numbers of all rows in the data set, ascending."""
    parts = [np.load(path)["ax"] for path in dataset.folder.rglob("*.npz")]
    return sorted(np.rint(np.concatenate(parts) * 1000).astype(int).tolist()) if parts else []


def test_a_damaged_block_in_a_file_costs_itself_alone() -> None:
    whole = content(5)
    at = whole.index(samples(2, 20).content)
    for position in (0, 5, 8, 30, 51):
        damaged = bytearray(whole)
        damaged[at + position] ^= 0x40
        blocks, lost = blocks_of(bytes(damaged))
        assert [block.counter for block in blocks] == [0, 0, 1, 3, 4]
        assert lost == len(samples(2, 20).content)
        got = from_content(bytes(damaged), "s")
        assert [(gap.row, gap.lost, gap.cause) for gap in got.gaps] == [(30, 10, "link")]
        assert (got.n_samples, got.damaged) == (40, 1)


def test_parquet_and_npz_hold_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="no pyarrow: pip install 'onebyte[parquet]'")
    one = capture("s1", [(0, "a"), (450, "b")])
    found = []
    for name in ("npz", "parquet"):
        Dataset(tmp_path / name).add(one, Session("anna", "", 0.0, name))
        source = DatasetSource("folder", pattern="(?P<group>[^/]+)/(?P<label>[a-z0-9-]+)_.*")
        found.append(folder.read(tmp_path / name / "data", ["ax"], source))
    for a, b in zip(*found, strict=True):
        assert (a.label, a.group, len(a.values)) == (b.label, b.group, 150)
        assert (a.values == b.values).all()
    rows = np.concatenate([one.values[:, 0] for one in found[0]])
    assert (np.rint(rows / 0.001) == np.arange(900)).all()


def test_a_session_that_is_cut_otherwise_the_second_time_leaves_nothing_old(
    tmp_path: Path,
) -> None:
    dataset = Dataset(tmp_path)
    dataset.add(capture("s1", [(0, "a")]), ANNA)  # thirds, as it is the only one
    Dataset(tmp_path).add(capture("s2", [(0, "a"), (450, "b")]), ANNA)
    files = dataset.add(capture("s1", [(0, "a")]), ANNA)
    assert len(files) == 1 and [path for path in tmp_path.rglob("*_s1_*")] == files


def test_two_programs_that_record_into_one_folder_know_of_each_other(tmp_path: Path) -> None:
    one, other = Dataset(tmp_path), Dataset(tmp_path)
    one.add(capture("s1", [(0, "a")]), ANNA)
    other.add(capture("s2", [(0, "b")]), ANNA)
    card = json.loads((tmp_path / "dataset.json").read_text())
    assert [session["session"] for session in card["sessions"]] == ["s1", "s2"]
    assert '\na = "a"\nb = "b"\n' in (tmp_path / "recipe.toml").read_text()


@pytest.mark.parametrize(
    "info",
    [
        INFO.replace(b'rate_mhz":100000', b'rate_mhz":50000'),
        INFO.replace(b'"1000000"', b'"1000100"'),
        INFO.replace(b'["1000000"]', b"[]"),
    ],
)
def test_another_rate_range_or_unit_is_refused(tmp_path: Path, info: bytes) -> None:
    Dataset(tmp_path).add(from_content(content(10, info=INFO), "s1"), ANNA)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="take another folder"):
        Dataset(tmp_path).add(from_content(content(10, info=info), "s2"), ANNA)
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(UserError, match="take another folder"):
        Dataset(tmp_path).check_fits((Channel("ax", "rad/s", 0.001),), 100.0)


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    info = INFO[:-1] + b',"machine":"A | board","micropython":"1.29.0"}'
    blocks = content(20, info=info) + samples(25, 250).content
    blocks += samples(26, 260, losses=(0, 1, 0), time_us=3000000).content
    one = from_content(blocks, "s1")
    Dataset(tmp_path / "set").add(one, Session("anna", "CC0", 0.0))
    text = (tmp_path / "set" / "DATASET.md").read_text()
    for line in (
        "1 sessions at 100 Hz (stated), made with `onebyte collect`.",
        "| ax | g | 0.001 |",
        "| unlabelled | anna | 220 | 2.2 |",
        "| subject | anna |",
        "| license | CC0 |",
        "| range | 2 g |",
        "| board | A \\| board |",
        "| samples | 220, 2 gaps, 0 duplicates, 0 damaged lines |",
        "| 250 | 2.600 s | 50 | link |",
        "| 260 | 3.000 s | about 30 | jump |",
        "| ended | without the device's last word |",
    ):
        assert line + "\n" in text, line
    card = json.loads((tmp_path / "set" / "dataset.json").read_text())
    for file in card["sessions"][0]["files"]:
        stored = (tmp_path / "set" / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(stored).hexdigest()
    assert ", MicroPython 1.29.0 |" in text and "Hz measured" in text


def leave(folder: Path, session: str, data: bytes, about: bytes | None = None) -> Path:
    """Leave what a killed program leaves."""
    with Spool(folder, session) as spool:
        store.keep_about(spool, ANNA)
        spool.add(data)
    if about is not None:
        spool.path.with_suffix(".json").write_bytes(about)
    return spool.path


def test_what_a_killed_program_left_is_stored_once(tmp_path: Path) -> None:
    mark = sample_block.pack_mark(40, "run")
    leave(tmp_path, "s1", content(9) + mark + samples(9, 90).content[:30])
    dataset = Dataset(tmp_path)
    (got,) = store.recover(dataset)
    assert (got.n_samples, got.marks, got.damaged) == (90, [(40, "run")], 1)
    assert stored_rows(dataset) == list(range(90)) and leftovers(tmp_path) == []
    assert list((tmp_path / ".collect").iterdir()) == []
    labels = json.loads((tmp_path / "dataset.json").read_text())["sessions"][0]["labels"]
    assert labels == {"unlabelled": 40, "run": 50}


def test_what_a_killed_program_left_is_never_thrown_away_unread(tmp_path: Path) -> None:
    spool = leave(tmp_path, "s1", content(9), b"{}")
    with pytest.raises(UserError, match=r"s1\.json cannot be read"):
        list(store.recover(Dataset(tmp_path)))
    assert spool.read_bytes() == content(9)
    spool.unlink()
    spool = leave(tmp_path, "s2", content(0))  # killed before its first sample
    assert list(store.recover(Dataset(tmp_path))) == [] and not spool.exists()


def test_lines_that_a_killed_program_left_are_stored(tmp_path: Path) -> None:
    text = store.TextFormat(50.0, parse_channels("a:V"), "")
    for session, largest in (("s1", 2), ("s2", 7)):
        with Spool(tmp_path, session) as spool:
            store.keep_about(spool, ANNA, text)
            for line in (
                {"t": 1.0, "data": "1\n2\n"},
                {"row": 2, "label": "run"},
                {"t": 1.1, "data": f"{largest}\n1\n"},
            ):
                spool.add(json.dumps(line).encode() + b"\n")
        (got,) = store.recover(Dataset(tmp_path))
        assert (got.n_samples, got.marks) == (4, [(2, "run")])
    card = json.loads((tmp_path / "dataset.json").read_text())
    assert [one["labels"] for one in card["sessions"]] == [{"unlabelled": 2, "run": 2}] * 2
    assert card["channels"][0]["lsb"] == pytest.approx(2 * 1.25 / 32767, rel=0.01)


def test_what_cannot_be_stored_stays_in_its_spool(tmp_path: Path) -> None:
    Dataset(tmp_path).add(capture("s1", []), ANNA)
    spool = leave(tmp_path, "s2", content(9, info=INFO.replace(b"100000,", b"50000,")))
    with pytest.raises(UserError, match=r"take another folder.*s2\.spool.*--recover"):
        list(store.recover(Dataset(tmp_path)))
    assert spool.exists() and spool.with_suffix(".json").exists()


def test_a_file_is_there_as_a_whole_or_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "card"
    write_whole(path, b"old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*card: No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


def test_sessions_of_one_second_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Stopped":
            return cls(2026, 11, 22, 23, 59, 58, tzinfo=tz)

    monkeypatch.setattr(spool_module, "datetime", Stopped)
    name = new_session(tmp_path)
    assert name == "20261122t235958"
    Dataset(tmp_path).add(capture(name, [(0, "a")]), ANNA)
    assert new_session(tmp_path) == f"{name}-2"  # also where a host's clock went back
    with Spool(tmp_path, f"{name}-2"):
        assert new_session(tmp_path) == f"{name}-3"


def test_a_session_that_runs_is_left_alone(tmp_path: Path) -> None:
    with Spool(tmp_path, "s1") as spool:
        store.keep_about(spool, ANNA)
        spool.add(content(9))
        assert list(store.recover(Dataset(tmp_path))) == []
        with pytest.raises(UserError, match="File exists"):
            Spool(tmp_path, "s1")  # two that begin in the same second
        assert spool.path.read_bytes() == content(9)


class Disk:
    """A file on a disk with so much room."""

    def __init__(self, file: object, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        taken = self.file.write(data[: self.room])  # type: ignore[attr-defined]
        self.room -= taken
        return taken

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


def test_a_full_disk_keeps_whole_blocks(tmp_path: Path) -> None:
    data = content(3)
    with Spool(tmp_path, "s1") as spool:
        spool._file = Disk(spool._file, len(data) + 20)
        spool.add(data)
        with pytest.raises(UserError, match="disk is full; all before is kept"):
            spool.add(samples(3, 30).content)
    assert spool.path.read_bytes() == data


class Flash:
    """A board's raw REPL, as far as fetching goes: files that are listed, read and removed.

    Args:
        files: path -> content.

    Attributes:
        calls: so many more succeed.
        read: (offset, bytes) of each piece.
        removed: paths.
        damage: whether pieces behind the first one arrive damaged.
    """

    device = "board"
    transport = None

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = dict(files)
        self.calls = 1000
        self.read: list[tuple[int, int]] = []
        self.removed: list[str] = []
        self.damage = False

    def exec(self, code: str, timeout_s: float = 0.0) -> str:
        self.calls -= 1
        if self.calls < 0:
            raise UserError("the cable was pulled")
        if "print('yes')" in code:  # it has our files
            return "yes\r\n"
        if "listing" in code:
            return json.dumps(
                [
                    [path, len(data), hashlib.sha256(data).hexdigest()]
                    for path, data in sorted(self.files.items())
                ]
            )
        if found := re.search(r"open\('(.*)','rb'\).*\n _d\.seek\((\d+)\)\n .*read\((\d+)", code):
            at, n_bytes = int(found[2]), int(found[3])
            piece = self.files[found[1]][at : at + n_bytes]
            self.read.append((at, len(piece)))
            if self.damage and at:
                piece = piece[::-1]
            return b64encode(piece).decode() + "\r\n"
        if found := re.search(r"os\.remove\('(.*)'\)", code):
            del self.files[found[1]]
            self.removed.append(found[1])
        return ""


def on_flash(n_segments: int = 3, run: int = 1) -> dict[str, bytes]:
    """Return the segments of a run of 60 blocks each."""
    return {f"rec/{run:04}-{i:04}.obs": content(60, 60 * i, LABELLED) for i in range(n_segments)}


def bring(flash: Flash, dataset: Dataset) -> list[Capture]:
    """Do what `onebyte collect --fetch` does."""
    captures = []
    for run in fetch.fetch(flash, dataset):
        captures.append(fetch.add(dataset, run, ANNA)[0])
        fetch.remove(flash, run)
    return captures


def test_what_a_board_recorded_comes_whole_and_leaves_it(tmp_path: Path) -> None:
    flash, dataset = Flash(on_flash()), Dataset(tmp_path)
    (got,) = bring(flash, dataset)
    assert (got.n_samples, got.gaps, got.damaged) == (1800, [], 0)
    assert stored_rows(dataset) == list(range(1800))
    assert flash.files == {} and list((tmp_path / ".collect").iterdir()) == []
    assert {path.parent.name for path in tmp_path.rglob("run_*.npz")} == {"ben"}


@pytest.mark.parametrize("calls", range(2, 10))
def test_a_cable_that_is_pulled_costs_no_byte_twice_and_no_row(tmp_path: Path, calls: int) -> None:
    files = on_flash(2)
    flash, dataset = Flash(files), Dataset(tmp_path)
    flash.calls = calls
    with pytest.raises(UserError, match="pulled"):
        bring(flash, dataset)
    assert set(flash.files) | set(flash.removed) == set(files)
    flash.calls = 1000
    bring(flash, Dataset(tmp_path))
    assert sum(n_bytes for _, n_bytes in flash.read) == sum(map(len, files.values()))
    assert stored_rows(dataset) == list(range(1200)) and flash.files == {}
    card = json.loads((tmp_path / "dataset.json").read_text())
    assert len(card["sessions"]) == 1


def test_what_came_before_is_gone_on_from_at_its_byte(tmp_path: Path) -> None:
    ((path, data),) = on_flash(1).items()
    part = tmp_path / ".collect" / f"{hashlib.sha256(data).hexdigest()}.part"
    part.parent.mkdir()
    part.write_bytes(data[:1000])
    flash = Flash({path: data})
    assert bring(flash, Dataset(tmp_path))[0].n_samples == 600
    assert flash.read[0] == (1000, 1536)


def test_runs_of_two_boards_have_names_of_their_own(tmp_path: Path) -> None:
    one = on_flash(1, run=1) | on_flash(2, run=2)
    other = {path: data[:-56] for path, data in on_flash(1, run=1).items()}
    for files in (one, other):
        flash = Flash(files)
        bring(flash, Dataset(tmp_path))
    card = json.loads((tmp_path / "dataset.json").read_text())
    assert [(s["session"][-4:], s["samples"]) for s in card["sessions"]] == [
        ("0001", 600),
        ("0002", 1200),
        ("0001", 590),
    ]


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path) -> None:
    flash = Flash(on_flash(1))
    listing = flash.exec("listing")
    flash.files = {path: data[:2000] for path, data in flash.files.items()}
    real = flash.exec
    flash.exec = lambda code, timeout_s=0.0: listing if "listing" in code else real(code)  # type: ignore
    with pytest.raises(UserError, match="became shorter"):
        bring(flash, Dataset(tmp_path))
    assert flash.removed == []


def test_a_file_that_arrives_damaged_stays_on_the_board(tmp_path: Path) -> None:
    flash, dataset = Flash(on_flash(1)), Dataset(tmp_path)
    flash.damage = True
    with pytest.raises(UserError, match="arrived damaged; it is still there"):
        bring(flash, dataset)
    assert flash.removed == [] and list((tmp_path / ".collect").iterdir()) == []
    flash.damage = False
    assert bring(flash, dataset)[0].n_samples == 600


def test_what_cannot_be_stored_stays_on_the_board(tmp_path: Path) -> None:
    Dataset(tmp_path).add(from_content(content(10, info=INFO.replace(b"ax", b"")), "s"), ANNA)
    other = {"rec/0001-0000.obs": content(60, 0, LABELLED.replace(b"100000", b"50000"))}
    flash = Flash(other)
    with pytest.raises(UserError, match="take another folder"):
        bring(flash, Dataset(tmp_path))
    assert flash.files == other and flash.removed == []


def test_a_recording_whose_files_were_deleted_here_is_fetched_again(tmp_path: Path) -> None:
    flash, dataset = Flash(on_flash(1)), Dataset(tmp_path)
    bring(flash, dataset)
    next(tmp_path.rglob("*.npz")).unlink()
    flash.files = on_flash(1)
    assert bring(flash, dataset)[0].n_samples == 600
    assert stored_rows(dataset) == list(range(600))


@pytest.mark.parametrize(
    "listing",
    [
        "",
        "[1]",
        '[["rec/../boot.py",1,"%s"]]' % ("0" * 64),
        '[["rec/0001-0000.obs",1,"../x"]]',
        '[["rec/0001-0000.obs","many","%s"]]' % ("0" * 64),
    ],
)
def test_a_board_that_lists_what_it_should_not_is_refused(tmp_path: Path, listing: str) -> None:
    flash = Flash({})
    flash.exec = lambda code, timeout_s=0.0: listing if "listing" in code else "yes"  # type: ignore
    with pytest.raises(UserError, match="the board lists"):
        fetch.fetch(flash, Dataset(tmp_path))
