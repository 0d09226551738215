"""Key files: encrypted at rest, readable by openssl, one line for each mistake."""

import base64
import os
import pty
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from update_folder import use_cheap_keys

from formats import signed
from onebyte.errors import UserError
from onebyte.passphrases import VARIABLE
from onebyte.updates import keys, roots

REAL_ROUNDS = keys.KDF_ROUNDS
FULL_AT_BYTES = 200  # a public key fits, a private one does not


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cheap_keys(monkeypatch)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def secret_bytes(path: Path, passphrase: str) -> bytes:
    key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.private_bytes_raw()


def test_a_key_comes_back_with_its_passphrase_alone(tmp_path: Path) -> None:
    key = keys.generate()
    keys.write_pairs([(tmp_path / "k" / "release", key, "pässwörd")])
    path = tmp_path / "k" / "release.pem"
    assert mode_of(path) == 0o600
    assert keys.read_private(path, "pässwörd") == key
    assert keys.read_public(tmp_path / "k" / "release.pub") == key.public
    for wrong in ("", "passwort", "pässwörd "):
        with pytest.raises(UserError, match=f"{path}: wrong passphrase"):
            keys.read_private(path, wrong)
    assert signed.key_id(key.public) == key.key_id
    assert sorted(file.name for file in path.parent.iterdir()) == ["release.pem", "release.pub"]


def test_the_secret_is_nowhere_in_plain(tmp_path: Path) -> None:
    code, out, err = onebyte("keygen", "release", tmp_path / "release")
    assert (code, err) == (0, "")
    secret = secret_bytes(tmp_path / "release.pem", "sesame")
    shown = out.encode() + repr(keys.read_private(tmp_path / "release.pem", "sesame")).encode()
    for path in tmp_path.iterdir():
        der = b"".join(path.read_bytes().splitlines()[1:-1])
        for hidden in (secret, secret.hex().encode()):
            assert hidden not in path.read_bytes() + shown
        assert secret not in base64.b64decode(der)
    assert b"sesame" not in shown


def test_the_derivation_is_as_slow_as_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "KDF_ROUNDS", REAL_ROUNDS)
    assert REAL_ROUNDS >= 600_000
    keys.write_pairs([(tmp_path / "release", keys.generate(), "sesame")])
    openssl = shutil.which("openssl")
    if openssl is None:
        assert os.environ.get("CI") != "true", "CI needs openssl"
        pytest.skip("no openssl on this machine")
    command = [openssl, "asn1parse", "-in", tmp_path / "release.pem"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "PBKDF2" in said and "hmacWithSHA256" in said and "aes-256-cbc" in said
    assert f"INTEGER           :{REAL_ROUNDS:06X}" in said
    command = [openssl, "pkey", "-in", tmp_path / "release.pem", "-passin", "pass:sesame"]
    subprocess.run([*command, "-noout"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no private key"),
        (b"not a key at all", "holds no private key"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", "damaged file"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "is not encrypted"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n", "is a public key"),
    ],
)
def test_what_is_no_private_key_is_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        keys.read_private(path, "sesame")


def test_other_keys_are_refused(tmp_path: Path) -> None:
    keys.write_device(tmp_path / "watch", ("home", "watch"), "sesame", None)
    with pytest.raises(UserError, match="no Ed25519 key"):
        keys.read_private(tmp_path / "watch.pem", "sesame")
    keys.write_pairs([(tmp_path / "release", keys.generate(), "sesame")])
    with pytest.raises(UserError, match="is a private key; give its public half"):
        keys.read_public(tmp_path / "release.pem")
    with pytest.raises(UserError, match=r"cannot read .*: No such file"):
        keys.read_private(tmp_path / "nosuch.pem", "sesame")
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        keys.read_public(tmp_path)


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    base = tmp_path / "release"
    assert onebyte("keygen", "release", base)[0] == 0
    before = base.with_name("release.pem").read_bytes()
    assert_refused(onebyte("keygen", "release", base), "release.pem is there already", "--force")
    assert base.with_name("release.pem").read_bytes() == before
    assert onebyte("keygen", "release", base, "--force")[0] == 0
    assert base.with_name("release.pem").read_bytes() != before
    assert mode_of(base.with_name("release.pem")) == 0o600


def test_a_public_file_alone_is_not_overwritten_either(tmp_path: Path) -> None:
    (tmp_path / "release.pub").write_bytes(b"of somebody")
    assert_refused(onebyte("keygen", "release", tmp_path / "release"), "release.pub is there")
    assert [path.name for path in tmp_path.iterdir()] == ["release.pub"]


def test_a_device_key_is_what_a_board_and_a_ca_take(tmp_path: Path) -> None:
    der = tmp_path / "watch.der"
    argv = ["keygen", "device", tmp_path / "watch", "--tenant", "home", "--device", "watch"]
    code, out, err = onebyte(*argv, "--der", der)
    assert (code, err) == (0, "") and "NOT encrypted" in out
    request = x509.load_pem_x509_csr((tmp_path / "watch.csr").read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=watch,O=home"
    board = serialization.load_der_private_key(der.read_bytes(), None)
    kept = serialization.load_pem_private_key((tmp_path / "watch.pem").read_bytes(), b"sesame")
    assert isinstance(board, ec.EllipticCurvePrivateKey)
    assert isinstance(kept, ec.EllipticCurvePrivateKey)
    assert board.private_numbers() == kept.private_numbers()
    assert board.public_key() == request.public_key()
    assert mode_of(der) == mode_of(tmp_path / "watch.pem") == 0o600
    assert_refused(onebyte(*argv), "is there already")
    assert_refused(onebyte(*argv[:-1], "UPPER"), "must be 1 to 32 of a-z")


def test_no_umask_opens_a_private_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.write_pairs([(tmp_path / "release", keys.generate(), "sesame")])
        der = tmp_path / "watch.der"
        keys.write_device(tmp_path / "watch", ("home", "watch"), "sesame", der)
    finally:
        os.umask(before)
    modes = {path.name: mode_of(path) for path in tmp_path.iterdir()}
    assert {modes.pop(name) for name in ("release.pem", "watch.pem", "watch.der")} == {0o600}
    assert modes == {"release.pub": 0o666, "watch.csr": 0o666}


@pytest.mark.parametrize("command", ["release", "device", "root"])
def test_a_disk_that_is_full_costs_no_key_and_leaves_no_half(command: str, tmp_path: Path) -> None:
    argv = {
        "release": ["release", tmp_path / "a"],
        "device": ["device", tmp_path / "a", "--tenant", "t", "--device", "d"],
        "root": ["root", tmp_path, "--vendor", 3],
    }[command]
    assert onebyte("keygen", *argv)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) >= 2
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT_BYTES, limits[1]))
    try:
        got = onebyte("keygen", *argv, "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_refused(got, "cannot write", "File too large")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_board_key_that_cannot_be_written_leaves_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    argv = ["keygen", "device", tmp_path / "watch", "--tenant", "home", "--device", "watch"]
    got = onebyte(*argv, "--der", tmp_path / "file" / "watch.der")
    assert_refused(got, f"cannot write into {tmp_path / 'file'}: a file is in the way")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_that_no_file_can_have_is_one_line(tmp_path: Path) -> None:
    got = onebyte("keygen", "release", tmp_path / ("a" * 300))
    assert_refused(got, "cannot use", "File name too long")


def test_root_keys_are_two_of_three(tmp_path: Path) -> None:
    assert onebyte("keygen", "release", tmp_path / "release")[0] == 0
    scope = f"{tmp_path / 'release.pub'}:7:model,custom"
    argv = ["keygen", "root", tmp_path / "keys", "--vendor", "3", "--release-key", scope]
    code, out, err = onebyte(*argv)
    assert (code, err) == (0, "") and "root.1: complete" in out
    root = roots.read_chain(tmp_path / "keys").newest
    assert (root.epoch, root.vendor, root.threshold, len(root.root_keys)) == (1, 3, 2, 3)
    assert root.release_keys == [(keys.read_public(tmp_path / "release.pub"), 7, 1 << 9 | 1 << 8)]
    for number in (1, 2, 3):
        assert keys.read_public(tmp_path / "keys" / f"root-{number}.pub") in root.root_keys
    assert_refused(onebyte(*argv), "root-1.pem is there already")


def test_a_root_key_of_somebody_else_signs_later(tmp_path: Path) -> None:
    assert onebyte("keygen", "release", tmp_path / "anna")[0] == 0
    folder = tmp_path / "keys"
    argv = ["keygen", "root", folder, "--vendor", "3", "--keys", "2", "--threshold", "2"]
    code, out, _ = onebyte(*argv, "--root-key", tmp_path / "anna.pub")
    anna = keys.read_public(tmp_path / "anna.pub")
    assert code == 0 and "a draft, it needs" in out and signed.key_id(anna).hex() in out
    with pytest.raises(UserError, match=r"holds no root\.1"):
        roots.read_chain(folder)
    code, out, _ = onebyte("rotate-keys", folder, "--key", tmp_path / "anna.pem")
    assert code == 0 and "root.1: complete" in out
    assert anna in roots.read_chain(folder).newest.root_keys
    assert not (folder / "root.1.draft").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--threshold", "4"], "a threshold of 4 of 3 keys cannot be met"),
        (["--release-key", "nosuch.pub"], "cannot read nosuch.pub"),
        (["--release-key", "{}:0"], "'0' is no product class"),
        (["--release-key", "{}:x"], "'x' is no product class"),
        (["--release-key", "{}:65536"], "is no product class: write 1 to 65535"),
        (["--release-key", "{}:any:apps"], "'apps' is no type of file; there are app,"),
        (["--release-key", "{}", "--release-key", "{}"], "is given twice"),
        (["--keys", "1", "--threshold", "1", "--root-key", "{}"], "at least one root key is made"),
        (["--vendor", "0"], "0 is not in the range 1<=x<=65535"),
    ],
)
def test_a_root_document_that_cannot_be_is_one_line(
    argv: list[str], words: str, tmp_path: Path
) -> None:
    keys.write_pairs([(tmp_path / "release", keys.generate(), "sesame")])
    public = str(tmp_path / "release.pub")
    told = [part.replace("{}", public) for part in argv]
    got = onebyte("keygen", "root", tmp_path / "keys", "--vendor", "3", *told)
    assert_refused(got, words)
    assert not (tmp_path / "keys").exists()


def test_passphrases_come_from_files_in_the_order_of_the_keys(tmp_path: Path) -> None:
    options: list[object] = []
    for number in (1, 2, 3):
        path = tmp_path / f"pass-{number}"
        path.write_text(f"word {number}\nsecond line\n")
        options += ["--passphrase-file", path]
    folder = tmp_path / "keys"
    argv = ["keygen", "root", folder, "--vendor", "3"]
    assert onebyte(*argv, *options)[0] == 0
    for number in (1, 2, 3):
        keys.read_private(folder / f"root-{number}.pem", f"word {number}")
    with pytest.raises(UserError, match="wrong passphrase"):
        keys.read_private(folder / "root-2.pem", "word 1")
    got = onebyte(*argv, "--force", *options[:4])
    assert_refused(got, "no --passphrase-file for", "root-3.pem")


def test_without_a_terminal_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    got = onebyte("keygen", "release", tmp_path / "release")
    assert_refused(got, "no terminal to ask", "--passphrase-file", VARIABLE)
    monkeypatch.setenv(VARIABLE, "")
    assert_refused(onebyte("keygen", "release", tmp_path / "release"), "is empty")
    (tmp_path / "empty").write_text("\n")
    options = ["--passphrase-file", tmp_path / "empty"]
    assert_refused(onebyte("keygen", "release", tmp_path / "release", *options), "is empty")
    options = ["--passphrase-file", tmp_path / "nosuch"]
    assert_refused(onebyte("keygen", "release", tmp_path / "release", *options), "cannot read")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    options = ["--passphrase-file", tmp_path / "binary"]
    assert_refused(onebyte("keygen", "release", tmp_path / "release", *options), "is not text")
    assert not (tmp_path / "release.pem").exists()


def answer_on_a_terminal(argv: list[str], answers: list[str]) -> tuple[int, str]:
    """Run `onebyte` on a terminal of its own; return the exit code and all that was to be seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "onebyte.cli", *argv]
        os.execve(sys.executable, command, {k: v for k, v in os.environ.items() if k != VARIABLE})
    seen = b""
    waiting = list(answers)
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:  # Linux says so when the other end is closed
            break
        seen += piece
        if waiting and seen.rstrip(b" ").endswith(b":"):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
            seen += b"|"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_a_new_passphrase_is_asked_twice_and_never_shown(tmp_path: Path) -> None:
    base = tmp_path / "release"
    argv = ["keygen", "release", str(base)]
    code, seen = answer_on_a_terminal(argv, ["abracadabra", "sesam", "sesame", "sesame"])
    assert code == 0, seen
    assert seen.count("passphrase of") == 2 and seen.count("Repeat") == 2
    assert "sesam" not in seen and "abracadabra" not in seen
    keys.read_private(base.with_name("release.pem"), "sesame")
