"""The same interface and the same bits as the native module obkernels, in plain MicroPython.

It serves where no native module exists, and as the second opinion of the tests. The kernels'
`work` is asked for, so that both are called alike, but only its size is looked at.
"""

from array import array

import obtwin_features

from formats import errors
from formats import model as model_file

KERNEL_VERSION = model_file.KERNEL_VERSION

_SPLIT_BYTES = 4
_LONG_SPLIT_BYTES = 6
_MAX_PENALTY = 15


def check(model) -> int:
    """Return why `model`, bytes of a model file, is refused: a reason code, 0 when it is sound."""
    _check_bytes(model)
    return model_file.check(model)


def work_bytes(model) -> int:
    """Return the size of the work buffer that `Model` needs; ValueError for an unsound model."""
    return _work_bytes(_parse(model))


def _check_bytes(model) -> None:
    if not isinstance(model, (bytes, bytearray, memoryview)):
        raise ValueError("model: not bytes")


def _parse(model):
    reason = check(model)
    if reason:
        raise ValueError("%s(%d)" % (errors.name(reason), reason))
    return model_file.parse(model, True)


def _work_bytes(parsed) -> int:
    return obtwin_features.work_bytes(
        parsed.n_channels, parsed.window, parsed.streams, parsed.program, parsed.fft_log2
    )


def _is_array(values, typecode: str) -> bool:
    # MicroPython's arrays have no typecode attribute, but they print it.
    return isinstance(values, array) and repr(values[:1]).startswith("array('%s'" % typecode)


def _item_bytes(view) -> int:
    # Not every port gives memoryview its itemsize.
    return len(bytes(view[:1]))


class Model:
    """An accepted model, ready to compute features and classes without allocating.

    Args:
        model: The model file, bytes, bytearray or memoryview.
        work: A writable buffer of at least work_bytes(model) bytes.

    Raises:
        ValueError: The model is refused, "NAME(code)", or a buffer is wrong.
    """

    def __init__(self, model, work) -> None:
        parsed = _parse(model)
        trees = parsed.trees
        self._buf = model
        self._n_features = parsed.n_features
        self._n_classes = parsed.n_classes
        self._row_size = parsed.n_classes if parsed.leaf_bits else 0
        self._entries = [trees.words_at + 2 * trees.root(i) for i in range(parsed.n_trees)]
        self._rows_at = trees.rows_at
        self._ranges = parsed.novelty_ranges
        self._n_channels = parsed.n_channels
        self._window = parsed.window
        self._fft_log2 = parsed.fft_log2
        self._is_hann = parsed.fft_window == 1
        self._features = obtwin_features.Features(
            parsed.n_channels,
            parsed.window,
            parsed.streams,
            parsed.program,
            parsed.fft_log2,
            parsed.fft_window,
        )
        _check_work(work, _work_bytes(parsed))
        # The last buffers that were found right, so that the check allocates only once for each.
        self._good_ring: object = None
        self._ring_is_bytes = False
        self._good_features: object = None
        self._good_result: object = None

    def features_into(self, ring, start_row: int, features) -> None:
        """Compute the features of the window that begins at a row of the ring and wraps.

        Args:
            ring: array('h'), or bytes of it: whole rows, at least a window.
            start_row: 0 to rows - 1.
            features: array('h') of n_features, takes the result; custom features keep the
                values that they have there.
        """
        if ring is not self._good_ring:
            self._check_ring(ring)
        rows = len(ring) // (self._n_channels * (2 if self._ring_is_bytes else 1))
        if not isinstance(start_row, int) or not 0 <= start_row < rows:
            raise ValueError("start_row: outside the ring")
        self._check_features(features)
        self._features.into(ring, self._ring_is_bytes, rows, start_row, features)

    def use_ulab(self, prove) -> bool:
        """Compute spectra by ulab from now on; they then differ a little, see obulab.

        Args:
            prove: Function that lets this model compute features. While it runs each spectrum is
                computed exactly too, and the features are the exact ones.

        Returns:
            False, and nothing changes, without ulab in the firmware or spectra in the model.

        Raises:
            OnebyteError: GOLDEN_MISMATCH: they differ by more than obulab says.
        """
        import obulab  # most devices never need it

        if not self._fft_log2 or not obulab.is_available():
            return False
        features = self._features
        fast = obulab.UlabSpectrum(self._window, self._fft_log2, self._is_hann)
        # Classes of their own, with the exact one's interface.
        features.spectrum = obulab.Proof(features.spectrum, fast)  # type: ignore[assignment]
        prove()
        features.spectrum = fast  # type: ignore[assignment]
        return True

    def predict_into(self, features, result) -> None:
        """Classify a feature vector.

        Args:
            features: array('h') of n_features.
            result: array('i') of 4 + n_classes; takes class_id, confidence, novelty score, sum of
                votes, votes of every class.
        """
        self._check_features(features)
        self._check_result(result)
        for i in range(4, len(result)):
            result[i] = 0
        for at in self._entries:
            self._vote(self._leaf(at, features), result)
        best = 4
        total = 0
        for i in range(4, len(result)):
            total += result[i]
            if result[i] > result[best]:
                best = i
        result[0] = best - 4
        result[1] = result[best] * 255 // total
        result[2] = self._novelty(features)
        result[3] = total

    def _leaf(self, at: int, features) -> int:
        buf = self._buf
        while buf[at + 1] < 0x80:
            threshold = ((buf[at + 2] | buf[at + 3] << 8) ^ 0x8000) - 0x8000
            skip = buf[at]
            if features[buf[at + 1]] < threshold:
                at += _SPLIT_BYTES if skip else _LONG_SPLIT_BYTES
            else:
                at += 2 * (skip or buf[at + 4] | buf[at + 5] << 8)
        return (buf[at + 1] & 0x7F) << 8 | buf[at]

    def _vote(self, leaf: int, result) -> None:
        if self._row_size == 0:
            result[4 + leaf] += 1
            return
        at = self._rows_at + leaf * self._row_size
        for i in range(self._row_size):
            result[4 + i] += self._buf[at + i]

    def _novelty(self, features) -> int:
        score = 0
        if self._ranges is None:
            return score
        for i in range(self._n_features):
            bounds = self._ranges[i]
            excess = max(bounds[0] - features[i], features[i] - bounds[1])
            if excess > 0:
                score += 1 + min(_MAX_PENALTY, 4 * excess // (bounds[1] - bounds[0] + 1))
        return score

    def _check_ring(self, ring) -> None:
        is_bytes = isinstance(ring, (bytes, bytearray))
        if isinstance(ring, memoryview):
            item_bytes = _item_bytes(ring)
            is_bytes = item_bytes == 1
            if item_bytes > 2:
                raise ValueError("ring: not an array('h') or aligned bytes")
        elif not is_bytes and not _is_array(ring, "h"):
            raise ValueError("ring: not an array('h') or aligned bytes")
        row_items = self._n_channels * (2 if is_bytes else 1)
        if len(ring) % row_items or len(ring) // row_items < self._window:
            raise ValueError("ring: not whole rows, or fewer than the window")
        self._good_ring = ring
        self._ring_is_bytes = is_bytes

    def _check_features(self, features) -> None:
        if features is not self._good_features:
            if not _is_array(features, "h"):
                raise ValueError("features: not an array('h')")
            self._good_features = features
        if len(features) != self._n_features:
            raise ValueError("features: not n_features long")

    def _check_result(self, result) -> None:
        if result is not self._good_result:
            if not _is_array(result, "i"):
                raise ValueError("result: not an array('i')")
            self._good_result = result
        if len(result) != 4 + self._n_classes:
            raise ValueError("result: not 4 + n_classes long")


def _check_work(work, n_bytes: int) -> None:
    try:
        view = memoryview(work)
        view[0] = view[0]
    except TypeError:
        raise ValueError("work: not a writable buffer")
    if len(view) * _item_bytes(view) < n_bytes:
        raise ValueError("work: too small")
