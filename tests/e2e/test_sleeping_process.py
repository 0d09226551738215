"""Deep sleeps as ends of a process, and power cuts as kills, in the life of one node."""

import itertools
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

NODE = Path(__file__).resolve().parents[1] / "fakes" / "sleeping_node.py"
BOOTS = 60
LEAST_KILLS = 5
RAM_RECORDS = 8


class Life:
    """What all boots of one node said."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.made: dict[tuple[int, int], int] = {}
        self.got: dict[tuple[int, int], int] = {}
        self.queued = 0

    def boot(self, cause: str, seed: int, online: bool, kill: tuple[int, float] | None) -> bool:
        """Boot once; return whether the node fell asleep.

        Args:
            cause: of its start.
            seed: what its sensor sees.
            online: whether there is a broker.
            kill: the power fails when so many lines are said, and so many seconds have passed.
        """
        arguments = [self.program, NODE, self.folder, cause, str(seed), str(int(online))]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = []
            if kill is not None:
                said = list(itertools.islice(process.stdout, kill[0]))
                time.sleep(kill[1])
                process.kill()
            said += list(process.stdout)
        slept = False
        for line in said:
            if not line.endswith("\n"):
                continue  # what the cut left incomplete says nothing
            word, *numbers = line.split()
            if word == "made":
                self._make(*map(int, numbers))
            elif word == "got":
                epoch, seq, byte = map(int, numbers)
                assert self.got.setdefault((epoch, seq), byte) == byte, "two records, one number"
            elif word == "asleep":
                slept = True
                self.queued = int(numbers[0])
        return slept

    def deliver_all(self, cause: str) -> None:
        """Boot until nothing waits; after failed sessions the radio stays off for a while."""
        for _ in range(80):
            assert self.boot(cause, BOOTS, True, None)
            cause = "deep_sleep"
            if not self.queued:
                return
        raise AssertionError("records wait for ever")

    def _make(self, epoch: int, seq: int, byte: int) -> None:
        assert (epoch, seq) > max(self.made, default=(0, -1)), "numbers rise"
        self.made[epoch, seq] = byte


@pytest.fixture
def program() -> Path:
    path = Path(sys.executable).with_name("micropython")
    assert path.is_file(), "no micropython beside python: run make venv"
    return path


def test_numbers_rise_over_sleeps_and_kills(program: Path, tmp_path: Path) -> None:
    life = Life(program, tmp_path)
    dice = random.Random(7)
    cause = "power_on"
    kills = seed = 0
    while seed < BOOTS or kills < LEAST_KILLS:  # a boot may be over before it is killed
        seed += 1
        # Lines, not time: it is the same moment on every machine.
        kill = (dice.randrange(8), dice.uniform(0, 0.01)) if dice.random() < 0.3 else None
        slept = life.boot(cause, seed, dice.random() < 0.6, kill)
        cause = "deep_sleep" if slept else "power_on"
        kills += not slept
        if not slept and dice.random() < 0.5:
            (tmp_path / "memory").unlink(missing_ok=True)  # registers that lost their supply
    life.deliver_all(cause)
    assert len(life.made) > BOOTS
    for key, byte in life.made.items():
        assert life.got.get(key, byte) == byte
    lost = set(life.made) - set(life.got)
    print(f"{kills} kills, {len(life.made)} made, {len(lost)} lost")
    assert len(lost) <= kills * RAM_RECORDS
    assert len(lost) < len(life.made) // 2, f"{len(lost)} lost in {kills} kills"


def test_without_kills_nothing_is_lost_and_no_epoch_begins(program: Path, tmp_path: Path) -> None:
    life = Life(program, tmp_path)
    cause = "power_on"
    for seed in range(12):
        assert life.boot(cause, seed, seed % 3 == 2, None)
        cause = "deep_sleep"
    assert sorted(life.made) == [(1, seq) for seq in range(12 * 3)]
    life.deliver_all(cause)
    assert max(life.made)[0] == 1
    assert life.got.items() >= life.made.items()
