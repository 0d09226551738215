"""Features and classes of a model file in C; obtwin has the same interface in Python."""

from array import array
from typing import Final

_Bytes = bytes | bytearray | memoryview

KERNEL_VERSION: Final[int]

def check(model: _Bytes) -> int:
    """Return why a model file is refused: a code of `formats.errors`, 0 when it is sound."""

def work_bytes(model: _Bytes) -> int:
    """Return the size of the work buffer that `Model` needs; ValueError for an unsound model."""

class Model:
    """An accepted model. It keeps both buffers alive; they must not be changed or resized."""

    def __init__(self, model: _Bytes, work: bytearray | memoryview) -> None:
        """Check the model.

        Args:
            model: The model file, aligned to 4 bytes (a bytearray or bytes object is).
            work: At least work_bytes(model) bytes, aligned to 8 bytes.

        Raises:
            ValueError: The model is refused, "NAME(code)", or a buffer is wrong.
        """

    def features_into(
        self, ring: array[int] | bytearray | memoryview, start_row: int, features: array[int]
    ) -> None:
        """Compute the features of one window without allocating.

        Args:
            ring: int16, rows x n_channels, at least a window of rows; array('h') or bytes of it.
            start_row: Row where the window begins, 0 to rows - 1; it wraps.
            features: array('h') of n_features, takes the result; custom features keep the
                values that they have there.

        Raises:
            ValueError: A buffer has another type or length, or start_row is outside the ring.
        """

    def predict_into(self, features: array[int], result: array[int]) -> None:
        """Classify a feature vector without allocating.

        Args:
            features: array('h') of n_features.
            result: array('i') of 4 + n_classes; takes class_id, confidence (0-255), novelty
                score (0-2032), sum of votes, and the votes of every class.

        Raises:
            ValueError: A buffer has another type or length.
        """
