"""The free heap that an update needs on the board: the real image, real signatures, its flash."""

from pathlib import Path

import custom_release
import ed25519_signer
import ota_releases
from update_want import want_of

from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine

FAKES = Path(__file__).resolve().parents[1] / "fakes"
PRODUCT = b'{"vendor":7,"product_class":3,"hardware":2,"firmware":4}'
MOST_BYTES = 21504  # an installation may take 24 KiB, see docs/DESIGN.md
RUN_S = 600.0


def test_a_release_of_64_kb_needs_little_free_heap(pico_ppp: firmware.Firmware) -> None:
    release = custom_release.CustomRelease(custom_release.large_files(), ed25519_signer)
    assert sum(map(len, release.contents.values())) == custom_release.LARGE_BYTES
    places, objects = {}, b""
    for name, content in release.objects.items():
        places[name] = len(objects), len(objects) + len(content)
        objects += content
    files = {
        "objects": objects,
        "id/product.json": PRODUCT,
        "id/root": ota_releases.root_file(ed25519_signer, 1),
        "install_heap.py": (FAKES / "install_heap.py").read_bytes(),
    }
    with Machine(pico_ppp.uf2, littlefs.make_image(files), devices=[]) as machine:
        machine.boot()
        code = "import sys\nsys.path.append('/')\nimport install_heap\n"
        code += f"install_heap.on_board({want_of(release)!r}, {places!r}, {MOST_BYTES})"
        least = int(machine.exec(code, RUN_S))
    print(f"install bytes={custom_release.LARGE_BYTES} peak_heap={least}")
    assert least > MOST_BYTES // 2, "too much, or the limit limits nothing"
