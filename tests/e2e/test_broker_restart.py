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
from uplink_process import Host, UplinkNode

from onebyte.broker import Broker

N_DECISIONS = 4000
N_RESTARTS = 20
RATE_HZ = 200
# What the node keeps for the host after the acknowledgement: 10 s at this rate.
RAM_RECORDS = 2000


@contextmanager
def restarting(folder: Path | None, clean_session: bool) -> Iterator[tuple[Broker, Host]]:
    need_mosquitto()
    with Broker("mosquitto", folder=folder) as broker, Host(broker.port, clean_session) as host:
        host.work(0.5)
        yield broker, host


@pytest.mark.parametrize("persistence", [False, True])
def test_nothing_is_lost_over_twenty_kills(tmp_path: Path, persistence: bool) -> None:
    chance = random.Random(7)
    folder = tmp_path / "broker" if persistence else None
    n_kills = 0
    with (
        restarting(folder, clean_session=not persistence) as (broker, host),
        UplinkNode(
            tmp_path / "node",
            broker.port,
            N_DECISIONS,
            rate=RATE_HZ,
            ram_records=RAM_RECORDS,
            cap_ms=400,
        ) as node,
    ):
        while n_kills < N_RESTARTS:
            host.work(chance.uniform(0.2, 1.2))
            broker.kill()
            n_kills += 1
            host.work(chance.uniform(0.0, 0.4))
            broker.start()
        host.work_until(N_DECISIONS, 60)
        host.work(0.5)
        report = node.stop()
    numbers = [(decision.epoch, decision.seq) for decision in host.decisions]
    assert numbers == [(1, seq) for seq in range(N_DECISIONS)], "lost, twice or out of order"
    assert all(decision.result == decision.seq * 7 & 127 for decision in host.decisions)
    assert not host.reconciler.lost and host.reconciler.missing == 0
    assert report["connects"] > N_RESTARTS // 2 and report["dropped"] == 0
    assert report["queued"] == 0 and report["flash_errors"] == 0
    print(
        f"\n{report}\nhost: {host.n_bytes} bytes, {host.n_batches} batches, asked {host.n_asked}"
    )
    print(f"duplicates {host.reconciler.duplicates}, unanchored {host.reconciler.unanchored}")
