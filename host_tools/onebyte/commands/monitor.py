"""`onebyte monitor`: what devices decide, as it arrives."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from formats import topics
from onebyte.arguments import ListenAddress, TopicName, broker_options, complete_path
from onebyte.errors import UserError
from onebyte.receiver.display import Display, JsonLines, LiveTable, PlainLines
from onebyte.receiver.home_assistant import DEFAULT_PREFIX
from onebyte.receiver.link import BrokerSettings
from onebyte.receiver.monitor import Decision, Monitor, Note
from onebyte.receiver.outputs import Outputs, Wanted, forget

if TYPE_CHECKING:
    from onebyte.receiver.link import Link
    from onebyte.receiver.serial_source import SerialSource

_POLL_S = 0.2


@click.command(short_help="decisions, live")
@broker_options
@click.option(
    "--serial",
    shell_complete=complete_path,
    help="Read a node's serial port instead; it is not interrupted.",
)
@click.option("--tenant", type=TopicName(), help="Only this tenant's devices.")
@click.option("--device", type=TopicName(), help="Only this device.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each decision.")
@click.option("--passive", is_flag=True, help="Never ask a device to send again what is missing.")
@click.option(
    "--home-assistant",
    is_flag=True,
    help="Announce the devices to Home Assistant and publish their decisions for it.",
)
@click.option(
    "--forget-home-assistant", is_flag=True, help="Remove what --home-assistant left, and end."
)
@click.option(
    "--discovery-prefix",
    type=TopicName(),
    default=DEFAULT_PREFIX,
    show_default=True,
    help="Home Assistant's discovery prefix.",
)
@click.option(
    "--prometheus",
    type=ListenAddress(),
    help="Serve the counts as /metrics here; without a host to this machine alone.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many decisions.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    help="End after so many seconds; exit code 1 when --count was not reached.",
)
def command(  # noqa: PLR0913, PLR0917 - click hands every option over as a parameter
    settings: BrokerSettings | None,
    serial: str | None,
    tenant: str | None,
    device: str | None,
    as_json: bool,
    passive: bool,
    home_assistant: bool,
    forget_home_assistant: bool,
    discovery_prefix: str,
    prometheus: tuple[str, int] | None,
    count: int | None,
    timeout_s: float | None,
) -> int:
    """Show what devices decide, live and decoded.

    Each decision is shown exactly once and in order. What got lost on the way is asked for again,
    so the decisions of a device may wait for up to 30 seconds behind a gap. With --serial no
    network is needed; --tenant and --device are then the node's names here.

    \b
    Example: onebyte monitor --broker localhost
             onebyte monitor --broker broker.example:8883 --tls-ca ca.pem --user anna --json
             onebyte monitor --broker localhost --home-assistant --prometheus 9464
             onebyte monitor --serial /dev/ttyACM0
    """
    prefix = discovery_prefix if home_assistant or forget_home_assistant else None
    _check(settings, serial, prefix)
    wanted = Wanted(tenant, device, prefix, prometheus)
    if forget_home_assistant and settings is not None:
        click.echo(f"devices removed from Home Assistant: {forget(settings, wanted)}")
        return 0
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if serial is not None:
        return _follow_serial(serial, settings, wanted, (as_json, count, deadline))
    return _follow_broker(settings, wanted, passive, (as_json, count, deadline))


def _check(settings: BrokerSettings | None, serial: str | None, prefix: str | None) -> None:
    if settings is None and serial is None:
        raise click.UsageError(
            "Missing option '--broker' or '--serial'", click.get_current_context()
        )
    if settings is None and prefix is not None:
        raise UserError("Home Assistant needs --broker")


Run = tuple[bool, int | None, float | None]  # as JSON, decisions to show, end of the clock


def _follow_broker(
    settings: BrokerSettings | None, wanted: Wanted, passive: bool, run: Run
) -> int:
    monitor = Monitor()
    with Outputs(settings, wanted, monitor) as outputs, _display(monitor, run[0]) as display:
        assert outputs.link is not None

        def ask() -> None:
            for asked, payload in () if passive else monitor.commands(time.time()):
                topic = topics.pack(asked.tenant, asked.name, topics.COMMAND)
                outputs.link.publish(topic, payload)  # type: ignore[union-attr]

        return _show(lambda: _next_items(outputs.link, outputs, monitor), display, run, ask)


def _follow_serial(port: str, settings: BrokerSettings | None, wanted: Wanted, run: Run) -> int:
    from onebyte.boards.diagnosis import choose_port
    from onebyte.boards.transport import Wire
    from onebyte.receiver.serial_source import SerialSource

    monitor = Monitor(gap_wait_s=0.0)  # nothing can be asked for again
    tenant, device = wanted.tenant or "serial", wanted.device or "port"
    wire = Wire(choose_port(port))
    try:
        source = SerialSource(wire.read_some, tenant, device)
        outputs = Outputs(settings, wanted, monitor, is_source=False)
        with outputs, _display(monitor, run[0]) as display:

            def tell() -> None:
                for text in source.notes():
                    display.show(Note(tenant, device, text))

            return _show(lambda: _next_items(source, outputs, monitor), display, run, tell)
    finally:
        wire.close()


def _show(
    next_items: Callable[[], Iterator[Decision | Note]],
    display: Display,
    run: Run,
    between: Callable[[], None],
) -> int:
    """Show until enough was shown or the time is over; return the exit code."""
    _, n_left, deadline = run
    while n_left != 0 and (deadline is None or time.monotonic() < deadline):
        for item in next_items():
            display.show(item)
            if n_left is not None and isinstance(item, Decision):
                n_left -= 1
                if n_left == 0:
                    break
        between()
    return 1 if n_left else 0


def _next_items(
    source: "Link | SerialSource | None", outputs: Outputs, monitor: Monitor
) -> Iterator[Decision | Note]:
    assert source is not None
    for message in source.messages(_POLL_S):
        items = monitor.take(message)
        outputs.take(items)
        yield from items
        outputs.answer()  # a backlog may keep us here for a while
    items = monitor.tick(time.time())
    outputs.take(items)
    yield from items
    outputs.answer()


def _display(monitor: Monitor, as_json: bool) -> Display:
    if as_json:
        return JsonLines()
    return LiveTable(monitor) if sys.stdout.isatty() else PlainLines()
