"""The gate of the benches whose figures are deterministic: they may not get worse unseen.

A result is a JSON object: `source` says what counted, each other key is a group of figures. In the
groups of HIGHER_IS_BETTER a figure should grow, in those of UNGATED nothing is compared, in every
other group it should shrink. `settle` writes the result and compares it with the committed
baseline.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

LIMIT_PERCENT = 3
HIGHER_IS_BETTER = frozenset({"ratios"})
UNGATED = frozenset({"source", "info"})

Result = Mapping[str, Mapping[str, float]]


class Comparison(NamedTuple):
    """What the gate found; each entry is a line for people.

    Attributes:
        failures: Figures that got worse by more than the limit, are gone or are unknown.
        improvements: Figures that got better by more than the limit.
    """

    failures: list[str]
    improvements: list[str]


def is_worse(old: float, new: float, higher_is_better: bool) -> bool:
    """Return whether a figure got worse by more than the limit; from 0 any step up is."""
    if higher_is_better:
        return new * 100 < old * (100 - LIMIT_PERCENT)
    return new * 100 > old * (100 + LIMIT_PERCENT)


def compare(baseline: Result, result: Result) -> Comparison:
    """Compare all gated figures of two results."""
    failures, improvements = [], []
    groups = [name for name in {**baseline, **result} if name not in UNGATED]
    for group in groups:
        old_figures, new_figures = baseline.get(group, {}), result.get(group, {})
        for name in {**old_figures, **new_figures}:
            figure = f"{group} {name}"
            if name not in new_figures:
                failures.append(f"{figure}: was {old_figures[name]:g}, is gone")
            elif name not in old_figures:
                failures.append(f"{figure}: {new_figures[name]:g} is not in the baseline")
            else:
                old, new = old_figures[name], new_figures[name]
                higher = group in HIGHER_IS_BETTER
                if is_worse(old, new, higher):
                    failures.append(f"{figure}: was {old:g}, is {new:g}")
                elif is_worse(old, new, not higher):
                    improvements.append(f"{figure}: was {old:g}, is {new:g}")
    return Comparison(failures, improvements)


def only(baseline: Result, result: Result) -> Result:
    """Return of a baseline what a short run measured too."""
    return {
        group: {name: value for name, value in figures.items() if name in result.get(group, {})}
        for group, figures in baseline.items()
        if group not in UNGATED
    }


def settle(
    result: Result,
    baseline_path: Path,
    result_path: Path,
    *,
    update: bool = False,
    short: bool = False,
) -> int:
    """Write a result, compare it with the baseline and print what differs.

    Args:
        result: The figures of this run.
        baseline_path: The committed file.
        result_path: Where this run's figures go.
        update: Make this run the baseline instead of comparing.
        short: The run measured some of the figures only; the others are not missed.

    Returns:
        The exit status: 1 when a figure got worse, is gone or is unknown.
    """
    text = json.dumps(result, indent=2) + "\n"
    result_path.parent.mkdir(parents=True, exist_ok=True)
    result_path.write_text(text)
    if update:
        baseline_path.write_text(text)
        print(f"gate: {baseline_path.name} is this run now")
        return 0
    if not baseline_path.is_file():
        print(f"gate: there is no {baseline_path}; --update makes it")
        return 1
    baseline = json.loads(baseline_path.read_text())
    found = compare(only(baseline, result) if short else baseline, result)
    for line in found.improvements:
        print(f"gate: better: {line}; --update keeps it")
    for line in found.failures:
        print(f"gate: WORSE: {line}")
    print(f"gate: {len(found.failures)} failures, limit {LIMIT_PERCENT} %")
    return 1 if found.failures else 0
