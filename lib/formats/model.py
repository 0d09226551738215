"""The model file `.obm`: header, section table and the values in the sections."""

from formats import errors
from formats.fields import i16, u16, u32
from formats.trees import Trees

MAGIC = b"OBM\x1a"
VERSION = 1
KERNEL_VERSION = 1
HEADER_BYTES = 40
ENTRY_BYTES = 12
CRC_BYTES = 4
MIN_BYTES = HEADER_BYTES + ENTRY_BYTES + CRC_BYTES
MAX_BYTES = 262144
MAX_SECTIONS = 16

SAMPLES = 1
FEATURES = 2
CLASSIFIER = 3
NOVELTY = 4
DECISION = 5
LABELS = 6
GOLDEN = 7
NAME = 8
CUSTOM = 9
LAST_KIND = CUSTOM

UNITS = ("counts", "g", "rad/s", "V", "A", "degC", "m/s2", "Pa", "percent")

CHANNEL_BYTES = 16
CHANNEL_NAME_BYTES = 10
GOLDEN_WINDOW_BYTES = 12
CUSTOM_BYTES = 20
CUSTOM_HASH_BYTES = 16
CUSTOM_OP = 26  # of the feature program
N_LEVELS = 7


def parse(buf, checked: bool = False) -> "Model":
    """Return the `Model` in `buf`, a bytes-like object of unsigned bytes.

    Args:
        buf: The whole file; the model keeps a reference and reads its tables from it.
        checked: The native check has accepted exactly these bytes, so do not check again.

    Raises:
        OnebyteError: The file is not a valid model; the code says why.
    """
    if not checked:
        # Imported here so that a device with the native check never loads this one.
        from formats import model_checks

        model_checks.check_file(buf)
    return Model(buf)


def check(buf) -> int:
    """Return 0 when `buf` is a valid model file, otherwise the reason code."""
    try:
        parse(buf)
    except errors.OnebyteError as error:
        return error.code
    return 0


def entry_at(index: int) -> int:
    """Return where entry `index` of the section table stands."""
    return HEADER_BYTES + ENTRY_BYTES * index


class Model:
    """A valid model file.

    Plain attributes are read once; tables are read from the buffer each time they are asked for,
    so that a device does not hold them twice.

    Attributes:
        recipe_hash: First 16 bytes of the recipe's SHA-256.
        model_version: Chosen by the recipe.
        n_channels, window, hop, rate_mhz: Section samples.
        n_streams: Derived streams, without the channels.
        n_features, fft_log2, fft_window: Section features.
        trees: The `Trees` of the section classifier.
        n_classes, leaf_bits, n_trees, n_rows, n_words, max_depth: Their sizes.
        has_novelty: Whether feature ranges are present.
        encoding, k, n, min_confidence, novelty_threshold: Section decision.
        levels: Seven bytes, ascending.
        n_golden_vectors, n_golden_windows: Section golden vectors.
        name: Name and version for people, "" when absent.
        custom: (n_outputs, first 16 bytes of the SHA-256 of custom.py) of a model with custom
            features, otherwise None.
    """

    def __init__(self, buf) -> None:
        self._buf = buf
        self._sections: dict = {}
        for i in range(buf[5]):
            at = entry_at(i)
            if buf[at] <= LAST_KIND:
                self._sections[buf[at]] = (u32(buf, at + 4), u32(buf, at + 8))
        self.recipe_hash = bytes(buf[16:32])
        self.model_version = u32(buf, 32)
        self._read_samples(self._sections[SAMPLES][0])
        self._read_features(self._sections[FEATURES][0])
        self._read_classifier(self._sections[CLASSIFIER][0])
        self.has_novelty = NOVELTY in self._sections
        self._read_decision(self._sections[DECISION][0])
        self._read_rest()

    def _read_samples(self, at):
        buf = self._buf
        self.n_channels = buf[at]
        self.window = u16(buf, at + 2)
        self.hop = u16(buf, at + 4)
        self.rate_mhz = u32(buf, at + 8)

    def _read_features(self, at):
        self.n_streams = self._buf[at]
        self.n_features = self._buf[at + 1]
        self.fft_log2 = self._buf[at + 2]
        self.fft_window = self._buf[at + 3]

    def _read_classifier(self, at):
        trees = Trees(self._buf, at)
        self.trees = trees
        self.n_classes = trees.n_classes
        self.leaf_bits = trees.leaf_bits
        self.n_trees = trees.n_trees
        self.n_rows = trees.n_rows
        self.n_words = trees.n_words
        self.max_depth = trees.max_depth

    def _read_decision(self, at):
        buf = self._buf
        self.encoding = buf[at]
        self.k = buf[at + 1]
        self.n = buf[at + 2]
        self.min_confidence = buf[at + 3]
        self.novelty_threshold = u16(buf, at + 4)
        self.levels = bytes(buf[at + 8 : at + 8 + N_LEVELS])

    def _read_rest(self):
        self.n_golden_vectors = self.n_golden_windows = 0
        if GOLDEN in self._sections:
            at = self._sections[GOLDEN][0]
            self.n_golden_vectors = self._buf[at]
            self.n_golden_windows = self._buf[at + 1]
        self.name = ""
        if NAME in self._sections:
            at, length = self._sections[NAME]
            self.name = _text(self._buf, at, length)
        self.custom = None
        if CUSTOM in self._sections:
            at = self._sections[CUSTOM][0]
            self.custom = self._buf[at], bytes(self._buf[at + 4 : at + CUSTOM_BYTES])

    def section(self, kind: int) -> tuple:
        """Return (offset, length) of a section, (0, 0) when the model has none of that kind."""
        return self._sections.get(kind, (0, 0))

    @property
    def channels(self) -> list:
        """List of (name, unit, lsb_nano); `UNITS[unit]` is the unit's name."""
        return [self._channel(i) for i in range(self.n_channels)]

    def _channel(self, index):
        at = self._sections[SAMPLES][0] + 12 + CHANNEL_BYTES * index
        length = 0
        while length < CHANNEL_NAME_BYTES and self._buf[at + length]:
            length += 1
        return _text(self._buf, at, length), self._buf[at + 10], u32(self._buf, at + 12)

    @property
    def streams(self) -> list:
        """List of (op, a, b, c), one for each derived stream."""
        at = self._sections[FEATURES][0] + 8
        return [tuple(self._buf[at + 8 * i : at + 8 * i + 4]) for i in range(self.n_streams)]

    @property
    def program(self) -> list:
        """List of (op, stream, arg0, arg1, arg2), one for each feature."""
        at = self._sections[FEATURES][0] + 8 + 8 * self.n_streams
        return [self._feature(at + 8 * i) for i in range(self.n_features)]

    def _feature(self, at):
        buf = self._buf
        return buf[at], buf[at + 1], u16(buf, at + 2), u16(buf, at + 4), u16(buf, at + 6)

    @property
    def custom_outputs(self) -> list:
        """List of (feature, output of custom.py), one for each custom feature."""
        program = self.program
        return [(i, program[i][2]) for i in range(len(program)) if program[i][0] == CUSTOM_OP]

    @property
    def novelty_ranges(self) -> "list | None":
        """List of (low, high), one for each feature; None without the section."""
        if not self.has_novelty:
            return None
        at = self._sections[NOVELTY][0] + 4
        buf = self._buf
        return [(i16(buf, at + 4 * i), i16(buf, at + 4 * i + 2)) for i in range(self.n_features)]

    @property
    def labels(self) -> list:
        """List of n_classes strings."""
        at = self._sections[LABELS][0] + 1
        labels = []
        for _ in range(self.n_classes):
            length = self._buf[at]
            labels.append(_text(self._buf, at + 1, length))
            at += 1 + length
        return labels

    def golden_vector(self, index: int) -> tuple:
        """Return (class_id, confidence, novelty score, tuple of features)."""
        buf = self._buf
        at = self._sections[GOLDEN][0] + 4 + (4 + 2 * self.n_features) * index
        features = tuple([i16(buf, at + 4 + 2 * i) for i in range(self.n_features)])
        return buf[at], buf[at + 1], u16(buf, at + 2), features

    def golden_window(self, index: int) -> tuple:
        """Return (seed, CRC-32 of the features, class_id, confidence, novelty score)."""
        buf = self._buf
        at = self._sections[GOLDEN][0] + 4 + (4 + 2 * self.n_features) * self.n_golden_vectors
        at += GOLDEN_WINDOW_BYTES * index
        return u32(buf, at), u32(buf, at + 4), buf[at + 8], buf[at + 9], u16(buf, at + 10)

    @property
    def golden_vectors(self) -> list:
        """List of what `golden_vector` returns."""
        return [self.golden_vector(i) for i in range(self.n_golden_vectors)]

    @property
    def golden_windows(self) -> list:
        """List of what `golden_window` returns."""
        return [self.golden_window(i) for i in range(self.n_golden_windows)]


def _text(buf, at, length):
    return bytes(buf[at : at + length]).decode()
