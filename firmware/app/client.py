"""The MQTT client that a configuration describes."""

import socket
import time

from formats import errors
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
        OnebyteError: the file at `broker_ca_path` cannot be read (CONFIG_MISSING) or is no
            certificate (TLS_CA).
    """
    context = None
    if config.broker_tls:
        context = _tls_context(config.broker_ca_path)
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


def _tls_context(path: str):
    try:
        with open(path, "rb") as file:
            return tls_context(file.read())
    except OSError as error:
        code, detail = errors.CONFIG_MISSING, str(error)
    except errors.OnebyteError as error:
        code, detail = error.code, error.detail
    raise errors.OnebyteError(code, "broker_ca_path %s: %s" % (path, detail))
