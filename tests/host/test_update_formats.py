"""Manifests, root documents and slot states: properties, real Ed25519, and the largest walk."""

import hashlib
from typing import Any

import sample_release
import slot_world
from check import Random
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import (
    errors,
    manifest,
    manifest_pack,
    root_document,
    root_pack,
    signed,
    signed_pack,
    slot_state,
)
from formats.errors import OnebyteError
from ota import trust

settings.register_profile("updates", deadline=None, max_examples=200)
settings.load_profile("updates")

U16 = st.integers(1, 0xFFFF)
U32 = st.integers(1, 0xFFFFFFFF)
SHA = st.binary(min_size=32, max_size=32)
NAME = st.from_regex(r"[a-z0-9_][a-z0-9_.]{0,19}", fullmatch=True)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(
        st.lists(st.tuples(st.integers(1, 9), NAME), min_size=1, max_size=48, unique=True)
    )
    files = []
    for kind, name in names:
        size = draw(st.integers(0, 1 << 24))
        codec = draw(st.integers(0, 1))
        stored = draw(st.integers(1, 1 << 24)) if codec else size
        files.append((kind, codec, size, stored, name, draw(SHA)))
    is_compiled = any(name.endswith(".mpy") for _, name in names)
    has_model = any(kind == manifest.MODEL for kind, _ in names)
    content_version = draw(U32)
    is_offline = draw(st.booleans())
    return {
        "key_id": draw(st.binary(min_size=8, max_size=8)),
        "root_epoch": draw(U32),
        "manifest_seq": draw(U32),
        "content_version": content_version,
        "security_floor": draw(st.integers(0, content_version)),
        "vendor": draw(U16),
        "product_class": draw(U16),
        "hardware_mask": draw(U32),
        "min_firmware": draw(U32),
        "mpy_abi": draw(U16) if is_compiled else 0,
        "arch": draw(st.integers(0, 255)) if is_compiled else 0,
        "tries": draw(st.integers(1, 100)),
        "may_confirm_offline": is_offline,
        "offline_h": draw(st.integers(1, 720)) if is_offline else 0,
        "tenant": draw(st.from_regex(r"[a-z0-9_-]{0,32}", fullmatch=True)),
        "golden_hash": draw(SHA.filter(any)) if has_model else bytes(32),
        "files": sorted(files, key=lambda entry: (entry[0], entry[4])),
    }


@given(manifests())
def test_every_manifest_survives(values: dict[str, Any]) -> None:
    content = manifest_pack.pack(values)
    found = manifest.parse(content)
    for name, value in values.items():
        assert getattr(found, name) == value, name
    assert len(content) + 80 <= signed.MAX_BYTES


@given(
    st.binary(max_size=600), st.sampled_from([b"", b"OBU\x1a\x01", b"OBK\x1a\x01", b"OBT\x1a\x01"])
)
def test_no_bytes_raise_anything_else(content: bytes, start: bytes) -> None:
    for parse in (
        manifest.parse,
        root_document.parse,
        slot_state.parse,
        lambda data: signed.parse(data, signed.MANIFEST),
    ):
        try:
            parse(start + content)
        except OnebyteError as error:
            assert errors.name(error.code) != "UNKNOWN"


@given(
    st.lists(SHA, min_size=1, max_size=8, unique=True),
    st.lists(SHA, max_size=8, unique=True),
    st.data(),
)
def test_every_root_document_survives(
    roots: list[bytes], releases: list[bytes], data: st.DataObject
) -> None:
    releases = [key for key in releases if key not in roots]
    values = {
        "epoch": data.draw(U32),
        "vendor": data.draw(U16),
        "threshold": data.draw(st.integers(1, len(roots))),
        "root_keys": sorted(roots),
        "release_keys": sorted((key, data.draw(U16), 1 << 9) for key in releases),
        "revoked": [],
    }
    found = root_document.parse(root_pack.pack(values))
    assert {name: getattr(found, name) for name in root_pack.NEEDED} == values


class Person:
    """Somebody with an Ed25519 key."""

    def __init__(self, name: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(name.encode()).digest()
        )
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, kind: int, body: bytes) -> tuple[bytes, bytes]:
        return self.public, self._private.sign(signed.message(kind, body))


def verify(public_key: bytes, signature: bytes, message: tuple[bytes, ...]) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, b"".join(message))
    except InvalidSignature:
        return False
    return True


def test_real_signatures_go_through_rotation_and_release() -> None:
    roots = [Person(f"root {i}") for i in range(4)]
    old, new = Person("release 1"), Person("release 2")

    def fields(epoch: int, people: list[Person], release: Person, revoked: list[bytes]) -> bytes:
        return root_pack.pack(
            {
                "epoch": epoch,
                "vendor": sample_release.VENDOR,
                "threshold": 2,
                "root_keys": [person.public for person in people],
                "release_keys": [(release.public, 0, 0x7FE)],
                "revoked": revoked,
            }
        )

    first = root_document.parse(fields(1, roots[:3], old, []))
    body = fields(2, roots[1:], new, [signed.key_id(old.public)])
    file = signed_pack.pack(
        signed.ROOT, [person.sign(signed.ROOT, body) for person in roots[1:3]], body
    )
    second = trust.open_root(file, first, verify)

    def release(person: Person) -> bytes:
        packed = manifest_pack.pack(sample_release.fields(key_id=signed.key_id(person.public)))
        return signed_pack.pack(signed.MANIFEST, [person.sign(signed.MANIFEST, packed)], packed)

    given_to = sample_release.device(), sample_release.state(), verify
    assert trust.open_manifest(release(old), first, *given_to).manifest_seq == 12
    assert trust.open_manifest(release(new), second, *given_to).manifest_seq == 12
    assert (
        sample_release.reason(trust.open_manifest, release(old), second, *given_to)
        == errors.SIGNED_REVOKED
    )
    good = release(new)
    n_refused = sum(
        130 <= sample_release.reason(trust.open_manifest, bad, second, *given_to) < 140
        for bad in sample_release.flips(good)
    )
    assert n_refused == 8 * len(good)


def test_the_largest_walk_finds_nothing() -> None:
    n_worlds, n_moves, _ = slot_world.walk(3, 1, 1)
    print(f"slots releases=3 rot=1 loss=1 worlds={n_worlds} moves={n_moves}")
    assert n_worlds > 4000 and n_moves > 100_000


def test_many_random_lives_find_nothing() -> None:
    random = Random(2026)
    lives = [slot_world.live(random, 120, 20) for _ in range(1000)]
    boots, confirmed, reverted = (sum(column) for column in zip(*lives, strict=True))
    print(f"slots lives={len(lives)} boots={boots} confirmed={confirmed} reverted={reverted}")
    assert min(boots, confirmed, reverted) > 200
