"""The gate of the deterministic benches fails on what got worse, and on nothing else."""

import json
from pathlib import Path

import gate
import pytest

BASELINE = {
    "source": {"clock_hz": 125},
    "cycles": {"window": 1000, "predict": 200},
    "bytes": {"heap": 0},
    "ratios": {"trees": 5.0},
    "info": {"seconds": 7},
}


def changed(group: str, name: str, value: float) -> dict[str, dict[str, float]]:
    result = {key: dict(figures) for key, figures in BASELINE.items()}
    result[group][name] = value
    return result


@pytest.mark.parametrize(
    ("group", "name", "value", "failures"),
    [
        ("cycles", "window", 1030, []),
        ("cycles", "window", 1031, ["cycles window: was 1000, is 1031"]),
        ("cycles", "window", 500, []),
        ("bytes", "heap", 1, ["bytes heap: was 0, is 1"]),
        ("ratios", "trees", 4.86, []),
        ("ratios", "trees", 4.84, ["ratios trees: was 5, is 4.84"]),
        ("ratios", "trees", 9, []),
        ("cycles", "new", 1, ["cycles new: 1 is not in the baseline"]),
        ("info", "seconds", 99, []),
        ("source", "clock_hz", 99, []),
    ],
)
def test_only_a_worse_figure_fails(group, name, value, failures):
    assert gate.compare(BASELINE, changed(group, name, value)).failures == failures


@pytest.mark.parametrize(
    ("group", "name", "value", "improvements"),
    [
        ("cycles", "window", 970, []),
        ("cycles", "window", 969, ["cycles window: was 1000, is 969"]),
        ("ratios", "trees", 5.15, []),
        ("ratios", "trees", 5.2, ["ratios trees: was 5, is 5.2"]),
    ],
)
def test_a_better_figure_is_named(group, name, value, improvements):
    found = gate.compare(BASELINE, changed(group, name, value))
    assert found == gate.Comparison([], improvements)


def test_a_figure_that_is_gone_fails_unless_the_run_is_short():
    result = {"cycles": {"window": 1000}, "bytes": {"heap": 0}, "ratios": {"trees": 5}}
    assert gate.compare(BASELINE, result).failures == ["cycles predict: was 200, is gone"]
    assert gate.compare(gate.only(BASELINE, result), result).failures == []


def test_settle_writes_the_result_and_its_status_says_worse(tmp_path: Path, capsys):
    baseline, written = tmp_path / "baseline.json", tmp_path / "build" / "result.json"
    assert gate.settle(BASELINE, baseline, written) == 1  # nothing to compare with
    assert gate.settle(BASELINE, baseline, written, update=True) == 0
    assert gate.settle(BASELINE, baseline, written) == 0
    worse = changed("cycles", "predict", 207)
    capsys.readouterr()
    assert gate.settle(worse, baseline, written) == 1
    assert "gate: WORSE: cycles predict: was 200, is 207" in capsys.readouterr().out
    assert json.loads(written.read_text()) == worse
    assert json.loads(baseline.read_text()) == BASELINE
    assert gate.settle({"cycles": {"window": 1001}}, baseline, written, short=True) == 0
