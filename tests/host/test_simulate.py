"""Simulated nodes: pieces of recordings, what counts as lost and wrong, and a real fleet."""

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import onebyte_process
from small_model import small_model

from onebyte.errors import UserError
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import Decision
from onebyte.simulation import simulate
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import Node, NodeOptions
from onebyte.simulation.playback import Part, summary
from onebyte.simulation.script import Script, accuracy, cut
from onebyte.training.datasets import Dataset, Recording

RATE_HZ = 10


def recording(name: str, first: int, n_rows: int, group: str = "g") -> Recording:
    samples = np.arange(first, first + n_rows, dtype=np.int16)[:, None]
    return Recording(name, samples, 0, group)


DATASET = Dataset(
    RATE_HZ * 1000,
    [recording("a", 0, 100), recording("other", 9000, 50, "h"), recording("b", 100, 60)],
)


def rows(dataset: Dataset) -> list[list[int]]:
    return [item.samples[:, 0].tolist() for item in dataset.recordings]


@pytest.mark.parametrize(
    ("start_s", "seconds", "expected"),
    [
        (0, None, [range(100), range(100, 160)]),
        (0, 99, [range(100), range(100, 160)]),
        (0, 3, [range(30)]),
        (2, 3, [range(20, 50)]),
        (8, 4, [range(80, 100), range(100, 120)]),
        (12, 8, [range(120, 160), range(40)]),
        (16, 2, [range(20)]),  # the end: begins anew
        (9.5, 3, [range(100, 125)]),  # half a second of the first recording is left out
    ],
)
def test_cut(start_s: float, seconds: float | None, expected: list[range]) -> None:
    assert rows(cut(DATASET, "g", start_s, seconds)) == [list(part) for part in expected]


def test_cut_of_an_unknown_group() -> None:
    with pytest.raises(UserError, match="no recording of 'x'; there are g, h"):
        cut(DATASET, "x")


def test_accuracy_counts_undecided_as_wrong() -> None:
    assert accuracy([0, 1, 2, 2], [0, None, 1, 2]) == 0.5


def part(tmp_path: Path, *expected: int) -> Part:
    node = Node(tmp_path, NodeOptions("127.0.0.1", 1, "t", "d", 1), b"", b"")
    return Part(node, Script(b"", 1.0, expected, tuple(0 for _ in expected), (0,)))


def decision(seq: int, byte: int, epoch: int = 1) -> Decision:
    return Decision("t", "d", epoch, seq, byte, 0.0, None, "")


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([decision(0, 5), decision(1, 6)], "received=2 lost=0 wrong=0"),
        ([decision(0, 5)], "received=1 lost=1 wrong=0"),
        ([], "received=0 lost=2 wrong=0"),
        ([decision(0, 5), decision(1, 7)], "received=2 lost=0 wrong=1"),
        ([decision(0, 5), decision(1, 6), decision(2, 6)], "received=2 lost=0 wrong=1"),
        ([decision(0, 5), decision(1, 6, epoch=2)], "received=1 lost=1 wrong=1"),
    ],
)
def test_part_counts(decisions: list[Decision], expected: str, tmp_path: Path) -> None:
    one = part(tmp_path, 5, 6)
    for item in decisions:
        one.take(item)
    one.report = {"next_seq": 2, "queued": 0}
    assert summary([one]) == f"windows=2 published=2 {expected}"
    assert summary([one, one]).startswith("windows=4 published=4 ")


def test_simulate_five_nodes() -> None:
    options = ("--model", small_model(), "--seconds", "10", "--speed", "20")
    code, out, err = onebyte_process("simulate", "-n", "5", *options)
    assert code == 0, out + err
    found = re.fullmatch(
        r"simulate: nodes=5 windows=(\d+) published=(\d+) received=(\d+) lost=0 wrong=0",
        out.splitlines()[-1],
    )
    assert found
    windows, published, received = found.groups()
    assert windows == published == received
    assert int(windows) >= 50


def test_simulate_on_somebodys_broker_leaves_nothing_there(tmp_path: Path) -> None:
    plan = simulate.Plan(small_model(), 2, 10.0, 0)
    with Broker() as broker:
        address = (broker.host, broker.port)
        parts, _ = simulate.run(plan, simulate.make_scripts(plan), address, tmp_path)
        assert [p.lost + p.wrong for p in parts] == [0, 0]
        with Link(BrokerSettings(*address), ["ob/#"]) as link:
            assert list(link.retained()) == []


def test_nodes_play_different_pieces() -> None:
    plan = simulate.Plan(small_model(), 6, 6.0, 0)
    scripts = simulate.make_scripts(plan)
    assert len({script.recording for script in scripts}) == 6
