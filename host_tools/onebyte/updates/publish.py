"""Puts a release where nodes find it: chunks on a broker, files in a folder, and the want.

Nothing here needs a key. The objects come first and the want last, so a node that reads the want
finds everything. docs/SPEC.md: Objects, Update messages.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from formats import objects, topics, update_messages, url
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.updates import keys
from onebyte.updates.release import SignedRelease
from onebyte.updates.rollout import Answer, Rollout
from onebyte.updates.roots import Chain

__all__ = [
    "Offer",
    "find_nodes",
    "follow",
    "listen",
    "nodes_that_want",
    "publish",
    "withdraw",
    "write_http",
]

_TAKE_S = 120.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Offer:
    """What nodes are offered.

    Attributes:
        manifest_id: Object id of the signed manifest.
        stored_by_id: Object id -> bytes, of manifest, files and root documents.
        seq: The manifest_seq.
        root_epoch: Of the newest root document.
        url: Folder of the objects, http or https; "" for objects on the broker.
    """

    manifest_id: str
    stored_by_id: dict[str, bytes]
    seq: int
    root_epoch: int
    url: str = ""

    @classmethod
    def of(cls, release: SignedRelease, chain: Chain, address: str = "") -> "Offer":
        """Return the offer of a signed release.

        Args:
            release: Whole; whether a node takes it was looked at before.
            chain: The root documents; nodes have the first one.
            address: As `url` of the offer.

        Raises:
            UserError: The address is none that a node would ask.
        """
        if address:
            try:
                url.parse(address)
            except OnebyteError:
                raise UserError(
                    f"{address!r}: nodes take http://host[:port]/folder/ or https, with a / at "
                    "the end and no user, query or escapes"
                ) from None
        stored = {release.manifest_id: release.content, **release.objects}
        for epoch, content in enumerate(chain.files, 1):
            if epoch > 1:
                stored[objects.root_id(epoch)] = content
        seq = release.manifest.manifest_seq
        return cls(release.manifest_id, stored, seq, chain.epoch, address)

    def want(self) -> bytes:
        """Return the message for a node's /want."""
        return update_messages.pack_want(
            {
                "seq": self.seq,
                "manifest": self.manifest_id,
                "bytes": len(self.stored_by_id[self.manifest_id]),
                "root": self.root_epoch,
                "url": self.url,
            }
        )

    def chunks(self, tenant: str) -> Iterator[tuple[str, bytes]]:
        """Yield (topic, payload) of every chunk of every object."""
        for name, stored in self.stored_by_id.items():
            for number, at in enumerate(range(0, max(len(stored), 1), objects.CHUNK_BYTES)):
                chunk = stored[at : at + objects.CHUNK_BYTES]
                if chunk:  # an empty payload would remove; an empty file is not fetched at all
                    yield objects.pack_topic(tenant, name, number), chunk


def write_http(offer: Offer, folder: Path) -> None:
    """Write every object into a folder that a web server hands out.

    Raises:
        UserError: The folder cannot be written.
    """
    for name, stored in offer.stored_by_id.items():
        keys.write_file(folder / name, stored)


def find_nodes(settings: BrokerSettings, tenant: str) -> list[tuple[str, str]]:
    """Return the nodes of a tenant that have ever said something about updates on this broker.

    Raises:
        UserError: The broker is out of reach.
    """
    nodes = set()
    for topic in _retained(settings, [f"ob/{tenant}/+/{topics.REPORT}"]):
        try:
            nodes.add(topics.parse(topic)[:2])
        except OnebyteError:
            continue  # no node is called that; whoever publishes there must not stop a rollout
    return sorted(nodes)


def nodes_that_want(
    settings: BrokerSettings, offer: Offer, nodes: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return those nodes whose want is this very offer already.

    Raises:
        UserError: The broker is out of reach.
    """
    by_topic = {topics.pack(*node, topics.WANT): node for node in nodes}
    wants = _retained(settings, list(by_topic), expected=set(by_topic))
    return [by_topic[topic] for topic, want in wants.items() if want == offer.want()]


def publish(settings: BrokerSettings, offer: Offer, nodes: Iterable[tuple[str, str]]) -> int:
    """Publish the objects, then the want of each node; return how many chunks there are.

    Raises:
        UserError: The broker is out of reach, or does not keep what is published.
    """
    nodes = list(nodes)
    n_chunks = 0
    if not offer.url:
        for tenant in sorted({tenant for tenant, _ in nodes}):
            chunks = dict(offer.chunks(tenant))
            n_chunks += len(chunks)
            with Link(settings, []) as link:
                link.deliver(chunks.items(), _TAKE_S)
            _check_kept(settings, tenant, offer, chunks)
    with Link(settings, []) as link:
        wants = [(topics.pack(*node, topics.WANT), offer.want()) for node in nodes]
        link.deliver(wants, _TAKE_S)
    _check_wanted(settings, offer, nodes)
    return n_chunks


def listen(settings: BrokerSettings, nodes: Iterable[tuple[str, str]]) -> Link:
    """Return the connection for `follow`; to be opened before the wants are published.

    A node judges an offer once, and may do so at once: a refusal that the broker had kept before
    we were there would be one of long ago.
    """
    return Link(settings, [topics.pack(*node, topics.REPORT) for node in nodes])


def follow(link: Link, rollout: Rollout, timeout_s: float | None) -> Iterator[Answer]:
    """Yield what nodes say, acknowledging their trials, until the release has ended on all.

    Args:
        link: Of `listen`, open.
        rollout: The nodes to watch.
        timeout_s: How long at most; None for ever.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not rollout.is_over and (deadline is None or time.monotonic() < deadline):
        for message in link.messages(_POLL_S):
            answer = rollout.take(message.topic, message.payload, message.retained)
            if answer.ack is not None:
                link.publish(*answer.ack)
            if answer.is_news:
                yield answer


def withdraw(
    settings: BrokerSettings, offer: Offer, nodes: Iterable[tuple[str, str]]
) -> tuple[int, int]:
    """Remove the wants that mean this release, and its objects; return how many of each.

    A want of another release stays, and while there is one in the tenant the files stay, too: the
    two may share them.

    Raises:
        UserError: The broker is out of reach.
    """
    nodes = list(nodes)
    n_wants = n_chunks = 0
    for tenant in sorted({tenant for tenant, _ in nodes}):
        wants = _retained(settings, [f"ob/{tenant}/+/{topics.WANT}"])
        mine = {topics.pack(*node, topics.WANT) for node in nodes if node[0] == tenant}
        gone = [topic for topic in mine if _means(wants.get(topic, b""), offer)]
        is_shared = len(wants) > len(gone)
        chunks = [
            topic
            for topic, _ in offer.chunks(tenant)
            if not is_shared or objects.parse_topic(topic)[1] == offer.manifest_id
        ]
        if is_shared and any(_means(w, offer) for t, w in wants.items() if t not in gone):
            chunks = []  # other nodes are still to fetch it
        filters = [f"ob/{tenant}/~/{name}/+" for name in offer.stored_by_id]
        kept = _retained(settings, filters, set(chunks))
        with Link(settings, []) as link:
            link.deliver([(topic, b"") for topic in gone], _TAKE_S)
            link.deliver([(topic, b"") for topic in chunks], _TAKE_S)
        n_wants += len(gone)
        n_chunks += len(kept.keys() & set(chunks))
    return n_wants, n_chunks


def _means(want: bytes, offer: Offer) -> bool:
    try:
        return bool(update_messages.parse_want(want)["manifest"] == offer.manifest_id)
    except OnebyteError:
        return False


def _check_kept(
    settings: BrokerSettings, tenant: str, offer: Offer, chunks: dict[str, bytes]
) -> None:
    """Raise UserError unless the broker hands out every chunk as it was published."""
    filters = [f"ob/{tenant}/~/{name}/+" for name in offer.stored_by_id]
    kept = _retained(settings, filters, set(chunks))
    for topic, chunk in chunks.items():
        if kept.get(topic) != chunk:
            raise UserError(
                f"{settings.address}: the broker did not keep {topic}; does it allow this user "
                "to publish there, and retained messages of 1024 bytes?"
            )


def _check_wanted(settings: BrokerSettings, offer: Offer, nodes: list[tuple[str, str]]) -> None:
    """Raise UserError unless the broker hands out every want: MQTT 3.1.1 tells of no refusal."""
    for node in set(nodes).difference(nodes_that_want(settings, offer, nodes)):
        raise UserError(
            f"{settings.address}: the broker did not keep {topics.pack(*node, topics.WANT)}; does "
            "it allow this user to publish and to read there?"
        )


def _retained(
    settings: BrokerSettings, filters: list[str], expected: set[str] | None = None
) -> dict[str, bytes]:
    """Return what is retained there; ends early when all that is expected has come."""
    found: dict[str, bytes] = {}
    with Link(settings, filters) as link:
        for message in link.retained():
            if message.payload:
                found[message.topic] = message.payload
            if expected is not None and expected <= found.keys():
                break
    return found
