"""Where a monitor's decisions go besides its display: Home Assistant and Prometheus."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from onebyte.receiver import home_assistant as ha
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import SUBSCRIBED, Decision, Monitor, Note
from onebyte.receiver.prometheus import Endpoint, Metrics

__all__ = ["Outputs", "Wanted", "forget"]

_CONFIRMED_S = 10.0


@dataclass(frozen=True)
class Wanted:
    """Which devices are listened to, and what is made of them.

    Attributes:
        tenant, device: only these; None for all.
        discovery_prefix: Home Assistant's; None when nothing is published for it.
        listen: host and port of the Prometheus endpoint; None for none.
    """

    tenant: str | None = None
    device: str | None = None
    discovery_prefix: str | None = None
    listen: tuple[str, int] | None = None

    @property
    def filters(self) -> list[str]:
        """Return the topics to subscribe to."""
        return [f"ob/{self.tenant or '+'}/{self.device or '+'}/{kind}" for kind in SUBSCRIBED]


class Outputs:
    """Owns the connection to the broker and the endpoint while its `with` block runs.

    Args:
        settings: the broker; None: nothing is published.
        wanted: what to listen to, and what to make of it.
        monitor: the decisions' own.
        is_source: the decisions come from the broker; otherwise it is published to alone.

    Attributes:
        link: the connection, or None.

    Raises:
        UserError: on entry, when the broker or the endpoint's address cannot be had.
    """

    def __init__(
        self,
        settings: BrokerSettings | None,
        wanted: Wanted,
        monitor: Monitor,
        is_source: bool = True,
    ) -> None:
        presence = ha.presence_topic(wanted.tenant, wanted.device)
        prefix = wanted.discovery_prefix
        self.link: Link | None = None
        if settings is not None:
            filters = wanted.filters if is_source else []
            self.link = Link(settings, filters, None if prefix is None else presence)
        self._home = None if prefix is None else ha.HomeAssistant(presence, prefix)
        self._listen = wanted.listen
        self._monitor = monitor
        self._metrics = Metrics()
        self._endpoint: Endpoint | None = None
        self._open = ExitStack()

    def take(self, items: Iterable[Decision | Note]) -> None:
        """Publish and count what the monitor gave, and announce devices that are new to it."""
        devices = self._monitor.devices
        items = list(items)
        if self._endpoint is not None:
            self._metrics.take(items, devices, time.time())
        if self._home is not None and self.link is not None:
            # A state means nothing to Home Assistant before it knows the entity.
            due = [*self._home.announce(devices.values()), *self._home.states(items, devices)]
            for topic, payload in due:
                self.link.publish(topic, payload, retain=True)

    def answer(self) -> None:
        """Answer who asks for the counts. To be called a few times a second."""
        if self._endpoint is not None:
            self._endpoint.answer(self._metrics, self._monitor.devices)

    def __enter__(self) -> "Outputs":
        with ExitStack() as opened:
            if self._listen is not None:
                self._endpoint = opened.enter_context(Endpoint(*self._listen))
            if self.link is not None:
                opened.enter_context(self.link)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()


def forget(settings: BrokerSettings, wanted: Wanted) -> int:
    """Remove what was published for Home Assistant; return how many devices it knew of us.

    Raises:
        UserError: the broker cannot be had.
    """
    prefix = wanted.discovery_prefix or ha.DEFAULT_PREFIX
    presence = ha.presence_topic(wanted.tenant, wanted.device)
    states = ha.state_topic(wanted.tenant or "+", wanted.device or "+")
    with Link(settings, [ha.config_filter(prefix), states]) as link:
        found = {message.topic for message in link.retained()}
        announced = {topic: ha.is_of(topic, prefix) for topic in found}
        known = {
            topic: names
            for topic, names in announced.items()
            if names is not None
            and wanted.tenant in (None, names[0])
            and wanted.device in (None, names[1])
        }
        decoded = {
            topic for topic in found if announced[topic] is None and topic.startswith("ob/")
        }
        for topic in sorted({*known, *decoded, presence}):
            link.publish(topic, b"", retain=True, wait_s=_CONFIRMED_S)
    return len(known)
