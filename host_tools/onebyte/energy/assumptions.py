"""What an estimate takes for granted, said beside it."""

from onebyte.energy.cycles import Decide
from onebyte.energy.figures import GIVEN, Figures
from onebyte.energy.life import Budget, Usage

__all__ = ["lines"]


def lines(board: Figures, usage: Usage, budget: Budget, decide: Decide, way: str) -> list[str]:
    """Return a line for each assumption; `way` is that of the day."""
    found = [decide.source]
    if board.chip != "RP2040":
        found[0] += f", taken for the {board.chip}, too"
    found.append(f"{100 * budget.usable:g} % of the capacity can be used (--usable)")
    if budget.self_discharge:
        found.append(f"{100 * budget.self_discharge:g} % of it are lost in a year")
    else:
        found.append("the battery loses nothing by itself (--self-discharge)")
    if not usage.sensor_ua:
        found.append("the sensor takes nothing (--sensor-ua)")
    if way == "deep cycle" and board.times_ms[usage.boot].kind != GIVEN:
        found.append(
            "from the start of main.py to the first sample nothing passes: measure a whole boot "
            "of your node, and give it as --boot-ms"
        )
    if usage.sleep != "never":
        found.append(
            "each confirmed message takes half of what TCP, MQTT connect and one message take; "
            "falling asleep and waking from light sleep take nothing"
        )
    found.append("the board takes nothing beside the currents above: no LED, no USB bridge")
    return found
