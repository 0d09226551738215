"""`onebyte publish` against a real broker: what lies there, and how nodes are followed."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import assert_refused, onebyte
from mqtt_process import need_mosquitto
from update_folder import UpdateFolder, app_file

from formats import errors, objects, topics, update_messages
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.simulation.broker import Broker
from onebyte.updates import publish as publishing
from onebyte.updates import rotation
from onebyte.updates.release import Release
from onebyte.updates.rollout import Answer, Rollout

SEQ = 5
PATIENCE_S = 60  # the machine may be slow
REPORT = {
    **{name: 0 for name in update_messages.REPORT_KEYS},
    **{"phase": "idle", "slot": "-", "root": 1, "record": 1, "firmware": 1},
}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> UpdateFolder:
    folder = UpdateFolder(tmp_path)
    folder.release(SEQ, [app_file(), app_file("zeros.py", bytes(5000)), app_file("n.py", noise())])
    return folder


def noise() -> bytes:
    return b"".join(hashlib.sha256(bytes([i])).digest() for i in range(100))


def settings(broker: Broker) -> BrokerSettings:
    return BrokerSettings(broker.host, broker.port)


def retained(broker: Broker, pattern: str) -> dict[str, bytes]:
    """Return what is retained there, by topic."""
    with Link(settings(broker), [pattern]) as link:
        return {message.topic: message.payload for message in link.retained()}


def assemble(chunks: dict[str, bytes]) -> dict[str, bytes]:
    """Return the objects whose chunks these are, by id."""
    by_id: dict[str, dict[int, bytes]] = {}
    for topic, chunk in chunks.items():
        _, name, number = objects.parse_topic(topic)
        by_id.setdefault(name, {})[number] = chunk
    for parts in by_id.values():
        assert sorted(parts) == list(range(len(parts)))
        assert all(len(parts[i]) == objects.CHUNK_BYTES for i in range(len(parts) - 1))
    return {name: b"".join(parts[i] for i in sorted(parts)) for name, parts in by_id.items()}


class FakeNode(threading.Thread):
    """Says what a node says when it reads a want; `outcome` is how its story ends."""

    def __init__(self, broker: Broker, tenant: str, device: str, outcome: str) -> None:
        super().__init__(daemon=True)
        self.names = (tenant, device)
        self.outcome = outcome
        self.acks: list[tuple[int, int]] = []
        self.ready = threading.Event()
        self.on_trial = threading.Event()
        self.refused = threading.Event()
        self.over = threading.Event()
        self._settings = settings(broker)

    def topic(self, kind: str) -> str:
        return topics.pack(*self.names, kind)

    def say(self, link: Link, **changes: object) -> None:
        payload = update_messages.pack_report({**REPORT, **changes})
        link.publish(self.topic(topics.REPORT), payload, retain=True, wait_s=5)

    def run(self) -> None:
        with Link(self._settings, [self.topic(topics.WANT), self.topic(topics.ACK)]) as link:
            self.say(link)
            self.ready.set()
            while not self.over.is_set():
                for message in link.messages(0.1):
                    if message.payload:
                        self.take(link, message.topic, message.payload)

    def take(self, link: Link, topic: str, payload: bytes) -> None:
        if topic == self.topic(topics.WANT):
            seq = update_messages.parse_want(payload)["seq"]
            if self.outcome == "refused":
                self.say(link, refused=errors.UPDATE_CLASS, refused_seq=seq)
                self.refused.set()
            elif self.outcome != "silent":
                self.say(link, phase="fetch", done_bytes=10, total_bytes=100)
                self.say(link, phase="trial", slot="b", seq=seq, pending_seq=seq, record=7)
                self.on_trial.set()
            return
        seq, record = update_messages.parse_ack(payload)
        self.acks.append((seq, record))
        if self.outcome == "reverted":
            self.say(link, phase="revert", bad_seq=seq, reason=errors.TRIAL_SPENT, record=8)
        else:
            done = {"phase": "confirm", "slot": "b", "seq": seq, "installed_seq": seq}
            self.say(link, **done, record=8)

    def __enter__(self) -> "FakeNode":
        self.start()
        assert self.ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join(PATIENCE_S)


def publish(made: UpdateFolder, broker: Broker, tenant: str, *options: object):
    folder = made.folder / "releases" / str(SEQ)
    argv = ["publish", folder, "--roots", made.keys, "--broker", broker.address]
    return onebyte(*argv, "--tenant", tenant, *options)


def test_every_object_lies_on_the_broker_under_its_content(
    made: UpdateFolder, broker: Broker
) -> None:
    made.draft(
        rotation.apply(made.chain().newest, rotation.Changes(threshold=1)), *made.root_keys[:2]
    )
    code, out, err = publish(made, broker, "t1", "--device", "watch", "--detach")
    assert (code, err) == (0, "") and "detached" in out
    found = assemble(retained(broker, "ob/t1/~/#"))
    release = Release(made.folder / "releases" / str(SEQ)).signed()
    assert found == {
        release.manifest_id: release.content,
        "root2": (made.keys / "root.2").read_bytes(),
        **release.objects,
    }
    assert len(found) == 5 and max(map(len, found.values())) > objects.CHUNK_BYTES
    want = update_messages.parse_want(retained(broker, "ob/t1/+/want")["ob/t1/watch/want"])
    assert hashlib.sha256(found[want["manifest"]]).hexdigest() == want["manifest"]
    assert (want["seq"], want["root"], want["url"]) == (SEQ, 2, "")
    assert want["bytes"] == len(release.content)


def test_the_want_comes_when_everything_else_is_there(made: UpdateFolder, broker: Broker) -> None:
    with Link(settings(broker), ["ob/t11/#"]) as link:
        assert publish(made, broker, "t11", "--device", "a", "--device", "b", "--detach")[0] == 0
        seen = [message.topic for message in link.settle()]
    assert sorted(seen[-2:]) == ["ob/t11/a/want", "ob/t11/b/want"]
    assert len(seen) > 5 and all("/~/" in topic for topic in seen[:-2])


def test_a_release_is_followed_to_its_confirmation(made: UpdateFolder, broker: Broker) -> None:
    with FakeNode(broker, "t2", "watch", "confirmed") as node:
        code, out, err = publish(made, broker, "t2", "--device", "watch", "--timeout", PATIENCE_S)
    assert (code, err) == (0, ""), out
    assert node.acks and set(node.acks) == {(SEQ, 7)}
    lines = out.splitlines()
    assert lines[0].startswith("published: release 5 in ") and "wanted of 1 nodes" in lines[0]
    assert "watch: tries it" in lines and "watch: confirmed" in lines
    assert lines[-1] == (
        "publish: seq=5 nodes=1 confirmed=1 reverted=0 refused=0 superseded=0 waiting=0"
    )


class Clock:
    """Time as `publish.follow` sees it: it leaps when the rollout has ended on so many nodes."""

    def __init__(self, n_over: int) -> None:
        self.n_over = n_over
        self.leap_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.leap_s

    def rollout(self, *arguments: object) -> Rollout:
        clock = self

        class Watched(Rollout):
            def take(self, *message: object) -> Answer:
                answer = super().take(*message)
                if sum(course.is_over for course in self.courses.values()) == clock.n_over:
                    clock.leap_s = 1000.0
                return answer

        return Watched(*arguments)


def test_each_node_of_all_is_told_apart(
    made: UpdateFolder, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(3)
    monkeypatch.setattr("onebyte.updates.publish.time", clock)
    monkeypatch.setattr("onebyte.updates.rollout.Rollout", clock.rollout)
    with Link(settings(broker), []) as link:
        link.deliver([("ob/t3/No Node/u", b"{}")], 10)
    outcomes = {"good": "confirmed", "bad": "reverted", "other": "refused", "mute": "silent"}
    nodes = [FakeNode(broker, "t3", name, outcome) for name, outcome in outcomes.items()]
    for node in nodes:
        node.__enter__()
    code, out, err = publish(made, broker, "t3", "--all")
    for node in nodes:
        node.__exit__()
    assert (code, err) == (1, "")
    assert "bad: reverted: TRIAL_SPENT(190)" in out and "other: refused: UPDATE_CLASS(171)" in out
    assert "mute: has not begun" in out and clock.leap_s
    assert out.splitlines()[-1] == (
        "publish: seq=5 nodes=4 confirmed=1 reverted=1 refused=1 superseded=0 waiting=1"
    )


def test_a_node_that_has_refused_is_not_waited_for_again(
    made: UpdateFolder, broker: Broker
) -> None:
    with FakeNode(broker, "t10", "watch", "refused"):
        assert publish(made, broker, "t10", "--device", "watch", "--timeout", PATIENCE_S)[0] == 1
    # It judges an offer once, so nothing new comes from it.
    started = time.monotonic()
    code, out, _ = publish(made, broker, "t10", "--device", "watch", "--timeout", PATIENCE_S)
    assert code == 1 and "refused: UPDATE_CLASS" in out and time.monotonic() - started < 30


def test_a_node_that_refuses_at_once_is_heard(
    made: UpdateFolder, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has said so before this machine, which is slow, begins to follow."""
    with FakeNode(broker, "t15", "watch", "refused") as node:
        real = publishing.follow

        def late(*arguments: object) -> Iterator[Answer]:
            assert node.refused.wait(PATIENCE_S)
            return real(*arguments)

        monkeypatch.setattr(publishing, "follow", late)
        code, out, _ = publish(made, broker, "t15", "--device", "watch", "--timeout", 10)
    assert code == 1 and "refused: UPDATE_CLASS" in out


def test_json_is_for_scripts(made: UpdateFolder, broker: Broker) -> None:
    with FakeNode(broker, "t4", "watch", "confirmed"):
        code, out, _ = publish(made, broker, "t4", "--device", "watch", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and rows[-1] == {
        **{"seq": 5, "nodes": 1, "confirmed": 1},
        **{"reverted": 0, "refused": 0, "superseded": 0, "waiting": 0},
    }
    assert rows[-2]["outcome"] == "confirmed" and rows[-2]["report"]["installed_seq"] == SEQ


def test_detached_first_and_followed_later(made: UpdateFolder, broker: Broker) -> None:
    with FakeNode(broker, "t5", "watch", "confirmed") as node:
        assert publish(made, broker, "t5", "--device", "watch", "--detach")[0] == 0
        assert node.on_trial.wait(PATIENCE_S)
        # The broker would pass an acknowledgement on at once, if there were one.
        time.sleep(0.2)
        assert node.acks == [], "nobody acknowledges while nobody follows"
        code, out, _ = publish(made, broker, "t5", "--device", "watch", "--follow")
    assert code == 0 and "published" not in out and "watch: confirmed" in out
    assert set(node.acks) == {(SEQ, 7)}


def test_an_interrupt_says_what_is_left_to_do(made: UpdateFolder, broker: Broker) -> None:
    argv = ["publish", made.folder / "releases" / str(SEQ), "--roots", made.keys]
    argv += ["--broker", broker.address, "--tenant", "t12", "--device", "mute"]
    command = [sys.executable, "-u", "-m", "onebyte.cli", *map(str, argv)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"published: release 5 in ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err.strip()) == (130, b"")
    assert out.decode().splitlines() == [
        "mute: has not said anything about updates yet",
        "publish: seq=5 nodes=1 confirmed=0 reverted=0 refused=0 superseded=0 waiting=1",
        "trials wait for `onebyte publish --follow`, or are reverted",
    ]


class RestrictedBroker(Broker):
    """Lets nobody publish wants, and tells nobody so, as brokers do."""

    def _mosquitto_config(self, folder: Path) -> str:
        rules = folder / "acl"
        rules.write_text("topic readwrite ob/t13/~/#\ntopic read ob/t13/#\n")
        return super()._mosquitto_config(folder) + f"acl_file {rules}\n"


def test_a_want_that_the_broker_drops_is_one_line(made: UpdateFolder) -> None:
    need_mosquitto()
    with RestrictedBroker("mosquitto") as broker:
        got = publish(made, broker, "t13", "--device", "watch", "--timeout", PATIENCE_S)
        assert_refused(got, "the broker did not keep ob/t13/watch/want; does it allow this user")
        got = publish(made, broker, "t14", "--device", "watch", "--timeout", PATIENCE_S)
        assert_refused(got, "the broker did not keep ob/t14/~/")


def test_withdraw_removes_what_was_published(made: UpdateFolder, broker: Broker) -> None:
    assert publish(made, broker, "t6", "--device", "a", "--device", "b", "--detach")[0] == 0
    before = retained(broker, "ob/t6/#")
    assert len(before) > 8
    code, out, _ = publish(made, broker, "t6", "--device", "a", "--withdraw")
    assert code == 0 and "wants=1 chunks=0" in out, "the other node is still to fetch it"
    left = retained(broker, "ob/t6/#")
    assert before.keys() - left.keys() == {"ob/t6/a/want"}
    code, out, _ = publish(made, broker, "t6", "--device", "a", "--device", "b", "--withdraw")
    assert code == 0 and f"wants=1 chunks={len(before) - 2}" in out
    assert retained(broker, "ob/t6/#") == {}
    code, out, _ = publish(made, broker, "t6", "--device", "a", "--withdraw")
    assert code == 0 and "wants=0 chunks=0" in out, "there is nothing left"


def test_withdraw_leaves_the_want_of_another_release(made: UpdateFolder, broker: Broker) -> None:
    assert publish(made, broker, "t7", "--device", "a", "--detach")[0] == 0
    made.release(6, [app_file()])
    argv = ["--roots", made.keys, "--broker", broker.address, "--tenant", "t7", "--device", "a"]
    assert onebyte("publish", made.folder / "releases" / "6", *argv, "--detach")[0] == 0
    code, out, _ = publish(made, broker, "t7", "--device", "a", "--withdraw")
    assert code == 0 and "wants=0" in out
    found = assemble(retained(broker, "ob/t7/~/#"))
    newer = Release(made.folder / "releases" / "6").signed()
    assert {newer.manifest_id, *newer.objects} <= found.keys(), "a file of both stays"
    assert update_messages.parse_want(retained(broker, "ob/t7/+/want")["ob/t7/a/want"])["seq"] == 6
    assert Release(made.folder / "releases" / "5").signed().manifest_id not in found


def test_http_folder_holds_every_object(
    made: UpdateFolder, broker: Broker, tmp_path: Path
) -> None:
    web = tmp_path / "web"
    url = "http://updates.test:8080/ob/"
    options = ["--device", "watch", "--http-folder", web, "--url", url, "--detach"]
    code, out, err = publish(made, broker, "t8", *options)
    assert (code, err) == (0, "") and f"at {url}" in out
    release = Release(made.folder / "releases" / str(SEQ)).signed()
    expected = {release.manifest_id: release.content, **release.objects}
    assert {path.name: path.read_bytes() for path in web.iterdir()} == expected
    (payload,) = retained(broker, "ob/t8/#").values()
    assert update_messages.parse_want(payload)["url"] == url
    folder = made.folder / "releases" / str(SEQ)
    argv = ["publish", folder, "--roots", made.keys, "--http-folder", tmp_path / "other"]
    assert onebyte(*argv)[0] == 0 and len(list((tmp_path / "other").iterdir())) == len(expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--broker", "{}"], "whose nodes? give --tenant"),
        (
            ["--broker", "{}", "--tenant", "x"],
            "which nodes? give --device, once or more, or --all",
        ),
        (["--broker", "{}", "--tenant", "x", "--all", "--device", "a"], "which nodes?"),
        (["--broker", "{}", "--tenant", "x", "--all"], "no node of x has said anything"),
        ([], "where to? give --broker, or --http-folder alone"),
        (["--http-folder", "web", "--device", "a"], "give --broker, too"),
        (
            ["--broker", "{}", "--tenant", "x", "--device", "a", "--url", "http://h/"],
            "--http-folder and --url belong together",
        ),
        (
            ["--broker", "{}", "--tenant", "x", "--device", "a", "--detach", "--follow"],
            "exclude each other",
        ),
        (["--broker", "no-such-host.invalid", "--tenant", "x", "--all"], "unknown host"),
        (["--broker", "127.0.0.1:9", "--tenant", "x", "--device", "a"], "Connection refused"),
        (["--url", "ftp://h/", "--http-folder", "web"], "nodes take http://host[:port]/folder/"),
        (["--url", "http://h/x", "--http-folder", "web"], "with a / at the end"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], words: str, made: UpdateFolder, broker: Broker, tmp_path: Path
) -> None:
    told = [
        {"{}": broker.address, "web": str(tmp_path / "web")}.get(part, part) for part in options
    ]
    folder = made.folder / "releases" / str(SEQ)
    assert_refused(onebyte("publish", folder, "--roots", made.keys, *told), words)
    assert not (tmp_path / "web").exists()


def test_what_no_node_would_take_is_not_published(made: UpdateFolder, broker: Broker) -> None:
    folder = made.folder / "releases" / str(SEQ)
    other = UpdateFolder(made.folder / "other")
    argv = ["--broker", broker.address, "--tenant", "t9", "--device", "a", "--detach"]
    got = onebyte("publish", folder, "--roots", other.keys, *argv)
    assert_refused(got, "SIGNED_KEY(135)")
    made.pack(6, [app_file()])
    got = onebyte("publish", made.folder / "releases" / "6", "--roots", made.keys, *argv)
    assert_refused(got, "is not signed yet")
    made.release(7, [app_file()], tenant="t8")
    got = onebyte("publish", made.folder / "releases" / "7", "--roots", made.keys, *argv)
    assert_refused(got, "is for tenant t8: every node of t9 refuses it")
    (folder / "objects" / objects.hash_id(hashlib.sha256(noise()).digest())).write_bytes(b"x")
    assert_refused(onebyte("publish", folder, "--roots", made.keys, *argv), "bytes, not 3200")
    assert retained(broker, "ob/t9/#") == {}


def test_publish_asks_for_no_key(made: UpdateFolder) -> None:
    command = onebyte("publish", "--help")[1]
    assert "--key" not in command and "passphrase" not in command
