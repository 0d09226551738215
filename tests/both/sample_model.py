"""Small models for tests, and random ones that are valid by construction."""

from check import Random

from formats import features_table, model_pack

CHANNELS = [("ax", 1, 122070), ("ay", 1, 122070), ("az", 1, 122070), ("gx", 2, 1065264)]


def fields(**changes):
    """Return the values of a model that uses every section and both kinds of skip."""
    values = {
        "recipe_hash": bytes(range(16)),
        "model_version": 7,
        "channels": CHANNELS,
        "window": 64,
        "hop": 32,
        "rate_mhz": 52000,
        "streams": [(64, 0, 1, 2), (65, 4, 0, 0), (66, 0, 0, 0)],
        "program": [
            (2, 0, 0, 0, 0),
            (13, 4, 128, 0, 0),
            (15, 5, 3, 4, 0),
            (16, 0, 6, 0, 0),
            (17, 1, 0, 0, 0),
            (18, 3, 1, 63, 0),
            (20, 4, 0, 32, 0),
            (21, 4, 1, 32, 0),
            (24, 2, 32767, 0, 0),
            (25, 6, 0, 0, 0),
        ],
        "fft_log2": 6,
        "fft_window": 1,
        "trees": [[(0, 100), 0, (9, -32768), 1, 2], [2], [(3, 32767), 0, 1]],
        "rows": [b"\x01\x00\x00", b"\x00\xff\x00", b"\x05\x06\x07"],
        "novelty_ranges": [(-32768, 32767), (0, 0)] + [(-5, 5)] * 8,
        "k": 2,
        "n": 3,
        "min_confidence": 100,
        "novelty_threshold": 12,
        "levels": bytes([0, 1, 1, 100, 200, 250, 255]),
        "labels": ["rest", "größer", "\U0001f600 walk"],
        "golden_vectors": [(2, 99, 0, (1, -1, 32767, -32768, 0, 5, 6, 7, 8, 9))],
        "golden_windows": [(1, 0, 0, 1, 2), (0xFFFFFFFF, 0xDEADBEEF, 2, 255, 2032)],
        "name": "sample 1",
    }
    values.update(changes)
    return values


def smallest():
    """Return the values of a model with nothing that can be left out."""
    return {
        "channels": [("x", 0, 1)],
        "window": 8,
        "hop": 1,
        "rate_mhz": 1,
        "program": [(1, 0, 0, 0, 0)],
        "trees": [[0]],
        "labels": ["a", "b"],
        "k": 1,
        "n": 1,
        "min_confidence": 0,
        "novelty_threshold": 65535,
        "levels": bytes(7),
    }


def random_tree(random, n_features, n_leaves, n_splits):
    """Return a tree in preorder with at most `n_splits` splits and 32 levels."""

    def node(depth):
        nonlocal n_splits
        if n_splits == 0 or depth == 32 or (depth > 1 and random.below(8) == 0):
            return [random.below(n_leaves)]
        n_splits -= 1
        here = (random.below(n_features), random.between(-32768, 32767))
        return [here] + node(depth + 1) + node(depth + 1)

    return node(0)


def random_feature(random, n_streams, window, fft_log2):
    """Return a feature that the table allows."""
    while True:
        op = random.between(1, features_table.CUSTOM - 1)
        if fft_log2 or not features_table.needs_fft(op):
            break
    stream = random.below(n_streams)
    kind = features_table.FEATURES[op - 1][1]
    half = (1 << fft_log2) >> 1
    arg0 = arg1 = 0
    if kind == features_table.QUANTILE:
        arg0 = random.between(0, 256)
    elif kind in (features_table.SHARE, features_table.GROUP):
        arg1 = random.between(2, 6) if kind == features_table.SHARE else 0
        count = arg1 or 3
        if n_streams < count:
            return 1, stream, 0, 0, 0
        arg0 = random.between(0, n_streams - count)
        stream = random.between(arg0, arg0 + count - 1)
    elif kind == features_table.OTHER:
        arg0 = random.below(n_streams)
    elif kind == features_table.LAGS:
        arg0 = random.between(1, window - 1)
        arg1 = random.between(arg0, window - 1)
    elif kind in (features_table.BINS, features_table.UPPER_BINS):
        arg0 = random.between(kind - features_table.BINS, half)
        arg1 = random.between(arg0, half)
    elif kind == features_table.FREQUENCY:
        arg0 = random.between(1, 32767)
    return op, stream, arg0, arg1, 0


def random_stream(random, number):
    """Return a derived stream that the table allows."""
    op = random.between(64, 66 if number >= 3 else 65)
    if op == 66:
        return op, random.below(number - 2), random.below(number - 2), 0
    a = random.below(number)
    return (op, a, random.below(number), random.below(number)) if op == 64 else (op, a, 0, 0)


def random_fields(seed):
    """Return the values of a valid model; each seed gives another."""
    random = Random(seed)
    n_channels = random.between(1, 16)
    n_streams = random.below(25)
    window = random.between(8, 1024)
    fft_log2 = random.between(4, 10)
    fft_log2 = fft_log2 if 1 << fft_log2 >= window else 0
    n_features = random.between(1, 127)
    n_classes = random.between(2, 30 if random.below(4) else 240)
    n_rows = random.between(1, 40) * random.below(2)
    rows = [bytes([1]) + random.bytes(n_classes - 1) for _ in range(n_rows)]
    n = random.between(1, 15)
    numbers = range(n_channels, n_channels + n_streams)
    values = smallest()
    values.update(
        {
            "recipe_hash": random.bytes(16),
            "model_version": random.bits(),
            "channels": [("ch_%d" % i, random.below(9), 1 + i) for i in range(n_channels)],
            "window": window,
            "hop": random.between(1, window),
            "rate_mhz": 1 + random.bits(31),
            "streams": [random_stream(random, number) for number in numbers],
            "fft_log2": fft_log2,
            "fft_window": random.below(2) if fft_log2 else 0,
            "program": [
                random_feature(random, n_channels + n_streams, window, fft_log2)
                for _ in range(n_features)
            ],
            "trees": [
                random_tree(random, n_features, n_rows or n_classes, random.below(200))
                for _ in range(random.between(1, 8))
            ],
            "rows": rows,
            "labels": ["label %d" % i for i in range(n_classes)],
            "n": n,
            "k": random.between(1, n),
            "min_confidence": random.bits(8),
            "novelty_threshold": random.bits(16),
            "levels": bytes(sorted(random.bytes(7))),
            "name": "model %d" % seed if random.below(2) else "",
        }
    )
    if random.below(2):
        values["novelty_ranges"] = [(-random.bits(15), random.bits(15)) for _ in range(n_features)]
    values["golden_vectors"] = [
        (
            random.below(n_classes),
            random.bits(8),
            random.bits(16),
            tuple([random.between(-32768, 32767) for _ in range(n_features)]),
        )
        for _ in range(random.below(4))
    ]
    values["golden_windows"] = [
        (1 + random.bits(31), random.bits(), random.below(n_classes), random.bits(8), i)
        for i in range(random.below(4))
    ]
    return values


def with_custom(**changes):
    """Return the values of a model with three custom features, of which one is there twice."""
    values = fields(custom=(3, bytes(range(100, 116))))
    values["program"][0] = (26, 0, 0, 0, 0)
    values["program"][4] = values["program"][6] = (26, 0, 2, 0, 0)
    values["program"][9] = (26, 0, 1, 0, 0)
    values.update(changes)
    return values


def pack(**changes):
    """Return the file of `fields(**changes)`."""
    return model_pack.pack(fields(**changes))


_ATTRIBUTES = (
    "recipe_hash",
    "model_version",
    "window",
    "hop",
    "rate_mhz",
    "fft_log2",
    "fft_window",
    "k",
    "n",
    "min_confidence",
    "novelty_threshold",
    "levels",
    "name",
    "custom",
)
LISTS = ("channels", "streams", "program", "labels", "golden_vectors", "golden_windows")


def assert_same(parsed, fields):
    """Fail unless a parsed model says what these fields say."""
    values = dict(model_pack.OPTIONAL)
    values.update(fields)
    for name in _ATTRIBUTES:
        assert getattr(parsed, name) == values[name], name
    for name in LISTS:
        assert getattr(parsed, name) == list(values[name]), name
    assert parsed.novelty_ranges == values["novelty_ranges"]
    tables = parsed.trees
    assert [tables.nodes(i) for i in range(parsed.n_trees)] == list(values["trees"])
    assert [tables.row(i) for i in range(parsed.n_rows)] == list(values["rows"])
    assert parsed.n_channels == len(values["channels"])
    assert parsed.n_streams == len(values["streams"])
    assert parsed.n_features == len(values["program"])
    assert parsed.n_classes == len(values["labels"])
