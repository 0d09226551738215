"""What stands in a file of ours, as plain values that JSON can hold."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from formats import errors, features_table, manifest, model, recording, result, signed, trees
from formats.errors import OnebyteError
from onebyte import inspect_signed
from onebyte.errors import UserError

__all__ = ["facts", "model_facts", "recording_facts"]

SECTION_NAMES = (
    "samples",
    "features",
    "classifier",
    "novelty",
    "decision",
    "labels",
    "golden vectors",
    "name",
    "custom features",
)
_FULL_SCALE = 32768
_NEVER = 65535

_DAMAGED = "copy or download the file again"
_OTHER_KIND = "give a model file (.obm) or a recording (.obr), a release, a root document or a key"
_OTHER_VERSION = "it was made for another version of onebyte: update onebyte or train again"
_ADVICE = {
    errors.TOO_SHORT: _DAMAGED,
    errors.SIZE: _DAMAGED,
    errors.CRC: _DAMAGED,
    errors.RECORDING_SIZE: _DAMAGED,
    errors.SIGNED_SIZE: _DAMAGED,
    errors.MANIFEST_SIZE: _DAMAGED,
    errors.ROOT_SIZE: _DAMAGED,
    errors.MAGIC: _OTHER_KIND,
    errors.RECORDING_MAGIC: _OTHER_KIND,
    errors.VERSION: _OTHER_VERSION,
    errors.KERNEL_VERSION: _OTHER_VERSION,
    errors.SECTION_UNKNOWN: _OTHER_VERSION,
    errors.RECORDING_VERSION: _OTHER_VERSION,
    errors.SIGNED_VERSION: _OTHER_VERSION,
    errors.MANIFEST_VERSION: _OTHER_VERSION,
    errors.ROOT_VERSION: _OTHER_VERSION,
}
_WRONG_CONTENT = "its content contradicts docs/SPEC.md: make it again"


def facts(path: Path) -> dict[str, Any]:
    """Return what stands in the file; `kind` says which it is.

    Raises:
        UserError: The file cannot be read, or is refused; names the reason and what to do.
    """
    if path.is_dir():
        return _folder_facts(path)
    try:
        if path.stat().st_size > model.MAX_BYTES or _starts_with(path, recording.MAGIC):
            found = recording_facts(path)
        elif _starts_with(path, signed.MAGIC):
            found = inspect_signed.facts(path.read_bytes())
        elif _starts_with(path, manifest.MAGIC):
            found = inspect_signed.unsigned_facts(path.read_bytes())
        elif _starts_with(path, b"-----BEGIN "):
            found = inspect_signed.key_facts(path.read_bytes())
        else:
            found = model_facts(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except OnebyteError as error:
        advice = _ADVICE.get(error.code, _WRONG_CONTENT)
        raise UserError(f"{path}: refused, {error}; {advice}") from error
    return {"file": str(path), **found}


def _folder_facts(path: Path) -> dict[str, Any]:
    """Return what stands in a release folder: its manifest, and which objects are there."""
    for name in ("manifest", "manifest.unsigned"):
        if (path / name).is_file():
            found = facts(path / name)
            listed = {entry["object"] for entry in found["files"]}
            there = {entry.name for entry in (path / "objects").glob("*")}
            found["missing_objects"] = [{"object": name} for name in sorted(listed - there)]
            return found
    raise UserError(
        f"{path}: Is a directory without a manifest, so no release; onebyte pack makes one"
    )


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def recording_facts(path: Path) -> dict[str, Any]:
    """Return what stands in a recording, without reading its samples."""
    with path.open("rb") as file:
        reader = recording.Reader(file)
        rows = [reader.next_segment() for _ in range(reader.n_segments)]
    rate_hz = reader.rate_mhz / 1000
    return {
        "kind": "recording",
        "bytes": path.stat().st_size,
        "n_channels": reader.n_channels,
        "rate_hz": rate_hz,
        "n_rows": reader.n_rows,
        "duration_s": reader.n_rows / rate_hz,
        "n_segments": reader.n_segments,
        "shortest_segment_s": min(rows) / rate_hz,
        "longest_segment_s": max(rows) / rate_hz,
    }


def model_facts(file: bytes) -> dict[str, Any]:
    """Return what stands in a model file.

    Raises:
        OnebyteError: The file is refused.
    """
    parsed = model.parse(file)
    digest = hashlib.sha256(file).hexdigest()
    return {
        "kind": "model",
        "name": parsed.name,
        "bytes": len(file),
        "sha256": digest,
        "model": digest[:16],
        "model_version": parsed.model_version,
        "format_version": model.VERSION,
        "kernel_version": model.KERNEL_VERSION,
        "recipe_hash": parsed.recipe_hash.hex(),
        "samples": _samples(parsed),
        "streams": _streams(parsed),
        "fft_length": 1 << parsed.fft_log2 if parsed.fft_log2 else 0,
        "fft_window": ("rectangular", "Hann")[parsed.fft_window] if parsed.fft_log2 else None,
        "features": _features(parsed),
        "custom": _custom(parsed),
        "classifier": _classifier(parsed),
        "decision": _decision(parsed),
        "labels": parsed.labels,
        "golden": {"vectors": parsed.n_golden_vectors, "windows": parsed.n_golden_windows},
        "sections": _sections(parsed),
    }


def _samples(parsed: model.Model) -> dict[str, Any]:
    rate_hz = parsed.rate_mhz / 1000
    return {
        "rate_hz": rate_hz,
        "window": parsed.window,
        "hop": parsed.hop,
        "window_s": parsed.window / rate_hz,
        "hop_s": parsed.hop / rate_hz,
        "channels": [
            {
                "name": name,
                "unit": model.UNITS[unit],
                "lsb": lsb_nano / 1e9,
                "full_scale": lsb_nano * _FULL_SCALE / 1e9,
            }
            for name, unit, lsb_nano in parsed.channels
        ],
    }


def _stream_names(parsed: model.Model) -> list[str]:
    """Name every stream: channels by their names, derived ones by number and op."""
    names = [name for name, _, _ in parsed.channels]
    for i, stream in enumerate(parsed.streams, parsed.n_channels):
        names.append(f"{i} {features_table.stream_name(stream[0])}")
    return names


def _streams(parsed: model.Model) -> list[dict[str, Any]]:
    names = _stream_names(parsed)
    listed = []
    for i, (op, a, b, c) in enumerate(parsed.streams, parsed.n_channels):
        if op == features_table.MAGNITUDE:
            text = f"of {names[a]}, {names[b]}, {names[c]}"
        elif op == features_table.DIFF:
            text = f"of {names[a]}"
        else:
            text = f"of {names[a]} to {names[a + 2]} on the mean of {names[b]} to {names[b + 2]}"
        listed.append({"stream": i, "op": features_table.stream_name(op), "text": text})
    return listed


def _features(parsed: model.Model) -> list[dict[str, Any]]:
    names = _stream_names(parsed)
    ranges = parsed.novelty_ranges
    splits = _splits_by_feature(parsed)
    listed = []
    for i, (op, stream, arg0, arg1, _) in enumerate(parsed.program):
        arguments = dict(zip(features_table.feature_arguments(op), (arg0, arg1), strict=False))
        listed.append(
            {
                "feature": i,
                "op": features_table.feature_name(op),
                "stream": "" if op == features_table.CUSTOM else names[stream],
                "arguments": arguments,
                "text": _argument_text(parsed, op, arg0, arg1, names),
                "splits": splits[i],
                "low": ranges[i][0] if ranges else None,
                "high": ranges[i][1] if ranges else None,
            }
        )
    return listed


def _argument_text(parsed: model.Model, op: int, arg0: int, arg1: int, names: list[str]) -> str:
    """Say the arguments in the units of the world: Hz, seconds, percent, stream names."""
    kind = features_table.FEATURES[op - 1][1]
    rate_hz = parsed.rate_mhz / 1000
    if kind == features_table.QUANTILE:
        return f"{arg0 * 100 / 256:.1f} %"
    if kind == features_table.SHARE:
        return f"of {names[arg0]} to {names[arg0 + arg1 - 1]}"
    if kind == features_table.OTHER:
        return f"with {names[arg0]}"
    if kind == features_table.GROUP:
        return f"among {names[arg0]} to {names[arg0 + 2]}"
    if kind == features_table.LAGS:
        return _range_text(arg0 / rate_hz, arg1 / rate_hz, "s")
    if kind in (features_table.BINS, features_table.UPPER_BINS):
        bin_hz = rate_hz / (1 << parsed.fft_log2)
        return _range_text(arg0 * bin_hz, arg1 * bin_hz, "Hz")
    if kind == features_table.FREQUENCY:
        return _range_text(arg0 * rate_hz / 65536, arg0 * rate_hz / 65536, "Hz")
    if kind == features_table.OUTPUT:
        return f"output {arg0}"
    return ""


def _range_text(low: float, high: float, unit: str) -> str:
    return f"{low:.3g} {unit}" if low == high else f"{low:.3g} to {high:.3g} {unit}"


def _splits_by_feature(parsed: model.Model) -> Counter[int]:
    nodes = [node for i in range(parsed.n_trees) for node in parsed.trees.nodes(i)]
    return Counter(node[0] for node in nodes if isinstance(node, tuple))


def _custom(parsed: model.Model) -> dict[str, Any] | None:
    if parsed.custom is None:
        return None
    n_outputs, digest = parsed.custom
    return {"n_outputs": n_outputs, "hash": digest.hex()}


def _classifier(parsed: model.Model) -> dict[str, Any]:
    n_splits = _splits_by_feature(parsed).total()
    return {
        "kind": "tree ensemble",
        "votes": "soft" if parsed.leaf_bits == trees.SOFT else "hard",
        "n_trees": parsed.n_trees,
        "n_splits": n_splits,
        "n_leaves": n_splits + parsed.n_trees,
        "n_rows": parsed.n_rows,
        "max_depth": parsed.max_depth,
        "table_bytes": 2 * parsed.n_words,
        "n_classes": parsed.n_classes,
    }


def _decision(parsed: model.Model) -> dict[str, Any]:
    threshold = parsed.novelty_threshold
    return {
        "encoding": "A" if parsed.encoding == result.A else "B",
        "k": parsed.k,
        "n": parsed.n,
        "min_confidence": parsed.min_confidence,
        "levels": list(parsed.levels),
        "has_novelty": parsed.has_novelty,
        "novelty_threshold": threshold if parsed.has_novelty and threshold != _NEVER else None,
    }


def _sections(parsed: model.Model) -> list[dict[str, Any]]:
    listed = []
    for kind, name in enumerate(SECTION_NAMES, 1):
        offset, length = parsed.section(kind)
        if length:
            listed.append({"kind": kind, "name": name, "offset": offset, "bytes": length})
    return listed
