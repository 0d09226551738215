"""Updates of a running node, good and bad ones; and that the demonstration sees what is wrong."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from command_line import onebyte
from small_model import small_model

from formats import errors, manifest, model, signed
from formats.errors import OnebyteError
from onebyte import toolchain
from onebyte.simulation import demo, ota_demo, ota_releases
from onebyte.simulation.explain import Host, explain
from onebyte.simulation.ota_demo import Outcome, Play
from onebyte.simulation.ota_releases import Step, Vendor
from onebyte.simulation.process import Child
from onebyte.simulation.supervised import SupervisedNode
from onebyte.training import datasets, recipe
from onebyte.updates import keys
from onebyte.updates.rollout import CONFIRMED, REFUSED, REVERTED
from ota import trust

SPEED = 20
LAST_LINE = "demo-ota: updates=10 confirmed=3 reverted=4 refused=3 results_lost=0"
VERDICTS = [
    "confirmed",
    "confirmed",
    "reverted: GOLDEN_MISMATCH(24)",
    "reverted: TRIAL_SPENT(190)",
    "reverted: TRIAL_SPENT(190)",
    "reverted: TRIAL_SERVER(215)",
    "refused: SIGNED_INVALID(137)",
    "refused: UPDATE_SEQ(179)",
    "refused: UPDATE_CLASS(171)",
    "confirmed",
]


@pytest.fixture(scope="module")
def show() -> Iterator[ota_demo.Show]:
    yield ota_demo.prepare(toolchain.ROOT / "models" / "exercise", SPEED)


@pytest.fixture(scope="module")
def small() -> tuple[demo.Scene, Host]:
    """A small model's scene, and a host that knows it and a weaker one."""
    scene = demo.prepare(small_model())
    loaded = recipe.load(small_model())
    recordings = ota_demo.cut(datasets.load(loaded), scene.group)
    return scene, Host((ota_releases.weaker(scene.model_file), scene.model_file), recordings)


def test_good_releases_stay_and_bad_ones_go(
    show: ota_demo.Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Play] = []
    monkeypatch.setattr(ota_demo, "prepare", lambda folder, speed: show)
    monkeypatch.setattr(ota_demo, "perform", keep(ota_demo.perform, seen))
    code, out, err = onebyte("demo-ota", "--speed", SPEED)
    assert code == 0, out + err
    assert out.splitlines()[-1] == LAST_LINE
    told = re.findall(r"^    (confirmed|(?:reverted|refused): \w+\(\d+\)), after", out, re.M)
    assert told == VERDICTS
    (play,) = seen
    assert play.received > 200 and (play.lost, play.wrong) == (0, 0)
    # Every byte is what the host computes; what was decided is compared with the truth, too.
    assert sum(len(run.results) for one in play.explained.values() for run in one.runs) == (
        play.received
    )
    for number in (0, 1):
        n_right, n_all = play.accuracy(number)
        assert n_all >= 20 and n_right / n_all > 0.4
    # The model changed while the node ran, once for the better and once in vain.
    assert any(len({run.model for run in one.runs}) == 2 for one in play.explained.values())
    assert play.n_hangs >= 2 and play.n_crashes == 0 and play.n_restarts >= 6
    assert 4 < play.longest_pause_s < 60, "a watchdog's time, its tries, and a slow machine"


def keep(function, seen):
    def called(*arguments):
        seen.append(function(*arguments))
        return seen[-1]

    return called


def test_a_verdict_that_is_not_the_expected_one_ends_with_1(
    show: ota_demo.Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ota_releases.course

    def course(vendor: Vendor, models: tuple[bytes, bytes], folder: Path) -> list[Step]:
        good = whole(vendor, models, folder)[0]
        return [replace(good, outcome=REFUSED, reasons=(errors.UPDATE_CLASS,))]

    monkeypatch.setattr(ota_demo, "prepare", lambda folder, speed: show)
    monkeypatch.setattr(ota_releases, "course", course)
    code, out, _ = onebyte("demo-ota", "--speed", SPEED)
    assert code == 1 and "NOT AS EXPECTED: refused" in out
    assert out.splitlines()[-1].endswith(
        "updates=1 confirmed=1 reverted=0 refused=0 results_lost=0"
    )


def bytes_of(host: Host, number: int, row: int = 0, count: int | None = None) -> list[int]:
    return [one.byte for one in islice(host.windows(number, row), count)]


def test_the_host_explains_its_own_script(small: tuple[demo.Scene, Host]) -> None:
    scene, host = small
    assert bytes_of(host, 1) == list(scene.script.expected)
    assert [one.truth for one in host.windows(1, 0)] == list(scene.script.truth)
    found = explain(scene.script.expected, host)
    (run,) = found.runs
    assert found.wrong == 0 and len(run.results) == len(scene.script.expected)
    assert run.n_right == sum(one.class_id == one.truth for one in host.windows(run.model, 0))


def test_a_change_of_the_model_in_the_middle_is_explained(
    show: ota_demo.Show,
) -> None:
    host = Host(show.models, show.dataset)
    window, hop = host.parsed[0].window, host.parsed[0].hop
    for pause in (hop, window, window + 137):
        before = list(islice(host.windows(0, 0), 30))
        row = before[-1].row + pause
        said = [one.byte for one in before] + bytes_of(host, 1, row, 40)
        found = explain(said, host)
        assert found.wrong == 0
        assert sum(len(run.results) for run in found.runs) == 70
        assert found.runs[0].model == 0 and found.runs[-1].model == 1


def test_a_wrong_byte_is_not_explained(show: ota_demo.Show) -> None:
    host = Host(show.models, show.dataset)
    said = bytes_of(host, 1, 0, 60)
    for at in (0, 59):
        bad = list(said)
        bad[at] ^= 0x11
        assert explain(bad, host).wrong >= 1, at
    foreign = [int(byte) for byte in np.random.default_rng(1).integers(0, 7, 8)]
    assert explain(foreign, host).wrong > 5


def a_play(**changes: object) -> Play:
    play = Play()
    play.decisions[1] = {0: 1, 1: 1, 2: 1}
    for name, value in changes.items():
        setattr(play, name, value)
    return play


def test_what_is_lost_is_counted_by_the_numbers() -> None:
    assert a_play().lost == 0
    assert a_play(decisions={1: {0: 1, 2: 1}}).lost == 1
    assert a_play(made={1: 5}).lost == 2, "the end of a start that said how many it has made"
    assert a_play(made={1: 3, 2: 4}).lost == 4, "a start of which nothing came"
    assert a_play(made={1: 5}, queued=2).lost == 0, "they lie on its flash"
    assert a_play(made={1: 5}, queued=1).lost == 1
    assert a_play(made={1: 3}, queued=1).lost == 0, "it came, and the node has not heard so"
    assert a_play(decisions={1: {0: 1, 2: 1}}, made={1: 3}, queued=1).lost == 1


def test_the_demo_is_right_only_if_all_is(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path)
    offer = vendor.offer(1, [ota_releases._model(small_model_file())])
    step = Step("x", offer, REVERTED, (errors.TRIAL_SPENT,))
    good = Outcome(step, REVERTED, errors.TRIAL_SPENT, 1.0)
    assert good.is_right and a_play(outcomes=[good]).is_right
    for bad in (
        replace(good, reason=errors.TRIAL_SERVER),
        replace(good, reason=0),
        replace(good, outcome=CONFIRMED),
        replace(good, outcome="waiting", reason=0),
    ):
        assert not bad.is_right and not a_play(outcomes=[good, bad]).is_right
    assert not a_play(outcomes=[good], decisions={}).is_right
    assert not a_play(outcomes=[good], made={1: 4}).is_right
    confirmed = Step("x", offer, CONFIRMED)
    assert Outcome(confirmed, CONFIRMED, 0, 1.0).is_right
    assert not Outcome(confirmed, REFUSED, errors.UPDATE_SEQ, 1.0).is_right


def small_model_file() -> bytes:
    return (small_model() / "model.obm").read_bytes()


def test_the_bad_releases_are_bad_in_one_way_only(tmp_path: Path) -> None:
    right = small_model_file()
    wrong = ota_releases.with_wrong_golden(right)
    assert model.parse(wrong).golden_vectors != model.parse(right).golden_vectors
    assert sum(a != b for a, b in zip(right, wrong, strict=True)) <= 5, "a value and the CRC"
    vendor = Vendor(tmp_path / "vendor")
    steps = ota_releases.course(vendor, (ota_releases.weaker(right), right), tmp_path / "apps")
    chain = vendor.chain()
    assert chain.epoch == 2 and [step.outcome for step in steps] == [
        *[CONFIRMED] * 2,
        *[REVERTED] * 4,
        *[REFUSED] * 3,
        CONFIRMED,
    ]
    for step in steps:
        content = step.offer.stored_by_id[step.offer.manifest_id]
        document = signed.parse(content, signed.MANIFEST)
        retired = chain.newest.retired
        if errors.SIGNED_INVALID in step.reasons:
            with pytest.raises(OnebyteError, match="SIGNED_INVALID"):
                trust.signer_of(document, chain.newest, keys.verify, retired)
            continue
        trust.signer_of(document, chain.newest, keys.verify, retired)
        names = {entry[4] for entry in manifest.parse(document.body).files}
        is_spoiled = step.outcome == REVERTED and errors.GOLDEN_MISMATCH not in step.reasons
        assert "run.mpy" in names and ("run_good.mpy" in names) == is_spoiled


def test_time_that_a_process_waits_for_its_turn_is_known(tmp_path: Path) -> None:
    """On Linux, where a busy machine must not look like a node that hangs."""
    node = SupervisedNode.__new__(SupervisedNode)
    commands = [["sh", "-c", "while :; do :; done"]] * (2 * (os.cpu_count() or 1))
    crowd = [Child(command, tmp_path / "log") for command in commands]
    try:
        node._child = crowd[0]
        end = time.monotonic() + 60
        while node._delayed_s() < 0.05 and time.monotonic() < end:
            time.sleep(0.05)
        assert node._delayed_s() >= 0.05
    finally:
        for child in crowd:
            child.kill()
    assert node._delayed_s() == 0.0, "it is gone"


def test_a_node_that_ends_or_hangs_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SupervisedNode.__new__(SupervisedNode)
    node.folder = tmp_path
    node.n_restarts = node.n_crashes = node.n_hangs = 0
    started: list[str] = []
    monkeypatch.setattr(SupervisedNode, "start", lambda self: started.append("start"))
    monkeypatch.setattr(SupervisedNode, "kill", lambda self: started.append("kill"))
    code: list[int | None] = [None]
    monkeypatch.setattr(SupervisedNode, "returncode", property(lambda self: code[0]))
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    delayed = [0.0]
    monkeypatch.setattr(SupervisedNode, "_delayed_s", lambda self: delayed[0])
    node._delayed_before_s = 0.0
    node._silent_s, node._turned_s, node._last_sign = 0.0, clock[0], 0
    heartbeat = tmp_path / "heartbeat"
    for _ in range(20):
        heartbeat.write_text("")
        os.utime(heartbeat, (clock[0], clock[0]))
        clock[0] += 0.4
        assert node.watch() == ""
    clock[0] += 3600  # this computer slept: it has not seen whether the node is silent
    assert node.watch() == ""
    for _ in range(50):  # it is ready to run, and others do
        clock[0] += 0.4
        delayed[0] += 0.39
        assert node.watch() == ""
    for _ in range(20):
        clock[0] += 0.4
        if why := node.watch():
            break
    assert why == "the watchdog ended it" and 1010.5 < clock[0] - 3620 < 1013
    for status, why in (
        (75, "it restarts"),
        (1, "it ended with 1"),
        (-9, "it ended with -9"),
        (0, "its recording is over, it begins anew"),
    ):
        code[0] = status
        assert node.watch() == why
    assert (node.n_hangs, node.n_restarts, node.n_crashes) == (1, 1, 2)
    assert started == ["kill", *["start"] * 5]
