"""From the bytes of a model file to a model that has proven itself on this device."""

from array import array

from app import custom
from formats import errors, golden, model
from formats.crc import crc32

_LSB_TOLERANCE = 100  # 1 %: data sheets round


def parse(content, kernels):
    """Returns the `formats.model.Model` of a model file.

    Args:
        content: the file; it must not change any more.
        kernels: the native module `obkernels`, or its twin.

    Raises:
        OnebyteError: the file is not a valid model.
    """
    if not content:
        raise errors.OnebyteError(errors.TOO_SHORT, "no file, or an empty one")
    reason = kernels.check(content)
    if reason:
        raise errors.OnebyteError(reason)
    return model.parse(content, True)


def prove(info, content, board, config):
    """Returns the kernels' model of a file with its custom features, proven on this device.

    Args:
        info: what `parse` returned for `content`.
        content: the file.
        board: its `source`'s channels and rate must be the model's, and its `lsb_nano`, if it has
            one; `kernels` as for `parse`; `files`.
        config: Config.

    Raises:
        OnebyteError: the model does not fit the source (SAMPLES), its custom.py is not there or
            another one or fails (CUSTOM_*), or this device computes other values than the host
            that made it, or ulab does by more than it may (GOLDEN_MISMATCH).
    """
    _check_source(info, board.source)
    own = custom.load(info, board.files, config.custom_path)
    kernel_model = board.kernels.Model(content, bytearray(board.kernels.work_bytes(content)))
    proven = kernel_model if own is None else custom.CustomModel(kernel_model, info, own)
    check_golden(info, proven)
    if config.spectrum == "ulab" and hasattr(kernel_model, "use_ulab"):  # only the twin is slow
        kernel_model.use_ulab(lambda: check_golden(info, proven))
    return proven


def _check_source(info, source) -> None:
    if source.n_channels != info.n_channels or source.rate_mhz != info.rate_mhz:
        raise errors.OnebyteError(
            errors.SAMPLES,
            "the model wants %d channels at %d mHz, the source has %d at %d"
            % (info.n_channels, info.rate_mhz, source.n_channels, source.rate_mhz),
        )
    # A recording has no units of its own.
    for (name, _, lsb), found in zip(info.channels, getattr(source, "lsb_nano", ())):
        if abs(found - lsb) * _LSB_TOLERANCE > lsb:
            raise errors.OnebyteError(
                errors.SAMPLES,
                "a count of %s is %d nano-units in the model, %d here" % (name, lsb, found),
            )


def check_golden(info, kernel_model) -> None:
    """Raises GOLDEN_MISMATCH unless the golden vectors and windows give what the file says.

    A custom.py that fails in a golden window is refused with its own code.
    """
    features = array("h", bytes(2 * info.n_features))
    result = array("i", bytes(4 * (4 + info.n_classes)))
    for i in range(info.n_golden_vectors):
        class_id, confidence, novelty, values = info.golden_vector(i)
        for j in range(info.n_features):
            features[j] = values[j]
        kernel_model.predict_into(features, result)
        _check_result("vector", i, result, (class_id, confidence, novelty))
    if not info.n_golden_windows:
        return
    ring = array("h", bytes(2 * info.window * info.n_channels))
    for i in range(info.n_golden_windows):
        seed, crc, class_id, confidence, novelty = info.golden_window(i)
        golden.fill_into(ring, seed)
        kernel_model.features_into(ring, 0, features)
        if crc32(features) != crc:
            raise errors.OnebyteError(errors.GOLDEN_MISMATCH, "features of window %d" % i)
        kernel_model.predict_into(features, result)
        _check_result("window", i, result, (class_id, confidence, novelty))


def _check_result(what: str, i: int, result, expected) -> None:
    if (result[0], result[1], result[2]) != expected:
        raise errors.OnebyteError(errors.GOLDEN_MISMATCH, "result of %s %d" % (what, i))
