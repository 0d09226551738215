"""Shows what `onebyte.inspect` found, in words and tables."""

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["show"]

_MOST_FULL = 255
_SIGNED = ("manifest", "root document")
_UNSIGNED = ("unsigned manifest", "private key", "public key")


def show(found: dict[str, Any], console: Console) -> None:
    """Print the facts of one file; lines of text are broken only on a terminal."""
    console.soft_wrap = not console.is_terminal
    if found["kind"] == "recording":
        _show_recording(found, console)
    elif found["kind"] == "native module":
        _show_native_module(found, console)
    elif found["kind"] in _SIGNED or found["kind"] in _UNSIGNED:
        _show_signed(found, console)
    else:
        _show_model(found, console)


def _show_recording(found: dict[str, Any], console: Console) -> None:
    console.print(f"[bold]{escape(found['file'])}[/bold]: recording, {found['bytes']} bytes")
    console.print(
        f"{_count(found['n_channels'], 'channel')} at {found['rate_hz']:g} Hz, "
        f"{_count(found['n_rows'], 'row')}: {found['duration_s']:.1f} s in "
        f"{_count(found['n_segments'], 'segment')} of {found['shortest_segment_s']:.1f} to "
        f"{found['longest_segment_s']:.1f} s"
    )


def _show_native_module(found: dict[str, Any], console: Console) -> None:
    console.print(
        f"[bold]{escape(found['file'])}[/bold]: native module, {found['file_bytes']} bytes"
    )
    chips = f" ({found['chips']})" if found["chips"] else ""
    console.print(f"Architecture: {found['arch']}{chips}, mpy version {found['mpy_version']}")
    console.print(
        f"Code {found['text_bytes']} bytes, constants {found['rodata_bytes']}, "
        f"zeroed memory {found['bss_bytes']}"
    )


def _show_signed(found: dict[str, Any], console: Console) -> None:
    """Print a manifest, a root document or a key: a line for each value, then its tables."""
    console.print(f"[bold]{escape(found['file'])}[/bold]: {found['kind']}, {found['bytes']} bytes")
    if found["kind"] in _SIGNED:
        text = "[bold]Signatures were not verified[/bold]: nobody says yet who made this file"
        console.print(text)
    for name, value in found.items():
        if name in ("file", "kind", "bytes"):
            continue
        if isinstance(value, list):
            console.print(_entry_table(name, value))
        else:
            console.print(f"{name}: {escape(str(value))}")


def _entry_table(title: str, entries: list[dict[str, Any]]) -> Table:
    names = list(entries[0]) if entries else []
    if "sha256" in names:
        names.remove("object")  # its id is the hash, and how it is stored
    table = Table(*names, title=title, box=box.SIMPLE)
    for entry in entries:
        # Hashes and keys would leave no room for the names; --json has them whole.
        texts = [str(entry[name]) for name in names]
        table.add_row(*(escape(t if len(t) < 64 else t[:12] + "...") for t in texts))
    return table


def _show_model(found: dict[str, Any], console: Console) -> None:
    title = f" {escape(found['name'])}" if found["name"] else ""
    console.print(f"[bold]{escape(found['file'])}[/bold]: model{title}, {found['bytes']} bytes")
    console.print(
        f"version {found['model_version']}, model hash {found['model']}, "
        f"recipe {found['recipe_hash'][:16]}, kernels {found['kernel_version']}"
    )
    for line in _sentences(found):
        console.print(line)
    console.print(_channel_table(found["samples"]["channels"]))
    for stream in found["streams"]:
        console.print(f"Stream {stream['stream']}: {stream['op']} {escape(stream['text'])}")
    console.print(_feature_table(found["features"]))
    console.print(_section_table(found["sections"]))


def _sentences(found: dict[str, Any]) -> list[str]:
    samples, classifier = found["samples"], found["classifier"]
    labels = ", ".join(escape(label) for label in found["labels"])
    lines = [
        f"[bold]Samples[/bold]: {samples['rate_hz']:g} Hz; a window is {samples['window']} "
        f"samples, {samples['window_s']:.3g} s, and the next one begins {samples['hop']} samples, "
        f"{samples['hop_s']:.3g} s, later",
        f"[bold]Classifier[/bold]: {_count(classifier['n_trees'], 'tree')} with "
        f"{classifier['votes']} votes, {_count(classifier['n_splits'], 'split')}, "
        f"{_count(classifier['n_leaves'], 'leaf', 'leaves')}, at most "
        f"{_count(classifier['max_depth'], 'split')} deep; node table "
        f"{classifier['table_bytes']} bytes"
        + (f", {_count(classifier['n_rows'], 'row')} of votes" if classifier["n_rows"] else ""),
        f"[bold]Classes[/bold] ({classifier['n_classes']}): {labels}",
        *_decision_sentences(found["decision"]),
    ]
    if found["fft_length"]:
        lines.append(
            f"[bold]Spectrum[/bold]: FFT of {found['fft_length']} points, "
            f"{found['fft_window']} window"
        )
    if found["custom"]:
        lines.append(
            f"[bold]Custom features[/bold]: {_count(found['custom']['n_outputs'], 'output')} of a "
            f"custom.py whose SHA-256 begins with {found['custom']['hash']}"
        )
    golden = found["golden"]
    if golden["vectors"] or golden["windows"]:
        lines.append(
            f"[bold]Self-test[/bold]: {_count(golden['vectors'], 'golden vector')}, "
            f"{_count(golden['windows'], 'golden window')}"
        )
    return lines


def _decision_sentences(decision: dict[str, Any]) -> list[str]:
    least = decision["min_confidence"]
    counts = f", if its confidence was at least {least} of {_MOST_FULL}" if least else ""
    lines = [
        f"[bold]Decision[/bold]: a class is decided when {decision['k']} of the last "
        f"{_count(decision['n'], 'window')} predicted it{counts}; result byte in encoding "
        f"{decision['encoding']}"
    ]
    if decision["encoding"] == "A":
        levels = " ".join(map(str, decision["levels"]))
        lines.append(f"[bold]Confidence levels[/bold] 1 to 7 begin at {levels} of {_MOST_FULL}")
    if decision["novelty_threshold"] is not None:
        lines.append(
            f"[bold]Novelty[/bold]: an input is novel from a score of "
            f"{decision['novelty_threshold']} on"
        )
    elif decision["has_novelty"]:
        lines.append("[bold]Novelty[/bold]: scored, but never reported")
    else:
        lines.append("[bold]Novelty[/bold]: not in this model")
    return lines


def _channel_table(channels: list[dict[str, Any]]) -> Table:
    table = Table("channel", "unit", "one count", "full scale", title="Channels", box=box.SIMPLE)
    for channel in channels:
        scale = f"{channel['full_scale']:.4g}"
        table.add_row(channel["name"], channel["unit"], f"{channel['lsb']:.4g}", f"±{scale}")
    return table


def _feature_table(features: list[dict[str, Any]]) -> Table:
    table = Table(title="Features", box=box.SIMPLE)
    table.add_column("#", justify="right")
    table.add_column("feature")
    table.add_column("of stream")
    table.add_column("with")
    table.add_column("splits", justify="right")
    table.add_column("in training", justify="right")
    for feature in features:
        known = feature["low"] is not None
        table.add_row(
            str(feature["feature"]),
            feature["op"],
            escape(feature["stream"]),
            escape(feature["text"]),
            str(feature["splits"]),
            f"{feature['low']} to {feature['high']}" if known else "",
        )
    return table


def _section_table(sections: list[dict[str, Any]]) -> Table:
    table = Table(title="Sections", box=box.SIMPLE)
    table.add_column("kind", justify="right")
    table.add_column("name")
    table.add_column("offset", justify="right")
    table.add_column("bytes", justify="right")
    for section in sections:
        table.add_row(*(str(section[key]) for key in ("kind", "name", "offset", "bytes")))
    return table


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
