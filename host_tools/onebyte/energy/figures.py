"""The boards' figures: currents, times and charges, each with its source."""

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onebyte.errors import UserError
from onebyte.toolchain import ROOT

__all__ = ["CURRENTS", "GIVEN", "Figure", "Figures", "boards", "load"]

GIVEN = "given"
CURRENTS = ("active", "light_sleep", "deep_sleep", "radio_connect", "radio_on", "radio_idle")
_BOARDS = ROOT / "boards"


@dataclass(frozen=True)
class Figure:
    """One number and where it is from.

    Attributes:
        value: in the unit of its table.
        kind: "measured" or "datasheet" by the source, "given" on the command line.
        source: title and place.
    """

    value: float
    kind: str
    source: str


@dataclass(frozen=True)
class Figures:
    """What is known of one board.

    Attributes:
        board: its name, that of its folder.
        chip: of the processor.
        cpu_hz: its clock.
        currents_ua: microampere by phase.
        times_ms: milliseconds by step.
        charges_uc: microcoulomb by step, where the charge was measured itself.
    """

    board: str
    chip: str
    cpu_hz: int
    currents_ua: Mapping[str, Figure]
    times_ms: Mapping[str, Figure]
    charges_uc: Mapping[str, Figure] = field(default_factory=dict)

    def current_ua(self, phase: str) -> float:
        """Return a current that is needed.

        Raises:
            UserError: it is not known.
        """
        if phase not in self.currents_ua:
            raise UserError(
                f"{self.board}: the current {phase} is not known; measure it and give it as "
                f"--current {phase}=MICROAMPERE"
            )
        return self.currents_ua[phase].value

    def time_ms(self, step: str, option: str) -> float:
        """Return a duration that is needed; `option` is how a user gives it.

        Raises:
            UserError: it is not known.
        """
        if step not in self.times_ms:
            raise UserError(
                f"{self.board}: how long {step} takes is not known; measure it and give it as "
                f"{option} MILLISECONDS"
            )
        return self.times_ms[step].value

    def given(self, currents_ua: Mapping[str, float], times_ms: Mapping[str, float]) -> "Figures":
        """Return these figures with those that the user gave instead."""
        note = "on the command line"
        return Figures(
            self.board,
            self.chip,
            self.cpu_hz,
            {**self.currents_ua, **{k: Figure(v, GIVEN, note) for k, v in currents_ua.items()}},
            {**self.times_ms, **{k: Figure(v, GIVEN, note) for k, v in times_ms.items()}},
            # A boot that takes another time takes another charge.
            {k: v for k, v in self.charges_uc.items() if k not in times_ms},
        )


def boards(folder: Path = _BOARDS) -> list[str]:
    """Return the names of the boards that have figures."""
    return sorted(path.parent.name for path in folder.glob("*/figures.py"))


def load(board: str, folder: Path = _BOARDS) -> Figures:
    """Return the figures of a board.

    Raises:
        UserError: there is no such board, or it has none.
    """
    known = boards(folder)
    if board not in known:
        is_board = (folder / board / "board.py").is_file() and board == Path(board).name
        what = "has no figures: nothing is known of its currents" if is_board else "is no board"
        raise UserError(f"{board} {what}; those with figures: {', '.join(known)}")
    names: dict[str, Any] = runpy.run_path(str(folder / board / "figures.py"))
    return Figures(
        names["NAME"],
        names["CHIP"],
        names["CPU_HZ"],
        _table(names["CURRENTS_UA"]),
        _table(names["TIMES_MS"]),
        _table(names["CHARGES_UC"]),
    )


def _table(entries: Mapping[str, tuple[float, str, str]]) -> dict[str, Figure]:
    return {name: Figure(*entry) for name, entry in entries.items()}
