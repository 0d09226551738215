"""What a node would say to a release: onebyte verify, and why a release is refused."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from update_folder import (
    APP,
    CLASS,
    MODEL,
    VENDOR,
    UpdateFolder,
    app_file,
    model_file,
    use_cheap_keys,
    verify,
)

from formats import errors, update_messages
from formats.errors import OnebyteError
from onebyte.errors import UserError
from onebyte.updates import keys, release, rotation, signing
from onebyte.updates.sources import Compiler, SourceFile


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cheap_keys(monkeypatch)


@pytest.fixture
def made(tmp_path: Path) -> UpdateFolder:
    return UpdateFolder(tmp_path)


def test_verify_says_what_a_node_checks(made: UpdateFolder, tmp_path: Path) -> None:
    made.release(5, [app_file(), model_file()])
    argv = ["verify", made.folder / "releases" / "5", "--roots", made.keys]
    code, out, err = onebyte(*argv)
    assert (code, err) == (0, "")
    assert "root documents: 1 verified" in out and "objects: 2 whole" in out
    assert made.release_key.key_id.hex() in out and "node:" not in out
    path = tmp_path / "node.json"
    path.write_text(
        json.dumps({"vendor": VENDOR, "product_class": CLASS, "hardware": 0, "firmware": 1})
    )
    code, out, err = onebyte(*argv, "--device", path)
    assert (code, err) == (0, "") and "node: would take it; not told: tenant" in out
    code, out, _ = onebyte(*argv, "--device", path, "--json")
    assert code == 0 and json.loads(out)["seq"] == 5 and "arch" in json.loads(out)["not_told"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"vendor": 4}, errors.UPDATE_VENDOR),
        ({"product_class": 8}, errors.UPDATE_CLASS),
        ({"hardware": 3}, errors.UPDATE_HARDWARE),
        ({"tenant": "other"}, errors.UPDATE_TENANT),
        ({"mpy_abi": 5}, errors.UPDATE_ABI),
        ({"arch": 2}, errors.UPDATE_ABI),
        ({"firmware": 3}, errors.UPDATE_FIRMWARE),
        ({"slot_bytes": 80}, errors.UPDATE_SIZE),
        ({"installed_seq": 5}, errors.UPDATE_SEQ),
        ({"last_bad_seq": 5}, errors.UPDATE_KNOWN_BAD),
        ({"security_floor": 6}, errors.UPDATE_FLOOR),
        ({"root_epoch": 2}, errors.ROOT_EPOCH),
        ({}, 0),
        ({"firmware": 4, "installed_seq": 4, "security_floor": 5, "tenant": "home"}, 0),
    ],
)
def test_verify_refuses_for_the_reason_of_the_node(
    facts: dict[str, object], code: int, made: UpdateFolder, tmp_path: Path
) -> None:
    source = tmp_path / "fast.py"
    source.write_text("import micropython\n\n@micropython.native\ndef f(x):\n    return x\n")
    native = SourceFile(APP, "fast.mpy", Compiler("armv6m").compile(source, "x"), "fast.py")
    values = {"tenant": "home", "min_firmware": 4, "hardware": [0, 1]}
    made.release(5, [native], **values)
    argv = ["verify", made.folder / "releases" / "5", "--roots", made.keys]
    path = tmp_path / "node.json"
    path.write_text(json.dumps(facts))
    got = onebyte(*argv, "--device", path)
    if code:
        assert_refused(got, f"{errors.name(code)}({code})")
    else:
        assert got[0] == 0 and "would take it" in got[1]


def test_verify_takes_what_a_node_has_said_of_itself(made: UpdateFolder, tmp_path: Path) -> None:
    made.release(5, [app_file()])
    path = tmp_path / "u.json"
    argv = ["verify", made.folder / "releases" / "5", "--roots", made.keys, "--device", path]
    report: dict[str, object] = dict.fromkeys(update_messages.REPORT_KEYS, 0)
    report |= {"phase": "idle", "slot": "a", "seq": 4, "installed_seq": 4, "root": 1, "record": 9}
    for changes, words in (
        ({}, ""),
        ({"seq": 5, "installed_seq": 5}, "the node has release 5: take a higher --seq"),
        ({"bad_seq": 5}, "the node has tried release 5 in vain: take a higher --seq"),
        ({"floor": 6}, "its content version 5 lies below the node's floor 6"),
        ({"root": 2}, "knows root document 2, and the newest of --roots is 1"),
    ):
        path.write_bytes(update_messages.pack_report({**report, **changes}) + b"\n")
        if words:
            assert_refused(onebyte(*argv), "release 5: ", words)
        else:
            told = onebyte(*argv)[1].splitlines()[-1]
            assert told.startswith("node: would take it") and "installed_seq" not in told
    path.write_text('{"phase": "idle"}')
    assert_refused(onebyte(*argv), "is no message of a node's /u: MESSAGE_")


def test_a_release_that_no_node_of_the_keys_takes_says_why(made: UpdateFolder) -> None:
    made.save_keys()
    folder = made.release(5, [app_file()], vendor=VENDOR + 1).folder
    argv = ["verify", folder, "--roots", made.keys]
    assert_refused(onebyte(*argv), "UPDATE_VENDOR(170)", "is for vendor 4, not for vendor 3")
    assert onebyte("sign", folder, "--key", made.keys / "root-1.pem")[0] == 0
    listed = f"sign with a release key, {made.release_key.key_id.hex()}"
    assert_refused(onebyte(*argv), "SIGNED_KEY(135)", f"that is a root key: {listed}")
    (folder / "manifest").write_bytes((folder / "manifest").read_bytes()[:100])
    assert_refused(onebyte(*argv), "MANIFEST_SIZE(140)", "pack again")
    assert_refused(onebyte("sign", made.folder, "--key", "x"), "missing; onebyte pack makes a")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ('{"colour": 1}', "unknown key colour"),
        ('{"vendor": "x"}', "vendor cannot be 'x'"),
        ('{"vendor": true}', "vendor cannot be True"),
        ('{"tenant": 1}', "tenant cannot be 1"),
    ],
)
def test_verify_with_wrong_facts_is_one_line(
    content: str, words: str, made: UpdateFolder, tmp_path: Path
) -> None:
    made.release(5, [app_file()])
    path = tmp_path / "node.json"
    path.write_text(content)
    argv = ["verify", made.folder / "releases" / "5", "--roots", made.keys, "--device", path]
    assert_refused(onebyte(*argv), words)


def test_verify_finds_every_changed_byte(made: UpdateFolder) -> None:
    text = "".join(f"x{number} = {number * number}\n" for number in range(200)).encode()
    made.release(5, [app_file(), app_file("long.py", text)])
    folder = made.folder / "releases" / "5"
    files = [folder / "manifest", *(folder / "objects").iterdir()]
    n_changed = 0
    for path in files:
        good = path.read_bytes()
        for at in range(0, len(good), 3 if ".z" in path.name else 1):
            bad = bytearray(good)
            bad[at] ^= 1
            if ".z" in path.name and release.inflated(bytes(bad), len(text)) == text:
                continue  # another way to say the same; the signature is over what comes out
            path.write_bytes(bad)
            with pytest.raises((UserError, OnebyteError)):
                verify(made, 5)
            n_changed += 1
        path.write_bytes(good)
    assert n_changed > 600 and verify(made, 5).n_objects == 2


def test_verify_with_mixed_up_files_is_one_line(made: UpdateFolder, tmp_path: Path) -> None:
    other = UpdateFolder(tmp_path / "other")
    made.release(5, [app_file()])
    made.pack(6, [app_file()])
    argv = ["verify", made.folder / "releases" / "5", "--roots"]
    where = made.folder / "releases" / "5" / "manifest"
    listed = f"sign with a release key, {other.release_key.key_id.hex()}"
    assert_refused(onebyte(*argv, other.keys), "SIGNED_KEY(135)", f"{where}, signed by", listed)
    assert_refused(onebyte(*argv, tmp_path / "nosuch"), "is no folder of root documents")
    assert_refused(onebyte(*argv, made.folder), "holds no root.1; onebyte keygen root makes one")
    assert_refused(
        onebyte("verify", where, "--roots", made.keys), "give the folder of the release"
    )
    got = onebyte("verify", made.folder / "releases" / "6", "--roots", made.keys)
    assert_refused(got, "is not signed yet; onebyte sign does it")
    shutil.copy(made.keys / "root.1", made.folder / "releases" / "6" / "manifest")
    got = onebyte("verify", made.folder / "releases" / "6", "--roots", made.keys)
    assert_refused(got, "is no signed manifest: SIGNED_KIND(133)", "sign the release again")
    shutil.copy(
        made.folder / "releases" / "5" / "manifest", made.folder / "releases" / "6" / "manifest"
    )
    for path in (made.folder / "releases" / "6" / "objects").iterdir():
        path.unlink()
    got = onebyte("verify", made.folder / "releases" / "6", "--roots", made.keys)
    assert_refused(got, "is missing; pack the release again")


def test_a_key_signs_only_what_it_may(made: UpdateFolder) -> None:
    models = keys.generate()
    before = made.chain().newest
    scope = (models.public, CLASS, 1 << MODEL)
    made.draft(rotation.apply(before, rotation.Changes(add_release=(scope,))), *made.root_keys[:2])
    for files, values, code in (
        ([model_file()], {}, 0),
        ([app_file()], {}, errors.UPDATE_SCOPE),
        ([model_file()], {"product_class": CLASS + 1}, errors.UPDATE_SCOPE),
    ):
        found = made.pack(5, files, **values)
        found.signed_path.write_bytes(signing.sign_manifest(found.body(), models))
        if code:
            with pytest.raises(OnebyteError) as caught:
                verify(made, 5)
            assert caught.value.code == code
        else:
            assert verify(made, 5).scope == f"class {CLASS}, model"
        shutil.rmtree(found.folder)


def test_a_release_signed_before_the_newest_root_is_refused_there(made: UpdateFolder) -> None:
    made.release(5, [app_file()], root_epoch=2)
    with pytest.raises(OnebyteError, match="UPDATE_ROOT"):
        verify(made, 5)
