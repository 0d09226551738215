"""Root documents on the host: one after the other, signed by the keys of before and of after."""

from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from update_folder import ALL_TYPES, PASSPHRASE, VENDOR, UpdateFolder, use_cheap_keys

from formats import root_document, signed, signed_pack
from onebyte.errors import UserError
from onebyte.passphrases import VARIABLE
from onebyte.updates import ceremony, keys, roots, rotation
from onebyte.updates.rotation import Changes


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cheap_keys(monkeypatch)


@pytest.fixture
def made(tmp_path: Path) -> UpdateFolder:
    return UpdateFolder(tmp_path)


def rotate(made: UpdateFolder, changes: Changes, *signers: keys.PrivateKey) -> Path:
    """Write the next root document or its draft."""
    return made.draft(rotation.apply(made.chain().newest, changes), *signers)


def ids(public_keys: list[bytes]) -> set[bytes]:
    return {signed.key_id(key) for key in public_keys}


def test_a_release_key_is_replaced_and_the_old_one_revoked(made: UpdateFolder) -> None:
    new = keys.generate()
    changes = Changes(add_release=((new.public, 7, ALL_TYPES),), revoke=(made.release_key.key_id,))
    path = rotate(made, changes, made.root_keys[0], made.root_keys[2])
    chain = made.chain()
    assert path.name == "root.2" and chain.epoch == 2
    assert chain.newest.release_keys == [(new.public, 7, ALL_TYPES)]
    assert chain.newest.revoked == [made.release_key.key_id]
    # What is revoked stays so, whatever comes after.
    rotate(made, Changes(threshold=1), *made.root_keys[:2])
    assert made.chain().newest.revoked == [made.release_key.key_id]
    with pytest.raises(UserError, match="added and removed or revoked"):
        rotation.apply(
            made.chain().newest, Changes(add_release=((made.release_key.public, 0, 2),))
        )


def test_a_root_key_is_replaced_by_the_thresholds_of_before_and_after(made: UpdateFolder) -> None:
    new = keys.generate()
    changes = Changes(add_root=(new.public,), revoke=(made.root_keys[0].key_id,))
    # The revoked key still speaks for epoch 1, but not for epoch 2.
    path = rotate(made, changes, made.root_keys[0], made.root_keys[1])
    assert path.name == "root.2.draft"
    draft = roots.read_draft(made.chain())
    assert draft is not None
    (line,) = draft.missing()
    assert line.startswith("1 more of epoch 2's keys") and new.key_id.hex() in line
    assert made.root_keys[0].key_id.hex() not in line
    done = roots.write(made.chain(), draft.sign(new))
    assert done.name == "root.2"
    assert ids(made.chain().newest.root_keys) == {key.key_id for key in (*made.root_keys[1:], new)}


def test_a_chain_is_not_begun_anew_in_its_folder(made: UpdateFolder) -> None:
    made.save_keys()
    rotate(made, Changes(threshold=1), *made.root_keys[:2])
    before = {path.name: path.read_bytes() for path in made.keys.iterdir()}
    got = onebyte("keygen", "root", made.keys, "--vendor", VENDOR, "--force")
    assert_refused(got, "holds a chain of root documents; take another folder")
    assert {path.name: path.read_bytes() for path in made.keys.iterdir()} == before


def test_a_key_that_is_given_twice_is_one_line(made: UpdateFolder, tmp_path: Path) -> None:
    made.save_keys()
    release, other = made.keys / "release.pub", made.keys / "root-1.pub"
    for options in (
        ("--release-key", release, "--release-key", f"{release}:7"),
        ("--root-key", other, "--root-key", other),
        ("--root-key", other, "--release-key", other),
    ):
        got = onebyte("keygen", "root", tmp_path / "new", "--vendor", VENDOR, *options)
        assert_refused(got, "is given twice")
    assert not (tmp_path / "new").exists()


def test_holders_sign_one_after_the_other_and_see_what(made: UpdateFolder) -> None:
    made.save_keys()
    base = made.folder / "new"
    keys.write_pairs([(base, keys.generate(), PASSPHRASE)])
    name = made.release_key.key_id.hex()
    argv = ["rotate-keys", made.keys, "--remove", name, "--add-release", f"{base}.pub:7:model"]
    code, out, err = onebyte(*argv, "--key", made.keys / "root-2.pem")
    assert (code, err) == (0, "")
    assert f"- release key {name}: any class, all types" in out
    assert "class 7, model" in out and "root.2.draft: a draft" in out
    assert made.chain().epoch == 1
    assert_refused(onebyte(*argv, "--key", made.keys / "root-1.pem"), "waits for signatures")
    again = onebyte("rotate-keys", made.keys, "--key", made.keys / "root-2.pem")
    assert again[0] == 0 and "a draft, it needs" in again[1], "the same key counts once"
    code, out, err = onebyte("rotate-keys", made.keys, "--key", made.keys / "root-3.pem")
    assert (code, err) == (0, "") and f"- release key {name}" in out
    assert out.splitlines()[-1].endswith("root.2: complete")
    assert made.chain().epoch == 2
    assert_refused(
        onebyte("rotate-keys", made.keys, "--key", made.keys / "root-3.pem"), "nothing to change"
    )


def test_what_changes_is_said_before_the_passphrase_is_asked(made: UpdateFolder) -> None:
    made.save_keys()
    changes = Changes(revoke=(made.release_key.key_id,))
    said: list[str] = []

    def ask(what: str) -> str:
        assert any("revoked" in line for line in said), said
        return PASSPHRASE

    for line in ceremony.rotate(made.keys, changes, (made.keys / "root-1.pem",), ask):
        said.append(line)
    assert any("signed by" in line for line in said)


def test_a_draft_can_be_thrown_away(made: UpdateFolder) -> None:
    rotate(made, Changes(threshold=3), made.root_keys[0])
    assert (made.keys / "root.2.draft").exists()
    code, out, _ = onebyte("rotate-keys", made.keys, "--discard")
    assert code == 0 and "removed" in out and not (made.keys / "root.2.draft").exists()
    assert_refused(onebyte("rotate-keys", made.keys, "--discard"), "holds no draft")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--threshold", "3"], "give the root keys to sign with"),
        (["--key", "root-1.pem"], "nothing to change and no draft"),
        (["--threshold", "4", "--key", "root-1.pem"], "a threshold of 4 of 3 root keys"),
        (["--remove", "00" * 8, "--key", "root-1.pem"], "is not in the root document"),
        (["--remove", "nosuch", "--key", "root-1.pem"], "cannot read"),
        (["--threshold", "1", "--key", "release.pem"], "is no root key; those are "),
        (["--add-root", "release.pub", "--key", "root-1.pem"], "a root key and a release key"),
        (["--add-release", "root-3.pub", "--key", "root-1.pem"], "a root key and a release key"),
        (["--threshold", "1", "--key", "root-1.pub"], "is a public key; the private one"),
        (["--revoke", "root-1.pub", "--revoke", "root-2.pub", "--key", "x"], "cannot be met"),
    ],
)
def test_a_rotation_that_cannot_be_is_one_line(
    argv: list[str], words: str, made: UpdateFolder
) -> None:
    made.save_keys()
    told: list[object] = [
        made.keys / part if part.endswith((".pem", ".pub")) else part for part in argv
    ]
    code, _, err = onebyte("rotate-keys", made.keys, *told)
    assert code == 2 and err.count("\n") == 1 and words in err, err
    assert sorted(made.keys.glob("root.*")) == [made.keys / "root.1"]


def test_a_wrong_passphrase_leaves_the_draft_as_it_was(
    made: UpdateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.save_keys()
    rotate(made, Changes(threshold=1), made.root_keys[0])
    before = (made.keys / "root.2.draft").read_bytes()
    monkeypatch.setenv(VARIABLE, "other")
    code, _, err = onebyte("rotate-keys", made.keys, "--key", made.keys / "root-2.pem")
    assert code == 2 and "wrong passphrase" in err and err.count("\n") == 1
    assert (made.keys / "root.2.draft").read_bytes() == before and made.chain().epoch == 1


def test_a_chain_with_a_damaged_or_foreign_link_is_refused(
    made: UpdateFolder, tmp_path: Path
) -> None:
    rotate(made, Changes(threshold=1), *made.root_keys[:2])
    second = made.keys / "root.2"
    good = second.read_bytes()
    for at in range(0, len(good), 5):
        bad = bytearray(good)
        bad[at] ^= 1
        second.write_bytes(bad)
        with pytest.raises(UserError, match=r"root\.2 is refused"):
            made.chain()
    other = UpdateFolder(tmp_path / "other")
    second.write_bytes((other.keys / "root.1").read_bytes())
    with pytest.raises(UserError, match=r"root\.2 is refused: SIGNED_KEY"):
        made.chain()
    second.write_bytes((made.keys / "root.1").read_bytes())
    with pytest.raises(UserError, match=r"root\.2 is refused: ROOT_EPOCH"):
        made.chain()


def test_a_draft_of_a_stranger_is_refused(made: UpdateFolder) -> None:
    rotate(made, Changes(threshold=1), made.root_keys[0])
    path = made.keys / "root.2.draft"
    body = signed.parse(path.read_bytes(), signed.ROOT).body
    stranger = keys.generate()
    text = signed.message(signed.ROOT, body)
    path.write_bytes(signed_pack.pack(signed.ROOT, [(stranger.public, stranger.sign(text))], body))
    with pytest.raises(UserError, match="SIGNED_KEY"):
        roots.read_draft(made.chain())
    path.write_bytes(signed_pack.pack(signed.ROOT, [(made.root_keys[0].public, bytes(64))], body))
    with pytest.raises(UserError, match="SIGNED_INVALID"):
        roots.read_draft(made.chain())


def test_a_draft_that_forgets_a_revoked_key_is_refused(made: UpdateFolder) -> None:
    rotate(made, Changes(revoke=(made.release_key.key_id,)), *made.root_keys[:2])
    fields = rotation.apply(made.chain().newest, Changes(threshold=1))
    draft = roots.new_draft(made.chain(), {**fields, "revoked": []}).sign(made.root_keys[0])
    (made.keys / "root.3.draft").write_bytes(draft.packed())
    with pytest.raises(UserError, match="ROOT_REVOKED"):
        roots.read_draft(made.chain())


def test_the_first_document_says_its_vendor(made: UpdateFolder) -> None:
    assert made.chain().newest.vendor == VENDOR
    lines = rotation.describe(None, made.chain().newest)
    assert any(line.startswith("+ threshold: 2 of 3") for line in lines)
    assert rotation.scope_text(root_document.ANY_CLASS, 1 << 9) == "any class, model"
