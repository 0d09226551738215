"""Fetch Debian packages of a given suite without touching the system's apt.

apt-get runs with its own source list, lists and cache in a folder of ours. The mirror is the one
the machine already uses, read from its apt configuration.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from onebyte import download
from onebyte.errors import UserError

__all__ = ["Mirror", "Package", "fetch_binaries", "fetch_source", "find_mirror"]

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Mirror(NamedTuple):
    """One entry of the machine's apt configuration."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str  # path of a keyring


class Package(NamedTuple):
    """One binary package, exactly."""

    name: str
    version: str
    sha256: str


def find_mirror(apt: Path = Path("/etc/apt"), release: Path = Path("/etc/os-release")) -> Mirror:
    """Return the Debian mirror that the machine installs its own release from.

    Raises:
        UserError: the machine does not run Debian, or its apt configuration names no mirror.
    """
    system = dict(
        line.split("=", 1) for line in _lines(release) if "=" in line and not line.startswith("#")
    )
    if system.get("ID", "").strip('"') != "debian":
        raise UserError("this machine does not run Debian")
    codename = system.get("VERSION_CODENAME", "").strip('"')
    names = {codename, "stable", "oldstable", "testing", "unstable", "sid"} - {""}
    for mirror in [*_one_line_entries(apt), *_deb822_entries(apt)]:
        if names.intersection(mirror.suites) and "main" in mirror.components:
            return mirror
    raise UserError(f"no Debian mirror in {apt}")


def fetch_source(package: str, version: str, suite: str, folder: Path) -> Path:
    """Download the files of a source package into `folder`/files and return that.

    Args:
        package: Name of the source package.
        version: Its version; empty for the archive alone of whatever version the suite has.
        suite: Debian's name of the release.
        folder: A folder of ours that takes apt's lists too.

    Raises:
        UserError: no apt, not Debian, or apt-get failed; with apt's first error.
    """
    base, files = _prepare("deb-src", suite, folder)
    wanted = [f"{package}={version}"] if version else ["--tar-only", package]
    _run([*base, "source", "--download-only", *wanted], files)
    return files


def fetch_binaries(
    pinned: Sequence[Package], others: Sequence[str], suite: str, folder: Path
) -> list[Path]:
    """Download binary packages into `folder`/files and return their paths; nothing is installed.

    Args:
        pinned: Packages of which exactly this content is taken.
        others: Names of packages of which any version that the suite signs is taken.
        suite: Debian's name of the release.
        folder: A folder of ours that takes apt's lists too.

    Raises:
        UserError: no apt, not Debian, apt-get failed, or a pinned package has another content.
    """
    base, files = _prepare("deb", suite, folder)
    (folder / "status").touch()  # as if nothing were installed
    exact = [f"{package.name}={package.version}" for package in pinned]
    _run([*base, f"-oDir::State::status={folder / 'status'}", "download", *exact, *others], files)
    for package in pinned:
        paths = list(files.glob(f"{package.name}_*.deb"))
        if [download.sha256_of(path) for path in paths] != [package.sha256]:
            raise UserError(f"{package.name} {package.version} has the wrong content")
    return sorted(files.glob("*.deb"))


def _prepare(kind: str, suite: str, folder: Path) -> tuple[list[str], Path]:
    """Update a private apt in `folder`; return the start of its command and its files' folder."""
    if shutil.which("apt-get") is None:
        raise UserError("this machine has no apt-get")
    mirror = find_mirror()
    files = folder / "files"
    for name in ("lists/partial", "cache/archives/partial", "files"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    entry = f"{kind} [signed-by={mirror.signed_by}] {mirror.uri} {suite} main\n"
    (folder / "sources.list").write_text(entry)
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",  # the files go into a folder that only we can write
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    base = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*base, "update"], folder)
    return base, files


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        reason = errors[0] if errors else f"exit status {done.returncode}"
        raise UserError(f"apt-get could not fetch the packages: {reason}")


def _one_line_entries(apt: Path) -> Iterator[Mirror]:
    entry = re.compile(r"deb(?:-src)?\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+)")
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        for line in _lines(path):
            found = entry.match(line.split("#")[0].strip())
            if found:
                options, uri, suite, components = found.groups()
                signed = re.search(r"signed-by=(\S+)", options or "")
                keyring = signed.group(1) if signed else _KEYRING
                yield Mirror(uri, (suite,), tuple(components.split()), keyring)


def _deb822_entries(apt: Path) -> Iterator[Mirror]:
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        text = "\n".join(line for line in _lines(path) if not line.startswith("#"))
        for stanza in re.split(r"\n\s*\n", text):
            fields = {
                name.lower(): value.strip()
                for name, value in re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE)
            }
            if fields.get("enabled", "yes") == "no" or not fields.get("uris"):
                continue
            # An embedded key has no path; the archive's own keyring then has to do.
            signed = fields.get("signed-by", "")
            keyring = signed if signed.startswith("/") else _KEYRING
            suites = tuple(fields.get("suites", "").split())
            components = tuple(fields.get("components", "").split())
            yield Mirror(fields["uris"].split()[0], suites, components, keyring)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
