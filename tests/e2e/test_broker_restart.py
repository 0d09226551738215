"""mosquitto killed and started again twenty times while a node decides: nothing is lost.

What is guaranteed is in docs/SPEC.md, "Delivery": a decision leaves the device's outbox when the
broker has acknowledged it. A killed broker forgets what it had not passed on, with persistence
what it had not yet written; the host sees the gap in the numbers and asks the device again.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mqtt_process import need_mosquitto
from uplink_process import FirmwareNode, Host, UplinkNode

from onebyte.simulation.broker import Broker

N_DECISIONS = 3000
N_RESTARTS = 20
RATE_HZ = 200
FIRMWARE_RATE_HZ = 50  # of what the broker has acknowledged it keeps 20 s at this rate


@contextmanager
def watched(folder: Path | None) -> Iterator[tuple[Broker, Host]]:
    """A broker and a host that is subscribed; with a folder both remember."""
    need_mosquitto()
    with Broker("mosquitto", folder=folder) as broker, Host(broker.port, folder is None) as host:
        yield broker, host


def restart_often(broker: Broker, host: Host) -> None:
    """Kill and start the broker, each time some time after the node has come back."""
    chance = random.Random(7)
    for _ in range(N_RESTARTS):
        before = host.node_connects
        host.work(chance.uniform(0.0, 0.5))
        broker.kill()
        host.work(chance.uniform(0.0, 0.3))
        broker.start()
        host.work_while(lambda n=before: host.node_connects == n, "the node comes back")


def check_decisions(host: Host, count: int) -> None:
    numbers = [(decision.epoch, decision.seq) for decision in host.decisions]
    assert numbers == [(1, seq) for seq in range(count)], "lost, twice or out of order"
    assert not host.reconciler.lost and host.reconciler.missing == 0
    print(f"\n{host.n_bytes} bytes, {host.n_batches} batches, asked {host.n_asked} times")
    print(f"{host.reconciler.duplicates} duplicates, {host.reconciler.unanchored} unanchored")


@pytest.mark.parametrize("persistence", [False, True])
def test_nothing_is_lost_over_twenty_kills(tmp_path: Path, persistence: bool) -> None:
    # All that the broker has acknowledged can be asked for, however long this machine stalls.
    job = {"rate": RATE_HZ, "ram_records": N_DECISIONS, "cap_ms": 400}
    with (
        watched(tmp_path / "broker" if persistence else None) as (broker, host),
        UplinkNode(tmp_path / "node", broker.port, N_DECISIONS, **job) as node,
    ):
        host.work_while(lambda: not host.node_connects, "the node comes")
        restart_often(broker, host)
        host.work_until(N_DECISIONS)
        report = node.stop()
    check_decisions(host, N_DECISIONS)
    # The byte follows from the number, so a live byte that was numbered wrongly shows.
    assert all(decision.result == decision.seq * 7 & 127 for decision in host.decisions)
    assert report["connects"] > N_RESTARTS
    assert (report["queued"], report["dropped"], report["flash_errors"]) == (0, 0, 0)


def test_the_firmware_loses_nothing_either(tmp_path: Path) -> None:
    with (
        watched(None) as (broker, host),
        FirmwareNode(tmp_path / "node", broker.port, N_DECISIONS, FIRMWARE_RATE_HZ) as node,
    ):
        host.work_while(lambda: not host.node_connects, "the node comes")
        restart_often(broker, host)
        host.work_until(len(host.decisions) + 2 * FIRMWARE_RATE_HZ)
        report = node.interrupt()
        made, queued = report["next_seq"], report["queued"]
        host.work_until(made - queued)
    check_decisions(host, len(host.decisions))
    assert made - queued <= len(host.decisions) <= made < N_DECISIONS
    results = [decision.result for decision in host.decisions]
    assert results == node.expected[: len(results)]
    assert len(set(results)) > 10, "decisions that do not differ prove little"
    assert report["connects"] > N_RESTARTS
    assert (report["dropped"], report["flash_errors"]) == (0, 0)
