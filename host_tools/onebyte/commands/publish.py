"""`onebyte publish`: a signed release to nodes, and what becomes of it there."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onebyte.arguments import TopicName, broker_options
from onebyte.errors import UserError

if TYPE_CHECKING:
    from onebyte.updates.publish import Offer
    from onebyte.updates.rollout import Answer, Rollout

_file = click.Path(path_type=Path)
_NOT_FOLLOWED = "trials wait for `onebyte publish --follow`, or are reverted"


@click.command(short_help="a release to nodes")
@click.argument("release", type=_file)
@click.option("--roots", required=True, type=_file, help="Folder with root.1, root.2, ...")
@broker_options
@click.option("--tenant", type=TopicName(), help="Whose nodes.")
@click.option("--device", "devices", multiple=True, type=TopicName(), help="A node; repeatable.")
@click.option("--all", "all_devices", is_flag=True, help="Every node seen on the broker.")
@click.option("--http-folder", type=_file, help="Write the objects here, for a web server.")
@click.option("--url", help="Where that folder is on the web: nodes fetch there.")
@click.option("--detach", is_flag=True, help="Do not wait; no trial is acknowledged then.")
@click.option("--follow", is_flag=True, help="Only follow: everything was published before.")
@click.option("--withdraw", is_flag=True, help="Take the release back from the broker.")
@click.option(
    "--timeout",
    "timeout_s",
    default=900.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for the nodes; 0 for ever.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(release: Path, roots: Path, settings: Any, **options: Any) -> int:
    """Publish a signed release and follow it to its end.

    The objects go to the broker or into --http-folder, then the want to each node. Trials are
    acknowledged, so that nodes confirm: as long as some have not, keep this running, or start it
    again with --follow. The exit code is 1 unless every node has confirmed.

    \b
    Example: onebyte publish releases/5 --roots keys --broker localhost --tenant home --all
             onebyte publish releases/5 --roots keys --broker localhost --tenant home \\
             --device watch --http-folder /srv/www/updates --url http://host/updates/
    """
    from onebyte.updates import publish, verifying
    from onebyte.updates.release import Release
    from onebyte.updates.roots import read_chain

    chain = read_chain(roots)
    verifying.verify(Release(release), chain, None)
    signed = Release(release).signed()
    offer = publish.Offer.of(signed, chain, options["url"] or "")
    _check_options(settings, options)
    _check_tenant(signed.manifest.tenant, options)
    if options["http_folder"] and not options["follow"]:
        publish.write_http(offer, options["http_folder"])
        _say(options, f"{options['http_folder']}: {len(offer.stored_by_id)} objects")
    if settings is None:
        return 0
    tenant = options["tenant"]
    nodes = [(tenant, device) for device in options["devices"]]
    if options["all_devices"]:
        nodes = publish.find_nodes(settings, tenant)
    if not nodes:
        raise UserError(f"no node of {tenant} has said anything about updates on this broker")
    if options["withdraw"]:
        n_wants, n_chunks = publish.withdraw(settings, offer, nodes)
        _say(options, f"withdrawn: wants={n_wants} chunks={n_chunks}")
        return 0
    return _publish(settings, offer, nodes, options)


def _check_options(settings: Any, options: dict[str, Any]) -> None:
    """Raise UserError when options are missing or contradict each other."""
    if settings is None:
        if not options["http_folder"]:
            raise UserError("where to? give --broker, or --http-folder alone")
        if options["devices"] or options["all_devices"] or options["withdraw"]:
            raise UserError("nodes learn of a release on the broker: give --broker, too")
        return
    if options["tenant"] is None:
        raise UserError("whose nodes? give --tenant")
    if bool(options["devices"]) == options["all_devices"]:
        raise UserError("which nodes? give --device, once or more, or --all")
    if bool(options["http_folder"]) != bool(options["url"]) and not options["withdraw"]:
        raise UserError("--http-folder and --url belong together: written here, fetched there")
    if options["follow"] + options["detach"] + options["withdraw"] > 1:
        raise UserError("--follow, --detach and --withdraw exclude each other")


def _check_tenant(tenant: str, options: dict[str, Any]) -> None:
    """Raise UserError when the release is for another tenant than the nodes; `tenant` is whose."""
    given = options["tenant"]
    if tenant and given not in (None, tenant) and not options["withdraw"]:
        raise UserError(f"this release is for tenant {tenant}: every node of {given} refuses it")


def _publish(
    settings: Any, offer: "Offer", nodes: list[tuple[str, str]], options: dict[str, Any]
) -> int:
    from onebyte.updates import publish
    from onebyte.updates.rollout import Rollout

    if options["detach"]:
        told = _offer(settings, offer, nodes)
        _say(options, f"{told}\ndetached: {_NOT_FOLLOWED}")
        return 0
    asked_before = publish.nodes_that_want(settings, offer, nodes)
    with publish.listen(settings, nodes) as link:
        told = "" if options["follow"] else _offer(settings, offer, nodes)
        rollout = Rollout(offer.seq, nodes, asked_before)
        try:
            if told:
                _say(options, told)
            for answer in publish.follow(link, rollout, options["timeout_s"] or None):
                _tell(answer, options["as_json"])
        except KeyboardInterrupt:
            _summary(rollout, options)
            _say(options, _NOT_FOLLOWED)
            raise
    return _summary(rollout, options)


def _offer(settings: Any, offer: "Offer", nodes: list[tuple[str, str]]) -> str:
    """Publish the objects and the wants; say what was done."""
    from onebyte.updates import publish

    n_chunks = publish.publish(settings, offer, nodes)
    where = f"at {offer.url}" if offer.url else f"in {n_chunks} chunks on the broker"
    return f"published: release {offer.seq} {where}, wanted of {len(nodes)} nodes"


def _tell(answer: "Answer", as_json: bool) -> None:
    course = answer.course
    assert course is not None
    if as_json:
        found = {"device": course.device, "outcome": course.outcome, "reason": course.reason}
        click.echo(json.dumps({**found, "report": course.report}))
    else:
        click.echo(f"{course.device}: {course.text()}")


def _summary(rollout: "Rollout", options: dict[str, Any]) -> int:
    from onebyte.updates.rollout import CONFIRMED

    counts = rollout.counts()
    n_nodes = len(rollout.courses)
    if options["as_json"]:
        click.echo(json.dumps({"seq": rollout.seq, "nodes": n_nodes, **counts}))
    else:
        for course in rollout.courses.values():
            if not course.is_over:
                click.echo(f"{course.device}: {course.text()}")
        text = " ".join(f"{name}={count}" for name, count in counts.items())
        click.echo(f"publish: seq={rollout.seq} nodes={n_nodes} {text}")
    return 0 if counts[CONFIRMED] == n_nodes else 1


def _say(options: dict[str, Any], line: str) -> None:
    """Print for people; --json has lines for scripts only."""
    if not options["as_json"]:
        click.echo(line)
