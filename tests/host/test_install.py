"""`onebyte provision --install`: our files on a board that has MicroPython's own image."""

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import signed_boards
from command_line import assert_refused, onebyte
from repl_board import ROOT, ReplBoard, micropython
from signed_boards import Vendor

from formats.slot_state import SLOT_A
from onebyte import toolchain
from onebyte.boards import install, link
from onebyte.boards.install import BOOT, MAIN, TARGETS, Target
from onebyte.boards.link import open_board
from onebyte.crossbuild import natmods
from onebyte.errors import UserError

N_BLOCKS = 212  # of a Pico W with its own image
# What the unix port is: the files of a board, compiled for it, run there over fakes.
HERE = Target("linux", "x64", "LINUX", "chip_rp2040")
WIFI = "import sys\nclass _n:\n WLAN=1\nsys.modules['network']=_n"
SETTINGS = ("--set", "tenant=a", "--set", "device=b", "--set", "broker_host=c")


@pytest.fixture(autouse=True)
def native_modules() -> None:
    for module in natmods.MODULES:
        if not (natmods.DIST / "x64" / f"{module}.mpy").is_file():
            natmods.build("x64", None, module)


@pytest.fixture
def pico_w(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in counts as a Pico W."""
    monkeypatch.setitem(TARGETS, "pico_w", HERE)


@pytest.fixture
def board() -> Iterator[ReplBoard]:
    with ReplBoard(n_blocks=N_BLOCKS) as fake:
        with open_board(fake.path) as opened:
            opened.exec(WIFI)
        yield fake


def paths_on(fake: ReplBoard) -> dict[str, str]:
    with open_board(fake.path) as opened:
        found = install._list(opened)
    return {path: digest for path, (digest, _) in found.items() if digest != "folder"}


def start(root: Path) -> tuple[str, dict[str, Any]]:
    """Run boot.py and main.py of a folder as a board does; return the output and what it found."""
    script = ROOT / "tests" / "fakes" / "own_image.py"
    hardware = ROOT / "tests" / "fakes" / "hardware"
    done = subprocess.run(
        [micropython(), str(script), str(root), str(hardware)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *said, last = done.stdout.splitlines()
    return "\n".join(said), json.loads(last)


def dump(fake: ReplBoard, files: dict[str, bytes], root: Path) -> None:
    """Copy what lies on the board into a folder."""
    with open_board(fake.path) as opened:
        for path in files:
            target = root / path[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(opened.read_file(path))


@pytest.mark.usefixtures("pico_w")
def test_pulled_cable_then_the_rest_then_nothing_and_it_starts(
    board: ReplBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_board(board.path) as opened:
        files = install.make_files("pico_w", opened.facts.mpy)
    total = sum(map(len, files.values()))
    board.unplug_after = board.n_in + total
    code, out, err = onebyte("provision", "--install", "pico_w", "--port", board.path)
    assert code == 2 and out == "" and "connection was lost" in err
    board.replug()
    first = paths_on(board)
    whole = {path for path in first if not path.endswith(".new")}
    assert len(files) // 2 < len(whole) < len(files) - 2
    assert all(first[path] == install._digest(files[path]) for path in whole)
    assert not {MAIN, BOOT} & set(first), "half of the files must not start"
    code, out, err = onebyte("provision", "--install", "pico_w", "--port", board.path)
    n_bytes = sum(len(content) for path, content in files.items() if path not in whole)
    line = f"install pico_w files={len(files)} sent={len(files) - len(whole)} bytes={n_bytes}"
    assert (code, out.split(" removed=")[0].strip()) == (0, line), err
    code, out, _ = onebyte("provision", "--install", "pico_w", *SETTINGS, "--port", board.path)
    assert out.splitlines()[0] == f"install pico_w files={len(files)} sent=0 bytes=0"
    assert "configuration 1 in two sealed copies; judged by the board" in out
    assert code == 0
    assert set(paths_on(board)) - set(files) == set(), "of /lib and the two files beside it"
    monkeypatch.setattr(install, "MIN_HEAP_BYTES", 1 << 40)
    monkeypatch.setattr(install, "make_files", lambda *_: files)  # compiled three times by now
    spoilt = bytes(len(files["/lib/board.mpy"]))  # only its hash tells
    stale = {"/lib/board.py": b"1", "/lib/app/of_old.mpy": b"2", "/lib/mine.py": b"3"}
    with open_board(board.path) as opened:
        for path, content in {**stale, "/lib/board.mpy": spoilt}.items():
            opened.write_file(path, content)
    with monkeypatch.context() as patch:
        patch.setattr(install, "_send", pulled)
        got = onebyte("provision", "--install", "pico_w", "--port", board.path)
        assert_refused(got, "pulled")
    assert MAIN not in paths_on(board), "files of two versions would start"
    with open_board(board.path) as opened:
        for path, content in stale.items():
            opened.write_file(path, content)
    code, out, err = onebyte("provision", "--install", "pico_w", "--port", board.path)
    changed = len(spoilt) + len(files[MAIN]) + len(files[BOOT])
    line = f"install pico_w files={len(files)} sent=3 bytes={changed} removed=2\n"
    assert (code, out) == (0, line) and "may end with a MemoryError" in err
    assert set(paths_on(board)) - set(files) == {"/lib/mine.py"}, "of the user"
    dump(board, files, tmp_path)
    start_without_and_with_slot(tmp_path)


def pulled(*_: object) -> int:
    raise link.Lost("pulled")


def start_without_and_with_slot(root: Path) -> None:
    """The board's files start the node from /lib, and with a signed release from its slot."""
    said, found = start(root)
    assert "config.json" in said
    own = found["files"]
    assert all(str(path).startswith("/lib/") for path in own.values()), own
    assert (found["path"], found["slot"]) == ([".frozen", "/lib"], None)
    vendor = Vendor(root)
    release = vendor.release(1, signed_boards.app("the app of the slot"))
    files = vendor.identity() | signed_boards.in_slot(SLOT_A, release)
    files |= signed_boards.state(active=SLOT_A, installed_seq=1)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    said, found = start(root)
    assert "onebyte boot: slot a, release 1" in said and "the app of the slot" in said
    own = found["files"]
    assert own["app.run"].startswith("/s/a/app/") and own["ota.loader"].startswith("/lib/")
    assert found["path"] == ["/s/a", "/s/a/top", ".frozen", "/lib"]


def test_other_boards_and_images_are_refused(
    board: ReplBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--port", board.path, "--install")
    got = onebyte("provision", *options, "pico")
    assert_refused(got, "no board 'pico' with MicroPython's own image: there are pico_w, esp32_s3")
    got = onebyte("provision", *options, "esp32_s3")
    assert_refused(got, "is no esp32_s3, which is esp32, xtensawin, ESP32S3; the board says linux")
    got = onebyte("provision", *options, "pico_w", *SETTINGS)
    assert_refused(got, "is no pico_w, which is rp2, armv6m, RP2040; the board says linux, x64")
    monkeypatch.setitem(TARGETS, "pico_w", HERE)
    with open_board(board.path) as opened:
        opened.exec("sys.modules.pop('network')")
    assert_refused(onebyte("provision", *options, "pico_w"), "its image has no Wi-Fi")
    with open_board(board.path) as opened:
        opened.exec(
            f"{WIFI}\nclass _f:\n NAME='pico'\n __file__='figures.py'\nsys.modules['figures']=_f"
        )
    got = onebyte("provision", *options, "pico_w")
    assert_refused(got, "runs an image of ours (pico), which has every file inside")
    assert paths_on(board) == {}, "nothing was written"


@pytest.mark.usefixtures("pico_w")
def test_no_room_and_another_mpy_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with ReplBoard(n_blocks=64) as small:
        with open_board(small.path) as opened:
            opened.exec(WIFI)
        got = onebyte("provision", "--install", "pico_w", "--port", small.path)
        assert_refused(got, "the flash is nearly full: ")
        with open_board(small.path) as opened:
            newer = dataclasses.replace(opened.facts, mpy=(7, 0))
        monkeypatch.setattr(link, "parse_facts", lambda _: newer)
        got = onebyte("provision", "--install", "pico_w", "--port", small.path)
        assert_refused(got, "the board takes 7.0")
        # Byte code runs on every 6.x, machine code on its own alone.
        newer = dataclasses.replace(newer, mpy=(6, 2))
        got = onebyte("provision", "--install", "pico_w", "--port", small.path)
        assert_refused(got, "is compiled for mpy 6.3, the board takes 6.2")
        newer = dataclasses.replace(newer, mpy=(6, 3), machine="Pico 2 W with RP2350")
        got = onebyte("provision", "--install", "pico_w", "--port", small.path)
        assert_refused(got, "is no pico_w, ", "the board says linux, x64, Pico 2 W with RP2350")
        assert paths_on(small) == {}


class Answers:
    """A board that answers this."""

    device = "/dev/board"

    def __init__(self, text: str) -> None:
        self.exec = lambda code, timeout_s: text


def test_list_that_lacks_a_line_is_no_list() -> None:
    line = f"{'0' * 64} 3 /lib/a.mpy\n"
    assert install._list(Answers(f"{line}= 1\n")) == {"/lib/a.mpy": ("0" * 64, 3)}
    for text in (f"{line}= 2\n", line, "", "= 1\n"):
        with pytest.raises(link.Silent, match="try again"):
            install._list(Answers(text))


def test_folder_that_hides_a_module_is_refused() -> None:
    there = {"/lib/board": ("folder", 0), "/lib/app": ("folder", 0)}
    with pytest.raises(UserError, match="folder /lib/board would be taken for a module of ours"):
        install._stale(Answers(""), {"/lib/board.mpy": b"", "/lib/app/a.mpy": b""}, there)


def test_files_of_each_board_are_for_its_chip() -> None:
    for name, other in (("pico_w", "esp32"), ("esp32_s3", "rp2040")):
        own = {place: path for place, path in install._python_files(name)}
        assert own["board.py"] == toolchain.ROOT / "boards" / name / "board.py"
        assert not [place for place in own if other in place], own
        assert "umqtt/simple.py" in own and "firmware/main.py" in own
        kernels = natmods.DIST / TARGETS[name].arch / "obkernels.mpy"
        if kernels.is_file():
            files = install.make_files(name, (6, 3))
            assert files["/lib/obkernels.mpy"] == kernels.read_bytes()
            assert list(files)[-2:] == [MAIN, BOOT]
        else:
            print(f"{kernels} was not built: the files of {name} are not compiled")
