"""Features by name: from the recipe's tables to the feature program that the kernels run.

An entry such as `op = ["mean", "std"]`, `of = ["channels"]` expands to one feature for every op
and stream. A program holds at most 127 features; a recipe may list more candidates, of which
training selects the best. `compile_program` writes only those and the derived streams they need.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from formats import features_table as ops
from onebyte.errors import UserError
from onebyte.training.tables import Table

__all__ = [
    "MAX_FEATURES",
    "Feature",
    "Program",
    "Sampling",
    "Stream",
    "chunks",
    "compile_program",
    "custom_features",
    "parse_features",
    "parse_streams",
]

MAX_FEATURES = 127
_MAX_DERIVED = 24
_CUSTOM = ops.feature_name(ops.CUSTOM)
_KINDS = dict(ops.FEATURES)  # name of a feature -> what its arguments mean


@dataclass(frozen=True)
class Stream:
    """A derived stream. `inputs` are stream numbers: operands, or for project two group bases."""

    name: str
    op: str
    inputs: tuple[int, ...]

    def reads(self) -> list[int]:
        """Return the numbers of all streams it is computed from."""
        if self.op == "project":
            return [base + i for base in self.inputs for i in range(3)]
        return list(self.inputs)


@dataclass(frozen=True)
class Feature:
    """One feature of the stream numbered `stream`.

    `other` is the second stream of a correlation. `group` is (base, count) of the streams that
    share and tilt relate to. `args` are the arguments of all other ops.
    """

    name: str
    op: str
    stream: int
    other: int | None = None
    group: tuple[int, int] | None = None
    args: tuple[int, ...] = ()

    def reads(self) -> list[int]:
        """Return the numbers of all streams it is computed from."""
        more = [] if self.other is None else [self.other]
        if self.group is not None:
            more += range(self.group[0], self.group[0] + self.group[1])
        return [self.stream, *more]


@dataclass(frozen=True)
class Sampling:
    """What the features' arguments are checked against; `names` are all streams' names."""

    names: list[str]
    n_channels: int
    rate_hz: float
    window: int
    fft_log2: int


@dataclass(frozen=True)
class Program:
    """The entries of section 2 of a model file, as `formats.model_pack` takes them."""

    streams: list[tuple[int, int, int, int]]  # op, a, b, c
    features: list[tuple[int, int, int, int, int]]  # op, stream, arg0, arg1, arg2
    fft_log2: int
    fft_window: int


def parse_streams(tables: list[Table], channels: list[str]) -> list[Stream]:
    """Expand the `[[streams]]` tables; `diff` of several streams gives several."""
    names = list(channels)
    streams: list[Stream] = []

    def add(table: Table, name: str, op: str, inputs: Sequence[int]) -> None:
        if name in names:
            raise UserError(f"{table.where}: there are two streams named {name!r}")
        names.append(name)
        streams.append(Stream(name, op, tuple(inputs)))

    for table in tables:
        op = table.choice("op", ops.STREAM_NAMES)
        of = [_number(table, names, name) for name in table.strings("of")]
        if op == "diff":
            for base in of:
                add(table, "d_" + names[base], op, [base])
        elif op == "magnitude":
            _check_triple(table, "of", of, in_order=False)
            add(table, table.take("name", str), op, of)
        else:
            onto = [_number(table, names, name) for name in table.strings("onto")]
            _check_triple(table, "of", of, in_order=True)
            _check_triple(table, "onto", onto, in_order=True)
            add(table, table.take("name", str), op, [of[0], onto[0]])
        table.close()
    if len(streams) > _MAX_DERIVED:
        raise UserError(f"{len(streams)} derived streams; at most {_MAX_DERIVED} are possible")
    return streams


def parse_features(tables: list[Table], sampling: Sampling) -> list[Feature]:
    """Expand the `[[features]]` tables in order."""
    features: list[Feature] = []
    for table in tables:
        for op in table.strings("op"):
            if op == _CUSTOM:
                raise UserError(f"{table.where}: custom features are listed in [custom] outputs")
            if op not in _KINDS:
                raise UserError(f"{table.where}: no feature {op!r}; known: {', '.join(_KINDS)}")
            features += _expand(op, table, sampling)
        table.close()
    seen = set()
    for feature in features:
        if feature.name in seen:
            raise UserError(f"feature {feature.name} is listed twice; remove one")
        seen.add(feature.name)
    return features


def custom_features(outputs: Sequence[str]) -> list[Feature]:
    """Return one feature for each output of the recipe's custom.py."""
    return [Feature(f"custom({name})", _CUSTOM, 0, args=(i,)) for i, name in enumerate(outputs)]


def compile_program(
    features: Sequence[Feature],
    streams: Sequence[Stream],
    n_channels: int,
    fft_log2: int,
    fft_window: int,
) -> Program:
    """Compile features to a program that holds only the derived streams they need."""
    needed: set[int] = set()
    todo = [number for feature in features for number in feature.reads()]
    while todo:
        number = todo.pop()
        if number not in needed:
            needed.add(number)
            if number >= n_channels:
                todo += streams[number - n_channels].reads()
    # Consecutive streams that are all needed stay consecutive, so groups stay groups.
    kept = [n for n in range(n_channels, n_channels + len(streams)) if n in needed]
    new = {number: number for number in range(n_channels)}
    new |= {number: n_channels + i for i, number in enumerate(kept)}
    derived = []
    for number in kept:
        stream = streams[number - n_channels]
        a, b, c = (*[new[i] for i in stream.inputs], 0, 0)[:3]
        derived.append((ops.stream_op(stream.op), a, b, c))
    entries = [_entry(feature, new) for feature in features]
    if not any(ops.needs_fft(entry[0]) for entry in entries):
        fft_log2 = fft_window = 0
    return Program(derived, entries, fft_log2, fft_window)


def chunks(features: Sequence[Feature]) -> list[Sequence[Feature]]:
    """Split candidates into lists that each fit one program."""
    return [features[i : i + MAX_FEATURES] for i in range(0, len(features), MAX_FEATURES)]


def _entry(feature: Feature, new: dict[int, int]) -> tuple[int, int, int, int, int]:
    args = feature.args
    if feature.other is not None:
        args = (new[feature.other],)
    elif feature.group is not None:
        base, count = feature.group
        args = (new[base], count) if feature.op == "share" else (new[base],)
    arg0, arg1, arg2 = (*args, 0, 0, 0)[:3]
    return ops.feature_op(feature.op), new[feature.stream], arg0, arg1, arg2


def _number(table: Table, names: Sequence[str], name: str) -> int:
    if name not in names:
        raise UserError(f"{table.where}: no stream {name!r}; known: {', '.join(names)}")
    return names.index(name)


def _check_triple(table: Table, key: str, of: list[int], in_order: bool) -> None:
    if len(of) != 3 or (in_order and of != list(range(of[0], of[0] + 3))):
        order = "consecutive " if in_order else ""
        raise UserError(f"{table.where}: {key} must name three {order}streams")


def _expand(op: str, table: Table, sampling: Sampling) -> list[Feature]:
    names = sampling.names
    if _KINDS[op] in (ops.SHARE, ops.GROUP):
        return _group_features(op, table, names)
    of: list[int] = []
    for name in table.strings("of"):
        if name == "channels":
            of += range(sampling.n_channels)
        elif name == "all":
            of += range(len(names))
        else:
            of.append(_number(table, names, name))
    if _KINDS[op] == ops.OTHER:
        return [
            Feature(f"{op}({names[a]},{names[b]})", op, a, other=b)
            for a, b in itertools.combinations(of, 2)
        ]
    return [
        Feature(f"{op}({names[stream]}{text})", op, stream, args=args)
        for text, args in _variants(op, table, sampling)
        for stream in of
    ]


def _variants(op: str, table: Table, sampling: Sampling) -> list[tuple[str, tuple[int, ...]]]:
    """Return (suffix of the name, arguments) of each feature that an op makes of one stream."""
    kind = _KINDS[op]
    if kind == ops.QUANTILE:
        return [(f",{q:g}", (round(q * 256),)) for q in _numbers(table, "q", 1.0)]
    if kind == ops.LAGS:
        low_ms, high_ms = _pair(table, "lags_ms", table.take("lags_ms", list))
        low, high = (round(ms * sampling.rate_hz / 1000) for ms in (low_ms, high_ms))
        if not 1 <= low <= high < sampling.window:
            raise UserError(
                f"{table.where}: lags_ms spans {low} to {high} samples, must lie "
                f"within 1 to {sampling.window - 1}"
            )
        return [("", (low, high))]
    if kind == ops.FREQUENCY:
        nyquist_hz = sampling.rate_hz / 2
        return [
            (f",{hz:g}Hz", (min(32767, max(1, round(hz / nyquist_hz * 32768))),))
            for hz in _numbers(table, "tones_hz", nyquist_hz)
        ]
    if kind == ops.PLAIN:
        return [("", ())]
    if sampling.fft_log2 == 0:
        raise UserError(f"{table.where}: {op} needs [fft] size")
    if kind == ops.SPECTRUM:
        return [("", ())]
    return [_band(op, table, sampling, pair) for pair in table.take("bands_hz", list)]


def _band(op: str, table: Table, sampling: Sampling, pair: object) -> tuple[str, tuple[int, ...]]:
    """A band low..high in Hz holds the bins at or above low and below high."""
    low_hz, high_hz = _pair(table, "bands_hz", pair)
    size = 1 << sampling.fft_log2
    bin_hz = sampling.rate_hz / size
    nyquist_hz = sampling.rate_hz / 2
    if high_hz > nyquist_hz:
        raise UserError(
            f"{table.where}: bands_hz {low_hz:g}-{high_hz:g} goes beyond half the "
            f"sample rate; end it at {nyquist_hz:g} or below"
        )
    low = math.ceil(low_hz / bin_hz - 1e-9)
    high = size // 2 if high_hz == nyquist_hz else math.ceil(high_hz / bin_hz - 1e-9) - 1
    if low > high or (op == "band_share" and low < 1):
        raise UserError(
            f"{table.where}: bands_hz {low_hz:g}-{high_hz:g} holds no usable bin of "
            f"{op}; bins are {bin_hz:g} Hz apart"
        )
    return f",{low_hz:g}-{high_hz:g}Hz", (low, high)


def _group_features(op: str, table: Table, names: list[str]) -> list[Feature]:
    least, most = (2, 6) if _KINDS[op] == ops.SHARE else (3, 3)
    features = []
    for group in table.take("groups", list):
        if not isinstance(group, list) or not least <= len(group) <= most:
            raise UserError(f"{table.where}: groups of {op} hold {least} to {most} streams each")
        of = [_number(table, names, name) for name in group]
        if of != list(range(of[0], of[0] + len(of))):
            raise UserError(f"{table.where}: streams of group {group} do not follow one another")
        text = f" of {len(of)}" if least != most else ""
        features += [
            Feature(f"{op}({names[stream]}{text})", op, stream, group=(of[0], len(of)))
            for stream in of
        ]
    return features


def _numbers(table: Table, key: str, high: float) -> list[float]:
    values = table.take(key, list)
    for value in values:
        if type(value) not in (int, float) or not 0 <= value <= high:
            raise UserError(f"{table.where}: {key} holds {value!r}, must be 0 to {high:g}")
    return [float(value) for value in values]


def _pair(table: Table, key: str, value: object) -> tuple[float, float]:
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(type(item) in (int, float) for item in value)
        or not 0 <= value[0] <= value[1]
    ):
        raise UserError(f"{table.where}: {key} needs [low, high], not {value!r}")
    return float(value[0]), float(value[1])
