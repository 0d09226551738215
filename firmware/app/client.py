"""The MQTT client that a configuration describes."""

import socket
import time

from mqtt.client import Client
from mqtt.link import tls_context
from mqtt.session import Limits

_MAX_COMMAND_PACKET_BYTES = 512


def make_client(config, net=socket, clock=time):
    """Returns the MQTT client of a `Config`, not connected.

    Args:
        config: Config.
        net: the socket module.
        clock: the time module.

    Raises:
        OnebyteError: TLS_CA, the file at `broker_ca_path` is no certificate.
        OSError: that file cannot be read.
    """
    context = None
    if config.broker_tls:
        with open(config.broker_ca_path, "rb") as file:
            context = tls_context(file.read())
    deadline_ms = config.network_deadline_ms
    # Connecting waits for two answers, TCP's and MQTT's, and with TLS for two more.
    connect_ms = (4 if context else 2) * deadline_ms
    limits = Limits(connect_ms, deadline_ms, deadline_ms, _MAX_COMMAND_PACKET_BYTES)
    return Client(
        config.tenant + "/" + config.device,
        config.broker_host,
        config.broker_port,
        config.broker_user or None,
        config.broker_password or None,
        config.keepalive_s,
        context,
        limits=limits,
        net=net,
        clock=clock,
    )
