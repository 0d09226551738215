"""firmware/main.py as a process with slots in a folder: what runs, and its exit status."""

from pathlib import Path

import pytest
import signed_boards
import tiny_node
from signed_boards import Vendor

from formats import errors, slot_state
from formats.slot_state import SLOT_A, SLOT_B

RESTART = 75


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(tmp_path_factory.mktemp("vendor"))


def lay_out(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def module(tmp_path: Path, name: str, text: str) -> signed_boards.sources.SourceFile:
    """Return a module of an app."""
    path = tmp_path / name
    path.write_text(text)
    return signed_boards.sources.single(1, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_node.fill(tmp_path)


@pytest.fixture
def slots(folder: Path, vendor: Vendor, tmp_path: Path) -> Path:
    """Slots of a node that runs a model from slot a; its own model is gone."""
    root = tmp_path / "ota"
    model = signed_boards.model(folder / "model.obm")
    lay_out(root, vendor.identity())
    lay_out(root, signed_boards.in_slot(SLOT_A, vendor.release(1, [model])))
    lay_out(root, signed_boards.state(active=SLOT_A, installed_seq=1))
    (folder / "model.obm").unlink()
    return root


def start(folder: Path, slots: Path) -> tuple[int, list[str]]:
    """Run a node to its end; return its exit status and what it printed."""
    status, output = tiny_node.run(folder, update_path=str(slots))
    return status, output.splitlines()


def state_of(slots: Path) -> slot_state.State:
    return slot_state.parse((slots / "st/state").read_bytes())


def test_model_of_the_slot_runs_with_the_app_of_the_firmware(folder, slots) -> None:
    status, lines = start(folder, slots)
    assert status == 0, lines
    assert lines[0] == "onebyte boot: slot a, release 1"
    assert not any("refused" in line for line in lines), lines


def test_no_slot_is_told_and_the_firmware_runs(folder, slots) -> None:
    (slots / "s/a/manifest").write_bytes(b"nothing")
    status, lines = start(folder, slots)
    assert status == 0, lines
    assert lines[0].startswith("onebyte boot: no slot may run, the frozen app does")
    assert "model.obm refused: TOO_SHORT" in lines[1]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("def main(updates, path):\n    raise ValueError('crash')\n", "ValueError: crash"),
        ("def main(updates, path):\n    return 2\n", "the app on trial ended with 2"),
        ("import nothing_of_this_name\n", "ImportError"),
        ("def main(:\n", "SyntaxError"),
        ("def main(updates, path):\n    return bytes(1 << 60)\n", "Error"),
    ],
)
def test_a_trial_that_ends_badly_restarts_until_its_tries_are_spent(
    folder, slots, vendor, text, word
) -> None:
    bad = [module(folder, "run.py", text), module(folder, "safe_boot.py", "")]
    lay_out(slots, signed_boards.in_slot(SLOT_B, vendor.release(2, bad)))
    trial = {"active": SLOT_A, "installed_seq": 1, "pending": SLOT_B, "pending_seq": 2}
    lay_out(slots, signed_boards.state(**trial, tries_left=2))
    for left in (1, 0):
        status, lines = start(folder, slots)
        assert status == RESTART, lines
        assert lines[0] == f"onebyte boot: slot b, release 2, on trial, {left} further tries"
        assert any(word in line for line in lines), lines
        assert state_of(slots).tries_left == left
    status, lines = start(folder, slots)
    assert status == 0, lines
    assert lines[0] == (
        "onebyte boot: slot a, release 1; release 2 was taken back: TRIAL_SPENT(190)"
    )
    state = state_of(slots)
    assert (state.last_bad_seq, state.fail_reason) == (2, errors.TRIAL_SPENT)


@pytest.mark.parametrize("name", ["id/root", "id/product.json"])
def test_a_wrong_identity_leaves_a_node_without_updates(folder, slots, name) -> None:
    for content in (b"", b"{}", b"\xff" * 100, None):
        if content is None:
            (slots / name).unlink()
        else:
            (slots / name).write_bytes(content)
        status, lines = start(folder, slots)
        assert status == 0, lines
        assert lines[0].startswith("onebyte boot: "), lines
        assert "no updates" in lines[0] or "the frozen app runs" in lines[0], lines
        if content == b"\xff" * 100 and name == "id/root":
            assert "OnebyteError: SIGNED_MAGIC(" in lines[0], lines
