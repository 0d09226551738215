"""Finding and flashing boards, as far as it needs our real image and a real MicroPython."""

from onebyte.boards import ports
from onebyte.boards.image import read_image
from onebyte.crossbuild import firmware
from onebyte.emulator.machine import Machine

PATIENCE_S = 120  # it ends with the answer


def test_image_that_we_build_is_one_that_is_flashed(pico_ppp: firmware.Firmware) -> None:
    image = read_image(pico_ppp.uf2)
    # The last page of a UF2 file is filled up.
    assert image.chip == "RP2040"
    assert 0 <= image.size - (pico_ppp.folder / "firmware.bin").stat().st_size < 256


def test_prompt_of_a_real_micropython_says_its_version(pico_ppp: firmware.Firmware) -> None:
    with Machine(pico_ppp.uf2) as machine:
        machine.boot()
        with machine.serial_port() as port:
            banner = ports.ask_banner(port, PATIENCE_S)
            assert banner is not None
            assert (banner.version, banner.chip) == ("v1.25.0", "RP2040")
            # The first question leaves the prompt as it was.
            assert ports.ask_banner(port, PATIENCE_S) == banner
