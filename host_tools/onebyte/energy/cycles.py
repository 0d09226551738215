"""How long a decision takes: what the emulated RP2040 counted, where somebody counted."""

import json
from dataclasses import dataclass
from pathlib import Path

from onebyte.toolchain import ROOT

__all__ = ["MEASURED_MODEL", "Decide", "window_to_byte"]

MEASURED_MODEL = "exercise"
_BASELINE = ROOT / "tests" / "bench" / "rp2040" / "baseline.json"
_CYCLES = 400_000  # the project's limit for its reference application


@dataclass(frozen=True)
class Decide:
    """Cycles from a complete window to its byte.

    Attributes:
        cycles: of a Cortex-M0+.
        source: where they are from, for people.
    """

    cycles: float
    source: str


def window_to_byte(model: str, baseline: Path = _BASELINE) -> Decide:
    """Return the cycles for a model: measured ones for the reference model, else its limit."""
    try:
        cycles = json.loads(baseline.read_text(encoding="utf-8"))["cycles"]["window_to_byte"]
    except (OSError, ValueError, KeyError):
        return Decide(_CYCLES, f"{_CYCLES} cycles for a decision, the reference model's limit")
    source = f"{cycles} cycles for a decision, counted in an emulated RP2040"
    if model != MEASURED_MODEL:
        source += f" for the model {MEASURED_MODEL}"
    return Decide(cycles, source)
