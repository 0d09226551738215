"""A battery's life: arithmetic, anchors from the literature, and honest refusals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from onebyte.cli import main
from onebyte.energy import assumptions, cycles, figures, life, report
from onebyte.energy.figures import Figure, Figures
from onebyte.energy.life import DAY_S, Budget, Usage
from onebyte.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = str(ROOT / "models" / "exercise")
ASK = ["battery", "--recipe", EXERCISE, "--mah", "2500"]


def made_board(**more: float) -> Figures:
    """Return a board whose figures are easy to multiply."""
    currents = {
        "active": 10000,
        "light_sleep": 100,
        "deep_sleep": 10,
        "radio_connect": 100000,
        "radio_on": 200000,
        "radio_idle": 50000,
        **more,
    }
    times = {"boot": 1000, "radio_connect": 500, "mqtt": 100}
    return Figures(
        "made",
        "CHIP",
        1_000_000,
        {name: Figure(value, "measured", "made up") for name, value in currents.items()},
        {name: Figure(value, "measured", "made up") for name, value in times.items()},
    )


USAGE = Usage(
    50, 100, 50, 6, sleep="deep", wake_interval_s=60, publishes_per_day=24, decide_cycles=400_000
)


def phases(day: life.Day) -> dict[str, life.Phase]:
    return {phase.name: phase for phase in day.phases}


def test_a_cycle_by_hand() -> None:
    day = life.day_of(made_board(), USAGE)
    found = phases(day)
    assert found["boots"].charge_uc == pytest.approx(1440 * 1.0 * 10000)
    assert found["decides"].charge_uc == pytest.approx(1440 * 0.4 * 10000)
    read_s = 1440 * 100 * 12 * 9 / 400_000
    assert found["reads the sensor"].charge_uc == pytest.approx(read_s * 10000)
    assert found["waits for samples"].charge_uc == pytest.approx((1440 * 2 - read_s) * 100)
    assert found["radio connects"].charge_uc == pytest.approx(24 * 0.5 * 100000)
    assert found["radio talks"].charge_uc == pytest.approx(24 * 0.3 * 200000)
    assert sum(phase.seconds for phase in day.phases) == pytest.approx(DAY_S)
    assert day.session_uc == pytest.approx(0.5 * 100000 + 0.3 * 200000)
    assert sum(day.share(phase) for phase in day.phases) == pytest.approx(1)
    assert [p.charge_uc for p in day.phases] == sorted(p.charge_uc for p in day.phases)[::-1]


def test_naps_by_hand() -> None:
    found = phases(life.day_of(made_board(), replace(USAGE, sleep="light", wake_interval_s=0)))
    decide_s = DAY_S * 0.4  # a window each second
    read_s = DAY_S * 50 * 12 * 9 / 400_000
    assert found["decides"].charge_uc == pytest.approx(decide_s * 10000)
    assert found["reads the sensor"].charge_uc == pytest.approx(read_s * 10000)
    radio_s = 24 * (0.5 + 0.3)
    assert found["naps"].charge_uc == pytest.approx((DAY_S - decide_s - read_s - radio_s) * 100)


def test_every_second_of_a_day_is_accounted_for() -> None:
    board = made_board()
    for usage in (
        USAGE,
        replace(USAGE, sleep="light"),
        replace(USAGE, wake_interval_s=0, sleep="light"),
        replace(USAGE, wake_interval_s=0, sleep="never"),
        replace(USAGE, wake_windows=5, wake_interval_s=600),
    ):
        day = life.day_of(board, usage)
        assert sum(phase.seconds for phase in day.phases) == pytest.approx(DAY_S)


def test_auto_takes_what_costs_less() -> None:
    board = made_board()
    auto = replace(USAGE, sleep="auto")
    for interval_s, way in ((60, "light cycle"), (120, "deep cycle"), (3600, "deep cycle")):
        day = life.day_of(board, replace(auto, wake_interval_s=interval_s))
        others = [
            life.day_of(board, replace(USAGE, sleep=sleep, wake_interval_s=interval_s))
            for sleep in ("light", "deep")
        ]
        assert day.way == way
        assert day.charge_uc == min(other.charge_uc for other in others)


def test_more_of_anything_costs_more() -> None:
    board = made_board()
    base = life.day_of(board, USAGE).mah
    for changes in (
        {"publishes_per_day": 48},
        {"wake_interval_s": 30},
        {"wake_windows": 2},
        {"decide_cycles": 800_000},
        {"sensor_ua": 10},
        {"status_interval_s": 600},
    ):
        assert life.day_of(board, replace(USAGE, **changes)).mah > base, changes


def test_life_by_hand() -> None:
    day = life.day_of(made_board(), USAGE)
    assert life.life_days(day, Budget(100, 0.5, 0)) == pytest.approx(50 / day.mah)
    lossy = life.life_days(day, Budget(100, 0.5, 0.1))
    assert lossy == pytest.approx(50 / (day.mah + 10 / 365.25))


def test_policies() -> None:
    assert life.publishes("all", 20, 600) is None
    assert life.publishes("heartbeat", 20, 600) == 144
    assert life.publishes("on-change", 20, 86400) == 20
    assert life.publishes("on-change", 20, 600) == 20 * 8, "seven heartbeats between two changes"
    assert life.publishes("on-change", 0, 43200) == 2
    assert life.publishes("on-change", 1, 86400) == 1, "the change comes when the heartbeat would"
    assert life.publishes("on-change", 0.5, 86400) == 1


def test_anchors_of_the_esp32_s3() -> None:
    """Figures published for this chip, at 2500 mAh of which 80 % can be used."""
    board = figures.load("esp32_s3")
    budget = Budget(2500, 0.8, 0)
    quick = Usage(50, 1, 1, 1, "deep", 60, publishes_per_day=1, boot="boot_frozen")
    years = life.life_days(life.day_of(board, quick), budget) / 365.25
    assert years == pytest.approx(5.7, rel=0.05), "decide every minute, publish once a day"
    often = replace(quick, wake_interval_s=600, publishes_per_day=None)
    assert life.life_days(life.day_of(board, often), budget) == pytest.approx(414, rel=0.1)
    stream = Usage(50, 100, 50, 6, "never", publishes_per_day=None)
    assert life.life_days(life.day_of(board, stream), budget) == pytest.approx(1.7, rel=0.2)


def test_a_pico_w_is_capped_by_its_sleep() -> None:
    board = figures.load("pico_w").given({}, {"radio_connect": 2000, "mqtt": 40})
    usage = Usage(50, 1, 1, 1, "auto", 3600, publishes_per_day=1)
    day = life.day_of(board, usage)
    assert day.way == "light cycle"
    assert 60 < life.life_days(day, Budget(2500, 1, 0)) < 116


def test_every_figure_has_a_source() -> None:
    assert figures.boards() == ["esp32_s3", "pico", "pico_ppp", "pico_w"]
    for name in figures.boards():
        board = figures.load(name)
        assert board.board == name
        for table in (board.currents_ua, board.times_ms, board.charges_uc):
            for figure in table.values():
                assert figure.value > 0
                assert figure.kind in ("measured", "datasheet")
                assert len(figure.source) > 20
        assert {"active", "light_sleep", "deep_sleep"} <= set(board.currents_ua)
        assert "radio_on" not in board.currents_ua or name not in ("pico", "pico_ppp")


def test_decisions_take_what_was_counted(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert cycles.window_to_byte("exercise", path).cycles == 400_000
    path.write_text(json.dumps({"cycles": {"window_to_byte": 123_456}}))
    counted = cycles.window_to_byte("exercise", path)
    assert counted.cycles == 123_456 and "emulated RP2040" in counted.source
    other = cycles.window_to_byte("plaid", path)
    assert other.cycles == 123_456 and other.source.endswith("for the model exercise")
    said = assumptions.lines(
        figures.load("esp32_s3"), USAGE, Budget(1, 1, 0), counted, "deep cycle"
    )
    assert "ESP32-S3" in said[0]
    assert "--boot-ms" in " ".join(said), "no figure knows how long this program takes to load"
    given = figures.load("esp32_s3").given({}, {"boot": 3000})
    for board, way in ((figures.load("esp32_s3"), "light cycle"), (given, "deep cycle")):
        said = assumptions.lines(board, USAGE, Budget(1, 1, 0), counted, way)
        assert "--boot-ms" not in " ".join(said), way


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_shows_life_shares_sources_and_a_plot(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    png = tmp_path / "life.png"
    code, out, _ = run(capsys, *ASK, "--board", "esp32_s3", "--plot", str(png))
    assert code == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert out.splitlines()[-1].startswith("battery esp32_s3: life ")
    for word in ("share", "█", "measured", "datasheet", "ESP32-S3 Series Datasheet", "assumed:"):
        assert word in out, word


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *ASK, "--board", "esp32_s3", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["days"] == pytest.approx(2500 * 0.8 / found["mah_per_day"], rel=0.01)
    assert sum(phase["share"] for phase in found["phases"].values()) == pytest.approx(1)
    assert found["currents"]["light_sleep"]["ua"] == 240


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--board", "unix"], "unix has no figures"),
        (["--board", "nosuch"], "nosuch is no board"),
        (["--board", "../boards/pico"], "is no board"),
        (["--board", "pico"], "the current radio_connect is not known"),
        (["--board", "pico_ppp"], "--current radio_connect=MICROAMPERE"),
        (["--board", "pico_w"], "--connect-ms"),
        (["--board", "pico_w", "--connect-ms", "900", "--sleep", "deep"], "--mqtt-ms"),
        (["--board", "esp32_s3", "--current", "active"], "NAME=MICROAMPERE"),
        (["--board", "esp32_s3", "--current", "active=nan"], "NAME=MICROAMPERE"),
        (["--board", "esp32_s3", "--current", "radio=45000"], "no current is named radio"),
        (["--board", "esp32_s3", "--mah", "nan"], "--mah"),
        (["--board", "esp32_s3", "--mah", "inf"], "--mah"),
        (["--board", "esp32_s3", "--usable", "nan"], "--usable"),
        (["--board", "esp32_s3", "--self-discharge", "nan"], "--self-discharge"),
        (["--board", "esp32_s3", "--sensor-ua", "inf"], "--sensor-ua"),
        (["--board", "esp32_s3", "--changes-per-day", "nan"], "--changes-per-day"),
        (["--board", "esp32_s3", "--boot-ms", "nan"], "--boot-ms"),
        (["--board", "esp32_s3", "--connect-ms", "inf"], "--connect-ms"),
        (["--board", "esp32_s3", "--wake-interval", "2"], "longer than the wake interval"),
        (["--board", "esp32_s3", "--wake-interval", "0", "--sleep", "deep"], "deep sleep needs"),
        (["--board", "esp32_s3", "--mah", "0"], "--mah"),
        (["--board", "esp32_s3", "--plot", "/nosuch/a.png"], "cannot write"),
    ],
)
def test_the_command_refuses_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, out, err = run(capsys, *ASK, *arguments)
    assert (code, out) == (2, "")
    assert said in err and err.count("\n") == 1


def test_an_unknown_recipe_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(
        capsys, "battery", "--board", "esp32_s3", "--mah", "1", "--recipe", "nosuch"
    )
    assert code == 2 and err.count("\n") == 1 and "nosuch" in err


def test_a_figure_of_your_own_counts(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*ASK, "--board", "esp32_s3", "--json"]
    _, plain, _ = run(capsys, *arguments)
    _, own, _ = run(capsys, *arguments, "--current", "light_sleep=2000")
    assert json.loads(own)["days"] < json.loads(plain)["days"]
    modem = ["--current", "radio_connect=90000", "--current", "radio_on=120000"]
    times = ["--connect-ms", "3000", "--mqtt-ms", "400"]
    code, out, _ = run(capsys, *ASK, "--board", "pico_ppp", "--json", *modem, *times)
    assert code == 0
    assert json.loads(out)["currents"]["radio_on"]["kind"] == "given"


def test_a_node_that_cannot_publish_so_often_is_refused() -> None:
    with pytest.raises(UserError, match="do not fit a day"):
        life.day_of(
            figures.load("esp32_s3").given({}, {"radio_connect": 2000}),
            replace(USAGE, wake_interval_s=3, publishes_per_day=None, sleep="light"),
        )


def test_the_report_needs_no_radio_for_its_curve(tmp_path: Path) -> None:
    board = made_board()
    day = life.day_of(board, USAGE)
    made = report.Report(board, USAGE, Budget(100, 1, 0), day, [])
    report.plot(made, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
