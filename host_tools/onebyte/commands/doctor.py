"""`onebyte doctor`: one page on the health of a board or of a node in the field."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import TopicName, broker_options, port_option
from onebyte.errors import UserError

if TYPE_CHECKING:
    from onebyte.boards.doctor import Check
    from onebyte.receiver.link import BrokerSettings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "cyan"}


@click.command(short_help="what is wrong with it")
@port_option
@broker_options
@click.option("--tenant", type=TopicName(), help="Whose the node is; with --broker.")
@click.option("--device", type=TopicName(), help="The node; with --broker.")
@click.option(
    "--model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The model file that should be on it.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of the page.")
@click.option("--no-restart", is_flag=True, help="Leave the board at its prompt.")
@click.option(
    "--timeout",
    "timeout_s",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="With --broker: how long to wait for the node's messages, in seconds.",
)
def command(port: str, settings: "BrokerSettings | None", **options: Any) -> int:
    """Check a board from end to end: a verdict for each part, and what to do.

    At a port the node is stopped, examined with its own code, and started again. With --broker a
    node in the field is judged by what it says of itself. The exit code is 1 when a check fails.

    \b
    Example: onebyte doctor
             onebyte doctor --port /dev/ttyACM0 --model models/exercise/model.obm --json
             onebyte doctor --broker localhost --tenant home --device kitchen
    """
    if settings is not None:
        if port or not options["tenant"] or not options["device"]:
            raise UserError("--broker needs --tenant and --device, and no --port")
        where, checks = _from_broker(settings, options)
    else:
        where, checks = _at_port(port, options)
    _show(where, checks, options["as_json"])
    return 1 if any(check.verdict == "fail" for check in checks) else 0


def _at_port(port: str, options: dict[str, Any]) -> "tuple[str, list[Check]]":
    from onebyte.boards import doctor
    from onebyte.boards.link import open_board, running_afterwards

    def tell(name: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{name + ' ...':20}\r", err=True, nl=False)

    with open_board(port) as board, running_afterwards(board, not options["no_restart"]):
        facts = board.facts
        said = doctor.examine(board, tell)
    return board.device, doctor.judge(facts, said, options["model"])


def _from_broker(settings: "BrokerSettings", options: dict[str, Any]) -> "tuple[str, list[Check]]":
    import hashlib

    from onebyte.boards.doctor import Check
    from onebyte.receiver import doctor

    tenant, device = options["tenant"], options["device"]
    heard = doctor.listen(settings, tenant, device, options["timeout_s"])
    checks = [Check(*line) for line in doctor.judge(heard)]
    if options["model"] is not None and heard.meta is not None:
        digest = hashlib.sha256(options["model"].read_bytes()).hexdigest()
        is_same = digest.startswith(heard.meta["model"])
        words = f"the node has {'' if is_same else 'another than '}{options['model']}"
        remedy = "" if is_same else "`onebyte publish` a release with it"
        checks.append(Check("model file", "ok" if is_same else "fail", words, remedy))
    return f"{tenant}/{device}", checks


def _show(where: str, checks: "list[Check]", as_json: bool) -> None:
    if as_json:
        rows = [vars(check) for check in checks]
        click.echo(json.dumps({"where": where, "checks": rows}))
        return
    click.echo(where)
    for check in checks:
        verdict = click.style(f"{check.verdict:8}", fg=_COLOURS[check.verdict])
        click.echo(f"{verdict}{check.name:14}{check.detail}")
        if check.remedy:
            click.echo(f"{'':22}-> {check.remedy}")
