"""A custom feature on the chip: the documentation's example gives the host's bits."""

import re
from pathlib import Path

import numpy as np
import own_data

from onebyte import kernels
from onebyte.crossbuild import firmware
from onebyte.emulator import littlefs
from onebyte.emulator.machine import Machine
from onebyte.training import custom, recipe, studio, train

ROOT = Path(__file__).resolve().parents[2]
DUMP = (ROOT / "tests" / "fakes" / "feature_dump.py").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs" / "CUSTOM_FEATURES.md").read_text(encoding="utf-8")
EXAMPLE, TABLE = (
    re.findall(rf"```{kind}\n(.*?)```", DOCUMENT, re.DOTALL)[0] for kind in ("python", "toml")
)
WINDOW, HOP = 32, 16  # of the made-up recipe


def test_features_have_the_bits_of_the_host(pico_ppp: firmware.Firmware, tmp_path: Path) -> None:
    text = own_data.RECIPE.replace("features = 6", "features = 40")
    own_data.write_model_folder(tmp_path, text.replace("[select]", f"{TABLE}\n[select]"))
    (tmp_path / "custom.py").write_text(EXAMPLE)
    loaded = recipe.load(tmp_path)
    _, table = train.load_table(loaded)
    model = studio.write_quick(loaded, table).read_bytes()
    moves = [own_data.samples_of(label, "ben", seconds=5) for label in ("shaking", "walking")]
    samples = (np.vstack(moves) * 1000).round().astype(np.int16)
    files = {
        "main.py": b"pass\n",  # runs instead of the node
        "model.obm": model,
        "custom.py": EXAMPLE.encode(),
        "samples": samples.tobytes(),
    }
    with Machine(pico_ppp.uf2, littlefs.make_image(files)) as machine:
        machine.boot()
        arguments = ["feature_dump.py", "obkernels", "/model.obm", "/custom.py", "/samples"]
        printed = machine.exec(f"import sys\nsys.argv[:] = {arguments!r}\n{DUMP}")
    starts = range(0, len(samples) - WINDOW + 1, HOP)
    windows = np.stack([samples[start : start + WINDOW] for start in starts])
    expected = custom.features_of(kernels.KernelModel(model), windows, loaded.custom)
    assert printed.split() == [row.tobytes().hex() for row in expected]
    assert len(windows) > 10 and len(set(expected[:, -2])) > 2
