"""The image boots on the emulated chip: filesystem, what it starts, and what is inside."""

import re
from collections.abc import Iterator

import pytest

from formats import model
from onebyte.crossbuild import firmware
from onebyte.emulator.image import FLASH_BYTES
from onebyte.emulator.machine import DeviceError, Machine

BLOCK_BYTES = 4096
PROMPT = ">>> "


def storage_of(built: firmware.Firmware, flash: bytes) -> bytes:
    start = built.sizes.filesystem_start
    return flash[start : start + built.sizes.filesystem]


def with_main(flash: bytes, source: str) -> bytes:
    """Return the flash of a board whose filesystem holds a main.py."""
    with Machine(flash) as machine:
        machine.boot()
        machine.exec(f"with open('/main.py', 'w') as file:\n    file.write({source!r})")
        return machine.flash()


def with_damage(built: firmware.Firmware, flash: bytes, blocks: tuple[int, ...]) -> bytes:
    damaged = bytearray(flash)
    for block in blocks:
        start = built.sizes.filesystem_start + block * BLOCK_BYTES
        damaged[start : start + 256] = bytes(256)
    return bytes(damaged)


@pytest.fixture(scope="session")
def used_flash(pico_ppp: firmware.Firmware) -> bytes:
    """The flash of a board that was switched on once and got a file."""
    with Machine(pico_ppp.uf2) as machine:
        machine.boot()
        machine.exec("with open('/config.txt', 'w') as file:\n    file.write('kept ' * 1000)")
        return machine.flash()


@pytest.fixture
def machine(pico_ppp: firmware.Firmware) -> Iterator[Machine]:
    with Machine(pico_ppp.uf2) as started:
        started.boot()
        yield started


def test_blank_flash_gets_a_filesystem(pico_ppp: firmware.Firmware, machine: Machine) -> None:
    assert machine.exec("import os; print(os.listdir('/'))") == "[]\n"
    free = "s = os.statvfs('/'); print(s[0], s[2], s[3])"
    block, total, unused = map(int, machine.exec(f"import os\n{free}").split())
    assert (block, total * block) == (BLOCK_BYTES, pico_ppp.sizes.filesystem)
    assert total - unused == 2
    assert pico_ppp.sizes.filesystem_start + pico_ppp.sizes.filesystem == FLASH_BYTES
    assert b"littlefs" in storage_of(pico_ppp, machine.flash())[:BLOCK_BYTES]


def test_filesystem_outlives_a_restart(used_flash: bytes) -> None:
    with Machine(used_flash) as machine:
        machine.boot()
        assert machine.exec("print(open('/config.txt').read())") == "kept " * 1000 + "\n"
        assert machine.flash() == used_flash


@pytest.mark.parametrize("blocks", [(0,), (1,)])
def test_one_damaged_superblock_is_lived_with(
    pico_ppp: firmware.Firmware, used_flash: bytes, blocks: tuple[int, ...]
) -> None:
    flash = with_damage(pico_ppp, used_flash, blocks)
    with Machine(flash) as machine:
        machine.boot()
        machine.exec("import os; os.listdir('/')")
        assert machine.flash() == flash


def test_damaged_filesystem_is_never_formatted(
    pico_ppp: firmware.Firmware, used_flash: bytes
) -> None:
    flash = with_damage(pico_ppp, used_flash, (0, 1))
    with Machine(flash) as machine:
        printed = machine.read_until(PROMPT)
        lines = [line for line in printed.splitlines() if line.startswith("onebyte boot:")]
        assert len(lines) == 1
        assert lines[0].startswith(
            "onebyte boot: no filesystem; the flash is not blank, left as it is: OSError("
        )
        with pytest.raises(DeviceError, match="OSError"):
            machine.exec("open('/config.txt')")
        assert machine.flash() == flash


def test_node_is_started_and_says_what_it_lacks(pico_ppp: firmware.Firmware) -> None:
    with Machine(pico_ppp.uf2) as machine:
        printed = machine.read_until(PROMPT)
        assert re.search(r"^onebyte node: .*config\.json", printed, re.MULTILINE), printed


def test_own_main_is_run_instead(used_flash: bytes) -> None:
    with Machine(with_main(used_flash, "print(__name__, 6 * 7)\n1 // 0\n")) as machine:
        printed = machine.read_until(PROMPT)
        assert "__main__ 42" in printed
        assert 'File "/main.py", line 2' in printed
        assert "ZeroDivisionError" in printed
        assert "onebyte node:" not in printed


def test_own_main_that_never_ends_is_stopped_in_time(used_flash: bytes) -> None:
    # It takes Ctrl-C away, so that only the time before it helps.
    source = "import micropython\nmicropython.kbd_intr(-1)\nprint('stuck')\nwhile 1:\n    pass\n"
    flash = with_main(used_flash, source)
    with Machine(flash) as machine:
        machine.read_until("stuck")
    with Machine(flash) as machine:
        machine.read_until("Ctrl-C within")
        printed = machine.boot()  # sends Ctrl-C
        assert "KeyboardInterrupt" in printed
        assert "stuck" not in printed
        machine.exec("import os; os.remove('/main.py')")
        assert machine.exec("print(os.listdir('/'))") == "['config.txt']\n"


def test_image_holds_the_app_and_the_kernels(machine: Machine) -> None:
    assert machine.exec("import sys; print(sys.path)") == "['.frozen', '/lib', '/']\n"
    version = machine.exec("import obkernels; print(obkernels.KERNEL_VERSION)")
    assert int(version) == model.KERNEL_VERSION
    names = "app.node app.uplink mqtt.client umqtt.simple drivers.lis3dh drivers.lsm6dsox"
    names += " drivers.mpu6050 formats.model pipeline.window board figures tls network"
    for name in names.split():
        machine.exec(f"import {name}")
    with pytest.raises(DeviceError, match="no module named 'obtwin'"):
        machine.exec("import obtwin")


def test_image_takes_further_c_modules(pico_foreign: firmware.Firmware) -> None:
    with Machine(pico_foreign.uf2) as machine:
        machine.boot()
        code = "import foreign, obkernels\nprint(foreign.reverse_bits(0x12345678))"
        assert int(machine.exec(code)) == 0x1E6A2C48
        assert machine.exec("import sys; print(sys.implementation._machine)").startswith(
            "Raspberry Pi Pico with RP2040"
        )
        with pytest.raises(DeviceError, match="no module named 'network'"):
            machine.exec("import network")


def test_further_module_is_in_no_other_image(machine: Machine) -> None:
    with pytest.raises(DeviceError, match="no module named 'foreign'"):
        machine.exec("import foreign")
