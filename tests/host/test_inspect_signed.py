"""`onebyte inspect` of manifests and root documents."""

import json
from pathlib import Path

import pytest
import sample_release

from formats import errors, root_pack, signed
from onebyte import cli, inspect
from onebyte.errors import UserError


def root_file() -> bytes:
    body = root_pack.pack(sample_release.root_fields())
    return sample_release.seal(signed.ROOT, body, "r1", "r2")


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["inspect", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_manifest_is_shown(tmp_path: Path, capsys) -> None:
    path = tmp_path / "release.obu"
    path.write_bytes(sample_release.release())
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "")
    for part in (
        f"manifest, {path.stat().st_size} bytes",
        *("not verified", "manifest_seq: 12", "tenant: farm-7", "may_confirm_offline: True"),
        *("top/obkernels.mpy", "deflate", "model/exercise.obm", "..."),
    ):
        assert part in out, part
    code, out, _ = run(capsys, str(path), "--json")
    found = json.loads(out)
    assert code == 0 and found["kind"] == "manifest" and found["security_floor"] == 9
    assert [entry["path"] for entry in found["files"]] == [
        *("app/node.py", "top/obkernels.mpy", "model/exercise.obm")
    ]
    assert found["signatures"][0]["key_id"] == found["key_id"]


def test_a_root_document_is_shown(tmp_path: Path, capsys) -> None:
    path = tmp_path / "root.obk"
    path.write_bytes(root_file())
    code, out, err = run(capsys, str(path))
    assert (code, err) == (0, "") and "root document" in out and "threshold: 2" in out
    found = inspect.facts(path)
    assert len(found["root_keys"]) == 3 and len(found["signatures"]) == 2
    types = {entry["types"] for entry in found["release_keys"]}
    assert "model" in types and len(found["revoked"]) == 1


@pytest.mark.parametrize(
    ("at", "code"),
    [(4, errors.SIGNED_VERSION), (5, errors.SIGNED_KIND), (6, errors.SIGNED_LIST)],
)
def test_a_damaged_file_gives_one_line(at: int, code: int, tmp_path: Path, capsys) -> None:
    path = tmp_path / "bad.obu"
    content = bytearray(sample_release.release())
    content[at] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(UserError, match=errors.name(code)):
        inspect.facts(path)
    status, out, err = run(capsys, str(path))
    assert (status, out) == (2, "") and len(err.strip().splitlines()) == 1


def test_every_cut_is_refused(tmp_path: Path) -> None:
    for file in (sample_release.release(), root_file()):
        for length in range(4, len(file), 7):
            path = tmp_path / "cut"
            path.write_bytes(file[:length])
            with pytest.raises(UserError):
                inspect.facts(path)
