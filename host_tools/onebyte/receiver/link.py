"""The host's connection to a broker: paho-mqtt with its failures turned into one line each."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from onebyte.errors import UserError

_ANSWER_S = 10.0
_KEEPALIVE_S = 30
_GOODBYE_S = 5.0
_QUIET_S = 0.3
_NOBODYS = "ob/-"  # no topic of ours is called that: leaving it only makes the broker answer
_ONLINE, _OFFLINE = b"online", b"offline"


@dataclass(frozen=True)
class BrokerSettings:
    """Where the broker is and how to get in.

    Attributes:
        host: name or address; with TLS the certificate must carry it.
        port: TCP port.
        user: name, None for anonymous.
        password: its password.
        tls: encrypt and verify, with the system's certificate authorities.
        tls_ca: PEM file of the only authority to trust; implies `tls`.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    tls_ca: Path | None = None

    @property
    def address(self) -> str:
        """host:port for messages."""
        return f"{self.host}:{self.port}"


class Message(NamedTuple):
    """One received message; `connection` counts the connects, from 1."""

    topic: str
    payload: bytes
    retained: bool
    dup: bool
    time_s: float
    connection: int


class Link:
    """A subscribed connection that reconnects by itself; messages are taken from `messages()`.

    Args:
        settings: the broker.
        topics: filters to subscribe to, QoS 1, again after every reconnect.
        presence: topic on which the broker says, retained, whether we are "online" or "offline".

    Raises:
        UserError: from `open()`, when the first connect fails for whatever reason.
    """

    def __init__(
        self, settings: BrokerSettings, topics: Sequence[str], presence: str | None = None
    ) -> None:
        self.settings = settings
        self.n_connects = 0
        self._topics = topics
        self._presence = presence
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answered = threading.Event()
        self._left = threading.Event()
        self._refusal: str | None = None
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 30)
        if presence is not None:
            self._client.will_set(presence, _OFFLINE, qos=1, retain=True)
        if settings.user is not None:
            self._client.username_pw_set(settings.user, settings.password)
        if settings.tls or settings.tls_ca is not None:
            self._client.tls_set_context(_tls_context(settings.tls_ca))

    def open(self) -> None:
        """Connect and subscribe; returns once the broker granted every subscription."""
        address = self.settings.address
        try:
            self._client.connect(self.settings.host, self.settings.port, _KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            raise UserError(f"{address}: certificate refused: {error.verify_message}") from None
        except socket.gaierror as error:
            raise UserError(f"unknown host {self.settings.host}: {error.strerror}") from None
        except (OSError, ValueError) as error:
            raise UserError(f"cannot connect to {address}: {_reason(error)}") from None
        self._client.loop_start()
        answered = self._answered.wait(_ANSWER_S)
        if self._refusal is not None or not answered:
            self.close()
            raise UserError(f"{address}: {self._refusal or 'connected, but no answer'}")

    def close(self) -> None:
        """Disconnect. May be called twice."""
        if self._presence is not None and self._client.is_connected():
            # A disconnect drops the last will.
            self.publish(self._presence, _OFFLINE, retain=True, wait_s=_GOODBYE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def publish(
        self, topic: str, payload: bytes, retain: bool = False, wait_s: float = 0.0
    ) -> None:
        """Publish with QoS 1; wait up to `wait_s` until the broker has it."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if wait_s:
            info.wait_for_publish(wait_s)

    def deliver(self, messages: Iterable[tuple[str, bytes]], timeout_s: float) -> None:
        """Publish retained messages with QoS 1 and wait until the broker has every one of them.

        Args:
            messages: (topic, payload); an empty payload removes what is retained there.
            timeout_s: how long the broker may take for all of them.

        Raises:
            UserError: it did not take them in time.
        """
        deadline = time.monotonic() + timeout_s
        waiting = [self._client.publish(topic, data, 1, True) for topic, data in messages]
        try:
            for info in waiting:
                info.wait_for_publish(max(0.0, deadline - time.monotonic()))
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{self.settings.address}: {error}") from None
        if not all(info.is_published() for info in waiting):
            raise UserError(f"{self.settings.address}: the broker does not take what is published")

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """Yield what arrived: waits up to `timeout_s` for the first, never for the next ones."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                yield self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            deadline = 0.0

    def settle(self) -> Iterator[Message]:
        """Yield what arrives until the broker has nothing more; for senders that have ended.

        Nothing for a moment may mean that the broker, or this machine, is slow. So it is asked
        something then, and what it had for us comes before its answer.

        Raises:
            UserError: it does not answer.
        """
        while found := list(self.messages(_QUIET_S)) or self._before_an_answer():
            yield from found

    def retained(self) -> Iterator[Message]:
        """Yield what is retained, all of it, as `settle` does; what is live meanwhile is left out.

        Raises:
            UserError: the broker does not answer.
        """
        is_over = False
        while not is_over:
            quiet_at = time.monotonic() + _QUIET_S
            while (left_s := quiet_at - time.monotonic()) > 0:
                for message in self.messages(left_s):
                    if message.retained:
                        quiet_at = time.monotonic() + _QUIET_S
                        yield message
            last = [message for message in self._before_an_answer() if message.retained]
            is_over = not last
            yield from last

    def _before_an_answer(self) -> list[Message]:
        self._left.clear()
        self._client.unsubscribe(_NOBODYS)
        if not self._left.wait(_ANSWER_S):
            raise UserError(f"{self.settings.address}: connected, but no answer")
        return list(self.messages(0.0))

    def __enter__(self) -> "Link":
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # The callbacks below run on paho's thread.

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, code: Any, _: Any) -> None:
        if code.is_failure:
            self._refusal = f"the broker refuses us: {code}"
            self._answered.set()
            return
        if self._topics:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._say_online(client)
        self.n_connects += 1

    def _on_subscribe(self, client: mqtt.Client, data: Any, mid: int, codes: Any, _: Any) -> None:
        refused = [
            topic for topic, code in zip(self._topics, codes, strict=False) if code.is_failure
        ]
        if refused:
            self._refusal = f"the broker refuses the subscription to {refused[0]}"
            self._answered.set()
        else:
            self._say_online(client)

    def _say_online(self, client: mqtt.Client) -> None:
        # Subscribed first: from now on nothing is missed, and who reads it may rely on that.
        if self._presence is not None:
            client.publish(self._presence, _ONLINE, qos=1, retain=True)
        self._answered.set()

    def _on_unsubscribe(self, client: mqtt.Client, data: Any, mid: int, _: Any, __: Any) -> None:
        self._left.set()

    def _on_disconnect(self, client: mqtt.Client, data: Any, _: Any, code: Any, __: Any) -> None:
        if not self._answered.is_set():
            self._refusal = "the server closes the connection, is it an MQTT broker with" + (
                " TLS?" if self.settings.tls else "out TLS?"
            )
            self._answered.set()

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        self._queue.put(
            Message(
                message.topic,
                bytes(message.payload),
                message.retain,
                message.dup,
                time.time(),
                self.n_connects,
            )
        )


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise UserError(f"{ca_file} holds no PEM certificate") from None
    except OSError as error:
        raise UserError(f"cannot read {ca_file}: {error.strerror}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or str(error)
