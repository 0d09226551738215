"""The network that a board and its configuration describe."""

from app.link_ppp import LinkPpp
from app.link_wifi import LinkWifi, Network
from formats import errors


def make_link(config, board, randint):
    """Returns what brings the network of a board up; None: it is always there, or there is none.

    Args:
        config: Config.
        board: see `boards/unix/board.py`.
        randint: random.randint.

    Raises:
        OnebyteError: the configuration lacks what this board needs.
    """
    cap_ms = config.reconnect_max_s * 1000
    if board.ppp is not None:
        return LinkPpp(board.ppp, config.ppp_deadline_ms, cap_ms, randint)
    if board.radio is None:
        return None
    if not config.wifi_ssid:
        raise errors.OnebyteError(errors.CONFIG_MISSING, "wifi_ssid is required on this board")
    network = Network(config.wifi_ssid, config.wifi_password, _fixed_address(config))
    network.fast_ms = config.wifi_fast_ms
    network.full_ms = config.wifi_full_ms
    network.cap_ms = cap_ms
    return LinkWifi(board.radio, network, board.wifi_store, randint)


def _fixed_address(config):
    if not config.ip_address:
        return None
    dns = config.ip_dns or config.ip_gateway
    return config.ip_address, config.ip_mask, config.ip_gateway, dns
