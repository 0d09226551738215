"""`onebyte battery`: how long a node lives on its battery, and what takes the charge."""

import json
import math
from pathlib import Path
from typing import Any

import click

from onebyte.errors import UserError


class _Number(click.FloatRange):
    """A range that also refuses what is no number, or has no end."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


_POSITIVE = _Number(0, min_open=True)


@click.command(short_help="how long it lasts")
@click.option("--board", required=True, help="A board with figures, such as esp32_s3.")
@click.option(
    "--recipe",
    "model",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with the recipe.toml of the model.",
)
@click.option("--mah", required=True, type=_POSITIVE, help="Nominal capacity.")
@click.option(
    "--publish",
    type=click.Choice(["all", "on-change", "heartbeat"]),
    default="on-change",
    show_default=True,
    help="The node's policy.",
)
@click.option(
    "--changes-per-day",
    default=20.0,
    show_default=True,
    type=_Number(0),
    help="Decisions that differ from the one before.",
)
@click.option(
    "--heartbeat",
    default=86400,
    show_default=True,
    type=click.IntRange(1, 604800),
    help="Seconds until an unchanged decision is published again.",
)
@click.option(
    "--status",
    default=86400,
    show_default=True,
    type=click.IntRange(1, 86400),
    help="Seconds between two status messages.",
)
@click.option(
    "--wake-interval",
    default=60,
    show_default=True,
    type=click.IntRange(0, 86400),
    help="Seconds from wake to wake; 0: it senses without a pause.",
)
@click.option(
    "--windows",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Windows judged after each wake.",
)
@click.option(
    "--sleep",
    type=click.Choice(["auto", "light", "deep", "never"]),
    default="auto",
    show_default=True,
    help="never: awake, with the link open, and without a wake interval.",
)
@click.option("--frozen", is_flag=True, help="The program is frozen into the image: short boots.")
@click.option(
    "--usable",
    default=80.0,
    show_default=True,
    type=_Number(1, 100),
    help="Percent of the capacity that the board can use.",
)
@click.option(
    "--self-discharge",
    default=0.0,
    show_default=True,
    type=_Number(0, 100),
    help="Percent of the capacity that is lost in a year.",
)
@click.option(
    "--sensor-ua",
    default=0.0,
    show_default=True,
    type=_Number(0),
    help="Microampere of the sensor while it samples.",
)
@click.option(
    "--current",
    "currents",
    multiple=True,
    metavar="NAME=UA",
    help="A current that you measured, in microampere; may be given again.",
)
@click.option("--boot-ms", type=_POSITIVE, help="How long a boot takes on your board.")
@click.option("--connect-ms", type=_POSITIVE, help="How long joining your network takes.")
@click.option("--mqtt-ms", type=_POSITIVE, help="How long TCP, MQTT connect and a message take.")
@click.option(
    "--plot",
    "plot_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a PNG: shares, and life over publications a day.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
def command(**options: Any) -> None:
    """Estimate how long a node lives on its battery.

    Every current is printed with its source. A board without figures is refused, and a figure that
    is not known has to be given.

    \b
    Example: onebyte battery --board esp32_s3 --recipe models/exercise --mah 2500 \\
             --publish on-change --changes-per-day 20
    """
    from onebyte.energy import report

    made = _report(options)
    if options["plot_path"]:
        report.plot(made, options["plot_path"])
    if options["as_json"]:
        click.echo(json.dumps(made.as_json(), ensure_ascii=False))
        return
    from rich.console import Console

    report.show(made, Console(highlight=False))


def _report(options: dict[str, Any]) -> Any:
    from onebyte.energy import assumptions, cycles, figures, life, report
    from onebyte.training import recipe

    boot = "boot_frozen" if options["frozen"] else "boot"
    times = {
        boot: options["boot_ms"],
        "radio_connect": options["connect_ms"],
        "mqtt": options["mqtt_ms"],
    }
    board = figures.load(options["board"]).given(
        _parse_currents(options["currents"]),
        {name: value for name, value in times.items() if value is not None},
    )
    model = recipe.load(options["model"])
    decide = cycles.window_to_byte(model.name)
    usage = life.Usage(
        model.rate_hz,
        model.window,
        model.hop,
        len(model.channels),
        sleep=options["sleep"],
        wake_interval_s=0 if options["sleep"] == "never" else options["wake_interval"],
        wake_windows=options["windows"],
        publishes_per_day=life.publishes(
            options["publish"], options["changes_per_day"], options["heartbeat"]
        ),
        status_interval_s=options["status"],
        decide_cycles=decide.cycles,
        boot=boot,
        sensor_ua=options["sensor_ua"],
    )
    budget = life.Budget(options["mah"], options["usable"] / 100, options["self_discharge"] / 100)
    day = life.day_of(board, usage)
    lines = assumptions.lines(board, usage, budget, decide, day.way)
    return report.Report(board, usage, budget, day, lines)


def _parse_currents(pairs: tuple[str, ...]) -> dict[str, float]:
    from onebyte.energy.figures import CURRENTS

    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = -1
        if not equals or not name or not 0 < value < float("inf"):
            raise UserError(f"--current {pair}: write NAME=MICROAMPERE, such as radio_on=45000")
        if name not in CURRENTS:
            known = ", ".join(CURRENTS)
            raise UserError(f"--current {pair}: no current is named {name}; there are {known}")
        found[name] = value
    return found
