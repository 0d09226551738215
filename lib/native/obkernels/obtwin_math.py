"""Integer arithmetic of the kernels in Python: the twin of lib/native/kernels/imath.c.

Nothing here allocates where small integers hold 63 bits; on a 32-bit board the products of 64-bit
values do.
"""

from array import array

# 32768 * sin(pi / 2 * i / 256), rounded.
# fmt: off
QUARTER_SINE = array(
    "H",
    (
        0, 201, 402, 603, 804, 1005, 1206, 1407, 1608, 1809, 2009, 2210,
        2411, 2611, 2811, 3012, 3212, 3412, 3612, 3812, 4011, 4211, 4410, 4609,
        4808, 5007, 5205, 5404, 5602, 5800, 5998, 6195, 6393, 6590, 6787, 6983,
        7180, 7376, 7571, 7767, 7962, 8157, 8351, 8546, 8740, 8933, 9127, 9319,
        9512, 9704, 9896, 10088, 10279, 10469, 10660, 10850, 11039, 11228, 11417, 11605,
        11793, 11980, 12167, 12354, 12540, 12725, 12910, 13095, 13279, 13463, 13646, 13828,
        14010, 14192, 14373, 14553, 14733, 14912, 15091, 15269, 15447, 15624, 15800, 15976,
        16151, 16326, 16500, 16673, 16846, 17018, 17190, 17361, 17531, 17700, 17869, 18037,
        18205, 18372, 18538, 18703, 18868, 19032, 19195, 19358, 19520, 19681, 19841, 20001,
        20160, 20318, 20475, 20632, 20788, 20943, 21097, 21251, 21403, 21555, 21706, 21856,
        22006, 22154, 22302, 22449, 22595, 22740, 22884, 23028, 23170, 23312, 23453, 23593,
        23732, 23870, 24008, 24144, 24279, 24414, 24548, 24680, 24812, 24943, 25073, 25202,
        25330, 25457, 25583, 25708, 25833, 25956, 26078, 26199, 26320, 26439, 26557, 26674,
        26791, 26906, 27020, 27133, 27246, 27357, 27467, 27576, 27684, 27791, 27897, 28002,
        28106, 28209, 28311, 28411, 28511, 28610, 28707, 28803, 28899, 28993, 29086, 29178,
        29269, 29359, 29448, 29535, 29622, 29707, 29792, 29875, 29957, 30038, 30118, 30196,
        30274, 30350, 30425, 30499, 30572, 30644, 30715, 30784, 30853, 30920, 30986, 31050,
        31114, 31177, 31238, 31298, 31357, 31415, 31471, 31527, 31581, 31634, 31686, 31737,
        31786, 31834, 31881, 31927, 31972, 32015, 32058, 32099, 32138, 32177, 32214, 32251,
        32286, 32319, 32352, 32383, 32413, 32442, 32470, 32496, 32522, 32546, 32568, 32590,
        32610, 32629, 32647, 32664, 32679, 32693, 32706, 32718, 32729, 32738, 32746, 32753,
        32758, 32762, 32766, 32767, 32768,
    ),
)
# fmt: on


def bits(v: int) -> int:
    """Return 1 + the index of the highest set bit of v >= 0; 0 for 0."""
    count = 0
    while v >= 256:
        v >>= 8
        count += 8
    while v:
        v >>= 1
        count += 1
    return count


def quotient(a: int, b: int) -> int:
    """Divide by b > 0 and truncate toward zero, as C does; // floors."""
    return a // b if a >= 0 else -(-a // b)


def sat16(v: int) -> int:
    """Clamp to int16."""
    return 32767 if v > 32767 else -32768 if v < -32768 else v


def isqrt(v: int) -> int:
    """Return the floor of the square root of v >= 0."""
    root = 0
    bit = 1 << ((bits(v) + 1) & ~1)
    while bit:
        trial = root + bit
        root >>= 1
        if v >= trial:
            v -= trial
            root += bit
        bit >>= 2
    return root


def log2_q8(v: int) -> int:
    """Return the binary logarithm, Q8, straight lines between powers of two; 0 for 0."""
    if v == 0:
        return 0
    size = bits(v)
    top = v >> (size - 9) if size > 9 else v << (9 - size)
    return ((size - 1) << 8) + (top & 255)


def log2_scaled(v: int, exponent: int) -> int:
    """Return log2_q8 of v * 2^exponent, clamped to 0..32767."""
    if v == 0:
        return 0
    value = log2_q8(v) + 256 * exponent
    return 0 if value < 0 else sat16(value)


def share_q15(part: int, whole: int) -> int:
    """Return part / whole in Q15 from the 17 highest bits of whole; 0 for whole 0."""
    if whole == 0:
        return 0
    shift = bits(whole) - 17
    if shift > 0:
        part >>= shift
        whole >>= shift
    return part * 32767 // whole


def sin_q15(phase: int) -> int:
    """Return 32768 * sin(2 * pi * phase / 65536)."""
    at = phase & 0x7FFF
    if at > 0x4000:
        at = 0x8000 - at
    index = at >> 6
    value = QUARTER_SINE[index]
    if at & 63:
        value += ((QUARTER_SINE[index + 1] - value) * (at & 63) + 32) >> 6
    return -value if phase & 0x8000 else value
