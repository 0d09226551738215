"""Feature programs and windows for tests, the same on both runtimes: no numpy, no floats."""

from array import array

from check import Random
from sample_model import random_feature, random_stream

from formats import crc, model_pack

# Of the features of `case(seed)` for seeds 1, 2, ...: CRC-32 over the int16 values. A native test
# computes them with the C kernels, a test on every runtime with the twin.
CASE_CRCS = (
    0xD3445550,
    0x1D2E391D,
    0xEC8999E3,
    0x87078A50,
    0x4BCC20F4,
    0x3E8DBEA4,
    0x99C7F354,
    0x9FD14B10,
    0x3F55EF1C,
    0x0DF272BD,
    0xEDE7002D,
    0x27A18A69,
)

CONSTANT, LARGEST, SMALLEST, ALTERNATING, IMPULSE, STEP, RAMP, TRIANGLE = range(8)
SHAPES = 8  # the kinds of extreme stream above


def section(streams, program, fft_log2=0, fft_window=0):
    """Return the bytes of a features section; streams and program as model_pack takes them."""
    values = {"streams": streams, "program": program}
    return model_pack.pack_features(dict(values, fft_log2=fft_log2, fft_window=fft_window))


def fft_log2_for(window):
    """Return the smallest fft_log2 that holds a window."""
    log2 = 4
    while 1 << log2 < window:
        log2 += 1
    return log2


def every_op(stream, n_streams, window, fft_log2):
    """Return features of one stream that use every op with the arguments at both ends."""
    program = [(op, stream, 0, 0, 0) for op in range(1, 15) if op != 13]
    program += [(13, stream, q, 0, 0) for q in (0, 64, 128, 256)]
    if n_streams >= 3:
        base = min(stream, n_streams - 3)
        program += [(15, stream, base, 3, 0), (17, stream, base, 0, 0)]
    program += [(16, stream, other, 0, 0) for other in (0, n_streams - 1)]
    for low, high in ((1, window - 1), (1, 1), (window // 4, window // 2)):
        program += [(18, stream, low, high, 0), (19, stream, low, high, 0)]
    program += [(24, stream, f, 0, 0) for f in (1, 655, 16384, 16385, 32767)]
    if fft_log2:
        half = 1 << fft_log2 >> 1
        program += [(20, stream, low, half, 0) for low in (0, 1, half)]
        program += [(20, stream, 0, 0, 0), (21, stream, 1, half, 0), (21, stream, 1, 3, 0)]
        program += [(op, stream, 0, 0, 0) for op in (22, 23, 25)]
    return program


def extreme(shape, i, window):
    """Return sample i of an extreme stream."""
    if shape == LARGEST:
        return 32767
    if shape == SMALLEST:
        return -32768
    if shape == ALTERNATING:
        return -32768 if i & 1 else 32767
    if shape == IMPULSE:
        return 32767 if i == window // 2 else -32768
    if shape == STEP:
        return -32768 if i < window // 3 else 32767
    if shape == RAMP:
        return -32768 + 65535 * i // (window - 1)
    if shape == TRIANGLE:
        return -32768 + 131070 * min(i, window - 1 - i) // (window - 1)
    return 0


def noise(random, amplitude_bits):
    """Return a sample of `amplitude_bits` + 1 bits."""
    return (random.bits(16) - 32768) >> (15 - amplitude_bits)


def random_window(seed, window, n_channels):
    """Return a window, array('h') row by row: every channel extreme or noise with an offset."""
    random = Random(seed)
    kinds = []
    for _ in range(n_channels):
        shape = random.below(2 * SHAPES)
        kinds.append((shape, random.below(16), noise(random, random.below(16))))
    samples = array("h")
    for i in range(window):
        for shape, bits, offset in kinds:
            if shape < SHAPES:
                value = extreme(shape, i, window)
            else:
                value = max(-32768, min(32767, noise(random, bits) + offset))
            samples.append(value)
    return samples


def case(seed):
    """Return a random program that uses every op, and a window for it.

    Returns:
        n_channels, window, streams, program, fft_log2, fft_window, samples.
    """
    random = Random(seed * 7919)
    n_channels = random.between(1, 6)
    window = random.between(8, 160) if random.below(8) else random.between(160, 1024)
    fft_log2 = min(10, fft_log2_for(window) + random.below(2))
    fft_window = random.below(2)
    n_streams = n_channels + random.below(4)
    streams = [random_stream(random, number) for number in range(n_channels, n_streams)]
    program = every_op(random.below(n_streams), n_streams, window, fft_log2)
    program += [random_feature(random, n_streams, window, fft_log2) for _ in range(30)]
    samples = random_window(seed, window, n_channels)
    return n_channels, window, streams, program, fft_log2, fft_window, samples


def crc_of(features):
    """Return the CRC-32 of features, array('h') on a little-endian machine."""
    return crc.crc32(bytes(features))
