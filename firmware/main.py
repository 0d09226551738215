"""Starts the node.

On the unix port: `micropython firmware/main.py [CONFIG.json]`, or the path in ONEBYTE_CONFIG. Its
last line is a JSON object of counters. Exit status 2: one line says what is wrong.
"""

import json
import os
import random
import sys

from board import Board

from app import config as configuration
from app.client import make_client
from app.node import Node
from app.uplink import Identity, Pace, Uplink
from formats import errors


def make_node(config, board):
    """Returns a node with its uplink."""
    client = make_client(config)
    prefix = "ob/%s/%s" % (config.tenant, config.device)
    pace = Pace(cap_ms=config.reconnect_max_s * 1000, status_ms=config.status_interval_s * 1000)

    def make_uplink(node):
        identity = Identity(prefix, node.meta, node.status)
        return Uplink(client, node.outbox, identity, pace, random.randint)

    return Node(config, board, make_uplink)


class Log:
    """Says what goes wrong while the node runs, a line each time that it is something new."""

    def __init__(self, node, config):
        self._node = node
        self._model_path = config.model_path
        self._broker = "%s:%d" % (config.broker_host, config.broker_port)
        self._uplink_error = ""
        self._custom_error = ""
        self._flash_failed = False

    def tell_model(self) -> None:
        """Prints why the model was refused, if it was."""
        error = self._node.model_error
        if error:
            print("onebyte node: model %s refused: %s" % (self._model_path, error))

    def tell(self) -> None:
        """Prints what is new."""
        error = self._node.uplink_error
        if error != self._uplink_error:
            self._uplink_error = error
            print("onebyte node: broker %s: %s" % (self._broker, error))
        if self._node.custom_error != self._custom_error:
            self._custom_error = self._node.custom_error
            print("onebyte node: custom features: %s" % self._custom_error)
        if self._node.outbox.flash_errors and not self._flash_failed:
            self._flash_failed = True
            print("onebyte node: the flash fails or is full; records wait in RAM meanwhile")


def run(node, board, log) -> None:
    """Runs the node until a replay is over; a board's node never ends."""
    try:
        while not node.done:
            if not node.step():
                log.tell()
                board.idle()
    except KeyboardInterrupt:
        pass
    node.close()
    log.tell()


def main() -> int:
    """Returns the exit status."""
    path = os.getenv("ONEBYTE_CONFIG") if hasattr(os, "getenv") else None
    if len(sys.argv) > 1:
        path = sys.argv[1]
    try:
        config = configuration.load(path or "config.json")
        board = Board(config)
        node = make_node(config, board)
    except (errors.OnebyteError, OSError) as error:
        print("onebyte node:", error)
        return 2
    log = Log(node, config)
    log.tell_model()
    run(node, board, log)
    print(json.dumps(node.summary()))
    return 0


sys.exit(main())
