"""A trained model of the made-up recordings in own_data.py, made once for all tests of a run."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from own_data import write_model_folder


@functools.cache
def _folder() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    kept = tempfile.TemporaryDirectory(prefix="onebyte-small-model-")
    folder = write_model_folder(Path(kept.name) / "motion")
    command = [sys.executable, "-m", "onebyte.cli", "train", str(folder), "--jobs", "1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return kept, folder


def small_model() -> Path:
    """Return the folder with recipe.toml, model.obm and holdout.obm (trained without ben)."""
    return _folder()[1]
