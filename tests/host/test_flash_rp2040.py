"""`onebyte flash` against a folder that behaves like a BOOTSEL drive, and against bad ones."""

import errno
import os
from pathlib import Path

import pytest
from board_images import uf2_blocks
from bootsel_drive import BootselDrive, FailingFile, make_drive
from command_line import assert_refused, onebyte
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo
from serial_boards import hide_boards, prompt, usb_port

from onebyte.boards import bootsel, find
from onebyte.boards.uf2 import Uf2Image, parse_uf2
from onebyte.errors import UserError

BANNER = b"MicroPython v1.25.0 on 2025-04-15; Raspberry Pi Pico with RP2040"
COUNT = 200


@pytest.fixture
def image() -> Uf2Image:
    return parse_uf2("a.uf2", b"".join(uf2_blocks(COUNT)))


@pytest.fixture
def path(image: Uf2Image, tmp_path: Path) -> Path:
    path = tmp_path / "a.uf2"
    path.write_bytes(image.blocks)
    return path


@pytest.fixture(autouse=True)
def no_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_boards(monkeypatch)
    monkeypatch.setattr(bootsel, "_COMEBACK_S", 0.3)


def assert_holds(drive: BootselDrive, image: Uf2Image) -> None:
    pages = [image.blocks[at + 32 : at + 288] for at in range(0, len(image.blocks), 512)]
    assert [drive.flash[0x10000000 + 256 * n] for n in range(len(pages))] == pages


def test_image_reaches_the_flash_and_the_drive_vanishes(
    image: Uf2Image, path: Path, tmp_path: Path
) -> None:
    with BootselDrive(tmp_path / "RPI-RP2") as drive:
        code, out, err = onebyte("flash", path, "--drive", drive.folder)
    assert (code, err) == (0, "")
    assert out == (
        f"ok {drive.folder}: RP2040, 51200 bytes written, the drive vanished; "
        "no serial port appeared\n"
    )
    assert_holds(drive, image)
    assert not drive.folder.exists()


def test_drive_is_found_by_its_mount(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    other = tmp_path / "stick"
    other.mkdir()
    monkeypatch.undo()
    monkeypatch.setattr(list_ports, "comports", list)
    monkeypatch.setattr(find, "_MOUNTS", mounts)
    with BootselDrive(tmp_path / "my drive") as drive:
        name = str(drive.folder).replace(" ", "\\040")
        mounts.write_text(
            f"/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {other} vfat rw 0 0\n"
            f"/dev/sdc1 {name} vfat rw 0 0\n"
        )
        assert onebyte("flash", "--list") == (0, f"{drive.folder}: RP2040, BOOTSEL mode\n", "")
        monkeypatch.setattr(bootsel, "_COMEBACK_S", 0.1)
        code, out, _ = onebyte("flash", path)
    assert (code, out.split(":")[0]) == (0, f"ok {drive.folder}")


def test_board_that_comes_back_says_its_version(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = usb_port("/dev/other-board")
    with prompt(BANNER) as line, BootselDrive(tmp_path / "RPI-RP2") as drive:

        def comports() -> list[ListPortInfo]:
            return [old] if drive.folder.exists() else [old, usb_port(line.path)]

        monkeypatch.setattr(list_ports, "comports", comports)
        monkeypatch.setattr(bootsel, "_COMEBACK_S", 30.0)
        code, out, _ = onebyte("flash", path, "--drive", drive.folder)
    assert code == 0
    assert out.endswith(f"; {line.path} appeared: MicroPython v1.25.0, Raspberry Pi Pico\n")


def test_several_drives_at_once_have_a_line_each(
    image: Uf2Image, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = make_drive(tmp_path / "RP2350", "RP2350")
    with BootselDrive(tmp_path / "one") as one, BootselDrive(tmp_path / "two") as two:
        monkeypatch.setattr(find, "_mount_points", lambda: iter([one.folder, two.folder, wrong]))
        got = onebyte("flash", path)
        assert_refused(got, f"several boards: {one.folder}, {two.folder};", "--all")
        assert not one.flash and not two.flash
        code, out, err = onebyte("flash", path, "--all")
    assert (code, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        f"ok {one.folder}",
        f"ok {two.folder}",
    ]
    assert_holds(one, image)
    assert_holds(two, image)
    assert sorted(os.listdir(wrong)) == ["INDEX.HTM", "INFO_UF2.TXT"]


def test_board_that_fails_does_not_stop_the_other(
    image: Uf2Image, path: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    with BootselDrive(tmp_path / "one") as one:
        code, out, err = onebyte("flash", path, "--drive", one.folder, "--drive", missing)
    assert code == 2
    assert err == "onebyte: error: 1 of 2 boards were not flashed\n"
    good, bad = out.splitlines()
    assert good.startswith(f"ok {one.folder}: ")
    assert bad.startswith(f"FAILED {missing} is no BOOTSEL drive")
    assert_holds(one, image)


@pytest.mark.parametrize(
    ("board_id", "words"),
    [("RP2350", "another chip (RP2350)"), ("SAMD21G18A-Feather-v0", "another chip (unknown)")],
)
def test_drive_of_another_chip_is_left_alone(
    board_id: str, words: str, path: Path, tmp_path: Path
) -> None:
    drive = make_drive(tmp_path / "drive", board_id)
    assert_refused(onebyte("flash", path, "--drive", drive), words, "nothing was written")
    assert sorted(os.listdir(drive)) == ["INDEX.HTM", "INFO_UF2.TXT"]


def test_image_for_another_chip_or_too_large_leaves_the_drive_alone(tmp_path: Path) -> None:
    drive = make_drive(tmp_path / "drive")
    path = tmp_path / "a.uf2"
    path.write_bytes(b"".join(uf2_blocks(8, family=0xE48BFF59)))
    assert_refused(onebyte("flash", path, "--drive", drive), "made for RP2350")
    path.write_bytes(b"".join(uf2_blocks(4097)))
    got = onebyte("flash", path, "--drive", drive, "--flash-mib", 1)
    assert_refused(got, "takes 1048832 bytes, the flash has 1048576", "--flash-mib")
    assert sorted(os.listdir(drive)) == ["INDEX.HTM", "INFO_UF2.TXT"]


def test_drive_that_stays_has_not_started_the_image(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootsel, "_VANISH_S", 1.0)
    with BootselDrive(tmp_path / "drive", stays=True) as drive:
        got = onebyte("flash", path, "--drive", drive.folder)
    assert_refused(got, "has every block and is still there")


def test_drive_that_is_full_says_so(path: Path, tmp_path: Path) -> None:
    drive = make_drive(tmp_path / "drive")
    (drive / "firmware.uf2").symlink_to("/dev/full")  # the system's own "no space left"
    got = onebyte("flash", path, "--drive", drive)
    assert_refused(got, f"{drive} is full after 0 of 102400 bytes", "hold BOOTSEL")


def test_drive_that_refuses_a_file_says_why(path: Path, tmp_path: Path) -> None:
    drive = make_drive(tmp_path / "drive")
    (drive / "firmware.uf2").mkdir()
    got = onebyte("flash", path, "--drive", drive)
    assert_refused(got, "takes no more after 0 of 102400 bytes (Is a directory)")


def copy(image: Uf2Image, drive: Path, **how: int | None) -> FailingFile:
    """Copy to a file that fails as told; return it."""
    files: list[FailingFile] = []

    def opener(path: Path) -> FailingFile:
        files.append(FailingFile(path, **how))  # type: ignore[arg-type]
        return files[0]

    bootsel.copy_image(image, drive, lambda done, total: None, opener)
    return files[0]


def test_short_writes_are_continued(image: Uf2Image, tmp_path: Path) -> None:
    drive = make_drive(tmp_path / "drive")
    file = copy(image, drive, most=700)
    assert file.calls > len(image.blocks) // 700
    assert (drive / "firmware.uf2").read_bytes() == image.blocks


def test_progress_is_what_the_drive_has_and_not_the_computer_s_memory(
    image: Uf2Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[object] = []
    monkeypatch.setattr(os, "fsync", lambda _: log.append("on the drive"))
    drive = make_drive(tmp_path / "drive")
    bootsel.copy_image(image, drive, lambda done, _: log.append(done))
    assert log[::2] == ["on the drive"] * (len(log) // 2)
    last = len(image.blocks) - 512  # the drive may vanish with the last block alone
    assert log[1::2][-2:] == [last, len(image.blocks)] and len(log) > 6


def test_file_that_takes_nothing_is_a_full_drive(image: Uf2Image, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is full after 0 of"):
        copy(image, make_drive(tmp_path / "drive"), most=0, limit=None, code=errno.ENOSPC)


@pytest.mark.parametrize("blocks", [0, 1, 64, 100, COUNT - 1])
def test_unplugging_before_the_last_block_is_noticed(
    blocks: int, image: Uf2Image, tmp_path: Path
) -> None:
    drive = make_drive(tmp_path / "drive")
    with pytest.raises(UserError, match=r"went away after \d+ of 102400 bytes: .* unplugged"):
        copy(image, drive, limit=512 * blocks + 100 if blocks < COUNT - 1 else 512 * blocks - 1)
    assert not drive.exists()


def test_drive_that_vanishes_with_the_last_block_is_no_failure(
    image: Uf2Image, tmp_path: Path
) -> None:
    drive = make_drive(tmp_path / "drive")
    file = copy(image, drive, limit=512 * COUNT - 100)
    assert file.taken == 512 * COUNT - 100
    assert not drive.exists()


def test_last_block_that_fails_on_a_drive_that_stays_is_a_failure(
    image: Uf2Image, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is full after 101888 of 102400 bytes"):
        copy(image, make_drive(tmp_path / "d"), limit=512 * COUNT - 100, code=errno.ENOSPC)


def test_drive_that_is_not_ours_to_write(image: Uf2Image, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no permission to write to .*: mount it for this user"):
        copy(image, make_drive(tmp_path / "drive"), limit=0, code=errno.EROFS)


def test_no_board_says_what_to_do(path: Path, tmp_path: Path, monkeypatch) -> None:
    assert_refused(onebyte("flash", path), "no board found for a.uf2", "holding BOOTSEL")
    assert_refused(onebyte("flash", "--list"), "no board found", "a cable that carries data")
    assert_refused(onebyte("flash"), "which image?")
    monkeypatch.setattr(find, "_LABELS", tmp_path)
    (tmp_path / "RPI-RP2").touch()
    got = onebyte("flash", path)
    assert_refused(got, "not mounted", f"mount {tmp_path / 'RPI-RP2'}")
    assert onebyte("flash", "--list")[1] == f"{tmp_path / 'RPI-RP2'}: BOOTSEL mode, not mounted\n"


def test_board_that_runs_is_in_the_wrong_mode(path: Path, monkeypatch) -> None:
    with prompt(BANNER) as line:
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(line.path)])
        got = onebyte("flash", path)
        assert_refused(got, f"{line.path} (MicroPython v1.25.0, Raspberry Pi Pico)")
        assert_refused(got, "not in BOOTSEL mode", f"mpremote connect {line.path} bootloader")
        got = onebyte("flash", path, "--port", line.path)
        assert_refused(got, "wrong mode for a.uf2", "hold BOOTSEL")
