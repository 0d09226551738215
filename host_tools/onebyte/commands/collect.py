"""`onebyte collect`: labelled recordings from a device into a folder for `onebyte train`."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import complete_path
from onebyte.errors import UserError

if TYPE_CHECKING:
    from onebyte.collect.capture import Capture
    from onebyte.collect.dataset import Dataset, Session
    from onebyte.collect.labels import Labeller
    from onebyte.collect.links import Link
    from onebyte.collect.show import Show
    from onebyte.collect.store import TextFormat

    People = tuple[Show, Labeller]

_NAME = r"[a-z0-9_-]{1,32}"
_LICENSE_CHARS = 100  # a board keeps it in a block of 1 KiB, with more


@click.command(short_help="record labelled data")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--port",
    default="",
    shell_complete=complete_path,
    help="Port of the board; without it the only one there is.",
)
@click.option("--label", default="", help="One label for all of it.")
@click.option("--labels", "keys", help="Labels by key press: walking=w,resting=r.")
@click.option("--schedule", help="Labels by the clock: resting:10,walking:10.")
@click.option("--rounds", default=1, type=click.IntRange(1, 1000), help="Repeat the schedule.")
@click.option(
    "--settle",
    "settle_s",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 60),
    help="Seconds after a change of the label that get none.",
)
@click.option(
    "--duration",
    "duration_s",
    default=0.0,
    type=click.FloatRange(0, 604800),
    help="End after so many seconds.",
)
@click.option("--subject", default="someone", show_default=True, help="Who or what is measured.")
@click.option("--license", "license_text", default="not stated", help="License, for the card.")
@click.option(
    "--format",
    "format_name",
    default="npz",
    type=click.Choice(["npz", "parquet"]),
    help="Of the recordings.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of config.json for this recording: sensor=lsm6dsox.",
)
@click.option("--board", "board_name", help="Pins of this board, for one without our files.")
@click.option("--send", is_flag=True, help="Take our recorder, not the board's.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="No board: play this .obr on this machine.",
)
@click.option("--speed", default=1, type=click.IntRange(1, 1000), help="Of --replay.")
@click.option(
    "--csv",
    "is_text",
    is_flag=True,
    help="Any board: lines of numbers from --port, or standard input.",
)
@click.option("--channels", help="Of --csv: ax:g,ay:g; default: the line of names.")
@click.option("--rate", "rate_hz", type=click.FloatRange(0.001, 100000), help="Of --csv, in Hz.")
@click.option("--counter", default="", help="Of --csv: the column that counts the lines.")
@click.option("--to-flash", is_flag=True, help="Let the board record to its flash, without us.")
@click.option(
    "--quota",
    "quota_kib",
    default=64,
    show_default=True,
    type=click.IntRange(0, 65536),
    help="Of --to-flash: KiB that stay free.",
)
@click.option("--fetch", is_flag=True, help="Bring what it recorded to its flash.")
@click.option("--recover", is_flag=True, help="Only store what an interrupted session left.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Draw the signal.")
@click.option("--no-plot", is_flag=True, help="No live picture of the signal.")
def command(folder: Path, **options: Any) -> None:
    """Record labelled data into FOLDER for `onebyte train`.

    The board reads its configured sensor and streams every sample with a number and a time; what
    is missing is reported where it is. Label by key press, by a schedule, or one label for all. A
    node on the board is stopped; RESET starts it again.

    \b
    Example: onebyte collect motion --schedule resting:10,walking:10 --rounds 3 --subject anna
             onebyte collect motion --labels walking=w,resting=r --duration 60
             cat numbers.csv | onebyte collect motion --csv --rate 50 --channels ax:g,ay:g
    """
    from onebyte.collect import store
    from onebyte.collect.dataset import Dataset

    _check(options)
    people = _labeller(options)
    dataset = Dataset(folder)
    for capture in store.recover(dataset):
        click.echo(f"recovered session {capture.session}")
        _report(capture, dataset)
    if options["recover"]:
        return
    session = _session(options)
    if options["to_flash"]:
        _record_to_flash(options, session)
    elif options["fetch"]:
        _fetch(dataset, session, options)
    elif options["is_text"]:
        _collect_text(dataset, session, options, people)
    else:
        _collect(dataset, session, options, people)


def _check(options: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    ways = [
        name for name in ("replay", "is_text", "to_flash", "fetch", "recover") if options[name]
    ]
    labels = [name for name in ("label", "keys", "schedule") if options[name]]
    if len(ways) > 1:
        raise UserError("say one of --replay, --csv, --to-flash, --fetch, --recover")
    if len(labels) > 1:
        raise UserError("say one of --label, --labels, --schedule")
    if options["is_text"] and options["rate_hz"] is None:
        raise UserError("--csv needs --rate: a model needs to know it")
    _settings(options)
    if (options["keys"] or options["schedule"]) and (options["to_flash"] or options["fetch"]):
        raise UserError("a recording to flash has one label; say --to-flash --label")
    if options["label"] and options["fetch"]:
        raise UserError("--label belongs to --to-flash: the board has noted what was said there")


def _session(options: dict[str, Any]) -> "Session":
    import re

    from onebyte.collect.dataset import Session

    subject = options["subject"]
    if not re.fullmatch(_NAME, subject):
        raise UserError(f"--subject {subject!r} must be 1 to 32 of a-z 0-9 _ -")
    license_text = options["license_text"]
    if not license_text.isprintable() or len(license_text) > _LICENSE_CHARS:
        raise UserError(f"--license must be one line of at most {_LICENSE_CHARS} characters")
    is_settled = bool(options["keys"] or options["schedule"])
    return Session(
        subject,
        license_text,
        options["settle_s"] if is_settled else 0.0,
        options["format_name"],
    )


def _labeller(options: dict[str, Any]) -> "People":
    from onebyte.collect import labels
    from onebyte.collect.show import Show

    is_interactive = bool(sys.stdin.isatty())
    show = Show(not options["no_plot"], is_interactive)
    if options["keys"]:
        keys = labels.parse_keys(options["keys"])
        if not is_interactive and not options["recover"]:
            raise UserError("--labels needs a terminal for the keys; --schedule does without")
        return show, labels.Keys(keys)
    if options["schedule"]:
        steps = labels.parse_schedule(options["schedule"], options["rounds"])
        return show, labels.Schedule(steps, show.tell)
    label = labels.check_label(options["label"]) if options["label"] else ""
    return show, labels.Fixed(label)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of --set; the board checks them."""
    import json

    found: dict[str, Any] = {}
    for text in options["overrides"]:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text!r} must be KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


@contextmanager
def _link(options: dict[str, Any], folder: Path) -> "Iterator[Link]":
    """Open what the samples come from."""
    if options["replay"]:
        from onebyte.collect.replay import open_replay

        with open_replay(options["replay"], options["speed"]) as link:
            yield link
        return
    from onebyte.boards.link import open_board
    from onebyte.collect import board_link

    pins = board_link.pins_of(options["board_name"]) if options["board_name"] else None
    with open_board(options["port"]) as board:
        if pins is None:
            board_link.check_has_pins(board)
        if board_link.prepare(board, options["send"]):
            click.echo("sent the recorder to the board's RAM", err=True)
        yield board_link.BoardLink(board, board_link.stream_code(_settings(options), 0, pins))


def _collect(
    dataset: "Dataset",
    session: "Session",
    options: dict[str, Any],
    people: "People",
) -> None:
    from onebyte.collect import session as sessions
    from onebyte.collect import spool as spools
    from onebyte.collect import store

    failure: BaseException | None = None
    capture: Capture | None = None
    with _link(options, dataset.folder) as link:
        name = spools.new_session(dataset.folder)
        with spools.Spool(dataset.folder, name) as spool:
            store.keep_about(spool, session)
            settings = sessions.Options(options["duration_s"])
            try:
                with people[0]:
                    capture = sessions.collect_blocks(link, spool, dataset, people, settings)
            except sessions.Interrupted as interrupt:
                capture, failure = interrupt.capture, KeyboardInterrupt()
            except UserError as error:
                capture, failure = store.capture_of(dataset, spool.path), error
    _finish(dataset, session, spool.path, (capture, failure), options)


def _collect_text(
    dataset: "Dataset",
    session: "Session",
    options: dict[str, Any],
    people: "People",
) -> None:
    from onebyte.collect import links, store
    from onebyte.collect import session as sessions
    from onebyte.collect import spool as spools

    text = _text_format(dataset, options)
    recorder = text.recorder()
    failure: BaseException | None = None
    if options["port"]:
        from onebyte.boards.diagnosis import choose_port
        from onebyte.boards.ports import open_port

        link: Link = links.SerialLink(open_port, choose_port(options["port"]))
    else:
        link = links.FileLink(sys.stdin.buffer)
    name = spools.new_session(dataset.folder)
    with spools.Spool(dataset.folder, name) as spool:
        store.keep_about(spool, session, text)
        settings = sessions.Options(options["duration_s"])
        try:
            with people[0]:
                sessions.collect_text(link, recorder, spool, people, settings)
        except sessions.Interrupted:
            failure = KeyboardInterrupt()
        except UserError as error:
            failure = error
        finally:
            link.close()
    capture = store.capture_of(dataset, spool.path)
    if capture is None and failure is None:
        failure = UserError("no line of numbers came")
    _finish(dataset, session, spool.path, (capture, failure), options)


def _text_format(dataset: "Dataset", options: dict[str, Any]) -> "TextFormat":
    from onebyte.collect import store, text_lines

    channels = text_lines.parse_channels(options["channels"]) if options["channels"] else ()
    if channels:
        lsb = dataset.lsb()  # what the user leaves open is the data set's
        known = tuple(replace(one, lsb=one.lsb or lsb.get(one.name, 0.0)) for one in channels)
        dataset.check_fits(known, options["rate_hz"])
    return store.TextFormat(options["rate_hz"], channels, options["counter"])


def _finish(
    dataset: "Dataset",
    session: "Session",
    spool: Path,
    outcome: "tuple[Capture | None, BaseException | None]",
    options: dict[str, Any],
) -> None:
    """Store what came, whatever ended it; then say what ended it."""
    from onebyte.collect import store

    capture, failure = outcome
    if capture is not None and capture.n_samples:
        store.store(dataset, capture, session, spool)
        _report(capture, dataset)
        if options["png"]:
            from onebyte.collect.plot import write_png

            write_png(capture, options["png"])
    else:
        store.forget(spool)
        failure = failure or UserError("nothing was recorded")
    if failure is not None:
        raise failure


def _report(capture: "Capture", dataset: "Dataset") -> None:
    for item in (*capture.gaps, *capture.duplicates):
        click.echo(str(item))
    warning = capture.rate_warning()
    if warning:
        click.echo(warning)
    if dataset.has_recipe:
        click.echo(f"next: onebyte train {dataset.folder}")
    click.echo(capture.summary())


def _record_to_flash(options: dict[str, Any], session: "Session") -> None:
    from onebyte.boards.link import open_board
    from onebyte.collect import fetch

    plan = {
        "v": 1,
        "label": options["label"],
        "subject": session.subject,
        "license": session.license,
        "quota_kib": options["quota_kib"],
        "duration_s": math.ceil(options["duration_s"]),
        **_settings(options),
    }
    with open_board(options["port"]) as board:
        fetch.start_recording(board, plan)
        board.restart()
    click.echo(
        "the board starts anew and records, also after each power cut, until "
        "`onebyte collect FOLDER --fetch`"
    )


def _fetch(dataset: "Dataset", session: "Session", options: dict[str, Any]) -> None:
    from onebyte.boards import progress
    from onebyte.boards.link import open_board
    from onebyte.collect import fetch

    with open_board(options["port"]) as board, progress.bars() as bar_of:
        runs = fetch.fetch(board, dataset, bar_of(board.device))
        if not runs:
            raise UserError(f"{board.device}: no recording is on the board's flash")
        for run in runs:
            if run.content:
                _report(fetch.add(dataset, run, session)[0], dataset)
            else:
                click.echo(f"run {run.number}: the power failed before its first samples")
            fetch.remove(board, run)
