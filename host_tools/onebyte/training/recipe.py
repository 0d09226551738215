"""The recipe: one TOML file that says how a model is trained and what the device runs.

`load` reads `recipe.toml` strictly: an unknown key, feature or stream, or a window that cannot
work, is a UserError that names the key. docs/SPEC.md has the limits.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from formats.features_table import MAX_OUTPUTS
from onebyte.errors import UserError
from onebyte.training import custom
from onebyte.training.features import (
    MAX_FEATURES,
    Feature,
    Sampling,
    Stream,
    custom_features,
    parse_features,
    parse_streams,
)
from onebyte.training.tables import REQUIRED, Table

__all__ = ["UNITS", "Channel", "Classifier", "DatasetSource", "DecisionRules", "Recipe", "load"]

UNITS = ("counts", "g", "rad/s", "V", "A", "degC", "m/s2", "Pa", "percent")
DATASET_KINDS = ("seglearn", "sktime", "folder")
VALIDATION_KINDS = ("leave_one_group_out", "given_split")
_MAX_CHANNELS = 16
_MAX_CLASSES = 240


@dataclass(frozen=True)
class Channel:
    """A sensor channel: `lsb` units are one count of the int16 samples."""

    name: str
    unit: str
    lsb: float

    @property
    def lsb_nano(self) -> int:
        return round(self.lsb * 1e9)


@dataclass(frozen=True)
class DatasetSource:
    """Where the recordings come from.

    `package` .. `members` belong to the kinds that are fetched; `path`, `pattern` and the column
    names to `folder`.
    """

    kind: str
    package: str = ""
    version: str = ""
    file: str = ""
    sha256: str = ""
    members: dict[str, str] = field(default_factory=dict)  # name in the archive -> its SHA-256
    path: str = ""
    pattern: str = ""
    label_column: str = ""
    group_column: str = ""
    recording_column: str = ""


@dataclass(frozen=True)
class Classifier:
    """Settings of the tree ensemble; None means no limit."""

    method: str
    n_trees: int
    max_leaf_nodes: int | None
    max_depth: int | None
    min_samples_leaf: int
    max_features: float
    leaf_bits: int
    limit_bytes: int
    seed: int


@dataclass(frozen=True)
class DecisionRules:
    """From windows to the result byte; see SPEC section 5 of the model file."""

    k: int
    n: int
    min_confidence: float  # 0-1, share of the votes
    novelty_false_rate: float | None  # None: no novelty detection


@dataclass(frozen=True)
class Recipe:
    """Everything a training run needs; see models/exercise/recipe.toml for an example."""

    path: Path
    sha256: bytes
    name: str
    version: int
    title: str
    source: DatasetSource
    channels: tuple[Channel, ...]
    rate_hz: float
    window: int
    hop: int
    auto_range: bool
    streams: tuple[Stream, ...]
    features: tuple[Feature, ...]
    custom: custom.CustomCode | None  # what computes the features of op custom
    fft_log2: int
    fft_window: int
    select_features: int
    classifier: Classifier
    mirror: tuple[str, ...]
    labels: dict[str, str]  # label in the dataset -> label in the model, in class order
    decision: DecisionRules
    validation: str
    validation_note: str  # what a reader of the figures must know, for the model card
    demo_group: str | None
    golden_per_class: int
    golden_windows: int

    @property
    def channel_names(self) -> list[str]:
        return [channel.name for channel in self.channels]

    @property
    def rate_mhz(self) -> int:
        return round(self.rate_hz * 1000)

    @property
    def encoding(self) -> int:
        return 0 if len(self.labels) <= 15 else 1


def load(path: Path) -> Recipe:
    """Read a recipe; `path` is the file or the folder that holds `recipe.toml`.

    Raises:
        UserError: no such file, not TOML, or anything in it that cannot work.
    """
    path = path / "recipe.toml" if path.is_dir() else path
    try:
        raw = path.read_bytes()
        data = tomllib.loads(raw.decode())
    except FileNotFoundError as error:
        raise UserError(f"there is no recipe at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: {error}") from error
    return _parse(Table(data, path.name), path, hashlib.sha256(raw).digest())


def _parse(top: Table, path: Path, digest: bytes) -> Recipe:
    samples = _samples(top.table("samples"))
    labels = _labels(top.table("labels"))
    recipe = Recipe(
        path=path,
        sha256=digest,
        name=_name(top),
        version=top.number("version", 1, 2**32 - 1),
        title=top.take("title", str, ""),
        source=_source(top.table("dataset")),
        classifier=_classifier(top.table("classifier")),
        mirror=_mirror(top, samples["channels"]),
        labels=labels,
        decision=_decision(top.table("decision", {})),
        demo_group=_demo_group(top.table("demo", {})),
        **samples,
        **_program(top, samples, path.parent),
        **_validation(top.table("validation")),
        **_golden(top.table("golden", {}), len(labels)),
    )
    top.close()
    return recipe


# Each of these reads one table and returns the fields of the Recipe that it fills.


def _samples(table: Table) -> dict[str, Any]:
    channels = _channels(table)
    fields = {
        "channels": channels,
        "rate_hz": table.number("rate_hz", 0.001, 1e6),
        "window": table.number("window", 8, 1024),
        "hop": table.number("hop", 1, 1024),
        "auto_range": table.take("auto_range", bool, False),
    }
    table.close()
    hop, window = fields["hop"], fields["window"]
    if hop > window:
        raise UserError(f"{table.where}: hop = {hop} must be at most window = {window}")
    return fields


def _program(top: Table, samples: dict[str, Any], folder: Path) -> dict[str, Any]:
    fft_log2, fft_window = _fft(top, samples["window"])
    channels = [channel.name for channel in samples["channels"]]
    streams = parse_streams(top.tables("streams", []), channels)
    names = channels + [stream.name for stream in streams]
    sampling = Sampling(names, len(channels), samples["rate_hz"], samples["window"], fft_log2)
    code = _custom(top, folder)
    features = parse_features(top.tables("features", REQUIRED if code is None else []), sampling)
    features += custom_features(code.outputs if code else ())
    if not features:
        raise UserError("the recipe lists no [[features]]")
    select = top.table("select", {})
    n_selected = select.number("features", 1, MAX_FEATURES, None) or len(features)
    select.close()
    if n_selected > MAX_FEATURES:
        raise UserError(
            f"{top.where}: {len(features)} features, the device computes at most "
            f"{MAX_FEATURES}; set features in [select]"
        )
    return {
        "streams": tuple(streams),
        "features": tuple(features),
        "custom": code,
        "fft_log2": fft_log2,
        "fft_window": fft_window,
        "select_features": min(n_selected, len(features)),
    }


def _custom(top: Table, folder: Path) -> custom.CustomCode | None:
    table = top.table("custom", {})
    outputs = tuple(table.strings("outputs", []))
    file = table.take("file", str, "custom.py")
    table.close()
    if len(set(outputs)) != len(outputs):
        raise UserError(f"{table.where}: outputs names one of them twice")
    for name in outputs:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
            raise UserError(f"{table.where}: outputs: {name!r} must be 1-32 of a-z, 0-9 and _")
    if len(outputs) > MAX_OUTPUTS:
        raise UserError(f"{table.where}: {len(outputs)} outputs; at most {MAX_OUTPUTS}")
    if outputs:
        return custom.load(folder / file, outputs)
    if "custom" in top:
        raise UserError(f"{table.where}: outputs must name what {file} computes")
    return None


def _mirror(top: Table, channels: tuple[Channel, ...]) -> tuple[str, ...]:
    table = top.table("augmentation", {})
    mirror = tuple(table.strings("mirror", []))
    table.close()
    _check_names(table, "mirror", mirror, [channel.name for channel in channels])
    return mirror


def _validation(table: Table) -> dict[str, Any]:
    fields = {
        "validation": table.choice("kind", VALIDATION_KINDS),
        "validation_note": table.take("note", str, ""),
    }
    table.close()
    return fields


def _demo_group(table: Table) -> str | None:
    group: str | None = table.take("group", str, None)
    table.close()
    return group


def _golden(table: Table, n_classes: int) -> dict[str, Any]:
    per_class = table.number("per_class", 0, 32, 1)
    fields = {"golden_per_class": per_class, "golden_windows": table.number("windows", 0, 32, 4)}
    table.close()
    if per_class * n_classes > 32:
        raise UserError(f"{table.where}: per_class times the classes must be at most 32")
    return fields


def _name(top: Table) -> str:
    name = str(top.take("name", str))
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", name):
        raise UserError(f"{top.where}: name = {name!r} must be 1-32 of a-z, 0-9, _ and -")
    return name


def _channels(samples: Table) -> tuple[Channel, ...]:
    channels: list[Channel] = []
    for table in samples.tables("channels"):
        name = table.take("name", str)
        if not re.fullmatch(r"[a-z0-9_]{1,10}", name):
            raise UserError(f"{table.where}: name = {name!r} must be 1-10 of a-z, 0-9 and _")
        if name in [channel.name for channel in channels]:
            raise UserError(f"{table.where}: there are two channels named {name!r}")
        channels.append(Channel(name, table.choice("unit", UNITS), table.number("lsb", 1e-9, 4.0)))
        table.close()
    if not 1 <= len(channels) <= _MAX_CHANNELS:
        raise UserError(f"{samples.where}: 1 to {_MAX_CHANNELS} channels, not {len(channels)}")
    return tuple(channels)


def _fft(top: Table, window: int) -> tuple[int, int]:
    table = top.table("fft", {})
    size = table.take("size", int, 0)
    kind = table.choice("window", ("rectangular", "hann"), "hann")
    table.close()
    if size == 0:
        return 0, 0
    if size not in [1 << i for i in range(4, 11)] or size < window:
        raise UserError(
            f"{table.where}: size = {size} must be a power of two from 16 to 1024, "
            f"not below the window of {window}"
        )
    return size.bit_length() - 1, int(kind == "hann")


def _source(table: Table) -> DatasetSource:
    kind = table.choice("kind", DATASET_KINDS)
    if kind == "folder":
        source = DatasetSource(
            kind,
            path=table.take("path", str),
            pattern=table.take("pattern", str, ""),
            label_column=table.take("label_column", str, ""),
            group_column=table.take("group_column", str, ""),
            recording_column=table.take("recording_column", str, ""),
        )
    else:
        members = table.table("members")
        source = DatasetSource(
            kind,
            package=table.take("package", str),
            version=table.take("version", str),
            file=table.take("file", str),
            sha256=table.take("sha256", str),
            members={key: members.take(key, str) for key in members},
        )
    table.close()
    return source


def _classifier(table: Table) -> Classifier:
    table.choice("kind", ("trees",))
    classifier = Classifier(
        method=table.choice("method", ("extra_trees", "random_forest"), "extra_trees"),
        n_trees=table.number("n_trees", 1, 1024),
        max_leaf_nodes=table.number("max_leaf_nodes", 2, 16384, None),
        max_depth=table.number("max_depth", 1, 32, None),
        min_samples_leaf=table.number("min_samples_leaf", 1, 100000, 1),
        max_features=table.number("max_features", 0.001, 1.0, 0.3),
        leaf_bits=table.number("leaf_bits", 0, 8),
        limit_bytes=table.number("limit_bytes", 64, 262144, 262144),
        seed=table.number("seed", 0, 2**31 - 1, 1),
    )
    table.close()
    if classifier.leaf_bits == 1:
        raise UserError(f"{table.where}: leaf_bits = 1 must be 0 (hard vote) or 2 to 8")
    return classifier


def _labels(table: Table) -> dict[str, str]:
    labels = {key: table.take(key, str) for key in table}
    if not 2 <= len(labels) <= _MAX_CLASSES:
        raise UserError(f"{table.where}: 2 to {_MAX_CLASSES} classes, not {len(labels)}")
    if len(set(labels.values())) != len(labels):
        raise UserError(f"{table.where}: two classes have the same label")
    for label in labels.values():
        if not 1 <= len(label.encode()) <= 24:
            raise UserError(f"{table.where}: label {label!r} must be 1 to 24 bytes long")
    return labels


def _decision(table: Table) -> DecisionRules:
    n = table.number("n", 1, 15, 1)
    rules = DecisionRules(
        k=table.number("k", 1, n, 1),
        n=n,
        min_confidence=table.number("min_confidence", 0.0, 1.0, 0.0),
        novelty_false_rate=table.number("novelty_false_rate", 0.0, 0.5, None),
    )
    table.close()
    return rules


def _check_names(table: Table, key: str, names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{table.where}: {key} names {name!r}; known: {', '.join(known)}")
