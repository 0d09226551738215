"""The real image boots from slots: a signed app with its model, rot, shadows, a frozen product."""

import json
from pathlib import Path

import pytest
import signed_boards
from signed_boards import Vendor

from formats import slot_state
from formats.slot_state import SLOT_A, SLOT_B
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine

CONFIG = {
    "tenant": "lab",
    "device": "pico",
    "broker_host": "nowhere",
    "sensor": "mpu6050",
    "safe_boot_ms": 0,
}
BOOT_S = 60.0


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(tmp_path_factory.mktemp("vendor"))


@pytest.fixture(scope="module")
def slots(vendor: Vendor) -> dict[str, bytes]:
    """Release 1 in slot a, the confirmed release 2 in slot b; each is an app and a model."""
    files = {"config.json": json.dumps(CONFIG).encode(), **vendor.identity()}
    for slot, seq in ((SLOT_A, 1), (SLOT_B, 2)):
        content = [*signed_boards.app(f"app of release {seq}"), signed_boards.model()]
        files |= signed_boards.in_slot(slot, vendor.release(seq, content))
    return files | signed_boards.state(active=SLOT_B, installed_seq=2)


@pytest.fixture(scope="module")
def product_image(vendor: Vendor, pico_ppp: firmware.Firmware) -> firmware.Firmware:
    """An image for the product, which differs from `pico_ppp` in one frozen module."""
    return firmware.build("pico_ppp", product=("tests", vendor.product().module_text()))


class Board:
    """A Pico that was switched on; says what its console said until its app began."""

    def __init__(self, image: firmware.Firmware, files: dict[str, bytes]) -> None:
        self.image = image
        self.machine = Machine(image.uf2, littlefs.make_image(files), devices=[])
        self.console = ""

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.close()

    def until(self, text: str) -> str:
        """Go on until the console says something; return what it said so far."""
        self.console += self.machine.read_until(text, BOOT_S)
        return self.console

    def files(self) -> dict[str, bytes]:
        """Return what is on the flash now."""
        return littlefs.read_image(self.machine.flash()[self.image.sizes.filesystem_start :])

    def state(self) -> slot_state.State:
        """Return the record of the slots."""
        return slot_state.parse(self.files()["st/state"])


def test_rotten_byte_falls_back_and_shadows_change_nothing(
    pico_ppp: firmware.Firmware, slots: dict[str, bytes]
) -> None:
    rotten = dict(slots)
    content = bytearray(rotten["s/b/app/node.mpy"])
    content[len(content) // 2] ^= 1
    rotten["s/b/app/node.mpy"] = bytes(content)
    liar = b"print('SHADOW')\nclass sha256:\n    def __init__(self, *a): print('SHADOW')\n"
    for name in ("hashlib.py", "ota.py", "ota/loader.py", "formats/signed.py", "product.py"):
        rotten[name] = rotten[f"lib/{name}"] = liar
    with Board(pico_ppp, rotten) as board:
        board.until("app of release 1")
        assert "onebyte boot: slot a, release 1\r\n" in board.console
        assert "SHADOW" not in board.console
        assert (board.state().active, board.state().installed_seq) == (SLOT_A, 2)
        board.machine.boot()  # Ctrl-C
        found = board.machine.exec("import sys, app.run\nprint(sys.path, app.run.__file__)")
        assert found == "['/s/a', '/s/a/top', '.frozen'] /s/a/app/run.mpy\n"


def test_unlisted_module_in_a_slot_stops_it(
    pico_ppp: firmware.Firmware, slots: dict[str, bytes]
) -> None:
    files = {**slots, "s/b/hashlib.py": b"print('SHADOW')\n", "s/a/app/extra.py": b""}
    with Board(pico_ppp, files) as board:
        board.until("TOO_SHORT")
        assert "onebyte boot: no slot may run, the frozen app does" in board.console
        assert "model model.obm refused: TOO_SHORT" in board.console
        assert "SHADOW" not in board.console


def test_crash_of_an_app_on_trial_is_counted_and_reverted(
    pico_ppp: firmware.Firmware, slots: dict[str, bytes], vendor: Vendor, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text("print('bad app begins')\nraise ValueError('bad app')\n")
    bad = signed_boards.sources.app(tmp_path, signed_boards.sources.Compiler())
    files = {name: data for name, data in slots.items() if not name.startswith("s/a/")}
    files |= signed_boards.in_slot(SLOT_A, vendor.release(3, [*bad, signed_boards.model()]))
    files |= signed_boards.state(
        active=SLOT_B, installed_seq=2, pending=SLOT_A, pending_seq=3, tries_left=2
    )
    with Board(pico_ppp, files) as board:
        board.until("app of release 2")
        assert board.console.count("bad app begins") == 2
        state = board.state()
        assert (state.active, state.pending, state.last_bad_seq) == (SLOT_B, 0, 3)


def test_product_in_the_image_leaves_no_word_to_the_filesystem(
    vendor: Vendor, slots: dict[str, bytes], product_image: firmware.Firmware
) -> None:
    files = {name: data for name, data in slots.items() if not name.startswith("id/")}
    files["main.py"] = b"print('SHADOW')\n"
    files["id/product.json"] = b'{"vendor":1,"product_class":1,"hardware":1,"firmware":1}'
    files["lib/product.py"] = b"print('SHADOW')\n"
    with Board(product_image, files) as board:
        board.until("app of release 2")
        assert "SHADOW" not in board.console
        board.machine.boot()
        assert board.machine.exec("import sys\nprint(sys.path)") == (
            "['/s/b', '/s/b/top', '.frozen']\n"
        )
