"""A first recipe for what was collected: it trains as it stands, and its user changes it."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["name_of", "recipe"]

_WINDOW_S = 2.0
_LEAST_WINDOW, _MOST_WINDOW = 8, 1024
_WINDOWS_A_RECORDING = 3  # that the shortest one should give

_TEXT = """\
# Made by `onebyte collect` from what lies in data/. It is made anew with each session until you
# change it. README.md, "Your own data", and docs/SPEC.md say what there is to choose.
name = "{name}"
version = 1

[dataset]
kind = "folder"
path = "data"
pattern = '{pattern}'

[samples]
rate_hz = {rate_hz}
window = {window}
hop = {hop}
channels = [
{channels}
]

[fft]
size = {fft}

[[features]]
op = ["mean", "std", "zero_crossings", "peak_bin"]
of = "all"

[classifier]
kind = "trees"
n_trees = 16
max_leaf_nodes = 32
leaf_bits = 4

[labels] # label in the data = label on the device
{labels}

[decision] # say a class when 2 of the last 3 windows agree
k = 2
n = 3
min_confidence = 0.4

[validation]
kind = "leave_one_group_out"
note = "{note}"
"""

_BY_SUBJECT = (
    "(?P<group>[^/]+)/(?P<label>[a-z0-9-]+)_.*",
    "Each subject was left out once.",
)
_BY_RECORDING = (
    "[^/]+/(?P<label>[a-z0-9-]+)_.*",
    "Each recording was left out once; others of the same subject were trained on, so this says "
    "nothing about another subject.",
)


def name_of(folder: Path) -> str:
    """Return the name of a folder as a recipe's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-")[:32] or "dataset"


def recipe(content: dict[str, Any]) -> str:
    """Return recipe.toml for the content of dataset.json; empty while there are no two labels."""
    subjects: dict[str, set[str]] = defaultdict(set)
    shortest = _MOST_WINDOW * _WINDOWS_A_RECORDING
    for session in content["sessions"]:
        for one in session["files"]:
            if one["label"]:
                subjects[one["label"]].add(session["subject"])
                shortest = min(shortest, one["samples"])
    if len(subjects) < 2:
        return ""
    pattern, note = _BY_SUBJECT if min(map(len, subjects.values())) > 1 else _BY_RECORDING
    wanted = round(_WINDOW_S * content["rate_hz"])
    # Half a window from one to the next: so many samples give the windows that are wanted.
    fitting = 2 * shortest // (_WINDOWS_A_RECORDING + 1)
    window = max(_LEAST_WINDOW, min(_MOST_WINDOW, wanted, fitting))
    fft = 1 << max(4, (window - 1).bit_length())
    return _TEXT.format(
        name=content["name"],
        pattern=pattern,
        rate_hz=f"{content['rate_hz']:g}",
        window=window,
        hop=max(1, window // 2),
        channels="\n".join(
            f'    {{ name = "{c["name"]}", unit = "{c["unit"]}", lsb = {_number(c["lsb"])} }},'
            for c in content["channels"]
        ),
        fft=fft,
        labels="\n".join(f'{label} = "{label}"' for label in sorted(subjects)),
        note=note,
    )


def _number(value: float) -> str:
    text = f"{value:.12g}"
    return text if any(c in text for c in ".e") else text + ".0"
