"""Golden windows: samples that are generated from a seed instead of stored."""


def fill_into(samples, seed: int) -> None:
    """Fill `samples` with the golden window of `seed`: xorshift32, fainter with seed & 15.

    Args:
        samples: An array('h') of window * n_channels values, row after row.
        seed: 1 to 2^32 - 1.
    """
    shift = seed & 15
    state = seed
    for i in range(len(samples)):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        samples[i] = ((state >> 16 ^ 0x8000) - 0x8000) >> shift
