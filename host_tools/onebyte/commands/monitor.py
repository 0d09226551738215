"""`onebyte monitor`: what devices decide, as it arrives."""

import sys
import time
from collections.abc import Iterator

import click

from formats import topics
from onebyte.arguments import ListenAddress, TopicName, broker_options
from onebyte.receiver.display import Display, JsonLines, LiveTable, PlainLines
from onebyte.receiver.home_assistant import DEFAULT_PREFIX
from onebyte.receiver.link import BrokerSettings
from onebyte.receiver.monitor import Decision, Monitor, Note
from onebyte.receiver.outputs import Outputs, Wanted, forget

_POLL_S = 0.2


@click.command(short_help="decisions, live")
@broker_options
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
    settings: BrokerSettings,
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
    so the decisions of a device may wait for up to 30 seconds behind a gap.

    \b
    Example: onebyte monitor --broker localhost
             onebyte monitor --broker broker.example:8883 --tls-ca ca.pem --user anna --json
             onebyte monitor --broker localhost --home-assistant --prometheus 9464
    """
    prefix = discovery_prefix if home_assistant or forget_home_assistant else None
    wanted = Wanted(tenant, device, prefix, prometheus)
    if forget_home_assistant:
        click.echo(f"devices removed from Home Assistant: {forget(settings, wanted)}")
        return 0
    monitor = Monitor()
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    n_left = count
    with Outputs(settings, wanted, monitor) as outputs, _display(monitor, as_json) as display:
        while n_left != 0 and (deadline is None or time.monotonic() < deadline):
            for item in _next_items(outputs, monitor):
                display.show(item)
                if n_left is not None and isinstance(item, Decision):
                    n_left -= 1
                    if n_left == 0:
                        break
            if not passive:
                for asked, payload in monitor.commands(time.time()):
                    topic = topics.pack(asked.tenant, asked.name, topics.COMMAND)
                    outputs.link.publish(topic, payload)
    return 1 if n_left else 0


def _next_items(outputs: Outputs, monitor: Monitor) -> Iterator[Decision | Note]:
    for message in outputs.link.messages(_POLL_S):
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
