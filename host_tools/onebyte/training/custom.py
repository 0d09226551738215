"""Custom features in training: the recipe's custom.py over many windows.

The same class runs the same bytes on the device; docs/SPEC.md, "Custom features", has the rules.
"""

import hashlib
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from formats import features_table, model
from formats.errors import OnebyteError
from onebyte import kernels
from onebyte.errors import UserError
from pipeline.custom import CustomFeatures

__all__ = ["CustomCode", "compute", "features_of", "load"]

_MAX_CHECKED = 16  # windows that are computed twice


@dataclass(frozen=True)
class CustomCode:
    """A recipe's custom.py.

    Attributes:
        path: where it stands.
        content: its bytes; what is executed, hashed and copied to nodes.
        outputs: what the recipe calls the values that it gives.
    """

    path: Path
    content: bytes
    outputs: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """The hash that model files carry."""
        return hashlib.sha256(self.content).digest()[: model.CUSTOM_HASH_BYTES]


def load(path: Path, outputs: tuple[str, ...]) -> CustomCode:
    """Read a custom.py and run it once.

    Raises:
        UserError: it cannot be read, does not run, or has no `features_into`.
    """
    try:
        code = CustomCode(path, path.read_bytes(), outputs)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; [custom] names it") from None
    _function(code)
    return code


def compute(code: CustomCode, windows: np.ndarray) -> np.ndarray:
    """Return the outputs, int16 (n, n_outputs), for int16 windows (n, window, n_channels).

    Raises:
        UserError: the function fails, gives something else than int16, or gives other values when
            it sees a window again.
    """
    function = _function(code)
    values = np.zeros((len(windows), len(code.outputs)), np.int16)
    for i in range(len(windows)):
        values[i] = _outputs(code, function, windows, i)
    # In reverse order and by a function that has seen nothing else: a memory would show.
    again = _function(code)
    for i in reversed(range(0, len(windows), -(-len(windows) // _MAX_CHECKED) or 1)):
        if list(values[i]) != _outputs(code, again, windows, i):
            raise UserError(
                f"{code.path}: features_into gives other values when it sees window {i} again; "
                "they must depend on the samples alone"
            )
    return values


def features_of(
    kernel_model: kernels.KernelModel, windows: np.ndarray, code: CustomCode | None
) -> np.ndarray:
    """Return a model's features, int16 (n, n_features), as the device computes them.

    Args:
        kernel_model: the model.
        windows: int16 (n, window, n_channels).
        code: the recipe's; None when it has none.

    Raises:
        UserError: the model needs a custom.py, or another one.
    """
    parsed = model.Model(kernel_model.data)
    features = kernel_model.features(windows)
    if parsed.custom is None:
        return features
    if code is None:
        raise UserError("the model has custom features; the recipe's [custom] is needed for them")
    if parsed.custom != (len(code.outputs), code.digest):
        raise UserError(f"{code.path} is not the one that the model was trained with; train again")
    values = compute(code, windows)
    for feature, output in parsed.custom_outputs:
        features[:, feature] = values[:, output]
    return features


def _function(code: CustomCode) -> CustomFeatures:
    assert 1 <= len(code.outputs) <= features_table.MAX_OUTPUTS
    try:
        return CustomFeatures(code.content, len(code.outputs))
    except OnebyteError as error:
        raise UserError(f"{code.path}: {error.detail}") from None


def _outputs(
    code: CustomCode, function: CustomFeatures, windows: np.ndarray, index: int
) -> list[int]:
    try:
        function.compute(array("h", windows[index].tobytes()))
    except OnebyteError as error:
        raise UserError(f"{code.path}: window {index}: {error.detail}") from None
    return function.out
