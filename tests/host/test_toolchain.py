"""The device side's sources: found without touching the system, refused when incomplete."""

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onebyte import debian, toolchain
from onebyte.errors import UserError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = """\
# the security archive comes first and is no mirror of the release
Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://mirror.test/debian http://second.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/own.gpg
"""


def make_system(folder: Path, release: str = 'ID=debian\nVERSION_CODENAME="bookworm"\n') -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "os-release").write_text(release)
    return folder


def find_mirror(folder: Path) -> debian.Mirror:
    return debian.find_mirror(folder, folder / "os-release")


def test_mirror_is_read_from_deb822_sources(tmp_path: Path) -> None:
    system = make_system(tmp_path)
    (system / "sources.list.d" / "debian.sources").write_text(DEB822)
    mirror = find_mirror(system)
    assert mirror.uri == "http://mirror.test/debian"
    assert mirror.signed_by == "/usr/share/keyrings/own.gpg"


@pytest.mark.parametrize(
    ("line", "keyring"),
    [
        ("deb http://mirror.test/debian bookworm main", KEYRING),
        ("deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian stable main # x", "/k.gpg"),
        ("deb-src http://mirror.test/debian sid main non-free", KEYRING),
    ],
)
def test_mirror_is_read_from_one_line_sources(tmp_path: Path, line: str, keyring: str) -> None:
    system = make_system(tmp_path)
    (system / "sources.list").write_text(f"# deb http://wrong.test/ bookworm main\n{line}\n")
    mirror = find_mirror(system)
    assert (mirror.uri, mirror.signed_by) == ("http://mirror.test/debian", keyring)


def test_disabled_and_foreign_entries_are_no_mirror(tmp_path: Path) -> None:
    system = make_system(tmp_path)
    disabled = DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")
    (system / "sources.list.d" / "debian.sources").write_text(disabled)
    (system / "sources.list.d" / "other.list").write_text("deb http://x.test/y nodistro main\n")
    with pytest.raises(UserError, match="no Debian mirror"):
        find_mirror(system)


@pytest.mark.parametrize("release", ["ID=ubuntu\nID_LIKE=debian\n", ""])
def test_other_systems_are_refused(tmp_path: Path, release: str) -> None:
    with pytest.raises(UserError, match="not run Debian"):
        find_mirror(make_system(tmp_path, release))


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that writes down its arguments and fails when told so."""
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f"test ! -e {tmp_path}/fail || {{ echo 'E: no network' >&2; exit 100; }}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    mirror = debian.Mirror("http://mirror.test/debian", ("bookworm",), ("main",), "/k.gpg")
    monkeypatch.setattr(debian, "find_mirror", lambda: mirror)
    return tmp_path


def test_apt_keeps_to_its_own_folder(apt: Path) -> None:
    files = debian.fetch_source("thing", "1.0-1", "trixie", apt / "own")
    assert files == apt / "own" / "files"
    update, source = (apt / "calls").read_text().splitlines()
    for call in (update, source):
        assert f"-oDir::Etc::sourcelist={apt}/own/sources.list" in call
        assert "-oDir::Etc::sourceparts=/dev/null" in call
        assert f"-oDir::State::lists={apt}/own/lists" in call
        assert f"-oDir::Cache={apt}/own/cache" in call
    assert source.endswith("source --download-only thing=1.0-1")
    entry = "deb-src [signed-by=/k.gpg] http://mirror.test/debian trixie main\n"
    assert (apt / "own" / "sources.list").read_text() == entry


def test_binary_packages_must_have_the_pinned_content(apt: Path) -> None:
    files = apt / "own" / "files"
    files.mkdir(parents=True)
    (files / "thing_1.0_amd64.deb").write_bytes(b"thing")
    right = debian.Package("thing", "1.0", hashlib.sha256(b"thing").hexdigest())
    fetched = debian.fetch_binaries([right], ["other"], "trixie", apt / "own")
    assert fetched == [files / "thing_1.0_amd64.deb"]
    _, download = (apt / "calls").read_text().splitlines()
    assert f"-oDir::State::status={apt}/own/status" in download
    assert download.endswith("download thing=1.0 other")
    with pytest.raises(UserError, match=r"thing 1\.0 has the wrong content"):
        debian.fetch_binaries([right._replace(sha256="0" * 64)], [], "trixie", apt / "own")
    with pytest.raises(UserError, match="absent 2 has the wrong content"):
        debian.fetch_binaries([debian.Package("absent", "2", "")], [], "trixie", apt / "own")


def test_apt_error_is_passed_on(apt: Path) -> None:
    (apt / "fail").touch()
    with pytest.raises(UserError, match="E: no network"):
        debian.fetch_source("thing", "1.0-1", "trixie", apt / "own")


def make_source(folder: Path) -> Path:
    for name in toolchain._SOURCE_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    return folder


def test_chosen_source_is_used_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(tmp_path / "source")
    monkeypatch.setenv("MPY_DIR", str(source))
    assert toolchain.micropython_source() == source
    (source / "tools" / "mpy_ld.py").unlink()
    with pytest.raises(UserError, match=r"tools/mpy_ld\.py"):
        toolchain.micropython_source()


def test_git_is_asked_where_there_is_no_debian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPY_DIR", raising=False)
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))

    def no_debian(*args: object) -> Path:
        raise UserError("this machine has no apt-get")

    # A local repository with the pinned tag stands in for the real one.
    origin = make_source(tmp_path / "origin")
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@test", "commit", "--quiet", "-m", "x"],
        ["tag", f"v{toolchain.MICROPYTHON_VERSION}"],
    ):
        subprocess.run(["git", "-C", origin, *arguments], check=True)
    monkeypatch.setattr(toolchain, "fetch_source", no_debian)
    monkeypatch.setattr(toolchain, "_GIT_URL", origin.as_uri())
    found = toolchain.micropython_source()
    assert found == tmp_path / "cache" / f"micropython-{toolchain.MICROPYTHON_VERSION}"
    assert (found / "py" / "mpconfig.h").is_file()

    shutil.rmtree(found)
    monkeypatch.setattr(toolchain, "_GIT_URL", (tmp_path / "absent").as_uri())
    with pytest.raises(UserError, match="MPY_DIR") as refused:
        toolchain.micropython_source()
    assert "no apt-get" in str(refused.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_umqtt_is_unpacked_and_repaired(tmp_path: Path) -> None:
    library = toolchain.unpack_umqtt(tmp_path)
    module = library / "umqtt" / "simple.py"
    original = module.read_bytes()
    assert b"class MQTTClient" in original
    module.write_bytes(b"")
    toolchain.unpack_umqtt(tmp_path)
    assert module.read_bytes() == original


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one native module whose Makefile only copies."""
    module = tmp_path / "lib" / "native" / "tiny"
    module.mkdir(parents=True)
    (module / "tiny.c").write_text("int x;\n")
    (module / "Makefile").write_text(
        "TOP := $(abspath ../../..)\n"
        "all:\n\tmkdir -p $(TOP)/build/natmod/$(ARCH)\n"
        "\techo $(MPY_DIR) > $(TOP)/build/natmod/$(ARCH)/tiny.mpy\n"
    )
    monkeypatch.setattr(toolchain, "ROOT", tmp_path)
    return tmp_path


def test_native_module_is_built_for_its_architecture(project: Path) -> None:
    built = toolchain.build_natmod("tiny", "armv6m", Path("/source"))
    assert built == project / "build" / "natmod" / "armv6m" / "tiny.mpy"
    assert built.read_text() == "/source\n"


def test_two_builds_of_a_module_do_not_meet(project: Path) -> None:
    makefile = project / "lib" / "native" / "tiny" / "Makefile"
    makefile.write_text(
        "all:\n\tmkdir $(BUILD)/busy && sleep 0.3 && rmdir $(BUILD)/busy\n"
        "\ttouch $(BUILD)/tiny.mpy\n"
    )
    with ThreadPoolExecutor(3) as pool:
        built = [
            pool.submit(toolchain.build_natmod, "tiny", "x64", Path("/source")) for _ in range(3)
        ]
    assert len({each.result() for each in built}) == 1


def test_failed_build_names_its_first_error_and_keeps_the_log(project: Path) -> None:
    makefile = project / "lib" / "native" / "tiny" / "Makefile"
    makefile.write_text("all:\n\t@echo 'tiny.c:1: error: boom'; echo more; exit 1\n")
    with pytest.raises(UserError, match=r"tiny\.c:1: error: boom"):
        toolchain.build_natmod("tiny", "x64", Path("/source"))
    assert "more" in (project / "build" / "make-tiny.log").read_text()
    with pytest.raises(UserError, match="no native module"):
        toolchain.build_natmod("absent", "x64", Path("/source"))


def test_unix_port_is_looked_up_by_the_content_of_its_sources(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(tmp_path / "source")
    monkeypatch.setenv("MPY_DIR", str(source))
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    assert toolchain.find_unix_port() is None
    built = toolchain._unix_port_path(source)
    built.parent.mkdir(parents=True)
    built.touch()
    assert toolchain.find_unix_port() == built
    for changed in ("lib/native/tiny/tiny.c", "boards/unix/mpconfigvariant.h"):
        path = project / changed
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("int y;\n")
        assert toolchain.find_unix_port() is None
        built = toolchain._unix_port_path(source)
        built.parent.mkdir(parents=True)
        built.touch()
        assert toolchain.find_unix_port() == built
