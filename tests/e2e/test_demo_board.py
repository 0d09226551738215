"""`onebyte demo-board`: an emulated Pico from an empty flash to decisions, each step a command."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, onebyte, onebyte_process

from onebyte.crossbuild import firmware
from onebyte.errors import UserError
from onebyte.simulation import board_course

STEPS = 7


def test_the_course_reaches_decisions_of_its_own_model() -> None:
    try:
        built = firmware.build("pico_ppp")
    except UserError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    code, out, err = onebyte_process("demo-board", "--firmware", built.uf2, "--seconds", "48")
    assert code == 0, out + err
    last = out.splitlines()[-1]
    found = re.fullmatch(r"demo-board: steps=(\d+) ok=(\d+) accuracy=(0\.\d\d|1\.00)", last)
    assert found, last
    assert (int(found[1]), int(found[2])) == (STEPS, STEPS)
    assert float(found[3]) >= 0.8
    assert re.search(r"collect samples=\d+ gaps=0 duplicates=0 ", out)


def test_movements_differ_from_each_other_and_from_themselves() -> None:
    parts = {label: board_course.movement(label, 8.0, 1) for label in board_course.MOVEMENTS}
    spread = {label: float(rows[:, 0].std()) for label, rows in parts.items()}
    assert spread["resting"] < 100 < min(spread["walking"], spread["shaking"])
    again = board_course.movement("walking", 8.0, 2)
    assert not np.array_equal(parts["walking"], again)


def test_a_missing_image_is_one_line() -> None:
    got = onebyte("demo-board", "--firmware", "no/such.uf2")
    assert_refused(got, "there is no image no/such.uf2", "make firmware")


def test_a_step_that_fails_is_named_and_counted(tmp_path: Path) -> None:
    image = tmp_path / "bad.uf2"
    image.write_bytes(b"UF2 it is not" * 100)
    code, out, err = onebyte("demo-board", "--firmware", image)
    assert (code, out.splitlines()[-1]) == (1, "demo-board: steps=1 ok=0 accuracy=0.00")
    assert "failed: onebyte flash failed" in err
