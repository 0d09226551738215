"""Feed the MQTT reader and the MQTT client what no broker should send.

    micropython tests/fuzz/fuzz_mqtt.py [COUNT [SEED]]

Runs on the unix port. The last line counts; an exception other than the two the client may raise,
a missed deadline or a heap that grows ends it with a traceback and exit status 1.
"""

import gc
import sys

ROOT = __file__.rsplit("/", 1)[0] + "/../.."
FOLDERS = ("lib", "build/device/lib", "tests/both", "tests/fakes")
sys.path[:] = [ROOT + "/" + name for name in FOLDERS] + [".frozen"]

# ruff: noqa: E402 - the imports need the path
import mqtt_noise
from check import Random
from fake_net import Clock, Net

from mqtt.client import Client
from mqtt.packets import Reader
from mqtt.session import Limits

LIMITS = Limits(connect_ms=1000, read_ms=500, write_ms=300, max_packet_bytes=256)
MAX_GROWTH_BYTES = 30000


def connect(clock):
    """Return an open client and its socket."""
    net = Net(clock)
    net.script = [b"\x20\x02\x00\x00"]
    client = Client("fuzz", "broker", keepalive=2, limits=LIMITS, net=net, clock=clock)
    client.set_callback(lambda topic, payload: None)
    client.connect()
    return client, net.sockets[-1]


def main(count, seed):
    """Run `count` cases."""
    random = Random(seed)
    reader = Reader(LIMITS.max_packet_bytes)
    n_packets = n_refused = n_acknowledged = 0
    gc.collect()
    heap = gc.mem_alloc()
    for _ in range(count):
        noise = mqtt_noise.make_noise(random)
        found, is_refused = mqtt_noise.check_reader(reader, noise, random)
        n_packets += found
        n_refused += is_refused
        clock = Clock()
        client, sock = connect(clock)
        n_acknowledged += mqtt_noise.check_session(client, sock, clock, noise, random)
    client = sock = None
    gc.collect()
    growth = gc.mem_alloc() - heap
    assert growth < MAX_GROWTH_BYTES, growth
    print(
        "%d streams from seed %d: %d packets, %d refused, %d publishes acknowledged"
        % (count, seed, n_packets, n_refused, n_acknowledged)
    )


main(
    int(sys.argv[1]) if len(sys.argv) > 1 else 5000,
    int(sys.argv[2]) if len(sys.argv) > 2 else 1,
)
