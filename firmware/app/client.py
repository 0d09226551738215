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
    """Returns the SSL context for the broker of a configuration with `broker_tls`.

    Raises:
        OnebyteError: see `make_client`.
    """
    identity = None
    if config.broker_cert_path:
        certificate = _read("broker_cert_path", config.broker_cert_path)
        identity = (certificate, _read("broker_key_path", config.broker_key_path))
    return _trusting("broker_ca_path", config.broker_ca_path, identity, config.broker_cert_path)


def make_web_context(config):
    """Returns the SSL context for releases from a web server; None: no CA is configured.

    The node's own certificate is for its broker alone: no other server needs to know who it is.

    Raises:
        OnebyteError: see `make_client`.
    """
    for key in ("update_ca_path", "broker_ca_path"):
        path = getattr(config, key)
        if path:
            return _trusting(key, path)
    return None


def _trusting(key: str, path: str, identity=None, cert_path: str = ""):
    ca_der = _read(key, path)
    try:
        return tls_context(ca_der, identity)
    except errors.OnebyteError as error:
        if error.code == errors.TLS_KEY:
            detail = "broker_cert_path %s: %s" % (cert_path, error.detail)
        else:
            detail = "%s %s: %s" % (key, path, error.detail)
        raise errors.OnebyteError(error.code, detail)


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        detail = "%s %s: %s" % (key, path, error)
    raise errors.OnebyteError(errors.CONFIG_MISSING, detail)
