"""The MQTT client that a configuration describes."""

import socket
import time

from formats import errors
from mqtt.client import Client
from mqtt.link import tls_context
from mqtt.session import Limits

COMMAND_PACKET_BYTES = 512
CHUNK_PACKET_BYTES = 1280  # a chunk of 1024 bytes with the longest topic


def make_client(config, net=socket, clock=time, max_packet_bytes=COMMAND_PACKET_BYTES):
    """Returns the MQTT client of a `Config`, not connected.

    Args:
        config: Config.
        net: the socket module.
        clock: the time module.
        max_packet_bytes: largest incoming packet.

    Raises:
        OnebyteError: a file of the configuration cannot be read (CONFIG_MISSING), is no
            certificate (TLS_CA) or no certificate with its key (TLS_KEY).
    """
    context = None
    if config.broker_tls:
        context = make_context(config)
    deadline_ms = config.network_deadline_ms
    # Connecting waits for two answers, TCP's and MQTT's, and with TLS for two more.
    connect_ms = (4 if context else 2) * deadline_ms
    limits = Limits(connect_ms, deadline_ms, deadline_ms, max_packet_bytes)
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


def make_context(config):
    """Returns the SSL context that a configuration with a CA describes.

    Raises:
        OnebyteError: see `make_client`.
    """
    ca_path, cert_path = config.broker_ca_path, config.broker_cert_path
    ca_der = _read("broker_ca_path", ca_path)
    identity = None
    if cert_path:
        certificate = _read("broker_cert_path", cert_path)
        identity = (certificate, _read("broker_key_path", config.broker_key_path))
    try:
        return tls_context(ca_der, identity)
    except errors.OnebyteError as error:
        if error.code == errors.TLS_KEY:
            detail = "broker_cert_path %s: %s" % (cert_path, error.detail)
        else:
            detail = "broker_ca_path %s: %s" % (ca_path, error.detail)
        raise errors.OnebyteError(error.code, detail)


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        detail = "%s %s: %s" % (key, path, error)
    raise errors.OnebyteError(errors.CONFIG_MISSING, detail)
