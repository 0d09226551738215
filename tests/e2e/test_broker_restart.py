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

N_DECISIONS = 4000
N_RESTARTS = 20
RATE_HZ = 200
# What the node keeps for the host after the acknowledgement: 10 s at this rate.
RAM_RECORDS = 2000


@contextmanager
def watched(folder: Path | None) -> Iterator[tuple[Broker, Host]]:
    """A broker and a host that is subscribed; with a folder both remember."""
    need_mosquitto()
    with Broker("mosquitto", folder=folder) as broker, Host(broker.port, folder is None) as host:
        host.work(0.5)
        yield broker, host


def restart_often(broker: Broker, host: Host) -> None:
    chance = random.Random(7)
    for _ in range(N_RESTARTS):
        host.work(chance.uniform(0.2, 0.8))
        broker.kill()
        host.work(chance.uniform(0.0, 0.3))
        broker.start()


def check_decisions(host: Host) -> None:
    numbers = [(decision.epoch, decision.seq) for decision in host.decisions]
    assert numbers == [(1, seq) for seq in range(N_DECISIONS)], "lost, twice or out of order"
    assert not host.reconciler.lost and host.reconciler.missing == 0
    print(f"\n{host.n_bytes} bytes, {host.n_batches} batches, asked {host.n_asked} times")
    print(f"{host.reconciler.duplicates} duplicates, {host.reconciler.unanchored} unanchored")


@pytest.mark.parametrize("persistence", [False, True])
def test_nothing_is_lost_over_twenty_kills(tmp_path: Path, persistence: bool) -> None:
    job = {"rate": RATE_HZ, "ram_records": RAM_RECORDS, "cap_ms": 400}
    with (
        watched(tmp_path / "broker" if persistence else None) as (broker, host),
        UplinkNode(tmp_path / "node", broker.port, N_DECISIONS, **job) as node,
    ):
        restart_often(broker, host)
        host.work_until(N_DECISIONS)
        report = node.stop()
    check_decisions(host)
    # The byte follows from the number, so a live byte that was numbered wrongly shows.
    assert all(decision.result == decision.seq * 7 & 127 for decision in host.decisions)
    assert report["connects"] > N_RESTARTS // 2
    assert (report["queued"], report["dropped"], report["flash_errors"]) == (0, 0, 0)


def test_the_firmware_loses_nothing_either(tmp_path: Path) -> None:
    with (
        watched(None) as (broker, host),
        FirmwareNode(tmp_path / "steady", broker.port, N_DECISIONS, 1000) as node,
    ):
        host.work_until(N_DECISIONS)
        node.report()
        expected = [decision.result for decision in host.decisions]
    with (
        watched(None) as (broker, host),
        FirmwareNode(tmp_path / "restarts", broker.port, N_DECISIONS, RATE_HZ) as node,
    ):
        restart_often(broker, host)
        host.work_until(N_DECISIONS)
        report = node.report()
    check_decisions(host)
    assert [decision.result for decision in host.decisions] == expected
    assert len(set(expected)) > 10, "decisions that do not differ prove little"
    assert report["connects"] > N_RESTARTS // 2
    assert (report["queued"], report["dropped"], report["flash_errors"]) == (0, 0, 0)
