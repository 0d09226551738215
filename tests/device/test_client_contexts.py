"""Which CA a node trusts for what: the error of a file that is missing names the key."""

from app import client
from app.config import Config
from formats import errors


def _config(**values):
    values.update({"tenant": "t", "device": "d", "broker_host": "h"})
    return Config(values)


def _refusal(make, **values):
    try:
        make(_config(**values))
    except errors.OnebyteError as error:
        return errors.name(error.code), error.detail.split(":")[0]
    return None


def test_a_web_server_needs_a_ca_of_its_own_or_that_of_the_broker():
    make = client.make_web_context
    assert make(_config()) is None
    web, broker = {"update_ca_path": "no-web"}, {"broker_ca_path": "no-ca"}
    assert _refusal(make, **web) == ("CONFIG_MISSING", "update_ca_path no-web")
    assert _refusal(make, **broker) == ("CONFIG_MISSING", "broker_ca_path no-ca")
    web.update(broker)
    assert _refusal(make, **web) == ("CONFIG_MISSING", "update_ca_path no-web")


def test_a_web_server_is_not_shown_the_certificate_for_the_broker():
    tls = {"broker_tls": True, "broker_ca_path": "no-ca"}
    tls.update({"broker_cert_path": "no-cert", "broker_key_path": "no-key"})
    assert _refusal(client.make_context, **tls) == ("CONFIG_MISSING", "broker_cert_path no-cert")
    # Of the same configuration it looks for the file of the CA alone.
    assert _refusal(client.make_web_context, **tls) == ("CONFIG_MISSING", "broker_ca_path no-ca")
