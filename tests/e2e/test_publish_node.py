"""`onebyte publish` to the firmware itself: over the broker, then from a web server."""

import http.server
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from command_line import onebyte
from small_model import small_model
from update_folder import CHEAP_ROUNDS, CLASS, MODEL, VENDOR, UpdateFolder

from onebyte import toolchain
from onebyte.simulation import demo, ota_releases
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import NodeOptions
from onebyte.simulation.supervised import UPDATE_FOLDER, SupervisedNode
from onebyte.updates import keys
from onebyte.updates.product import Product
from onebyte.updates.sources import SourceFile

TENANT, DEVICE = "farm", "watch"


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, whole or a range of them; keeps connections; notes what was asked for."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found:
            first, last = int(found[1]), min(int(found[2]), last)
        self.asked.append(f"{path.name} {first}-{last}")
        self.send_response(206 if found else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        if found:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address on a web server."""
    folder = tmp_path / "web"
    (folder / "ob").mkdir(parents=True)
    RangeHandler.asked = []
    handler = partial(RangeHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder / "ob", f"http://127.0.0.1:{server.server_port}/ob/"
        server.shutdown()
        thread.join()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UpdateFolder:
    monkeypatch.setattr(keys, "KDF_ROUNDS", CHEAP_ROUNDS)
    return UpdateFolder(tmp_path)


@pytest.fixture
def broker(made: UpdateFolder, tmp_path: Path) -> Iterator[Broker]:
    """A broker with a node that has no release yet, started again whenever it ends."""
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    scene = demo.prepare(small_model())
    product = Product("watch", (VENDOR, CLASS, 0, 1), made.chain().files[0])
    identity = {"id/product.json": product.json_text(), "id/root": product.root}
    with Broker() as running:
        more = {"update_path": UPDATE_FOLDER, "update_pause_s": 1}
        options = NodeOptions(running.host, running.port, TENANT, DEVICE, 6, more=more)
        files = (scene.model_file, scene.script.recording, b"")
        node = SupervisedNode(tmp_path / "node", options, files, identity)
        is_over = threading.Event()

        def watch() -> None:
            node.start()
            while not is_over.is_set():
                node.watch()
                time.sleep(0.05)
            node.stop()

        thread = threading.Thread(target=watch)
        thread.start()
        yield running
        is_over.set()
        thread.join(120)


def publish(made: UpdateFolder, broker: Broker, seq: int, *options: object) -> str:
    """Publish a release and return what was printed when the node has confirmed it."""
    folder = made.folder / "releases" / str(seq)
    argv = ["publish", folder, "--roots", made.keys, "--broker", broker.address]
    argv += ["--tenant", TENANT, "--device", DEVICE, "--timeout", 240]
    code, out, err = onebyte(*argv, *options)
    assert (code, err) == (0, ""), out + err
    assert out.splitlines()[-1].startswith(f"publish: seq={seq} nodes=1 confirmed=1 ")
    return out


def test_a_release_reaches_a_node_by_broker_and_by_web(
    made: UpdateFolder, broker: Broker, web: tuple[Path, str]
) -> None:
    right = (small_model() / "model.obm").read_bytes()
    made.release(1, [SourceFile(MODEL, "model.obm", right, "model")])
    out = publish(made, broker, 1)
    assert "chunks on the broker" in out and RangeHandler.asked == []
    folder, url = web
    other = ota_releases.weaker(right)
    made.release(2, [SourceFile(MODEL, "model.obm", other, "model")])
    out = publish(made, broker, 2, "--http-folder", folder, "--url", url)
    assert f"at {url}" in out
    names = {asked.split()[0] for asked in RangeHandler.asked}
    assert names == {path.name for path in folder.iterdir()} and len(names) == 2
    installed = sorted((made.folder / "node" / UPDATE_FOLDER / "s").glob("*/model/model.obm"))
    assert {path.read_bytes() for path in installed} == {right, other}
    # And back again: the content of the first one under a third number.
    releases = made.folder / "releases"
    made.save_keys()
    argv = ["rollback", releases / "1", releases / "3", "--current", releases / "2"]
    assert (
        onebyte(*argv, "--key", made.keys / "release.pem", "--passphrase-file", word(made))[0] == 0
    )
    publish(made, broker, 3)
    state = [path.read_bytes() for path in installed]
    assert state.count(right) >= 1


def word(made: UpdateFolder) -> Path:
    path = made.folder / "word"
    path.write_text("sesame\n")
    return path
