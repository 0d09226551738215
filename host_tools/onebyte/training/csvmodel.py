"""The CSV of a tree ensemble that emlearn writes and emlearn-micropython reads.

Lines: `f,n_features`, `c,n_classes`, `lf,leaf_bits` (emlearn's writer says `lb`), `l,leaf` a leaf,
`r,node` a root, `n,feature,threshold,left,right` a split. A child above 0 is the distance to a
later node, a negative one is leaf -1 - child. With leaf_bits 0 a leaf is a class; otherwise a row
of votes in brackets, as emlearn writes it; emlearn-micropython reads only the first kind. Its
reader truncates thresholds to integers and goes left on `feature < threshold`; so do we.
"""

import math
import re
from typing import Any

import numpy as np

from formats import model as model_format
from formats import model_pack
from onebyte import kernels
from onebyte.errors import UserError
from onebyte.training import golden
from onebyte.training.quantize import Forest, from_emlearn, to_emlearn

__all__ = ["forest_of", "read", "replace_trees", "write"]

_MAX_FEATURES = 127
_MAX_CLASSES = 240
_MAX_DEPTH = 32
_MAX_VOTES = 255
_LINE_FIELDS = {"f": 2, "c": 2, "lf": 2, "lb": 2, "l": 2, "r": 2, "n": 5}


def write(forest: Forest) -> str:
    """Return the CSV of a forest."""
    nodes, roots, leaves = to_emlearn(forest)
    lines = [f"f,{forest.n_features}", f"c,{forest.n_classes}"]
    lines.append("lb,8" if forest.rows else "lf,0")
    for leaf in leaves:
        lines.append(f"l,[{' '.join(map(str, leaf))}]" if forest.rows else f"l,{leaf}")
    lines += [f"r,{root}" for root in roots]
    for at, (feature, threshold, left, right) in enumerate(nodes):
        children = [child - at if child >= 0 else child for child in (left, right)]
        lines.append(f"n,{feature},{threshold},{children[0]},{children[1]}")
    return "\r\n".join(lines) + "\r\n"


def read(text: str, name: str) -> Forest:
    """Parse a CSV; `name` is the file's name in messages.

    Raises:
        UserError: anything that is not such a model; it names the line.
    """
    parser = _Parser(name)
    # numpy wraps a long row of votes, so a bracket may close some lines later.
    for number, line in _joined(text):
        parser.line(number, line)
    return parser.forest()


def forest_of(model: model_format.Model) -> Forest:
    """Return the forest of a parsed model file."""
    trees = [model.trees.nodes(i) for i in range(model.n_trees)]
    rows = [tuple(model.trees.row(i)) for i in range(model.n_rows)]
    return Forest(trees, rows, model.n_features, model.n_classes)


def replace_trees(base: bytes, forest: Forest) -> bytes:
    """Return the model file `base` with another forest; golden results are computed anew."""
    model = model_format.parse(base)
    if (forest.n_features, forest.n_classes) != (model.n_features, model.n_classes):
        raise UserError(
            f"the trees use {forest.n_features} features and {forest.n_classes} "
            f"classes, the model has {model.n_features} and {model.n_classes}"
        )
    fields: dict[str, Any] = {key: getattr(model, key) for key in _KEPT}
    fields["levels"] = list(model.levels)
    fields |= {"trees": forest.trees, "rows": forest.rows}
    kernel_model = kernels.KernelModel(bytes(model_pack.pack(fields)))
    vectors = np.array([vector for *_, vector in model.golden_vectors], dtype=np.int16)
    fields["golden_vectors"] = golden.vectors(kernel_model, vectors)
    seeds = [seed for seed, *_ in model.golden_windows]
    fields["golden_windows"] = golden.windows(kernel_model, seeds)
    return bytes(model_pack.pack(fields))


_KEPT = (
    "recipe_hash",
    "model_version",
    "channels",
    "window",
    "hop",
    "rate_mhz",
    "streams",
    "program",
    "fft_log2",
    "fft_window",
    "novelty_ranges",
    "k",
    "n",
    "min_confidence",
    "novelty_threshold",
    "labels",
    "name",
    "custom",
)


def _joined(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if lines and "[" in lines[-1][1] and "]" not in lines[-1][1]:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line.strip()}")
        elif line.strip():
            lines.append((number, line.strip()))
    return lines


class _Parser:
    """Collects the lines, then checks what only the whole can show."""

    def __init__(self, name: str):
        self._name = name
        self._header: dict[str, int] = {}
        self._leaves: list[Any] = []
        self._roots: list[tuple[int, int]] = []  # line, node
        self._nodes: list[list[int]] = []  # feature, threshold, left, right with distances
        self._lines: list[int] = []  # line of each node

    def line(self, number: int, line: str) -> None:
        kind, *fields = line.split(",")
        if kind not in _LINE_FIELDS:
            raise self._error(number, f"unknown kind {kind!r}")
        if len(fields) + 1 != _LINE_FIELDS[kind]:
            raise self._error(number, f"{kind} has {_LINE_FIELDS[kind]} fields")
        if kind in ("f", "c", "lf", "lb"):
            self._metadata(number, "leaf_bits" if kind in ("lf", "lb") else kind, fields[0])
            return
        for key in ("f", "c"):
            if key not in self._header:
                raise self._error(number, f"{key} must come before {kind}")
        if kind == "l":
            self._leaves.append(self._leaf(number, fields[0]))
        elif kind == "r":
            self._roots.append((number, self._int(number, fields[0], 0, 65535)))
        else:
            self._node(number, fields)

    def _metadata(self, number: int, key: str, field: str) -> None:
        if key in self._header:
            raise self._error(number, f"{key} stands here a second time")
        low, high = {"f": (1, _MAX_FEATURES), "c": (2, _MAX_CLASSES), "leaf_bits": (0, 8)}[key]
        self._header[key] = self._int(number, field, low, high)

    def _leaf(self, number: int, field: str) -> int | tuple[int, ...]:
        n_classes = self._header["c"]
        if self._header.get("leaf_bits", 0) == 0:
            return self._int(number, field, 0, n_classes - 1)
        match = re.fullmatch(r"\[([0-9 ]+)\]", field)
        votes = tuple(int(vote) for vote in match[1].split()) if match else ()
        if len(votes) != n_classes or max(votes) > _MAX_VOTES:
            raise self._error(
                number, f"a leaf needs {n_classes} votes of 0-{_MAX_VOTES} in brackets"
            )
        if sum(votes) == 0:
            raise self._error(number, "a leaf without any vote; convert with more leaf_bits")
        return votes

    def _node(self, number: int, fields: list[str]) -> None:
        feature = self._int(number, fields[0], 0, self._header["f"] - 1)
        try:
            threshold = float(fields[1])
        except ValueError:
            threshold = math.nan
        if not -32768 <= threshold <= 32767:
            raise self._error(number, f"threshold {fields[1]!r} is not an int16")
        left, right = (self._int(number, field, -32768, 32767) for field in fields[2:])
        if left == 0 or right == 0:
            raise self._error(number, "a node is its own child")
        self._nodes.append([feature, int(threshold), left, right])
        self._lines.append(number)

    def forest(self) -> Forest:
        for key in ("f", "c"):
            if key not in self._header:
                raise UserError(f"{self._name}: the line {key} is missing")
        if not self._roots:
            raise UserError(f"{self._name}: there is no tree")
        nodes = [self._absolute(at) for at in range(len(self._nodes))]
        depth: list[int | None] = [None] * len(
            nodes
        )  # how deep a node lies once it was referred to
        for number, root in self._roots:
            self._refer(number, root, 0, depth)
        for at, node in enumerate(nodes):
            below = depth[at]
            if below is None:
                raise self._error(self._lines[at], "nothing leads to this node")
            for child in node[2:]:
                if child >= 0:
                    self._refer(self._lines[at], child, below + 1, depth)
        roots = [root for _, root in self._roots]
        return from_emlearn((nodes, roots, self._leaves), self._header["f"], self._header["c"])

    def _refer(self, number: int, at: int, depth: int, depths: list[int | None]) -> None:
        if at >= len(depths):
            raise self._error(number, f"there is no node {at}")
        if depths[at] is not None:
            raise self._error(number, f"node {at} has two parents")
        if depth >= _MAX_DEPTH:
            raise self._error(number, f"the tree is deeper than {_MAX_DEPTH} splits")
        depths[at] = depth

    def _absolute(self, at: int) -> list[int]:
        feature, threshold, *children = self._nodes[at]
        for child in children:
            if child < 0 and -1 - child >= len(self._leaves):
                raise self._error(self._lines[at], f"there is no leaf {-1 - child}")
        left, right = (child + at if child > 0 else child for child in children)
        return [feature, threshold, left, right]

    def _int(self, number: int, field: str, low: int, high: int) -> int:
        if not re.fullmatch(r"-?[0-9]{1,6}", field) or not low <= int(field) <= high:
            raise self._error(number, f"{field!r} is not a whole number from {low} to {high}")
        return int(field)

    def _error(self, number: int, problem: str) -> UserError:
        return UserError(f"{self._name}, line {number}: {problem}")
