"""The packets of updates, as guest of the uplink: the want, the report, the chunks.

The updater decides and is told; this file only carries. The updater and its source of objects are
frozen code, which may be older than this file.
"""

from app.uplink import Guest


class UpdateChannel(Guest):
    """Guest of an `app.uplink.Uplink`.

    Args:
        prefix: "ob/<tenant>/<device>".
        updater: see `app.updates`.
        source: of objects on the broker: `next_packet()`, `sending(is_subscribe, topic)`,
            `settled(was_refused)`, `take(topic, payload)`, `lost()`.

    Attributes:
        topics: that are subscribed to together with the commands.
        is_due: a report waits to be sent or confirmed.
        error: for people; empty: none.
    """

    def __init__(self, prefix: str, updater, source):
        self._want_topic = prefix.encode() + b"/want"
        self._ack_topic = prefix.encode() + b"/ack"
        self._report_topic = prefix.encode() + b"/u"
        self.topics = (self._want_topic, self._ack_topic)
        self._updater = updater
        self._source = source
        self._is_first = False  # the report of this connection is still to come
        self._is_reporting = False  # the packet in flight is a report
        self.error = ""

    @property
    def is_due(self) -> bool:
        """Whether a report waits to be sent or confirmed."""
        return self._is_first or self._is_reporting or self._updater.needs_report

    def opened(self) -> None:
        """The uplink has announced itself, and what it needs first is done."""
        self._is_first = True
        self._updater.link(True)

    def lost(self) -> None:
        """The connection is over."""
        self._is_first = self._is_reporting = False
        self._source.lost()
        self._updater.link(False)

    def refused(self, n_topics: int) -> None:
        """The broker does not let us read the topics of updates; decisions go on."""
        self.error = "the broker refuses %d of %d topics" % (n_topics, len(self.topics))

    def take(self, topic, payload) -> bool:
        """Takes a message; returns whether it is one of these."""
        if topic == self._want_topic:
            self._updater.on_want(payload)
        elif topic == self._ack_topic:
            self._updater.on_ack(payload)
        else:
            return self._source.take(topic, payload)
        return True

    def send(self, client) -> bool:
        """Sends the next packet, if any; returns whether it did."""
        if self._is_first or self._updater.needs_report:
            client.publish_start(self._report_topic, self._updater.report(), True)
            self._is_first = False
            self._is_reporting = True
            return True
        packet = self._source.next_packet()
        if packet is None:
            return False
        is_subscribe, topic = packet
        if is_subscribe:
            client.subscribe_start(topic, 0, 0)
        else:
            client.unsubscribe_start(topic)
        self._source.sending(is_subscribe, topic)
        return True

    def settled(self, client) -> None:
        """The broker has confirmed the packet."""
        if self._is_reporting:
            self._is_reporting = False
            self._updater.reported()
        else:
            self._source.settled(client.n_refused > 0)
