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


def run(node, board) -> None:
    """Runs the node until a replay is over; a board's node never ends."""
    try:
        while not node.done:
            if not node.step():
                board.idle()
    except KeyboardInterrupt:
        pass
    node.close()


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
    if node.model_error:
        print("onebyte node: model refused:", node.model_error)
    run(node, board)
    print(json.dumps(node.summary()))
    return 0


sys.exit(main())
