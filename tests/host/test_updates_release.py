"""Releases: packed from files, signed offline, rolled back, shown."""

import hashlib
import json
import re
import shutil
import zlib
from pathlib import Path

import pytest
import sample_model
from command_line import assert_refused, onebyte
from update_folder import (
    APP,
    CLASS,
    CUSTOM,
    VENDOR,
    UpdateFolder,
    app_file,
    model_file,
    use_cheap_keys,
    verify,
)

from formats import manifest, model_pack, objects, signed, slot_state
from formats import model as model_format
from onebyte import inspect, toolchain
from onebyte.errors import UserError
from onebyte.passphrases import VARIABLE
from onebyte.updates import keys, packing, release, signing, sources
from onebyte.updates.release import Release
from onebyte.updates.sources import Compiler, SourceFile
from ota import trust

EXERCISE = toolchain.ROOT / "models" / "exercise" / "model.obm"
MANY = [app_file(f"m{number}.py") for number in range(manifest.MAX_FILES + 1)]


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cheap_keys(monkeypatch)


@pytest.fixture
def made(tmp_path: Path) -> UpdateFolder:
    return UpdateFolder(tmp_path)


def test_a_node_accepts_what_was_packed_and_signed(made: UpdateFolder) -> None:
    files = [app_file(), model_file(), app_file("zeros.py", bytes(5000))]
    found = made.release(5, files, content_version=4, security_floor=2, tenant="home").signed()
    device, state = trust.Device(), slot_state.State()
    device.vendor, device.product_class, device.tenant = VENDOR, CLASS, "home"
    device.slot_bytes = 100_000
    accepted = trust.open_manifest(found.content, made.chain().newest, device, state, keys.verify)
    assert (accepted.manifest_seq, accepted.content_version, accepted.security_floor) == (5, 4, 2)
    assert accepted.hardware_mask == 0xFFFFFFFF and accepted.tries == 3
    for entry, file in zip(accepted.files, sorted(files, key=lambda f: f.path), strict=True):
        stored = found.objects[objects.file_id(entry)]
        content = zlib.decompress(stored, -12) if entry[1] == manifest.DEFLATE else stored
        assert content == file.content and entry[5] == hashlib.sha256(file.content).digest()
    by_name = {entry[4]: entry for entry in accepted.files}
    assert by_name["zeros.py"][1] == manifest.DEFLATE and by_name["zeros.py"][3] < 100
    assert by_name["node.py"][1] == manifest.PLAIN, "too short to gain by it"


def test_deflate_never_looks_back_further_than_a_node_remembers() -> None:
    block = hashlib.sha256(b"x").digest() * 8
    content = block + bytes(range(256)) * 40 + block
    stored = release.deflated(content)
    assert stored is not None and release.inflated(stored, len(content)) == content
    # Two stretches of noise that repeat 6 KiB later: only a larger window would see it.
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(192))
    assert len(noise) == 6144 and release.deflated(noise + noise) is None
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    assert len(packer.compress(noise + noise) + packer.flush()) < 7000, "the larger one does"


def test_damaged_deflate_is_no_content() -> None:
    stored = release.deflated(bytes(1000))
    assert stored is not None
    assert release.inflated(stored, 1000) == bytes(1000)
    assert release.inflated(stored, 999) is None, "one byte more than is signed"
    assert release.inflated(stored[:-1], 1000) is None
    assert release.inflated(stored + b"\0", 1000) is None
    assert release.inflated(b"\xff" * 20, 1000) is None


def test_the_same_files_give_the_same_release(made: UpdateFolder) -> None:
    files = [*sources.app(toolchain.ROOT / "firmware" / "app", Compiler()), model_file()]
    first = made.pack(1, files)
    before = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    assert len(before) > 20
    again = made.pack(1, files[::-1])
    assert {p: p.read_bytes() for p in again.folder.rglob("*") if p.is_file()} == before
    # What another packing has left there goes.
    made.pack(1, [app_file()])
    assert len(list((first.folder / "objects").iterdir())) == 1


def test_compiled_code_names_its_version_and_architecture(
    made: UpdateFolder, tmp_path: Path
) -> None:
    code = tmp_path / "fast.py"
    code.write_text("import micropython\n\n@micropython.native\ndef f(x):\n    return x + 1\n")
    native = SourceFile(APP, "fast.mpy", Compiler("armv6m").compile(code, "app/fast.py"), "fast")
    slow = tmp_path / "slow.py"
    slow.write_text("x = 1\n")
    plain = SourceFile(APP, "slow.mpy", Compiler().compile(slow, "app/slow.py"), "slow")
    found = manifest.parse(made.pack(1, [native, plain, app_file()]).body())
    assert (found.mpy_abi, found.arch) == (6, sources.ARCH_NUMBERS["armv6m"])
    assert manifest.parse(made.pack(1, [plain]).body()).arch == 0
    assert manifest.parse(made.pack(1, [app_file()]).body()).mpy_abi == 0
    other = SourceFile(APP, "third.mpy", Compiler("xtensawin").compile(code, "x"), "third")
    with pytest.raises(UserError, match="third and fast are compiled for different firmware"):
        made.pack(2, [native, other])
    with pytest.raises(UserError, match="the nodes take 5"):
        sources.check_version([native], 5)


def test_the_golden_hash_is_over_the_golden_vectors(made: UpdateFolder) -> None:
    content = EXERCISE.read_bytes()
    offset, length = model_format.parse(content).section(model_format.GOLDEN)
    found = manifest.parse(made.pack(1, [model_file(content)]).body())
    assert (
        length and found.golden_hash == hashlib.sha256(content[offset : offset + length]).digest()
    )
    assert manifest.parse(made.pack(1, [app_file()]).body()).golden_hash == bytes(32)


def test_a_model_with_custom_features_brings_its_custom_py(made: UpdateFolder) -> None:
    code = b"def features_into(samples, out):\n    out[0] = 1\n"
    digest = hashlib.sha256(code).digest()[: model_format.CUSTOM_HASH_BYTES]
    model = model_file(model_pack.pack(sample_model.with_custom(custom=(3, digest))))
    with pytest.raises(UserError, match=r"needs its custom\.py: --custom"):
        made.pack(1, [model])
    with pytest.raises(UserError, match=r"goes with another custom\.py"):
        made.pack(1, [model, SourceFile(CUSTOM, "custom.py", code + b"#", "custom.py")])
    body = made.pack(1, [model, SourceFile(CUSTOM, "custom.py", code, "custom.py")]).body()
    assert manifest.path(*manifest.parse(body).files[0][::4]) == "custom/custom.py"


@pytest.mark.parametrize(
    ("files", "values", "words"),
    [
        ([], {}, "at least one file"),
        (MANY, {}, "MANIFEST_SIZE(140): 49 files; a release has 1 to 48 files"),
        ([app_file(), app_file()], {}, "app/node.py comes from"),
        ([model_file(b"no model")], {}, "is no model that a node accepts: TOO_SHORT"),
        ([app_file("x.mpy", b"no mpy")], {}, "x.mpy is no .mpy file"),
        ([app_file("x.mpy", b"M\x06\x13\x1f\x00\x00\x22co")], {}, "x.mpy is cut off"),
        ([app_file()], {"vendor": 0}, "vendor must be a whole number from 1 to 65535, not 0"),
        ([app_file()], {"vendor": True}, "vendor must be a whole number"),
        ([app_file()], {"product_class": 65536}, "product_class must be"),
        ([app_file()], {"root_epoch": 2**32}, "root_epoch must be"),
        ([app_file()], {"tries": 101}, "tries must be a whole number from 1 to 100"),
        ([app_file()], {"offline_h": 721}, "offline_h must be"),
        ([app_file()], {"hardware": []}, "hardware must be numbers from 0 to 31 in a list"),
        ([app_file()], {"hardware": [32]}, "hardware must be"),
        ([app_file()], {"tenant": "UPPER"}, "tenant must be 1 to 32 of a-z"),
        ([app_file()], {"security_floor": 2}, "security_floor 2 is above content_version 1"),
    ],
)
def test_what_no_manifest_can_hold_is_one_line(
    files: list[SourceFile], values: dict[str, object], words: str, made: UpdateFolder
) -> None:
    with pytest.raises(UserError) as caught:
        made.pack(1, files, **values)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (made.folder / "releases" / "1" / "manifest.unsigned").exists()


@pytest.mark.parametrize("name", ["Node.py", ".hidden.py", "a-b.py", "x" * 22 + ".py", "ä.py"])
def test_a_file_name_outside_the_rules_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "slot" / "app").mkdir(parents=True)
    (tmp_path / "slot" / "app" / name).write_text("x = 1\n")
    argv = ["pack", tmp_path / "out", "--vendor", 3, "--product-class", 7, "--seq", 1]
    got = onebyte(*argv, "--content-version", 1, "--folder", tmp_path / "slot")
    assert_refused(got, repr(name), "cannot be a file of a release: 1 to 24 of a-z 0-9 _ .")
    assert not (tmp_path / "out").exists()


def test_pack_reads_a_description_and_options_count_more(tmp_path: Path) -> None:
    toml = tmp_path / "release.toml"
    toml.write_text(
        'vendor = 3\nproduct_class = 7\nhardware = [0, 2]\ntenant = "home"\nseq = 4\n'
        "content_version = 9\nsecurity_floor = 1\ntries = 7\noffline_h = 24\nroot_epoch = 2\n"
        "heap_floor_bytes = 20000\nlatency_budget_us = 80000\nmin_firmware = 5\n"
    )
    out = tmp_path / "4"
    argv = ["pack", out, "--release", toml, "--model", EXERCISE, "--tries", 8, "--hardware", 1]
    code, said, err = onebyte(*argv)
    assert (code, err) == (0, "")
    assert "may confirm after 24 h without the server" in said and "hardware 1, tenant" in said
    found = manifest.parse(Release(out).body())
    assert (found.tries, found.hardware_mask, found.tenant) == (8, 0b10, "home")
    assert (found.may_confirm_offline, found.offline_h, found.root_epoch) == (True, 24, 2)
    assert (found.heap_floor_bytes, found.latency_budget_us) == (20000, 80000)
    assert found.min_firmware == 5 and found.files[0][4] == "model.obm"


def test_pack_compiles_the_app_and_a_folder(tmp_path: Path) -> None:
    slot = tmp_path / "slot"
    for folder, name in (("app", "node.py"), ("top", "extra.py"), ("custom", "custom.py")):
        (slot / folder).mkdir(parents=True)
        (slot / folder / name).write_text("def features_into(samples, out):\n    out[0] = 1\n")
    (slot / "app" / "__pycache__").mkdir()
    facts = ["--vendor", 3, "--product-class", 7, "--seq", 1, "--content-version", 1]
    code, _, err = onebyte("pack", tmp_path / "1", *facts, "--folder", slot, "--compile")
    assert (code, err) == (0, "")
    found = manifest.parse(Release(tmp_path / "1").body())
    paths = [manifest.path(entry[0], entry[4]) for entry in found.files]
    assert paths == ["app/node.mpy", "top/extra.mpy", "custom/custom.py"] and found.mpy_abi == 6
    code, _, err = onebyte("pack", tmp_path / "2", *facts, "--folder", slot)
    assert (code, err) == (0, "") and manifest.parse(Release(tmp_path / "2").body()).mpy_abi == 0
    code, _, err = onebyte("pack", tmp_path / "3", *facts, "--app", "--base", tmp_path / "2")
    assert (code, err) == (0, "")
    names = {entry[4] for entry in manifest.parse(Release(tmp_path / "3").body()).files}
    assert {"node.mpy", "run.mpy", "extra.py", "custom.py"} <= names
    (slot / "app" / "broken.py").write_text("def f(:\n")
    got = onebyte("pack", tmp_path / "4", *facts, "--folder", slot, "--compile")
    assert_refused(got, "cannot compile", "broken.py", "SyntaxError")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the release has no vendor"),
        (["--release", "nosuch.toml"], "cannot read nosuch.toml"),
        (["--release", "bad.toml"], "bad.toml is no TOML"),
        (
            ["--release", "odd.toml"],
            "odd.toml: unknown key class; there are vendor, product_class",
        ),
        (["--folder", "nosuch"], "nosuch is no folder"),
        (["--folder", "odd"], "is none of the folders of a release: app, formats"),
        (["--model", "nosuch.obm"], "cannot read nosuch.obm"),
        (["--app-folder", "odd"], "odd holds no Python files of an app"),
        (["--arch", "z80"], "no architecture 'z80'; there are x86"),
        (["--base", "nosuch"], "manifest.unsigned is missing"),
    ],
)
def test_pack_with_wrong_input_is_one_line(
    argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("vendor = = 3\n")
    (tmp_path / "odd.toml").write_text("class = 3\n")
    (tmp_path / "odd" / "library").mkdir(parents=True)
    (tmp_path / "app.py").write_text("x = 1\n")
    assert_refused(onebyte("pack", tmp_path / "out", *argv, "--native", "app.py"), words)
    assert not (tmp_path / "out").exists()


def test_sign_reads_the_manifest_and_the_key_alone(made: UpdateFolder, tmp_path: Path) -> None:
    made.save_keys()
    packed = made.pack(5, [app_file()])
    alone = tmp_path / "offline" / "manifest.unsigned"
    alone.parent.mkdir()
    shutil.copy(packed.unsigned_path, alone)
    code, out, err = onebyte("sign", alone, "--key", made.keys / "release.pem")
    assert (code, err) == (0, "")
    assert out.startswith("release 5: content version 5") and "  app/node.py: 13 bytes" in out
    signed_file = alone.with_name("manifest").read_bytes()
    assert signed_file == signing.sign_manifest(packed.body(), made.release_key)
    document = signed.parse(signed_file, signed.MANIFEST)
    assert manifest.parse(document.body).key_id == made.release_key.key_id
    assert trust.signer_of(document, made.chain().newest, keys.verify)


def test_sign_with_wrong_input_is_one_line(
    made: UpdateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.save_keys()
    folder = made.pack(5, [app_file()]).folder
    key = made.keys / "release.pem"
    assert_refused(onebyte("sign", folder / "nosuch", "--key", key), "is missing; onebyte pack")
    assert_refused(onebyte("sign", made.keys, "--key", key), "manifest.unsigned is missing")
    got = onebyte("sign", made.keys / "root.1", "--key", key)
    assert_refused(got, "is signed already")
    assert_refused(onebyte("sign", EXERCISE, "--key", key), "is no unsigned manifest")
    for wrong, words in (
        (made.keys / "release.pub", "is a public key"),
        (made.keys / "nosuch.pem", "cannot read"),
        (folder / "manifest.unsigned", "holds no private key"),
    ):
        code, _, err = onebyte("sign", folder, "--key", wrong)
        assert code == 2 and words in err and err.count("\n") == 1
    monkeypatch.setenv(VARIABLE, "other")
    code, _, err = onebyte("sign", folder, "--key", key)
    assert code == 2 and "wrong passphrase" in err and err.count("\n") == 1
    assert not (folder / "manifest").exists()


def test_a_signed_release_is_not_packed_over(made: UpdateFolder) -> None:
    before = made.release(5, [app_file()]).signed_path.read_bytes()
    with pytest.raises(UserError, match="holds a signed release"):
        made.pack(5, [app_file("other.py")])
    assert Release(made.folder / "releases" / "5").signed_path.read_bytes() == before


def test_pack_leaves_what_is_no_object(tmp_path: Path) -> None:
    objects_folder = tmp_path / "5" / "objects"
    (objects_folder / "folder").mkdir(parents=True)
    (objects_folder / "notes.txt").write_text("mine")
    old = objects_folder / objects.hash_id(bytes(32))
    old.write_bytes(b"of an earlier release")
    release.write_objects(tmp_path / "5", {objects.hash_id(bytes([1]) * 32): b"new"})
    names = {path.name for path in objects_folder.iterdir()}
    assert names == {"folder", "notes.txt", objects.hash_id(bytes([1]) * 32)}


def test_rollback_brings_old_content_under_a_new_number(made: UpdateFolder) -> None:
    made.save_keys()
    made.release(4, [app_file(), model_file()], security_floor=2)
    made.release(5, [app_file("other.py")], security_floor=3)
    releases = made.folder / "releases"
    argv = ["rollback", releases / "4", releases / "6", "--current", releases / "5"]
    code, out, err = onebyte(*argv, "--key", made.keys / "release.pem")
    assert (code, err) == (0, "") and "release 6: content version 4, security floor 3" in out
    old, new = Release(releases / "4").signed(), Release(releases / "6").signed()
    assert new.objects == old.objects and new.manifest.files == old.manifest.files
    assert new.manifest.golden_hash == old.manifest.golden_hash
    assert verify(made, 6, installed_seq=5, security_floor=3, last_bad_seq=0).manifest
    code, out, _ = onebyte(*argv[:2], releases / "7", *argv[3:], "--seq", 9)
    assert code == 0 and "not signed yet" in out
    assert manifest.parse(Release(releases / "7").body()).manifest_seq == 9


def test_rollback_below_the_floor_is_refused(made: UpdateFolder) -> None:
    made.release(4, [app_file()])
    made.release(5, [app_file("other.py")], security_floor=5)
    made.release(6, [app_file()], product_class=CLASS + 1)
    made.release(8, [app_file()], tenant="home")
    releases = made.folder / "releases"
    for old, current, options, words in (
        (4, 5, [], "content version 4 of .* lies below the security floor 5"),
        (5, 4, ["--seq", 5], "seq 5 must be above 5"),
        (6, 4, [], "are not of the same product_class"),
        (8, 4, [], "are not of the same tenant"),
        (9, 4, [], "manifest.unsigned is missing"),
    ):
        argv = [releases / str(old), releases / "7", "--current", releases / str(current)]
        code, _, err = onebyte("rollback", *argv, *options)
        assert code == 2 and err.count("\n") == 1
        assert re.search(words, err), err
    assert not (releases / "7").exists()


def test_files_of_a_release_can_be_kept(made: UpdateFolder) -> None:
    old = made.release(4, [app_file("zeros.py", bytes(3000)), model_file()])
    files = packing.files_of(old)
    assert {(f.path, f.content) for f in files} == {
        ("app/zeros.py", bytes(3000)),
        ("model/model.obm", sample_model.pack()),
    }


def test_firmware_travels_as_it_is(made: UpdateFolder) -> None:
    firmware = SourceFile(manifest.FIRMWARE, "app.bin", bytes(10_000), "app.bin")
    (entry,) = manifest.parse(made.pack(1, [firmware]).body()).files
    assert entry[1] == manifest.PLAIN and entry[2] == entry[3] == 10_000


def test_inspect_reads_all_of_it(made: UpdateFolder, tmp_path: Path) -> None:
    made.save_keys()
    found = made.release(5, [app_file(), model_file()])
    facts = inspect.facts(found.folder)
    assert facts["kind"] == "manifest" and facts["missing_objects"] == []
    next((found.folder / "objects").iterdir()).unlink()
    assert len(inspect.facts(found.folder)["missing_objects"]) == 1
    kinds = {
        found.unsigned_path: "unsigned manifest",
        made.keys / "root.1": "root document",
        made.keys / "release.pub": "public key",
        made.keys / "release.pem": "private key",
    }
    for path, kind in kinds.items():
        code, out, err = onebyte("inspect", path, "--json")
        assert (code, err) == (0, "") and json.loads(out)["kind"] == kind
        code, out, err = onebyte("inspect", path)
        assert (code, err) == (0, "") and f": {kind}, " in out
        assert ("not verified" in out) == (kind == "root document")
    public = json.loads(onebyte("inspect", made.keys / "release.pub", "--json")[1])
    assert public["key_id"] == made.release_key.key_id.hex()
    (tmp_path / "other.pem").write_text("-----BEGIN NOTHING-----\n")
    assert_refused(onebyte("inspect", tmp_path / "other.pem"), "no key of ours")
    assert_refused(onebyte("inspect", made.keys), "Is a directory")
