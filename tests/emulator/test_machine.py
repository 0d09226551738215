"""The emulated chip: code, cycles, flash, resets and sleep, as the firmware sees them."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.image import FLASH_BYTES, flash_image, read_firmware
from onebyte.emulator.machine import DeviceError, EmulatorError, Machine
from onebyte.errors import UserError

STORAGE = 0x100000  # where our images' file system begins
SECTOR = STORAGE + 200 * 4096  # far behind what a small file system uses
HANG_S = 300

COUNT_CYCLES = """
import machine
@micropython.viper
def count(n: int) -> int:
    timer = ptr32(0xE000E010)
    timer[1] = 0xFFFFFF
    timer[2] = 0
    timer[0] = 5
    before = timer[2]
    while n:
        n -= 1
    return before - timer[2]
def cycles(n):
    state = machine.disable_irq()
    taken = count(n)
    machine.enable_irq(state)
    return taken
print(cycles(10), cycles(10), cycles(1010))
"""


@pytest.fixture
def machine(pico_ppp: firmware.Firmware) -> Iterator[Machine]:
    with Machine(pico_ppp.uf2) as started:
        started.boot()
        yield started


def run_until_reset(machine: Machine, code: str, timeout_s: float) -> None:
    """Run code that ends in a reset, until the prompt of the next start."""
    resets = machine.resets
    with pytest.raises(EmulatorError, match="no b"):
        machine.exec(code, timeout_s)
    assert machine.resets == resets + 1
    machine.boot()


def test_code_prints_and_raises(machine: Machine) -> None:
    assert machine.exec("import sys; print(sys.implementation[0], 6 * 7)") == "micropython 42\n"
    with pytest.raises(DeviceError, match="line 2, in <module>\nZeroDivisionError"):
        machine.exec("x = 1\nx / 0")
    assert machine.exec("print('on')") == "on\n"


def test_code_that_does_not_end_is_given_up(machine: Machine) -> None:
    with pytest.raises(EmulatorError, match=r"within 0\.1 s of emulated time"):
        machine.exec("print('busy')\nwhile True: pass", 0.1)
    assert machine.exec("print('back')") == "back\n"


def test_the_same_commands_take_the_same_cycles(pico_ppp: firmware.Firmware) -> None:
    seen = []
    for _ in range(2):
        with Machine(pico_ppp.uf2) as machine:
            machine.boot()
            seen.append((machine.exec(COUNT_CYCLES), machine.cycles, machine.emulated_ms))
    assert seen[0] == seen[1]
    first, second, longer = map(int, seen[0][0].split())
    assert first == second
    assert (longer - first) % 1000 == 0 and 5 <= (longer - first) / 1000 <= 30


def test_a_sleep_is_skipped(machine: Machine) -> None:
    cycles, before = machine.cycles, machine.emulated_ms
    machine.exec("import time; time.sleep(600)", 601)
    assert 600_000 <= machine.emulated_ms - before < 600_100
    assert machine.cycles - cycles < 125_000_000  # a second's


def test_what_the_chip_refuses_ends_the_run(machine: Machine) -> None:
    code = """
@micropython.asm_thumb
def load(r0):
    ldr(r0, [r0, 0])
load(0x20000001)
"""
    with pytest.raises(EmulatorError, match="unaligned read of a word at 0x20000001"):
        machine.exec(code)


def test_mailbox_moves_bytes_and_counts(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    paths = {"input": tmp_path / "in.bin", "output": tmp_path / "out.bin"}
    content = bytes(range(256)) * 40
    paths["input"].write_bytes(content)
    code = """
from machine import mem32
import uctypes
def move(command, buffer, offset=0):
    mem32[0x5F000000] = uctypes.addressof(buffer)
    mem32[0x5F000004] = len(buffer)
    mem32[0x5F000008] = offset
    mem32[0x5F00000C] = command
    return mem32[0x5F000018] & 0xFFFFFFFF
buffer = bytearray(1000)
print(move(1, buffer, 9000), hex(move(1, buffer, 9241)))
buffer[0] ^= 255
print(move(2, buffer), move(2, memoryview(buffer)[:3]))
mem32[0x5F000000] = 77
mem32[0x5F00000C] = 3
print(mem32[0x5F000010] + (mem32[0x5F000014] << 32))
"""
    names = {name: str(path) for name, path in paths.items()}
    with Machine(pico_ppp.uf2, mailbox=names) as machine:
        machine.boot()
        moved, written, cycles = machine.exec(code).splitlines()
        ((number, marked, _),) = machine.marks()
    assert (moved, written) == ("1000 0xffffffff", "1000 3")
    expected = bytes([content[9000] ^ 255]) + content[9001:10000]
    assert paths["output"].read_bytes() == expected + expected[:3]
    assert number == 77 and marked < int(cycles) < marked + 10_000


def test_file_systems_go_in_and_out(pico_ppp: firmware.Firmware) -> None:
    files = {"a.txt": b"hello", "lib/deep/b.bin": bytes(5000), "empty": b""}
    with Machine(pico_ppp.uf2, littlefs.make_image(files)) as machine:
        machine.boot()
        assert machine.exec("print(open('/a.txt').read())") == "hello\n"
        machine.exec("f = open('/lib/new', 'wb'); f.write(bytes(9000)); f.close()")
        flash = machine.flash()
    assert littlefs.read_image(flash[STORAGE:]) == files | {"lib/new": bytes(9000)}
    with pytest.raises(UserError, match="do not fit"):
        littlefs.make_image({"big": bytes(2_000_000)})
    with pytest.raises(UserError, match="no LittleFS"):
        littlefs.read_image(bytes(1 << 20))


def test_flash_has_the_times_and_the_bits_of_the_chip(machine: Machine) -> None:
    code = """
import rp2, time
flash = rp2.Flash()
def took(function, *arguments):
    start = time.ticks_us()
    function(*arguments)
    return time.ticks_diff(time.ticks_us(), start)
back = bytearray(256)
print(took(flash.ioctl, 6, 200))
print(took(flash.writeblocks, 200, b'\\x0f' * 256, 0))
flash.writeblocks(200, b'\\x35' * 256, 0)
flash.readblocks(200, back, 0)
print(back == b'\\x05' * 256)
flash.readblocks(200, back, 256)
print(back == b'\\xff' * 256)
"""
    erase_us, program_us, *kept = machine.exec(code).split()
    assert 45_000 <= int(erase_us) < 46_000
    assert 400 <= int(program_us) < 1400
    assert kept == ["True", "True"]
    assert machine.flash()[SECTOR : SECTOR + 257] == b"\x05" * 256 + b"\xff"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_supply_fails_within_a_flash_operation(machine: Machine, share: float) -> None:
    machine.exec("import rp2; f = rp2.Flash(); f.ioctl(6, 200)")
    machine.cut_power(1, share)
    code = "for page in range(3): f.writeblocks(200, bytes(256), 256 * page)"
    with pytest.raises(EmulatorError):
        machine.exec(code)
    assert machine.is_dead
    n_written = 256 + int(256 * share)
    assert machine.flash()[SECTOR : SECTOR + 4096] == bytes(n_written).ljust(4096, b"\xff")
    machine.power_on()
    machine.boot()
    assert machine.exec("import machine; print(machine.reset_cause())") == "1\n"


def test_scratch_outlives_a_watchdog_reset_and_no_pin_reset(machine: Machine) -> None:
    look = "import machine; print(hex(machine.mem32[0x40058028]), machine.reset_cause())"
    machine.exec("import machine; machine.mem32[0x40058028] = 0x5CA7C4")
    run_until_reset(machine, "machine.reset()", 0.1)
    assert machine.exec(look) == "0x5ca7c4 3\n"
    machine.reset()
    machine.boot()
    assert machine.exec(look) == "0x0 1\n"


def test_watchdog_bites_who_does_not_feed_it(machine: Machine) -> None:
    code = "import machine, time\nw = machine.WDT(timeout=500)\n"
    machine.exec(code + "for _ in range(5):\n time.sleep_ms(400)\n w.feed()")
    assert machine.resets == 0
    run_until_reset(machine, "time.sleep_ms(2000)", 1.0)
    assert machine.exec("import machine; print(machine.reset_cause())") == "3\n"


def test_light_sleep_goes_on_and_deep_sleep_starts_anew(machine: Machine) -> None:
    # lwIP's timer ends a light sleep after at most 64 ms, on the chip as here.
    code = """
import machine, time
start = time.ticks_ms()
n = 0
while time.ticks_diff(time.ticks_ms(), start) < 3000:
    machine.lightsleep(3000)
    n += 1
print(n, time.ticks_diff(time.ticks_ms(), start))
"""
    cycles = machine.cycles
    n_sleeps, slept_ms = map(int, machine.exec(code).split())
    assert 1 <= n_sleeps <= 200 and 3000 <= slept_ms < 3100
    assert machine.cycles - cycles < 40_000_000
    run_until_reset(machine, "machine.deepsleep(50)", 0.2)
    assert machine.exec("print(machine.reset_cause() if 'machine' in dir() else 'new')") == "new\n"


def test_random_bits_come_from_the_seed(pico_ppp: firmware.Firmware) -> None:
    seen = []
    for seed in (1, 1, 2):
        with Machine(pico_ppp.uf2, seed=seed) as machine:
            machine.boot()
            seen.append(machine.exec("import os; print(os.urandom(8))"))
    assert seen[0] == seen[1] != seen[2]


def test_mpremote_talks_to_the_serial_port(machine: Machine, tmp_path: Path) -> None:
    source = tmp_path / "sent.bin"
    source.write_bytes(bytes(range(256)) * 8)
    back = tmp_path / "back.bin"
    with machine.serial_port() as port:

        def mpremote(*arguments: str | Path) -> str:
            command = [sys.executable, "-m", "mpremote", "connect", port, *map(str, arguments)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=HANG_S, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        assert mpremote("exec", "print(6 * 7)").split() == ["42"]
        with pytest.raises(ConnectionRefusedError):  # of this machine's loopback address alone
            socket.create_connection(("127.0.0.2", int(port.rpartition(":")[2])), 5)
        mpremote("cp", source, ":got.bin")
        mpremote("cp", ":got.bin", back)
    assert back.read_bytes() == source.read_bytes()
    assert machine.exec("import os; print(os.stat('/got.bin')[6])") == "2048\n"


def test_firmware_files_are_checked(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    data = pico_ppp.uf2.read_bytes()
    whole = read_firmware(pico_ppp.uf2)
    wrong = {
        "cut off": data[:-1],
        "no UF2 block": b"x" + data[1:],
        "made for another chip": data[:28] + bytes(4) + data[32:],
        "outside the flash": data[:12] + (0x20000000).to_bytes(4, "little") + data[16:],
    }
    for reason, content in wrong.items():
        path = tmp_path / "x.uf2"
        path.write_bytes(content)
        with pytest.raises(UserError, match=reason):
            read_firmware(path)
    with pytest.raises(UserError, match="cannot read"):
        read_firmware(tmp_path / "none.bin")
    with pytest.raises(UserError, match="longer than the flash"):
        flash_image(whole, bytes(FLASH_BYTES))
