"""The expected life in words, a table and a plot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from onebyte.energy import life
from onebyte.energy.figures import Figures
from onebyte.energy.life import Budget, Day, Usage
from onebyte.errors import UserError

__all__ = ["Report", "plot", "show"]

_BAR = 24
_CELL_V = 3.7
_CURVE = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True)
class Report:
    """All that is shown.

    Attributes:
        board: its figures, with those that the user gave.
        usage, budget, day: what was asked, and what came of it.
        assumptions: what is not known and was taken for granted, a line each.
    """

    board: Figures
    usage: Usage
    budget: Budget
    day: Day
    assumptions: Sequence[str]

    @property
    def days(self) -> float:
        """Expected life."""
        return life.life_days(self.day, self.budget)

    def as_json(self) -> dict[str, Any]:
        """Fields for scripts; the keys are part of the command line's interface."""
        return {
            "board": self.board.board,
            "days": round(self.days, 1),
            "mah_per_day": self.day.mah,
            "way": self.day.way,
            "sessions_per_day": self.day.sessions,
            "session_uah": self.day.session_uc / 3600,
            "phases": {
                phase.name: {
                    "seconds": phase.seconds,
                    "mah": phase.mah,
                    "share": self.day.share(phase),
                }
                for phase in self.day.phases
            },
            "currents": {
                name: {"ua": figure.value, "kind": figure.kind, "source": figure.source}
                for name, figure in sorted(self._used().items())
            },
            "assumptions": list(self.assumptions),
        }

    def _used(self) -> dict[str, Any]:
        names = {name for phase in self.day.phases for name in phase.figures}
        tables = {**self.board.charges_uc, **self.board.currents_ua}
        return {name: tables[name] for name in names}


def show(report: Report, console: Console) -> None:
    """Print table, sources, assumptions and the life."""
    day = report.day
    console.print(
        f"{report.board.board} ({report.board.chip}), {report.budget.mah:g} mAh, "
        f"{day.way}: {day.mah:.3f} mAh a day"
    )
    console.print(_phases(day))
    console.print(_sources(report.board, day))
    for line in report.assumptions:
        console.print(f"assumed: {line}", soft_wrap=True)
    if day.session_uc:
        console.print(
            f"one session with the broker: {day.session_uc / 3600:.1f} uAh, "
            f"{day.session_uc / 1e6 * _CELL_V * 1000:.0f} mJ at {_CELL_V} V; "
            f"one decision: {day.decide_ms:.2f} ms of the processor"
        )
    days = report.days
    console.print(
        f"battery {report.board.board}: life {days:.1f} days ({days / 365.25:.2f} years)",
        soft_wrap=True,
    )


def _phases(day: Day) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("phase")
    for name in ("time a day", "mAh a day", "share"):
        table.add_column(name, justify="right")
    table.add_column("")
    for phase in day.phases:
        share = day.share(phase)
        table.add_row(
            phase.name,
            _duration(phase.seconds),
            f"{phase.mah:.4f}",
            f"{100 * share:.1f} %",
            "█" * max(1, round(_BAR * share)),
        )
    return table


def _sources(board: Figures, day: Day) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("source", overflow="fold")
    shown = dict.fromkeys(name for phase in day.phases for name in phase.figures)
    for name in shown:
        if name in board.charges_uc:
            figure, text = board.charges_uc[name], f"{board.charges_uc[name].value:g} uC"
        else:
            figure, text = board.currents_ua[name], f"{board.currents_ua[name].value:g} uA"
        table.add_row(name, text, figure.kind, figure.source)
    for name, figure in board.times_ms.items():
        if any(phase.seconds and name in _steps(phase.figures) for phase in day.phases):
            table.add_row(f"{name} (time)", f"{figure.value:g} ms", figure.kind, figure.source)
    return table


def _steps(names: Sequence[str]) -> tuple[str, ...]:
    """The durations behind the phases that use these figures."""
    steps = {"radio_connect": ("radio_connect",), "radio_on": ("mqtt",)}
    return tuple(step for name in names for step in steps.get(name, ()))


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.2f} h"


def plot(report: Report, path: Path) -> None:
    """Write the shares, and the life over the number of publications, as a PNG.

    Raises:
        UserError: the file cannot be written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    phases = report.day.phases[::-1]
    left.barh([p.name for p in phases], [100 * report.day.share(p) for p in phases])
    left.set_xlabel("share of the charge, %")
    left.set_title(f"{report.board.board}: {report.days:.0f} days of {report.budget.mah:g} mAh")
    points = list(_curve(report))
    if points:
        right.loglog([n for n, _ in points], [days for _, days in points], marker="o")
    right.set_xlabel("decisions published a day")
    right.set_ylabel("life, days")
    right.set_title("the same node, publishing more or less")
    right.grid(visible=True, which="both", alpha=0.3)
    try:
        figure.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    finally:
        plt.close(figure)


def _curve(report: Report) -> Sequence[tuple[float, float]]:
    points = []
    for n in _CURVE:
        usage = replace(report.usage, publishes_per_day=n, status_interval_s=10 * life.DAY_S)
        try:
            day = life.day_of(report.board, usage)
        except UserError:
            continue  # so many do not fit a day
        points.append((n, life.life_days(day, report.budget)))
    return points
