"""Manifests survive, and what is not one is refused by name."""

import sample_release
from check import Random, raises, raises_kind
from sample_release import fields, file_entry, flips, reason

from formats import errors, manifest, manifest_pack


def test_a_manifest_survives():
    edges = {"tenant": "", "tries": 100, "security_floor": 10}
    for values in (
        fields(offline_h=1),
        fields(offline_h=720),
        sample_release.model_fields(),
        fields(**edges),
    ):
        found = manifest.parse(manifest_pack.pack(values))
        for name in values:
            expected = values[name]
            if name == "files":
                expected = sorted(expected, key=lambda entry: (entry[0], entry[4]))
            assert getattr(found, name) == expected, name
    assert found.size_of(False) == 2007 + 9000 and found.size_of(True) == 0
    assert found.types_mask() == 1 << 1 | 1 << 7 | 1 << 9


def test_the_layout_is_the_one_of_the_spec():
    content = manifest_pack.pack(fields())
    assert len(content) == 144 + 3 * 68
    assert content[:8] == b"OBU\x1a\x01\x03\x5c\x01"
    assert content[8:16] == fields()["key_id"]
    assert content[16:36] == bytes([1, 0, 0, 0, 12, 0, 0, 0, 10, 0, 0, 0, 9, 0, 0, 0, 7, 0, 3, 0])
    assert content[36:52] == bytes([6, 0, 0, 0, 4, 0, 0, 0, 6, 0, 3, 5, 1, 0, 24, 0])
    assert content[52:64] == b"\x20\x4e\0\0\x80\x38\x01\0" + bytes(4)
    assert content[64:96] == b"farm-7" + bytes(26)
    assert content[96:128] == fields()["golden_hash"] and content[128:144] == bytes(16)
    assert content[144:156] == b"\x01\0\0\0\x07\0\0\0\x07\0\0\0"
    assert content[156:180] == b"node.py" + bytes(17)
    assert content[212:224] == b"\x07\x01\0\0\x28\x23\0\0\xa0\x0f\0\0"


def test_the_largest_manifest_fits_a_signed_document():
    files = [file_entry(1, "f%d.py" % i) for i in range(48)]
    values = fields(files=files, mpy_abi=0, arch=0, golden_hash=bytes(32))
    file = sample_release.seal(1, manifest_pack.pack(values), "release")
    assert len(file) == 80 + 144 + 48 * 68 <= 4096
    raises(
        errors.MANIFEST_SIZE,
        manifest_pack.pack,
        fields(files=files + [file_entry(1, "more.py")]),
    )


def test_every_type_has_its_folder_and_no_name_leaves_it():
    for kind in range(1, manifest.LAST_TYPE + 1):
        place = manifest.path(kind, "x.py")
        assert place == ("" if kind == 10 else manifest.TYPES[kind - 1] + "/x.py")
    bad_names = ("", ".", "..", "../x", "a/b", ".hidden", "A.py", "a-b", "a b", "a" * 25, "\xe9")
    for name in bad_names + ("a\x00b", "a\\b", "a\n"):
        bad = fields(files=[file_entry(1, name)], mpy_abi=0, arch=0, golden_hash=bytes(32))
        raises(errors.MANIFEST_NAME, manifest_pack.pack, bad)
    for name in ("a", "a" * 24, "__init__.py", "a..b", "0.obm"):
        good = fields(files=[file_entry(1, name)], mpy_abi=0, arch=0, golden_hash=bytes(32))
        assert manifest.parse(manifest_pack.pack(good)).files[0][4] == name


def test_a_file_is_found_by_type_and_name_and_by_its_hash():
    names = (1, "a.py"), (1, "a.pyc"), (1, "b" * 24), (2, "c.py")
    files = [file_entry(kind, name, name.encode()) for kind, name in names]
    files.append(file_entry(3, "a.py", b"a.py"))  # as the first
    values = fields(files=files, mpy_abi=0, arch=0, golden_hash=bytes(32))
    found = manifest.parse(memoryview(manifest_pack.pack(values))).files
    for i in range(len(found)):
        assert found.named(found[i][0], found[i][4]) == found[i]
        assert found.find(found[i][5]) == found[i % 4]
    for name in ("a", "a.pycc", "b" * 23, "b" * 25, "c.py", ""):
        assert found.named(1, name) is None, name
    assert found.named(0, "a.py") is None and found.named(2, "a.py") is None
    assert found.find(bytes(32)) is None and found.find(found[0][5][:31]) is None


def test_every_folder_has_its_type_and_firmware_has_none():
    for kind in range(1, manifest.LAST_TYPE + 1):
        assert manifest.type_of(manifest.TYPES[kind - 1]) == (0 if kind == 10 else kind)
    assert manifest.type_of("") == manifest.type_of("manifest") == manifest.type_of("app/x") == 0


def test_a_value_that_does_not_fit_is_refused_by_name():
    for name, values in (
        ("root_epoch", (0, -1, 1 << 32)),
        ("manifest_seq", (0, 1 << 32)),
        ("content_version", (8, -1)),
        ("security_floor", (11,)),
        ("vendor", (0, 65536)),
        ("product_class", (0,)),
        ("hardware_mask", (0,)),
        ("arch", (256,)),
        ("tries", (0, 101)),
        ("offline_h", (0, 721)),
        ("may_confirm_offline", (False,)),
        ("key_id", (b"short",)),
        ("golden_hash", (bytes(31),)),
    ):
        for value in values:
            raises(errors.MANIFEST_RANGE, manifest_pack.pack, fields(**{name: value}))
    raises(errors.MANIFEST_RANGE, manifest_pack.pack, sample_release.model_fields(arch=3))
    for tenant in ("A", "a/b", "a" * 33, "+", "#", "a\x00b"):
        raises(errors.MANIFEST_TENANT, manifest_pack.pack, fields(tenant=tenant))
    raises_kind(ValueError, manifest_pack.pack, {})
    raises_kind(ValueError, manifest_pack.pack, fields(more=1))


def test_a_file_that_does_not_fit_is_refused_by_name():
    sha = bytes(32)
    for entry in (
        (0, 0, 1, 1, "a", sha),
        (11, 0, 1, 1, "a", sha),
        (1, 2, 1, 1, "a", sha),
        (1, 0, 2, 1, "a", sha),
        (1, 1, 2, 0, "a", sha),
        (1, 0, (1 << 24) + 1, (1 << 24) + 1, "a", sha),
        (1, 1, 10, (1 << 24) + 1, "a", sha),
        (1, 1, (1 << 24) + 1, 10, "a", sha),
        # Firmware is written as it comes, and there is some.
        (manifest.FIRMWARE, manifest.DEFLATE, 10, 9, "a", sha),
        (manifest.FIRMWARE, manifest.PLAIN, 0, 0, "a", sha),
    ):
        bad = fields(files=[entry], mpy_abi=0, arch=0, golden_hash=sha)
        raises(errors.MANIFEST_FILE, manifest_pack.pack, bad)
    for changes in ({"mpy_abi": 0, "arch": 0}, {"golden_hash": sha}):
        raises(errors.MANIFEST_FILE, manifest_pack.pack, fields(**changes))
    raises(errors.MANIFEST_FILE, manifest_pack.pack, sample_release.model_fields(mpy_abi=6))


def test_files_ascend_and_there_is_one_firmware():
    twice = [file_entry(1, "a"), file_entry(1, "a")]
    images = [file_entry(10, "a"), file_entry(10, "b")]
    for files in (twice, images):
        bad = fields(files=files, mpy_abi=0, arch=0, golden_hash=bytes(32))
        raises(errors.MANIFEST_ORDER, manifest_pack.pack, bad)
    content = manifest_pack.pack(fields())
    swapped = content[:144] + content[212:280] + content[144:212] + content[280:]
    raises(errors.MANIFEST_ORDER, manifest.parse, swapped)
    names = ["a", "a.py", "ab", "b"]
    ascending = [file_entry(1, name) for name in names]
    good = fields(files=ascending, mpy_abi=0, arch=0, golden_hash=bytes(32))
    assert [entry[4] for entry in manifest.parse(manifest_pack.pack(good)).files] == names


def test_every_cut_and_every_byte_more_is_refused():
    content = manifest_pack.pack(fields())
    for length in range(len(content)):
        assert reason(manifest.parse, content[:length]) == errors.MANIFEST_SIZE, length
    for more in (b"\0", bytes(68), bytes(5000)):
        raises(errors.MANIFEST_SIZE, manifest.parse, content + more)


def repacked(found):
    """Return the bytes of a parsed manifest, packed anew."""
    names = manifest_pack.NEEDED + tuple(manifest_pack.OPTIONAL)
    return manifest_pack.pack({name: getattr(found, name) for name in names})


def test_a_changed_bit_is_refused_by_code_or_means_something_else():
    # Without its signature a manifest may say another number; it never says two things at once.
    content = manifest_pack.pack(fields())
    refused = 0
    for bad in flips(content):
        code = reason(manifest.parse, bad)
        refused += code != 0
        assert 140 <= code < 150 or repacked(manifest.parse(bad)) == bad
    assert refused > 500, refused


def test_noise_is_refused_by_code():
    random = Random(3)
    content = manifest_pack.pack(fields())
    for _ in range(500):
        bad = bytearray(content)
        for _ in range(random.between(1, 6)):
            bad[random.below(len(bad))] = random.bits(8)
        code = reason(manifest.parse, bytes(bad))
        assert 140 <= code < 150 or repacked(manifest.parse(bytes(bad))) == bytes(bad)
        assert 140 <= reason(manifest.parse, random.bytes(random.below(300))) < 150
