"""`onebyte inspect`: what stands in a file, and one line for a file that is refused."""

import json
from array import array
from pathlib import Path

import pytest
import sample_model

from formats import model, model_pack, recording
from onebyte import cli, inspect
from onebyte.errors import UserError


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    path = tmp_path / "sample.obm"
    path.write_bytes(sample_model.pack())
    return path


@pytest.fixture
def recording_path(tmp_path: Path) -> Path:
    path = tmp_path / "walk.obr"
    with path.open("wb") as file:
        recording.write(file, 2, 50000, [array("h", [0] * 200), array("h", [0] * 100)])
    return path


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["inspect", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_facts_of_a_model_are_those_of_the_file(model_path: Path) -> None:
    found = inspect.facts(model_path)
    fields = sample_model.fields()
    assert (found["kind"], found["name"]) == ("model", "sample 1")
    assert found["bytes"] == model_path.stat().st_size
    assert found["labels"] == fields["labels"]
    assert found["samples"]["rate_hz"] == 52.0
    assert found["samples"]["window_s"] == pytest.approx(64 / 52)
    assert [channel["name"] for channel in found["samples"]["channels"]] == [
        "ax",
        "ay",
        "az",
        "gx",
    ]
    assert found["classifier"]["n_splits"] == 3 and found["classifier"]["n_leaves"] == 6
    assert [feature["splits"] for feature in found["features"]] == [1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert found["golden"] == {"vectors": 1, "windows": 2}
    assert [section["kind"] for section in found["sections"]] == list(range(1, 9))
    assert found["decision"]["novelty_threshold"] == 12


def test_arguments_are_in_units_of_the_world(model_path: Path) -> None:
    features = inspect.facts(model_path)["features"]
    assert [(feature["op"], feature["text"]) for feature in features] == [
        ("std", ""),
        ("quantile", "50.0 %"),
        ("share", "of gx to 6 project"),
        ("correlation", "with 6 project"),
        ("tilt", "among ax to az"),
        ("autocorr_lag", "0.0192 to 1.21 s"),
        ("band_energy", "0 to 26 Hz"),
        ("band_share", "0.812 to 26 Hz"),
        ("goertzel", "26 Hz"),
        ("peak_share", ""),
    ]
    assert features[5]["arguments"] == {"lowest": 1, "highest": 63}


@pytest.mark.parametrize("seed", range(1, 30))
def test_every_model_can_be_shown(seed: int, tmp_path: Path, capsys) -> None:
    path = tmp_path / "random.obm"
    path.write_bytes(model_pack.pack(sample_model.random_fields(seed)))
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "") and "Sections" in out
    code, out, err = run(capsys, str(path), "--json")
    assert (code, err) == (0, "") and json.loads(out)["bytes"] == path.stat().st_size


def test_smallest_model_is_shown(tmp_path: Path, capsys) -> None:
    path = tmp_path / "small.obm"
    path.write_bytes(model_pack.pack(sample_model.smallest()))
    _, out, _ = run(capsys, str(path))
    assert "Novelty: not in this model" in out
    assert "1 tree with hard votes, 0 splits, 1 leaf" in out
    assert "Self-test" not in out and "Spectrum" not in out


def test_text_says_what_matters(model_path: Path, capsys) -> None:
    _, out, _ = run(capsys, str(model_path))
    for part in (
        "model sample 1",
        "52 Hz; a window is 64 samples, 1.23 s, and the next one begins 32 samples, 0.615 s,",
        "3 trees with soft votes, 3 splits, 6 leaves, at most 2 splits deep",
        "3 rows of votes",
        "Classes (3): rest, größer, \U0001f600 walk",
        "decided when 2 of the last 3 windows predicted it, if its confidence was at least 100",
        "FFT of 64 points, Hann window",
        "Stream 4: magnitude of ax, ay, az",
        "Stream 6: project of ax to az on the mean of ax to az",
    ):
        assert part in out, part


def test_labels_cannot_smuggle_markup(tmp_path: Path, capsys) -> None:
    path = tmp_path / "markup.obm"
    path.write_bytes(sample_model.pack(labels=["[red]a[/red]", "[/]", "b"], name="[bold]"))
    code, out, _ = run(capsys, str(path))
    assert code == 0 and "[red]a[/red], [/], b" in out and "model [bold]" in out


def test_facts_of_a_recording(recording_path: Path, capsys) -> None:
    found = inspect.facts(recording_path)
    assert found["kind"] == "recording"
    assert (found["n_channels"], found["n_rows"], found["n_segments"]) == (2, 150, 2)
    assert (found["shortest_segment_s"], found["longest_segment_s"]) == (1.0, 2.0)
    code, out, err = run(capsys, str(recording_path))
    assert (code, err) == (0, "")
    assert "2 channels at 50 Hz, 150 rows: 3.0 s in 2 segments of 1.0 to 2.0 s" in out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "SIZE(4)"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "CRC(5); copy or download"),
        (lambda data: b"hello", "TOO_SHORT(1); copy or download"),
        (lambda data: b"X" * 100, "MAGIC(2); give a model file (.obm) or a recording"),
        (lambda data: data[:4] + b"\2" + data[5:], "VERSION(3): version 2; it was made for"),
        (lambda data: b"OBR\x1a", "RECORDING_SIZE(90); copy or download"),
        (lambda data: b"X" * (model.MAX_BYTES + 1), "RECORDING_MAGIC(91); give a model file"),
        (lambda data: data[:5] + b"\0" + data[6:], "HEADER(6): 0 sections; its content"),
    ],
)
def test_refused_files_are_one_line_and_code_2(damage, message, model_path: Path, capsys) -> None:
    model_path.write_bytes(damage(model_path.read_bytes()))
    code, out, err = run(capsys, str(model_path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and f"{model_path}: refused, {message}" in err


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, capsys) -> None:
    code, out, err = run(capsys, str(tmp_path / "nosuch.obm"))
    assert (code, out) == (2, "") and "nosuch.obm: No such file or directory" in err
    with pytest.raises(UserError, match="Is a directory"):
        inspect.facts(tmp_path)


# Of armv6m, mpy 6.3: no names, no objects, four bytes of code, 300 of constants, 16 zeroed.
NATIVE_MODULE = b"M\x06\x13\x1f\x00\x00\x22code\x60\x82\x2c\x10" + bytes(300)


def test_native_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "obkernels.mpy"
    path.write_bytes(NATIVE_MODULE)
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{path}: native module, 315 bytes",
        "Architecture: armv6m (RP2040), mpy version 6.3",
        "Code 4 bytes, constants 300, zeroed memory 16",
    ]
    code, out, _ = run(capsys, "--json", str(path))
    found = json.loads(out)
    assert (code, found["kind"], found["arch"]) == (0, "native module", "armv6m")
    assert (found["mpy_version"], found["text_bytes"]) == ("6.3", 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"M\x05\x13\x1f", "not an .mpy file of version 6, but 5"),
        (NATIVE_MODULE[:40], "not a whole .mpy file: it ends too early"),
        (None, "No such file or directory"),
    ],
)
def test_refused_native_module_is_one_line(
    data: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "obkernels.mpy"
    if data is not None:
        path.write_bytes(data)
    code, out, err = run(capsys, str(path))
    assert (code, out) == (2, "")
    assert err == f"onebyte: error: {path}: {reason}\n"
