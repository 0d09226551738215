"""Updates of a running node over a real broker and a real web server; every decision counts."""

import http.server
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt_process import need_mosquitto
from signed_boards import Vendor, app
from updating_process import Tap, UpdateHost, UpdatingNode, model
from uplink_process import wait_until_saved

from formats import errors, objects
from onebyte import toolchain
from onebyte.simulation.broker import Broker
from onebyte.simulation.certificates import Ca
from onebyte.updates import publish, roots
from onebyte.updates.release import SignedRelease
from onebyte.updates.sources import SourceFile

NAME = ("test", "node")
PIECE_BYTES = 2048  # what a node asks a web server for at once


class World:
    """A vendor and his releases.

    Attributes:
        first: what every node begins with: our app, and a model that finds class 0.
    """

    def __init__(self, folder: Path) -> None:
        self.vendor = Vendor(folder)
        self.app = app("app one")
        self.first = self.vendor.release(1, [*self.app, model("zero", 0)])

    def release(self, seq: int, *files: SourceFile) -> SignedRelease:
        """Return a release with our app, as far as these files do not replace it."""
        mine = {file.path: file for file in [*self.app, model("zero", 0), *files]}
        return self.vendor.release(seq, list(mine.values()))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    need_mosquitto()
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    return World(tmp_path_factory.mktemp("vendor"))


def large(seq: int) -> SourceFile:
    """Return a file that takes many chunks and changes nothing."""
    return SourceFile(1, "ballast.py", b"# %d " % seq + bytes(range(97, 123)) * 1200, "ballast")


def check_all_arrived(host: UpdateHost, node: UpdatingNode) -> dict[str, Any]:
    """End the node and return its counters; every decision that it made is here, and once."""
    summaries = node.end()

    def is_missing() -> bool:
        host.close_ends(summaries)
        n_due = sum(one["next_seq"] for one in summaries) - summaries[-1]["queued"]
        return len(host.decisions) < n_due

    host.work_while(is_missing, "the last decisions")
    host.decisions += host.reconciler.finish()
    assert {one.epoch for one in host.decisions} == {one["epoch"] for one in summaries}
    for i, one in enumerate(summaries):
        assert one["dropped"] == 0
        n_waiting = one["queued"] if i == len(summaries) - 1 else 0
        n_arrived = len(host.classes(one["epoch"]))
        assert one["next_seq"] - n_waiting <= n_arrived <= one["next_seq"], (n_arrived, one)
    ends = {(one["epoch"], one["next_seq"]) for one in summaries}
    assert {(gap.epoch, gap.first_seq) for gap in host.reconciler.lost} <= ends
    return summaries[-1]


def test_a_model_is_swapped_while_decisions_flow(world: World, tmp_path: Path) -> None:
    with (
        Broker("mosquitto") as broker,
        UpdateHost(broker.port) as host,
        UpdatingNode(tmp_path / "node", broker.port, world.vendor, world.first) as node,
    ):
        host.follow(node, lambda: len(host.decisions) > 20, "the first model")
        host.offer(world.vendor, world.release(2, model("two", 2)))
        host.follow_until_installed(node, 2)
        n_then = len(host.decisions)
        host.follow(node, lambda: len(host.decisions) > n_then + 20, "the second model")
        summary = check_all_arrived(host, node)
    assert node.starts == 1 and summary["update_error"] == ""
    assert summary["windows"] == summary["next_seq"], "the counters go on"
    classes = host.classes(1)
    at = classes.index(2)
    assert set(classes[:at]) == {0} and set(classes[at:]) == {2} and at > 20
    assert [name for name, _ in host.metas][-1] == "two"
    assert next(n for name, n in host.metas if name == "two") <= at, "meta goes before"
    phases = [report["phase"] for report in host.reports]
    assert phases[0] == "idle" and "trial" in phases
    assert host.said(slot="b", seq=2, content=2, bad_seq=0, reason=0, refused=0)


def test_a_model_that_computes_otherwise_here_is_taken_back(world: World, tmp_path: Path) -> None:
    golden = [(1, 99, 0, (1,) * 10)]
    with (
        Broker("mosquitto") as broker,
        UpdateHost(broker.port) as host,
        UpdatingNode(tmp_path / "node", broker.port, world.vendor, world.first) as node,
    ):
        host.follow(node, lambda: len(host.decisions) > 10, "the first model")
        bad = model("wrong", 2, golden_vectors=golden)
        host.offer(world.vendor, world.release(6, bad))
        host.follow(node, lambda: host.said(bad_seq=6), "the verdict")
        n_then = len(host.decisions)
        host.follow(node, lambda: len(host.decisions) > n_then + 10, "the first model again")
        check_all_arrived(host, node)
    assert host.said(slot="a", seq=1, installed_seq=1, reason=errors.GOLDEN_MISMATCH)
    assert node.starts == 2 and "wrong" not in [name for name, _ in host.metas]
    assert {one.result & 15 for one in host.decisions} == {0}


def test_an_app_is_tried_after_a_restart(world: World, tmp_path: Path) -> None:
    with (
        Broker("mosquitto") as broker,
        UpdateHost(broker.port) as host,
        UpdatingNode(tmp_path / "node", broker.port, world.vendor, world.first) as node,
    ):
        host.acknowledges = False
        host.follow(node, lambda: len(host.decisions) > 10, "the first app")
        run = next(file for file in app("app three") if file.name == "run.mpy")
        host.offer(world.vendor, world.release(3, run))
        host.follow(node, lambda: host.said(phase="trial", pending_seq=3), "the trial")
        assert node.starts == 2 and "app three" in node.text()
        host.work(2.5)
        assert host.said(phase="trial", installed_seq=1), "nobody has acknowledged it"
        host.acknowledge()
        host.follow_until_installed(node, 3)
        check_all_arrived(host, node)
    assert node.starts == 2
    assert len(host.classes(1)) > 10 and len(host.classes(2)) > 10


def test_a_broker_that_dies_in_the_middle_costs_one_chunk(world: World, tmp_path: Path) -> None:
    release = world.release(4, large(4))
    broker = Broker("mosquitto", folder=tmp_path / "broker")
    with (
        broker,
        Tap(broker.port) as tap,
        UpdateHost(broker.port, clean_session=False) as host,
        UpdatingNode(tmp_path / "node", tap.port, world.vendor, world.first) as node,
    ):
        host.follow(node, lambda: len(host.decisions) > 10, "the first app")
        host.offer(world.vendor, release, to="somebody-else")
        wait_until_saved(tmp_path / "broker" / "mosquitto.db", b"ob/test/somebody-else/want")
        tap.pace_s = 0.02
        host.offer(world.vendor, release)
        n_stops = 0
        while not host.said(phase="trial"):
            n_chunks = len(tap.chunks)
            host.follow(
                node, lambda n=n_chunks: len(tap.chunks) > n + 12 or host.said(phase="trial"), "?"
            )
            if n_stops < 2:
                n_stops += 1
                broker.kill()
                host.work(0.5)
                broker.start()
        host.follow_until_installed(node, 4)
        check_all_arrived(host, node)
    size = {objects.file_id(entry): entry[3] for entry in release.manifest.files}
    names = [chunk.split("/")[3] for chunk in tap.chunks]
    n_needed = sum(-(-size.get(name, len(release.content)) // 1024) for name in set(names))
    assert n_needed > 30 and n_stops == 2
    assert len(tap.chunks) <= n_needed + n_stops, "at most one chunk comes again for each break"


class Web(http.server.ThreadingHTTPServer):
    """A web server in front of a folder.

    Attributes:
        manners: how the next requests are answered: "good", "no ranges", "short", "endless" or
            "slow"; the last one stays.
        asked: name of the object of each request.
        n_bytes: of bodies that were sent.
    """

    def __init__(self, folder: Path, *manners: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.manners = list(manners)
        self.asked: list[str] = []
        self.n_bytes = 0
        self.url = f"http://127.0.0.1:{self.server_port}/objects/"

    def secure(self, certificate: Path, key: Path) -> None:
        """Speak TLS, under the name localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake comes with the first read, in the thread of the connection.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://localhost:{self.server_port}/objects/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a node that has hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Web

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer as the server is told to."""
        manners = self.server.manners
        manner = manners.pop(0) if len(manners) > 1 else manners[0]
        path = self.server.folder / self.path.removeprefix("/objects/")
        self.server.asked.append(path.name)
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        if manner == "endless":
            self._drip(b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n", 0.0)
            return
        span = self.headers["Range"].removeprefix("bytes=").split("-")
        first, last = int(span[0]), min(int(span[1]), len(content) - 1)
        body = content if manner == "no ranges" else content[first : last + 1]
        self.send_response(200 if manner == "no ranges" else 206)
        self.send_header("Content-Length", str(len(body)))
        if manner != "no ranges":
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        if manner == "slow":
            self._drip(b"", body[:1], 0.2)
            return
        if manner == "short":
            body = body[:-1]
            self.close_connection = True
        self.wfile.write(body)
        self.server.n_bytes += len(body)

    def _drip(self, head: bytes, drop: bytes, pause_s: float) -> None:
        self.close_connection = True
        self.wfile.write(head)
        try:
            while True:
                self.wfile.write(drop)
                time.sleep(pause_s)
        except OSError:
            pass  # the node has hung up


@contextmanager
def serving(folder: Path, *manners: str) -> Iterator[Web]:
    """Serve a folder in a thread."""
    with Web(folder, *manners) as web:
        thread = threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield web
        web.shutdown()


def test_objects_come_from_a_web_server_whatever_it_does(world: World, tmp_path: Path) -> None:
    release = world.release(5, large(5))
    folder = tmp_path / "objects"
    chain = roots.read_chain(world.vendor.folder)
    publish.write_http(publish.Offer.of(release, chain), folder)
    with (
        Broker("mosquitto") as broker,
        UpdateHost(broker.port) as host,
        serving(folder, "short", "endless", "slow", "good", "no ranges") as web,
        UpdatingNode(
            tmp_path / "node",
            broker.port,
            world.vendor,
            world.first,
            network_deadline_ms=1500,
        ) as node,
    ):
        host.follow(node, lambda: len(host.decisions) > 10, "the first app")
        host.offer(world.vendor, release, web.url)
        host.follow_until_installed(node, 5)
        check_all_arrived(host, node)
        text = node.text()
    assert text.count("onebyte node: update: download: ") >= 2 and "SOURCE_REPLY(217)" in text, (
        text
    )
    assert "ETIMEDOUT" in text, "a server that drips meets its deadline"
    assert host.said(slot="b", seq=5, refused=0)
    print(f"{web.n_bytes} bytes sent for {len(large(5).content)}")
    assert web.n_bytes < 3 * len(large(5).content)


def test_a_release_over_https_comes_from_the_right_server_alone(
    world: World, tmp_path: Path
) -> None:
    release = world.release(7, large(7))
    folder = tmp_path / "objects"
    publish.write_http(publish.Offer.of(release, roots.read_chain(world.vendor.folder)), folder)
    ca = Ca()
    (tmp_path / "ca.der").write_bytes(ca.der)
    wrong = (
        # As whoever sits in the middle: the same name, a CA of his own.
        (Ca(), "localhost", -1, "not correctly signed by the trusted CA"),
        (ca, "elsewhere.test", -1, "Common Name"),
        (ca, "localhost", -10, "expired"),
    )
    with (
        Broker("mosquitto") as broker,
        UpdateHost(broker.port) as host,
        UpdatingNode(
            tmp_path / "node",
            broker.port,
            world.vendor,
            world.first,
            update_ca_path=str(tmp_path / "ca.der"),
        ) as node,
    ):
        host.follow(node, lambda: len(host.decisions) > 10, "the first app")
        for issuer, name, days, words in wrong:
            with serving(folder, "good") as web:
                web.secure(*issuer.issue(tmp_path, name, days))
                host.offer(world.vendor, release, web.url)
                host.follow(node, lambda said=words: said in node.text(), words)
            assert web.asked == [] and "TLS_CERTIFICATE(107): " in node.text()
        with serving(folder, "good", "good", "good", "good", "short", "good") as web:
            web.secure(*ca.issue(tmp_path, "localhost"))
            host.offer(world.vendor, release, web.url)
            host.follow_until_installed(node, 7)
        check_all_arrived(host, node)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert host.said(slot="b", seq=7, refused=0)
    n_needed = sum(sizes[name] for name in set(web.asked))
    assert n_needed > 10 * PIECE_BYTES
    assert n_needed < web.n_bytes <= n_needed + PIECE_BYTES, "one piece comes again"
