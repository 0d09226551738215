"""The way from the outbox to the broker: connects for ever, announces, delivers, never waits.

States: closed, until the back-off is over -> connecting -> open. Once open, one thing at a time is
in flight, in this order: subscription to commands, meta, status, then whatever is due: a status, a
batch or an anchor, a live byte. When nothing is, a guest may send. docs/SPEC.md, "Delivery", says
what goes out as what.
"""

import time

from app import epoch as boot
from app.backoff import Backoff
from formats import batch, errors, messages

_NOTHING = 0  # what is in flight
_SUBSCRIPTION = 1
_META = 2
_STATUS = 3
_RECORDS = 4  # a batch or an anchor
_BYTE = 5
_GUEST = 6

_DELIVERIES_PER_GUEST = 16  # where decisions never cease, the guest still gets a turn

_OPEN_REST_MS = 1000  # deadlines and keepalive are looked at so often; what arrives wakes anyway


class Identity:
    """What a node says about itself.

    Args:
        prefix: "ob/<tenant>/<device>".
        meta: meta message.
        status: function that returns the status message of now.
    """

    def __init__(self, prefix: str, meta: bytes, status):
        self.prefix = prefix
        self.meta = meta
        self.status = status


class Pace:
    """How often and how much.

    Args:
        base_ms: longest pause after the first failure; doubles with every further one.
        cap_ms: longest pause after any.
        refused_ms: pause after the broker refused us; trying again changes nothing soon.
        status_ms: time between two status messages.
        batch_records: most records in a batch.
    """

    def __init__(
        self,
        base_ms: int = 1000,
        cap_ms: int = 60000,
        refused_ms: int = 900000,
        status_ms: int = 300000,
        batch_records: int = batch.MAX_RECORDS,
    ):
        self.base_ms = base_ms
        self.cap_ms = cap_ms
        self.refused_ms = refused_ms
        self.status_ms = status_ms
        self.batch_records = batch_records


class Guest:
    """Who may send when nothing else is due; this one never does.

    Attributes:
        topics: that are subscribed to together with the commands; the broker need not grant them.
    """

    topics: tuple = ()

    def opened(self) -> None:
        """The uplink has announced itself."""

    def lost(self) -> None:
        """The connection is over."""

    def refused(self, n_topics: int) -> None:
        """The broker has not granted so many of the topics."""

    def take(self, _topic, _payload) -> bool:
        """Takes a message that is no command; returns whether it is the guest's."""
        return False

    def send(self, _client) -> bool:
        """Sends one packet that has to be confirmed; returns whether it did."""
        return False

    def settled(self, client) -> None:
        """The broker has confirmed that packet."""


class Uplink:
    """Delivers the outbox of one node.

    Args:
        client: `mqtt.client.Client`, not connected; callback and last will are set here.
        outbox: `Outbox`.
        identity: Identity.
        pace: Pace.
        randint: random.randint, or a test's.

    Attributes:
        connects: connections the broker accepted since boot.
        failures: attempts and connections that ended with an OSError.
        refusals: attempts the broker or its certificate ended.
        statuses: status messages the broker has confirmed.
        last_error: the last failure as text, for people.
        reason: code of the last refusal, 0 after a success.
        guest: Guest; set it before the first step.
    """

    def __init__(self, client, outbox, identity: Identity, pace: Pace, randint):
        self._client = client
        self._outbox = outbox
        self._identity = identity
        self._pace = pace
        self._randint = randint
        prefix = identity.prefix.encode()
        self._live_topic = prefix + b"/r"
        self._batch_topic = prefix + b"/b"
        self._meta_topic = prefix + b"/meta"
        self._status_topic = prefix + b"/s"
        self._command_topic = prefix + b"/cmd"
        self._byte = bytearray(1)
        self.guest = Guest()
        self._n_deliveries = 0
        self.connects = 0
        self.failures = 0
        self.refusals = 0
        self._bad_commands = 0
        self.last_error = ""
        self.reason = 0
        self.statuses = 0
        self._backoff = Backoff(pace.base_ms, pace.cap_ms, randint)
        self._begin()
        client.set_last_will(self._status_topic, messages.WILL, True, 1)
        client.set_callback(self._on_message)

    def _begin(self):
        self.online = False
        self._was_open = False
        self._in_flight = _NOTHING
        self._announced = _NOTHING  # last step of the announcement that the broker confirmed
        self._last = None  # (epoch, seq) of the last record in flight, None for an anchor
        self._next = None  # what the broker's next live byte would be, None before a batch
        self._resend = None
        self._status_at = 0
        self._has_new_meta = False  # each connection says it in any case
        self.guest.lost()

    @property
    def bad_commands(self) -> int:
        """Commands that were none, or too large to be one."""
        return self._bad_commands + self._client.n_passed_over

    def step(self, now_ms: int) -> None:
        """Goes on as far as it can without waiting. Raises nothing that a broker can cause.

        Args:
            now_ms: time.ticks_ms().
        """
        try:
            if not self._client.is_closed:
                self._client.poll()
            elif not self._backoff.left_ms(now_ms):
                self._client.connect_start()
            if self._client.is_open and not self._client.awaits:
                self._settle(now_ms)
                self._send(now_ms)
        except OSError as error:
            self._failed(now_ms, error)
        except errors.OnebyteError as error:
            self._refused(now_ms, error)

    def rest_ms(self, now_ms: int) -> int:
        """Returns how long `step` has nothing to do unless something arrives."""
        if not self._client.is_closed:
            return _OPEN_REST_MS
        return self._backoff.left_ms(now_ms)

    def wait(self, duration_ms: int) -> bool:
        """Sleeps at most so long, until something arrives.

        Returns:
            False, at once, while there is no connection from which something could.
        """
        if self._client.is_closed:
            return False
        try:
            self._client.wait(duration_ms)
        except OSError:
            pass  # the next step finds the same and reports it
        return True

    @property
    def is_done(self) -> bool:
        """Whether the broker has confirmed the announcement and all that was sent since.

        What the guest sends does not count.
        """
        is_idle = self._in_flight in (_NOTHING, _GUEST)
        return self._next is not None and is_idle and not self._resend

    def begin(self) -> None:
        """Tries at once, whatever failed before: the caller has its own pauses."""
        self._backoff.reset()

    def announce(self, meta: bytes) -> None:
        """Says another meta message before the next decision."""
        self._identity.meta = meta
        self._has_new_meta = True

    def close(self) -> None:
        """Leaves without a goodbye, so that the broker itself publishes the last will."""
        self._client.close()
        self._begin()

    def _failed(self, now_ms, error):
        self.failures += 1
        self._end(error)
        self._backoff.failed(now_ms)

    def _refused(self, now_ms, error):
        self.refusals += 1
        self.reason = error.code
        half = self._pace.refused_ms // 2
        self._end(error)
        self._backoff.pause(now_ms, half + self._randint(0, half))

    def _end(self, error):
        self.last_error = str(error)
        self._client.close()
        self._begin()

    def _settle(self, now_ms):
        """The broker has confirmed what was in flight, or has just let us in."""
        kind = self._in_flight
        self._in_flight = _NOTHING
        if not self._was_open:
            self._was_open = True
            self.connects += 1
        elif kind == _GUEST:
            self.guest.settled(self._client)
        elif kind in (_SUBSCRIPTION, _META):
            self._announced = max(self._announced, kind)
            if kind == _SUBSCRIPTION and self._client.n_refused:
                self.guest.refused(self._client.n_refused)
        elif kind == _STATUS:
            self._announced = _STATUS
            self._status_at = time.ticks_add(now_ms, self._pace.status_ms)
            self.statuses += 1
            self.reason = 0
            self._backoff.reset()
            if not self.online:
                self.guest.opened()
            self.online = True
        elif kind and self._last:
            self._outbox.acked(*self._last)

    def _send(self, now_ms):
        """Send the next thing that is due, if any."""
        if self._announced == _NOTHING:
            self._client.subscribe_start((self._command_topic,) + self.guest.topics, 1, 1)
            self._in_flight = _SUBSCRIPTION
        elif self._announced == _SUBSCRIPTION or self._has_new_meta:
            self._has_new_meta = False
            self._publish(_META, self._meta_topic, self._identity.meta, True)
        elif self._announced == _META or time.ticks_diff(now_ms, self._status_at) >= 0:
            self._publish(_STATUS, self._status_topic, self._identity.status(), True)
        elif self._n_deliveries < _DELIVERIES_PER_GUEST or not self._let_guest_send():
            if self._deliver():
                self._n_deliveries += 1
            else:
                self._let_guest_send()

    def _let_guest_send(self):
        """Let the guest send a packet; return whether it did."""
        self._n_deliveries = 0
        if not self.guest.send(self._client):
            return False
        self._in_flight = _GUEST
        return True

    def _deliver(self):
        """Publish records, a byte or an anchor; return whether any was due."""
        # Only here, with nothing in flight: a confirmation that is still on its way would take
        # out again what the rewind has just put back.
        if self._resend:
            self._outbox.rewind(*self._resend)
            self._resend = None
            self._next = None  # the answer begins with a batch or an anchor, as after a connect
        n_queued = self._outbox.queued()
        records = self._outbox.peek_batch(self._pace.batch_records) if n_queued else ()
        if not records:
            if self._next is None:
                self._send_anchor()
                return True
            return False
        epoch, result, _, seq, _, _ = records[0]
        if n_queued == 1 and self._next == (epoch, seq):
            self._byte[0] = result
            self._publish(_BYTE, self._live_topic, self._byte, False)
        else:
            seq = records[-1][3]
            self._publish(_RECORDS, self._batch_topic, batch.pack(records), False)
        self._last = (epoch, seq)
        self._next = (epoch, seq + 1)
        return True

    def _send_anchor(self):
        epoch, seq = self._outbox.epoch, self._outbox.next_seq
        self._publish(_RECORDS, self._batch_topic, batch.pack_anchor(epoch, seq), False)
        self._last = None
        self._next = (epoch, seq)

    def _publish(self, kind, topic, payload, retain):
        self._client.publish_start(topic, payload, retain)
        self._in_flight = kind

    def _on_message(self, topic, payload):
        if topic == self._command_topic:
            self._on_command(payload)
        elif not self.guest.take(topic, payload):
            self._bad_commands += 1

    def _on_command(self, payload):
        try:
            command = messages.parse_command(payload)
        except errors.OnebyteError:
            # Anybody may publish; that is no reason to leave the broker.
            self._bad_commands += 1
            return
        epoch, seq = command["epoch"], command["seq"]
        if self._resend is None or boot.is_after(self._resend[0], self._resend[1], epoch, seq):
            self._resend = (epoch, seq)  # the earliest of several covers the others
