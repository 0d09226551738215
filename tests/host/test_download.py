"""Downloads: only checked files get into the cache, and every refusal says what to do."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from onebyte import download
from onebyte.errors import UserError

CONTENT = b"weights: none, this is a small file\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = ("some-data", "1.0", "some_data-1.0-py3-none-any.whl")


class Index:
    """A package index on loopback that counts what it is asked."""

    def __init__(self) -> None:
        self.files = {FILE[2]: CONTENT}
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                parts = self.path.strip("/").split("/")
                if parts == ["simple", FILE[0]]:
                    links = "".join(f'<a href="/files/{n}">{n}</a><br/>' for n in index.files)
                    self._answer(200, "text/html", f"<html><body>{links}</body></html>".encode())
                elif parts[0] == "files" and parts[-1] in index.files:
                    self._answer(200, "application/zip", index.files[parts[-1]])
                else:
                    self._answer(404, "text/plain", b"no")

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    started = Index()
    monkeypatch.setenv("PIP_INDEX_URL", started.url)
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield started
    started.server.shutdown()
    started.server.server_close()


def cached_files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_file_is_fetched_once(index: Index) -> None:
    first = download.pypi_file(*FILE, SHA256)
    asked = len(index.asked)
    assert first.read_bytes() == CONTENT
    assert download.pypi_file(*FILE, SHA256) == first
    assert len(index.asked) == asked


def test_damaged_cache_entry_is_fetched_anew(index: Index) -> None:
    path = download.pypi_file(*FILE, SHA256)
    path.write_bytes(CONTENT[:-1])
    assert download.pypi_file(*FILE, SHA256).read_bytes() == CONTENT


def test_other_content_is_refused_with_both_hashes(index: Index, tmp_path: Path) -> None:
    index.files[FILE[2]] = b"something else"
    with pytest.raises(UserError) as refused:
        download.pypi_file(*FILE, SHA256)
    assert SHA256 in str(refused.value)
    assert hashlib.sha256(b"something else").hexdigest() in str(refused.value)
    assert cached_files(tmp_path) == []


def test_missing_file_and_package_are_named(index: Index) -> None:
    with pytest.raises(UserError, match=r"no other\.whl"):
        download.pypi_file(FILE[0], FILE[1], "other.whl", SHA256)
    with pytest.raises(UserError, match="no package unknown"):
        download.pypi_file("unknown", "1", "other.whl", SHA256)


def test_offline_error_says_where_the_file_may_be_put(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")
    with pytest.raises(UserError, match="out of reach") as refused:
        download.pypi_file(*FILE, SHA256)
    path = Path(str(refused.value).rsplit("put the file at ", 1)[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    assert download.pypi_file(*FILE, SHA256) == path


def test_index_of_pip_configuration_is_used(
    index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert download.pypi_file(*FILE, SHA256).read_bytes() == CONTENT


def test_unwritable_cache_is_the_users_matter(index: Index, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="ONEBYTE_CACHE"):
        download.pypi_file(*FILE, SHA256)


def make_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/a.csv", CONTENT)
        archive.writestr("data/", b"")
        link = zipfile.ZipInfo("data/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
    return path


def make_tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("data/a.csv")
        info.size = len(CONTENT)
        archive.addfile(info, io.BytesIO(CONTENT))
        link = tarfile.TarInfo("data/link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/hostname"
        archive.addfile(link)
    return path


@pytest.fixture(params=["zip", "tar"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make = make_zip if request.param == "zip" else make_tar
    return make(tmp_path / f"archive.{request.param}")


def test_member_is_extracted_and_checked(archive: Path) -> None:
    assert download.extract_member(archive, "data/a.csv") == CONTENT
    assert download.extract_member(archive, "data/a.csv", SHA256) == CONTENT
    with pytest.raises(UserError, match=SHA256):
        download.extract_member(archive, "data/a.csv", "0" * 64)


@pytest.mark.parametrize("member", ["../a.csv", "/etc/hostname", "data/../../a", "", "a\\b"])
def test_names_that_leave_the_archive_are_refused(archive: Path, member: str) -> None:
    with pytest.raises(UserError, match="leaves the archive"):
        download.extract_member(archive, member)


def test_links_and_missing_members_are_refused(archive: Path) -> None:
    with pytest.raises(UserError, match="not a plain file"):
        download.extract_member(archive, "data/link")
    with pytest.raises(UserError, match="no member"):
        download.extract_member(archive, "data/b.csv")


def test_too_large_members_are_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_MEMBER_BYTES", len(CONTENT) - 1)
    with pytest.raises(UserError, match="too many"):
        download.extract_member(archive, "data/a.csv")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b not really")
    with pytest.raises(UserError, match="cannot read"):
        download.extract_member(tmp_path / "broken.tar.gz", "a")
    with pytest.raises(UserError, match="cannot read"):
        download.extract_member(tmp_path / "absent.whl", "a")
