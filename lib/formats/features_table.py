"""The operations of a feature program: their codes, names and arguments, and what they allow."""

from formats import errors, model

MAGNITUDE = 64
DIFF = 65
PROJECT = 66
STREAM_NAMES = ("magnitude", "diff", "project")  # of op 64 and up

# What the arguments of a feature mean; ARGUMENTS names them.
PLAIN = 0
QUANTILE = 1
SHARE = 2
OTHER = 3
GROUP = 4
LAGS = 5
BINS = 6
UPPER_BINS = 7  # without bin 0
SPECTRUM = 8
FREQUENCY = 9
OUTPUT = 10  # of the user's own function

ARGUMENTS = (
    (),
    ("q",),
    ("base", "count"),
    ("other",),
    ("base",),
    ("lowest", "highest"),
    ("lowest", "highest"),
    ("lowest", "highest"),
    (),
    ("frequency",),
    ("output",),
)

CUSTOM = model.CUSTOM_OP
MAX_OUTPUTS = 127  # of a custom function

# Op 1 and up.
FEATURES = (
    ("mean", PLAIN),
    ("std", PLAIN),
    ("rms", PLAIN),
    ("min", PLAIN),
    ("max", PLAIN),
    ("p2p", PLAIN),
    ("mad", PLAIN),
    ("zero_crossings", PLAIN),
    ("mean_crossings", PLAIN),
    ("skewness", PLAIN),
    ("kurtosis", PLAIN),
    ("crest", PLAIN),
    ("quantile", QUANTILE),
    ("energy", PLAIN),
    ("share", SHARE),
    ("correlation", OTHER),
    ("tilt", GROUP),
    ("autocorr_lag", LAGS),
    ("autocorr_peak", LAGS),
    ("band_energy", BINS),
    ("band_share", UPPER_BINS),
    ("centroid", SPECTRUM),
    ("peak_bin", SPECTRUM),
    ("goertzel", FREQUENCY),
    ("peak_share", SPECTRUM),
    ("custom", OUTPUT),
)

_GROUP = 3  # streams of a group


def feature_op(name: str) -> int:
    """Return the code of a feature's name, 0 when there is none."""
    for i in range(len(FEATURES)):
        if FEATURES[i][0] == name:
            return i + 1
    return 0


def feature_name(op: int) -> str:
    """Return the name of a feature's code; the code must be valid."""
    return FEATURES[op - 1][0]


def feature_arguments(op: int) -> tuple:
    """Return the names of the arguments of a feature; the code must be valid."""
    return ARGUMENTS[FEATURES[op - 1][1]]


def stream_op(name: str) -> int:
    """Return the code of a derived stream's name, 0 when there is none."""
    return MAGNITUDE + STREAM_NAMES.index(name) if name in STREAM_NAMES else 0


def stream_name(op: int) -> str:
    """Return the name of a derived stream's code; the code must be valid."""
    return STREAM_NAMES[op - MAGNITUDE]


def needs_fft(op: int) -> bool:
    """Return whether a feature is computed from the spectrum; the code must be valid."""
    return FEATURES[op - 1][1] in (BINS, UPPER_BINS, SPECTRUM)


def check_stream(stream, number: int) -> None:
    """Raise STREAM unless derived stream `number`, an (op, a, b, c) tuple, is allowed."""
    op, a, b, c = stream
    if op == MAGNITUDE:
        good = a < number and b < number and c < number
    elif op == DIFF:
        good = a < number and b == 0 and c == 0
    elif op == PROJECT:
        last = number - _GROUP
        good = a <= last and b <= last and c == 0
    else:
        raise errors.OnebyteError(errors.STREAM, "stream %d: unknown op %d" % (number, op))
    if not good:
        raise errors.OnebyteError(
            errors.STREAM, "stream %d: arguments of %s" % (number, stream_name(op))
        )


def check_feature(feature, n_streams: int, window: int, fft_log2: int) -> None:
    """Raise FEATURES unless an (op, stream, arg0, arg1, arg2) tuple is allowed.

    Args:
        feature: The tuple, every value an unsigned integer.
        n_streams: Number of channels and derived streams.
        window: Samples in a window.
        fft_log2: Logarithm of the FFT's length, 0 without.
    """
    op, stream, arg0, arg1, arg2 = feature
    if op < 1 or op > len(FEATURES):
        raise errors.OnebyteError(errors.FEATURES, "unknown op %d" % op)
    if stream >= n_streams:
        raise errors.OnebyteError(errors.FEATURES, "%s: no stream %d" % (feature_name(op), stream))
    if needs_fft(op) and not fft_log2:
        raise errors.OnebyteError(errors.FEATURES, "%s needs the FFT" % feature_name(op))
    kind = FEATURES[op - 1][1]
    count = len(ARGUMENTS[kind])
    unused = arg2 or (count < 2 and arg1) or (count < 1 and arg0)
    if kind in (SHARE, OTHER, GROUP):
        good = _is_stream_argument(kind, stream, arg0, arg1, n_streams)
    elif kind == OUTPUT:
        good = stream == 0 and arg0 < MAX_OUTPUTS
    else:
        good = _is_number_argument(kind, arg0, arg1, window, fft_log2)
    if unused or not good:
        raise errors.OnebyteError(errors.FEATURES, "arguments of %s" % feature_name(op))


def _is_stream_argument(kind, stream, arg0, arg1, n_streams):
    if kind == OTHER:
        return arg0 < n_streams
    if kind == GROUP:
        return arg0 <= stream < arg0 + _GROUP <= n_streams
    return 2 <= arg1 <= 6 and arg0 <= stream < arg0 + arg1 <= n_streams


def _is_number_argument(kind, arg0, arg1, window, fft_log2):
    if kind == QUANTILE:
        return arg0 <= 256
    if kind == LAGS:
        return 1 <= arg0 <= arg1 < window
    if kind == BINS:
        return arg0 <= arg1 <= (1 << fft_log2) >> 1
    if kind == UPPER_BINS:
        return 1 <= arg0 <= arg1 <= (1 << fft_log2) >> 1
    if kind == FREQUENCY:
        return 1 <= arg0 <= 32767
    return True
