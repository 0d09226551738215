"""Custom features on the device: the user's custom.py, and a model that runs it."""

import hashlib
from array import array

from formats import errors, model
from pipeline.custom import CustomFeatures


def load(info, files, path: str):
    """Returns the `CustomFeatures` that a model needs, None when it needs none.

    Args:
        info: `formats.model.Model`.
        files: filesystem.
        path: of custom.py.

    Raises:
        OnebyteError: there is no such file (CUSTOM_MISSING), it is not the one that the model was
            trained with (CUSTOM_HASH), or it does not run (CUSTOM_FAILED).
    """
    if info.custom is None:
        return None
    n_outputs, digest = info.custom
    try:
        with files.open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        detail = "no file %s" % path if error.errno == 2 else "%s: %s" % (path, error)  # ENOENT
        raise errors.OnebyteError(errors.CUSTOM_MISSING, detail) from None
    if hashlib.sha256(content).digest()[: model.CUSTOM_HASH_BYTES] != digest:
        raise errors.OnebyteError(
            errors.CUSTOM_HASH, "%s is not the one that the model was trained with" % path
        )
    return CustomFeatures(content, n_outputs)


class CustomModel:
    """A kernels' model whose custom features are computed too; it has the same interface.

    Nothing here allocates per window, except for what the user's function does.

    Args:
        kernel_model: the kernels' model.
        info: `formats.model.Model` of the same file.
        features: `CustomFeatures`.
    """

    def __init__(self, kernel_model, info, features):
        self._kernels_into = kernel_model.features_into
        self.predict_into = kernel_model.predict_into
        self._custom = features
        self._n_channels = info.n_channels
        self._samples = array("h", bytes(2 * info.window * info.n_channels))
        self._outputs = info.custom_outputs

    def features_into(self, ring, start_row: int, features) -> None:
        """As the kernels' model.

        Raises:
            OnebyteError: CUSTOM_FAILED or CUSTOM_VALUE.
        """
        self._kernels_into(ring, start_row, features)
        self._copy_window(ring, start_row * self._n_channels)
        self._custom.compute(self._samples)
        out = self._custom.out
        for feature, output in self._outputs:
            features[feature] = out[output]

    def _copy_window(self, ring, at: int) -> None:
        samples = self._samples
        n_before_wrap = min(len(samples), len(ring) - at)
        for i in range(n_before_wrap):
            samples[i] = ring[at + i]
        for i in range(n_before_wrap, len(samples)):
            samples[i] = ring[i - n_before_wrap]
