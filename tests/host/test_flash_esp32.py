"""`onebyte flash` against the simulated boot loader of an ESP32-S3, on good and bad cables."""

import fcntl
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import board_images
import pytest
from command_line import assert_refused, onebyte, onebyte_process
from esp32_mock_bootloader.process import running_mock
from serial.tools import list_ports
from serial_boards import EspBoard, Line, chatter, hide_boards, prompt, usb_port

from onebyte.boards import esp32, ports
from onebyte.boards.esp_image import EspImage, parse_esp_image
from onebyte.errors import UserError

S3_BANNER = b"MicroPython v1.26.1 on 2025-09-11; Generic ESP32S3 module with ESP32S3"


@pytest.fixture
def image() -> EspImage:
    return parse_esp_image("a.bin", board_images.esp_image())


@pytest.fixture
def path(image: EspImage, tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(image.data)
    return path


@pytest.fixture(autouse=True)
def no_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_boards(monkeypatch)


def test_image_is_written_and_its_md5_verified(
    path: Path, image: EspImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[str] = []
    monkeypatch.setattr(esp32, "reset_chip", lambda esp, mode: resets.append(mode))
    with EspBoard("esp32s3") as board:
        code, out, err = onebyte("flash", path, "--port", board.path)
    assert (code, err) == (0, "")
    assert out == (
        f"ok {board.path}: ESP32-S3, {len(image.data)} bytes written, MD5 verified "
        "(flash of 4 MiB), restarted\n"
    )
    assert board.erased and 0x13 in board.commands  # 0x13 asks the chip for the flash's MD5
    assert resets == ["hard-reset"], "it says that it was restarted"


@pytest.mark.parametrize("transport", ["tcp", "pty"])
def test_boot_loader_is_reached_without_anything_between(transport: str, image: EspImage) -> None:
    seen: list[tuple[int, int]] = []
    with running_mock(transport, "esp32s3", timeout=60) as (process, port, terminal):
        device = terminal or f"socket://127.0.0.1:{port}"
        line = esp32.flash_esp32(image, device, lambda done, total: seen.append((done, total)))
        process.terminate()
        process.stderr.close()
    assert line.startswith(f"{device}: ESP32-S3, {len(image.data)} bytes written, MD5 verified")
    assert seen == sorted(seen) and seen[-1][0] == seen[-1][1] > 0


def test_command_prints_one_line_in_a_process_of_its_own(path: Path) -> None:
    # esptool prints a lot; in this process an earlier test may have silenced it.
    with EspBoard("esp32s3") as board:
        code, out, err = onebyte_process("flash", path, "--port", board.path)
    assert (code, out.count("\n"), err) == (0, 1, "")


@pytest.mark.parametrize("chip", ["esp32", "esp32c3", "esp32s2"])
def test_another_chip_is_refused_before_anything_is_erased(chip: str, path: Path) -> None:
    with EspBoard(chip) as board:
        got = onebyte("flash", path, "--port", board.path)
    names = {"esp32": "ESP32", "esp32c3": "ESP32-C3", "esp32s2": "ESP32-S2"}
    assert_refused(got, f"{board.path} is an {names[chip]}, a.bin is for the ESP32-S3")
    assert board.commands and not board.erased


def test_locked_chip_is_refused_before_anything_is_erased(image: EspImage) -> None:
    """The simulated one has no fuses."""
    chip = SimpleNamespace(CHIP_NAME="ESP32-S3", secure_download_mode=False)
    esp32._check_chip(chip, image, "/dev/x")
    chip.secure_download_mode = True
    with pytest.raises(UserError, match=r"the chip is locked .* nothing was erased"):
        esp32._check_chip(chip, image, "/dev/x")


@pytest.mark.parametrize("kind", ["other chip", "no image", "app alone", "damaged", "missing"])
def test_wrong_file_never_reaches_the_board(kind: str, path: Path, image: EspImage) -> None:
    content = {
        "other chip": board_images.esp_image(chip=0),
        "no image": b"\0" * 4096,
        "app alone": board_images.esp_program(),
        "damaged": image.data[:-100],
    }
    if kind in content:
        path.write_bytes(content[kind])
    else:
        path.unlink()
    with EspBoard("esp32s3") as board:
        assert_refused(onebyte("flash", path, "--port", board.path), path.name)
    assert not board.commands


def test_image_for_a_larger_flash_is_refused_before_anything_is_erased(path: Path) -> None:
    path.write_bytes(board_images.esp_image(flash_code=3))
    with EspBoard("esp32s3") as board:
        got = onebyte("flash", path, "--port", board.path)
    assert_refused(got, "made for a flash of 8388608 bytes, this one has 4194304")
    assert_refused(got, "nothing was erased")
    assert board.commands and not board.erased


def test_flash_that_holds_something_else_afterwards_is_a_failure(path: Path) -> None:
    with EspBoard("esp32s3", lies=True) as board:
        got = onebyte("flash", path, "--port", board.path)
    assert_refused(got, board.path, "MD5 differs", "does not start until it is flashed again")


def test_unplugged_while_writing(path: Path) -> None:
    with EspBoard("esp32s3", cut_after=60_000) as board:
        got = onebyte("flash", path, "--port", board.path)
    assert_refused(got, "the connection was lost", "unplugged", "% was written")
    assert board.erased


def test_unplugged_before_writing(path: Path) -> None:
    with EspBoard("esp32s3", cut_after=300) as board:
        got = onebyte("flash", path, "--port", board.path)
    assert_refused(got, "the connection was lost", "nothing was erased")
    assert not board.erased


def test_boards_at_once_have_a_line_each(path: Path) -> None:
    with EspBoard("esp32s3") as one, EspBoard("esp32") as wrong, EspBoard("esp32s3") as two:
        places = [part for board in (one, wrong, two) for part in ("--port", board.path)]
        code, out, err = onebyte("flash", path, *places)
    lines = out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["ok", "FAILED", "ok"]
    for board, line in zip((one, wrong, two), lines, strict=True):
        assert f"{board.path} " in line.replace(":", " ")
    assert (code, err) == (2, "onebyte: error: 1 of 3 boards were not flashed\n")
    assert one.erased and two.erased and not wrong.erased


def test_board_in_the_wrong_mode_says_how_to_get_into_the_right_one(path: Path) -> None:
    silent = Line()
    assert_refused(onebyte("flash", path, "--port", silent.path), "wrong mode", "hold BOOT")
    silent.close()
    with chatter(b"onebyte node: squat\r\n") as line:
        assert_refused(onebyte("flash", path, "--port", line.path), "wrong mode", "hold BOOT")


def test_port_that_cannot_be_opened(path: Path, tmp_path: Path) -> None:
    missing = tmp_path / "ttyACM0"
    assert_refused(onebyte("flash", path, "--port", missing), f"no port {missing}")
    got = onebyte("flash", path, "--port", "gopher://x")
    assert_refused(got, "gopher://x is no serial port")
    got = onebyte("flash", path, "--drive", tmp_path)
    assert_refused(got, "is a BOOTSEL drive, a.bin is for an ESP32-S3's port")


def test_port_that_is_busy(path: Path) -> None:
    line = Line()
    other = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    got = onebyte("flash", path, "--port", line.path)
    os.close(other)
    line.close()
    assert_refused(got, f"{line.path} is busy", "another program")


def test_port_without_permission_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    os.chmod(line.path, 0)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)  # root may open everything
    try:
        with pytest.raises(UserError) as error:
            ports.open_port(line.path)
    finally:
        if was_root:
            os.seteuid(0)
        line_group = os.stat(line.path).st_gid
        line.close()
    group = ports.grp.getgrgid(line_group).gr_name
    assert str(error.value) == (
        f"no permission on {line.path}: it belongs to the group {group}; "
        f"run `sudo usermod -aG {group} $USER`, then log in again"
    )


def test_list_has_chip_and_version_and_opens_no_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rp2 = b"MicroPython v1.25.0 on 2025-04-15; Raspberry Pi Pico W with RP2040"
    stranger = Line()
    with prompt(S3_BANNER) as esp, prompt(rp2) as pico, chatter(b"\x31") as busy:
        found = [
            usb_port(esp.path, 0x303A, 0x4001),
            usb_port(pico.path),
            usb_port(busy.path, 0x10C4, 0xEA60),
            usb_port("/dev/gone", 0x1A86, 0x7523),
            usb_port(stranger.path, 0x1234, 0x5678),
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        code, out, err = onebyte("flash", "--list")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == sorted(
        [
            f"{esp.path}: ESP32-S3, MicroPython v1.26.1, Generic ESP32S3 module",
            f"{pico.path}: RP2040, MicroPython v1.25.0, Raspberry Pi Pico W",
            f"{busy.path}: chip not known yet, USB to UART bridge CP210x",
            "/dev/gone: chip not known yet, no port /dev/gone: is the board plugged in, "
            "with a cable that carries data?",
        ]
    )
    assert stranger.read() == b""
    stranger.close()


def test_only_ports_that_may_have_the_chip_are_flashed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s2 = b"MicroPython v1.26.1 on 2025-09-11; Generic ESP32S2 module with ESP32S2"
    with prompt(s2) as other:
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(other.path, 0x303A, 0x4001)])
        got = onebyte("flash", path)
        assert_refused(got, "no board found for a.bin, which is for the ESP32-S3", other.path)
    with EspBoard("esp32s3") as board:
        monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(board.path, 0x303A, 0x1001)])
        code, out, _ = onebyte("flash", path)
    assert (code, out.split(":")[0]) == (0, f"ok {board.path}")


def test_help_does_not_load_esptool() -> None:
    code = "import sys, onebyte.commands.flash; sys.exit('esptool' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
