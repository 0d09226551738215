"""Runs the node with a configuration until it ends: what a release carries of the start.

`firmware/main.py` has decided which slot runs and calls `main` of this module, the slot's or the
frozen one.
"""

import gc
import json
import random
import sys
import time

import board as hardware

from app import links, record_plan, settings
from app.console import Console
from app.node import Node
from app.update_channel import UpdateChannel
from app.updating import Updating
from app.uplink_serial import SerialUplink
from app.watchdog import PatientNet, Watchdog
from formats import errors

_TRIAL_WATCHDOG_MS = 8000
_CLOSED_PATH = [".frozen"]  # in an image for a product, whatever has become of its loader
_RUN_GARBAGE_BYTES = 24000  # a collection takes an RP2040 14 ms, and fewer holes are left


def make_node(config, board, updates=None):
    """Returns a node with its uplink, and with what updates it.

    Args:
        config: Config.
        board: see `boards/unix/board.py`.
        updates: `ota.updates.Updates`, None where there are none.
    """
    has_network = board.write_line is None
    net = _network(board) if has_network else None
    updater = None if updates is None else make_updater(config, updates, net)
    channel = None
    if has_network and updater is not None:
        prefix = "ob/%s/%s" % (config.tenant, config.device)
        channel = UpdateChannel(prefix, updater, updater.sources[0])
    if has_network:
        make_uplink = mqtt_uplink(config, net, channel)
    else:
        make_uplink = serial_uplink(config, board)
    link = links.make_link(config, board, random.randint)
    node = Node(config, board, make_uplink, link, lambda: random.getrandbits(8))
    if updater is not None:
        node.update_with(Updating(updater, channel, config, board))
    return node


def _network(board):
    """Return the socket module, or what stands in for it beside a watchdog."""
    import socket  # an image without a network has none

    return socket if board.power is None else PatientNet(socket, board.power)


def make_updater(config, updates, net):
    """Returns the updater that a configuration describes.

    Args:
        config: Config.
        updates: `ota.updates.Updates`.
        net: the socket module, None where there is no network.

    Raises:
        OnebyteError: see `app.client.make_web_context`.
    """
    context = None
    if net is not None:
        from app.client import make_web_context

        context = make_web_context(config)
    settings = {
        "deadline_ms": config.network_deadline_ms,
        "trial_ms": config.update_trial_s * 1000,
        "base_ms": config.update_pause_s * 1000,
        # What a swapped model has judged is forgotten by a deep sleep, which is a start; and only
        # a watchdog ends a custom.py that hangs, which a start on trial has in any case.
        "can_swap": config.sleep in ("never", "light") and config.watchdog_ms > 0,
    }
    return updates.make_updater(config.tenant, random.randint, net, context, settings)


def serial_uplink(config, board):
    """Returns the function that makes the uplink of a node without a network."""
    status_ms = config.status_interval_s * 1000

    def make(node):
        return SerialUplink(board.write_line, node.outbox, node.meta, node.status, status_ms)

    return make


def mqtt_uplink(config, net, channel=None):
    """Returns the function that makes a node's uplink to its broker.

    Args:
        config: Config.
        net: the socket module.
        channel: UpdateChannel, None where there are no updates.
    """
    from app import client
    from app.uplink import Identity, Pace, Uplink

    most = client.COMMAND_PACKET_BYTES if channel is None else client.CHUNK_PACKET_BYTES
    mqtt_client = client.make_client(config, net, max_packet_bytes=most)
    status_ms = config.status_interval_s * 1000
    pace = Pace(cap_ms=config.reconnect_max_s * 1000, status_ms=status_ms)

    def make(node):
        identity = Identity("ob/%s/%s" % (config.tenant, config.device), node.meta, node.status)
        uplink = Uplink(mqtt_client, node.outbox, identity, pace, random.randint)
        if channel is not None:
            uplink.guest = channel
        return uplink

    return make


class Log:
    """Says what goes wrong while the node runs, a line each time that it is something new."""

    def __init__(self, node, config):
        self._node = node
        self._model_path = config.model_path
        self._broker = "%s:%d" % (config.broker_host, config.broker_port)
        self._told = {}
        self._flash_failed = False

    def tell_model(self) -> None:
        """Prints why the model was refused, if it was."""
        error = self._node.model_error
        if error:
            print("onebyte node: model %s refused: %s" % (self._model_path, error))

    def tell(self) -> None:
        """Prints what is new."""
        node = self._node
        self._tell_change("sensor", node.source_error)
        self._tell_change("network", node.link_error)
        self._tell_change("broker " + self._broker, node.uplink_error)
        if node.updating is not None:
            self._tell_change("update", node.updating.error)
        if node.outbox.flash_errors and not self._flash_failed:
            self._flash_failed = True
            print("onebyte node: the flash fails or is full; records wait in RAM meanwhile")

    def _tell_change(self, what, error) -> None:
        if error != self._told.get(what, ""):
            self._told[what] = error
            print("onebyte node: %s: %s" % (what, error or "works again"))


def run(node, log, watchdog, console, ticks_ms) -> None:
    """Runs the node until a replay is over, an update wants a restart, or Ctrl-C comes."""
    try:
        while not _is_over(node):
            if not node.step():
                log.tell()
                console.look()
                node.idle()
            watchdog.turn(node.progress, ticks_ms())
    except KeyboardInterrupt:
        watchdog.leave()
    node.close()
    log.tell()


def _is_over(node) -> bool:
    return node.done or (node.updating is not None and node.updating.must_restart)


def main(updates, path: str) -> int:
    """Returns the exit status.

    Args:
        updates: `ota.updates.Updates`, None where there are none.
        path: of the configuration.
    """
    is_trial = updates is not None and updates.is_trial
    if not is_trial and record_plan.exists(hardware.make_files()):
        return record(path)
    try:
        config = settings.load(path)
    except (errors.OnebyteError, OSError) as error:
        print("onebyte node:", error)
        return 2
    console = Console(config, hardware.IS_PROCESS)
    status = 1
    try:
        status = run_node(config, updates, console)
    except Exception as error:
        if is_trial or not console.is_locked:
            raise
        sys.print_exception(error)
    if not is_trial:
        console.end(time.sleep_ms)
    return status


def record(path: str) -> int:
    """Records to flash in the node's place, behind its lock; returns the exit status."""
    from app import record_setup  # its RAM is the node's otherwise

    console = None
    try:
        console = Console(settings.load(path), hardware.IS_PROCESS)
    except (errors.OnebyteError, OSError):
        pass  # a board that was never configured records all the same
    record_setup.run_plan(hardware, settings.load, path)
    if console is not None:
        console.end(time.sleep_ms)
    return 0


def run_node(config, updates, console) -> int:
    """Returns the exit status of a node with this configuration."""
    try:
        use_slot(config, updates)
        board = hardware.Board(config)
        node = make_node(config, board, updates)
        if updates is not None:
            gc.collect()
            gc.threshold(_RUN_GARBAGE_BYTES)  # the start has set it lower, for what stays
    except (errors.OnebyteError, OSError) as error:
        print("onebyte node:", error)
        return 2
    log = Log(node, config)
    log.tell_model()
    run(node, log, Watchdog(board.power, config), console, board.clock.ticks_ms)
    print(json.dumps(node.summary()))
    if node.updating is not None and node.updating.must_restart:
        updates.updater.restart()
    return 0


def use_slot(config, updates) -> None:
    """Lets model and custom features come from the slot that runs.

    Args:
        config: Config.
        updates: `ota.updates.Updates`, None where there are none, or their loader has failed.
    """
    folder = "" if updates is None else updates.slot_path
    if folder:
        config.model_path = "%s/model/%s" % (folder, config.model_path.split("/")[-1])
        config.custom_path = "%s/custom/%s" % (folder, config.custom_path.split("/")[-1])
    elif sys.path == _CLOSED_PATH:
        config.custom_path = ""  # nobody has signed it: the model says that it is missing
    if updates is not None and updates.is_trial and not config.watchdog_ms:
        config.watchdog_ms = _TRIAL_WATCHDOG_MS  # it runs already, and nothing stops it
