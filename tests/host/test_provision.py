"""`onebyte provision` against a real interpreter: what it writes, refuses, and never says."""

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from command_line import assert_refused, onebyte
from cryptography import x509
from repl_board import ReplBoard
from serial.tools import list_ports
from serial_boards import usb_port

from formats import sealed
from onebyte import questions
from onebyte.boards import link, node_config, profile, provision, transport
from onebyte.boards.facts import Facts
from onebyte.boards.link import Board, open_board
from onebyte.errors import UserError
from onebyte.simulation.certificates import Ca
from onebyte.updates import keys, roots, rotation

FROZEN = ("app.config", "app.settings", "formats.sealed")
WIFI_SECRET = "s3cret-of-the-wifi"
BROKER_SECRET = "s3cret-of-the-broker"
TOML = f"""
tenant = "home"
device = "kitchen"
broker_host = "broker.example"
sensor = "mpu6050"
wifi_ssid = "attic"
wifi_password = "{WIFI_SECRET}"
broker_user = "node"
broker_password = "{BROKER_SECRET}"
"""
BY_HAND = b'{"tenant":"lab","device":"hand","broker_host":"b","policy":"all"}'
PRODUCT = {"vendor": 7, "product_class": 2, "hardware": 0, "firmware": 1}


@pytest.fixture
def board() -> Iterator[ReplBoard]:
    with ReplBoard(frozen=FROZEN) as fake:
        yield fake


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "kitchen.toml"
    path.write_text(TOML)
    return path


def provisioned(fake: ReplBoard, *options: object) -> str:
    code, out, err = onebyte("provision", "--port", fake.path, *options)
    assert (code, err) == (0, ""), err
    return out


def on_board(fake: ReplBoard) -> dict[str, Any]:
    """Return the configuration that the board's own code takes, checked."""
    with open_board(fake.path) as board:
        found: dict[str, Any] = board.ask(
            "import json\nfrom app import settings\nc=settings.load('/config.json')\n"
            "v=c.__dict__\n"
            "print(json.dumps({k:v[k] for k in v if isinstance(v[k],(str,int,bool))}))"
        )
        return found


def copies_on(fake: ReplBoard) -> list[tuple[int, dict[str, Any]] | None]:
    with open_board(fake.path) as board:
        found = []
        for path in provision.COPIES:
            content = provision._read(board, path)
            if content is None:
                found.append(None)
            else:
                number, text = sealed.parse(content)
                found.append((number, json.loads(text)))
        return found


def put(fake: ReplBoard, path: str, content: bytes) -> None:
    with open_board(fake.path) as board:
        board.write_file(path, content)


def test_file_becomes_two_sealed_copies(board: ReplBoard, toml: Path) -> None:
    line = provisioned(board, "--file", toml)
    assert "home/kitchen, configuration 1 in two sealed copies; judged by the board" in line
    one, two = copies_on(board)
    assert one == two and one is not None and one[0] == 1
    config = on_board(board)
    assert (config["wifi_password"], config["sensor"]) == (WIFI_SECRET, "mpu6050")
    assert config["keepalive_s"] == 60


def test_next_one_keeps_what_is_not_named(board: ReplBoard, toml: Path) -> None:
    provisioned(board, "--file", toml)
    options = ("--set", "device=cellar", "--set", "broker_tls=false", "--lock")
    provisioned(board, "--file", toml, *options)
    config = on_board(board)
    assert (config["device"], config["wifi_password"]) == ("cellar", WIFI_SECRET)
    assert config["console"] == "locked"
    assert [copy and copy[0] for copy in copies_on(board)] == [2, 2]
    fresh = ["--fresh", "--set", "tenant=a", "--set", "device=b", "--set", "broker_host=c"]
    provisioned(board, *fresh)
    assert on_board(board)["wifi_password"] == ""


def test_file_for_people_is_taken_over_and_then_means_nothing(board: ReplBoard) -> None:
    put(board, "/config.json", BY_HAND)
    assert "config.json does not count" in provisioned(board, "--set", "device=sealed")
    config = on_board(board)
    assert (config["device"], config["policy"]) == ("sealed", "all")
    assert "2 sealed copies removed; config.json counts" in provisioned(board, "--clear")
    assert on_board(board)["device"] == "hand"


def test_damaged_copy_is_replaced_first(board: ReplBoard, toml: Path) -> None:
    provisioned(board, "--file", toml)
    put(board, provision.COPIES[1], b"rubbish")
    put(board, provision.COPIES[0], sealed.pack(41, BY_HAND))
    written: list[str] = []
    real = Board.write_file

    def noting(self: Board, path: str, *rest: Any, **more: Any) -> str:
        written.append(path)
        return real(self, path, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Board, "write_file", noting)
        provisioned(board, "--set", "device=after")
    assert written == [provision.COPIES[1], provision.COPIES[0]]
    assert [copy and copy[0] for copy in copies_on(board)] == [42, 42]


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["nosuch=1"], "'nosuch' is no key"),
        (["broker_port=0"], "broker_port: 1 to 65535"),
        (["broker_port=x"], "broker_port must be int"),
        (["policy=never"], "policy: all, on_change, heartbeat"),
        (["device"], "is not KEY=VALUE"),
        (["tenant=home"], "broker_host is required|device is required"),
        (["console=locked", "safe_boot_ms=0"], "safe_boot_ms"),
        (["wifi_password=x"], "does not belong on a command line"),
    ],
)
def test_wrong_values_change_nothing(board: ReplBoard, pairs: list[str], says: str) -> None:
    if "safe_boot_ms=0" in pairs:
        put(board, "/config.json", BY_HAND)
    options = [part for pair in pairs for part in ("--set", pair)]
    code, out, err = onebyte("provision", "--port", board.path, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert any(word in err for word in says.split("|")), err
    assert copies_on(board) == [None, None]


def test_board_whose_code_is_older_refuses_and_keeps_the_old_one(
    board: ReplBoard, toml: Path
) -> None:
    provisioned(board, "--file", toml)
    with open_board(board.path) as opened:
        opened.exec("from app import config\ndel config.KEYS['sensor']")
    got = onebyte("provision", "--port", board.path, "--set", "device=new")
    assert_refused(got, "the board's app refuses", "nothing changed", "'sensor' is not a key")
    assert [copy and copy[0] for copy in copies_on(board)] == [1, 1]


def test_board_without_an_app_says_so(toml: Path) -> None:
    with ReplBoard() as bare:
        got = onebyte("provision", "--port", bare.path, "--file", toml, "--set", "sleep=deep")
        assert_refused(got, "wake_interval_s")  # there is nobody else to judge it
        assert copies_on(bare) == [None, None]
        assert "not judged by the board: it has no app" in provisioned(bare, "--file", toml)
        assert [copy and copy[0] for copy in copies_on(bare)] == [1, 1]


def test_unplugged_at_any_byte_leaves_the_old_or_the_new_one(toml: Path) -> None:
    with ReplBoard(frozen=FROZEN) as fake:
        provisioned(fake, "--file", toml)
        before = fake.n_in
        provisioned(fake, "--set", "device=n0", "--no-restart")
        n_bytes = fake.n_in - before
        found = []
        device = "n0"
        for number, share in enumerate((0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97), 1):
            fake.replug()
            fake.unplug_after = fake.n_in + int(share * n_bytes)
            code, _, err = onebyte(
                "provision", "--port", fake.path, "--set", f"device=n{number}", "--no-restart"
            )
            assert code == 2 and "unplugged" in err, err
            fake.replug()
            now = on_board(fake)["device"]
            assert now in (device, f"n{number}")
            found.append(now != device)
            device = now
        assert True in found and False in found


def test_secrets_are_nowhere_but_on_the_board(
    board: ReplBoard, toml: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [provisioned(board, "--file", toml), provisioned(board, "--show")]
    assert "wifi_password = (set)" in said[1] and "wifi_ssid = 'attic'" in said[1]
    broken = toml.with_name("broken.toml")
    for text in (
        TOML.replace(WIFI_SECRET, WIFI_SECRET * 9),
        TOML.replace('wifi_ssid = "attic"', 'wifi_ssid = "' + "a" * 99 + '"'),
        TOML.replace(WIFI_SECRET, WIFI_SECRET + "\\u0001"),
        TOML.replace(f'"{BROKER_SECRET}"', f'["{BROKER_SECRET}"]'),
        TOML.replace('"node"', '"node'),
    ):
        broken.write_text(text)
        code, out, err = onebyte("provision", "--port", board.path, "--file", broken)
        assert code == 2 and err.count("\n") == 1
        said += [out, err]
    # Also where the board's own code refuses, which prints a traceback.
    with open_board(board.path) as opened:
        opened.exec("from app import config\nconfig.KEYS['wifi_password']=('text','',0,3)")
    code, out, err = onebyte("provision", "--port", board.path, "--file", toml)
    assert code == 2 and "refuses" in err
    said += [out, err, caplog.text]
    for text in said:
        assert "s3cret" not in text


def test_questions_are_asked_and_passwords_not_echoed(board: ReplBoard) -> None:
    """At a real terminal, since that is what echoes."""
    answers = ["Home", "home", "kitchen", "", "mpu6050", "50000"]  # a sensor has to be named
    answers += ["broker.example", "/no/such.pem", "", "70000", "1884", "node", BROKER_SECRET]
    master, slave = pty.openpty()
    code = "import sys; from onebyte import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "provision", "--port", board.path]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = b""
    n_answered = 0
    try:
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            screen += piece
            if screen.endswith(b": ") and n_answered < len(answers):
                os.write(master, answers[n_answered].encode() + b"\n")
                n_answered += 1
                screen += b"|"
    finally:
        os.close(master)
        process.wait(30)
    assert process.returncode == 0, screen.decode()
    assert n_answered == len(answers)
    text = screen.decode()
    assert BROKER_SECRET not in text and "a-z 0-9" in text and "1 to 65535" in text
    assert "cannot read /no/such.pem" in text and "replay" not in text
    config = on_board(board)
    assert config["broker_password"] == BROKER_SECRET
    assert (config["tenant"], config["broker_port"]) == ("home", 1884)


def test_password_that_the_board_has_is_kept_and_not_shown() -> None:
    known = {"tenant": "home", "device": "kitchen", "broker_host": "b", "broker_user": "node"}
    known["sensor"] = "lis3dh"
    known |= {"broker_password": BROKER_SECRET, "wifi_password": WIFI_SECRET}
    facts = Facts("micropython", (1, 26, 0), (6, 3), "", "esp32", "ESP32S3", "", "", None)
    asked: list[profile.Profile] = []

    @click.command()
    def ask() -> None:
        asked.append(questions.ask(facts, known, str))

    done = CliRunner().invoke(ask, input="\n" * 20)
    assert done.exit_code == 0, done.output
    assert "s3cret" not in done.output and done.output.count("as it is") == 3
    assert {key: asked[0].values[key] for key in known} == known


def test_port_that_is_offered_is_that_of_tls_where_an_authority_is_named(tmp_path: Path) -> None:
    Ca().write(tmp_path / "ca.pem")
    known = {"tenant": "home", "device": "kitchen", "broker_host": "b", "sensor": "adc"}
    facts = Facts("micropython", (1, 26, 0), (6, 3), "", "rp2", "Pico", "", "pico_ppp", None)
    asked: list[profile.Profile] = []

    @click.command()
    def ask() -> None:
        asked.append(questions.ask(facts, known, str))

    for path, port in (("", 1883), (tmp_path / "ca.pem", 8883)):
        done = CliRunner().invoke(ask, input="\n" * 6 + f"{path}\n\n\n")
        assert done.exit_code == 0, done.output
        assert asked[-1].values["broker_port"] == port, done.output


def test_options_that_exclude_each_other(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("device\nx\n")
    for options, says in (
        (("--show", "--lock"), "--show goes with no other action"),
        (("--clear", "--unlock"), "--clear goes with no other action"),
        (("--unlock", "--set", "device=x"), "--unlock goes with no other action"),
        (("--csv", table), "--csv names its boards itself"),
    ):
        assert_refused(onebyte("provision", "--port", "/dev/nowhere", *options), says)


def test_without_a_terminal_nothing_is_asked(board: ReplBoard) -> None:
    assert_refused(onebyte("provision", "--port", board.path), "no terminal to ask: use --file")


def test_certificates_arrive_as_the_board_takes_them(board: ReplBoard, tmp_path: Path) -> None:
    ca = Ca()
    ca.write(tmp_path / "ca.pem")
    base = tmp_path / "watch"
    keys.write_device(base, ("home", "kitchen"), "long enough passphrase", None)
    certificate, _ = ca.issue(tmp_path, "kitchen")
    (tmp_path / "passphrase").write_text("long enough passphrase\n")
    toml = tmp_path / "node.toml"
    toml.write_text(TOML + f'[files]\nca = "ca.pem"\ncert = "{certificate.name}"\n')
    out = provisioned(
        *(board, "--file", toml, "--key", f"{base}.pem"),
        *("--passphrase-file", tmp_path / "passphrase"),
    )
    assert "home/kitchen" in out
    config = on_board(board)
    assert config["broker_tls"] is True
    with open_board(board.path) as opened:
        assert opened.read_file(config["broker_ca_path"]) == ca.der
        x509.load_der_x509_certificate(opened.read_file(config["broker_cert_path"]))
        key = opened.read_file(config["broker_key_path"])
    assert key.startswith(b"\x30") and b"ENCRYPTED" not in key


def test_ca_of_a_web_server_leaves_the_broker_as_it_is(
    board: ReplBoard, toml: Path, tmp_path: Path
) -> None:
    ca = Ca()
    ca.write(tmp_path / "web.pem")
    provisioned(board, "--file", toml, "--update-ca", tmp_path / "web.pem")
    config = on_board(board)
    assert (config["broker_tls"], config["broker_ca_path"]) == (False, "")
    with open_board(board.path) as opened:
        assert opened.read_file(config["update_ca_path"]) == ca.der


def test_certificate_of_before_stays_until_the_new_configuration_counts(
    board: ReplBoard, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def der_files() -> list[str]:
        with open_board(board.path) as opened:
            names = opened.exec("import os\nprint(*os.listdir('/id'))").split()
        return [name for name in names if name not in ("config.a", "config.b")]

    def trusted() -> bytes:
        path = on_board(board)["broker_ca_path"]
        with open_board(board.path) as opened:
            return opened.read_file(path)

    before, after = Ca(), Ca()
    path = toml.with_name("ca.pem")
    before.write(path)
    provisioned(board, "--file", toml, "--ca", path)
    put(board, "/id/ca.der.new", b"of a pulled cable")
    put(board, "/id/mine.der", b"the user's")
    after.write(path)

    def pulled(*_: object) -> None:
        raise link.Lost("pulled")

    with monkeypatch.context() as patch:
        patch.setattr(provision, "write_copies", pulled)
        assert_refused(onebyte("provision", "--port", board.path, "--ca", path), "pulled")
    assert trusted() == before.der and len(der_files()) == 4
    provisioned(board, "--ca", path)
    assert trusted() == after.der
    assert len(der_files()) == 2, "the old one, or half a file, is still there"
    provisioned(board, "--fresh", "--file", toml)
    assert der_files() == ["mine.der"]


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_file_that_is_something_else_is_refused(
    board: ReplBoard, tmp_path: Path, toml: Path, name: str
) -> None:
    path = tmp_path / "x.pem"
    got = onebyte("provision", "--port", board.path, "--file", toml, f"--{name}", path)
    assert_refused(got, "cannot read")
    path.write_text(f"-----BEGIN RUBBISH-----\n{WIFI_SECRET}\n")
    got = onebyte("provision", "--port", board.path, "--file", toml, f"--{name}", path)
    assert_refused(got, "x.pem is no ")
    assert "s3cret" not in got[2], "it may have been a key"
    assert copies_on(board) == [None, None]


@pytest.fixture
def product(tmp_path: Path) -> tuple[Path, Path]:
    """A product file and its first root document."""
    root_key, release_key = keys.generate(), keys.generate()
    fields = rotation.first_fields(7, 1, [root_key.public], [(release_key.public, 0, 2)])
    signed = roots.new_draft(roots.Chain(tmp_path), fields).sign(root_key).packed()
    (tmp_path / "root.1").write_bytes(signed)
    (tmp_path / "product.json").write_text(json.dumps(PRODUCT))
    return tmp_path / "product.json", tmp_path / "root.1"


def test_product_and_root_are_checked_and_written(
    board: ReplBoard, toml: Path, product: tuple[Path, Path]
) -> None:
    options = ("--file", toml, "--product", product[0], "--root", product[1])
    provisioned(board, *options)
    with open_board(board.path) as opened:
        assert opened.read_file("/id/root") == product[1].read_bytes()
        assert json.loads(opened.read_file("/id/product.json")) == PRODUCT
        opened.remove_file("/id/root")
    described = product[0].with_suffix(".toml")  # what an image for the product is built from
    values = "".join(f"{key} = {value}\n" for key, value in PRODUCT.items())
    described.write_text(f'{values}roots = "."\n')
    provisioned(board, "--file", toml, "--product", described)
    with open_board(board.path) as opened:
        assert opened.read_file("/id/root") == product[1].read_bytes()
    root = bytearray(product[1].read_bytes())
    root[-1] ^= 1
    product[1].write_bytes(root)
    got = onebyte("provision", "--port", board.path, *options)
    assert_refused(got, "the root document is refused: ")
    got = onebyte("provision", "--port", board.path, *options[:4])
    assert_refused(got, "product and root belong together")
    for wrong, says in (
        ({**PRODUCT, "vendor": 8}, "the root document is refused|vendor"),
        ({**PRODUCT, "hardware": 32}, "hardware must be a number from 0 to 31"),
        ({"vendor": 7}, "just the keys"),
    ):
        product[0].write_text(json.dumps(wrong))
        code, _, err = onebyte("provision", "--port", board.path, *options)
        assert code == 2 and any(word in err for word in says.split("|")), err


def test_frozen_product_takes_no_other(
    board: ReplBoard, toml: Path, product: tuple[Path, Path]
) -> None:
    with open_board(board.path) as opened:
        opened.exec(
            "import sys\nclass product:\n VENDOR=7\n PRODUCT_CLASS=2\n HARDWARE=0\n FIRMWARE=1\n"
            "sys.modules['product']=product"
        )
    with open_board(board.path) as opened:
        assert opened.facts.product == {
            **{"frozen": True, "vendor": 7, "class": 2, "hardware": 0, "firmware": 1}
        }
    options = ("--file", toml, "--product", product[0], "--root", product[1])
    got = onebyte("provision", "--port", board.path, *options)
    assert_refused(got, "the image itself says which product it is")


def test_table_provisions_many_boards_by_their_numbers(
    tmp_path: Path, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "rooms.csv"
    table.write_text(
        "unique_id,device,heartbeat_s,wifi_password\n"
        f"AA:00:00:01,attic,,{WIFI_SECRET}2\n"
        "bb000002,cellar,30,\n"
        "cc000003,garage,,\n"
    )
    with (
        ReplBoard(unique_id="bb000002", frozen=FROZEN) as two,
        ReplBoard(unique_id="aa000001", frozen=FROZEN) as one,
        ReplBoard(unique_id="dd000004") as stranger,
    ):
        found = [usb_port(fake.path) for fake in (two, one, stranger)]
        monkeypatch.setattr(list_ports, "comports", lambda: found)
        for fake in (one, two, stranger):
            mark(fake)
        code, out, err = onebyte("provision", "--file", toml, "--csv", table, "--lock")
        assert code == 2 and err == "onebyte: error: 1 of 3 boards were not provisioned\n"
        lines = out.splitlines()
        assert [line.split()[0] for line in lines] == ["ok", "ok", "FAILED"]
        assert "home/attic" in lines[0] and "home/cellar" in lines[1]
        assert "no board has the number cc000003" in lines[2]
        assert all(is_restarted(fake) for fake in (one, two, stranger))
        first, second = on_board(one), on_board(two)
    assert (first["device"], first["wifi_password"]) == ("attic", WIFI_SECRET + "2")
    assert (second["heartbeat_s"], second["wifi_password"]) == (30, WIFI_SECRET)
    assert first["console"] == second["console"] == "locked"
    assert "s3cret" not in out + err


def test_table_names_files_beside_it_and_what_it_says_counts(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    ca = Ca()
    ca.write(folder / "ca.pem")
    table = folder / "t.csv"
    table.write_text("port,device,ca,broker_tls\na,one,ca.pem,\nb,two,ca.pem,false\n")
    base = profile.Profile({"tenant": "x", "device": "base"})
    one, two = (target.profile for target in profile.read_csv(table, base, str))
    assert one.files["ca"] == two.files["ca"] == ca.der
    assert (one.values["device"], one.values["broker_tls"]) == ("one", True)
    assert two.values["broker_tls"] is False
    table.write_text("port,tenant,device\na,house,one\nb,garden,one\n")
    assert len(profile.read_csv(table, base, str)) == 2, "nodes of two tenants"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no rows"),
        ("port,device\n", "has no rows"),
        ("port,nosuch\na,b\n", "'nosuch' is no column"),
        ("port,device\na\n", "line 2: has another number of cells"),
        ("port,device\na,b,c\n", "line 2: has another number of cells"),
        ("port,device\na,B\n", "line 2: device: 1 to 32 of a-z"),
        ("port,device\na,x\na,y\n", "port a stands in two rows"),
        ("port,device\na,x\nb,x\n", "device home/x stands in two rows"),
        ("unique_id,device\nAA:01,x\naa01,y\n", "unique_id aa01 stands in two rows"),
        ("port,device\na,x\n,y\n", "each needs its port or unique_id"),
        ("port,device,device\na,x,y\n", "the column 'device' stands there twice"),
        ("port,device\na,x\n\nb,Y\n", "line 4: device: 1 to 32 of a-z"),
        ("port,ca\na,none.pem\n", "line 2: cannot read"),
    ],
)
def test_wrong_table_touches_no_board(
    tmp_path: Path, toml: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a board was touched")

    monkeypatch.setattr(provision, "open_board", never)
    table = tmp_path / "t.csv"
    table.write_text(text)
    assert_refused(onebyte("provision", "--file", toml, "--csv", table), says)


def is_restarted(fake: ReplBoard) -> bool:
    """Say whether the board was reset since `mark`."""
    with open_board(fake.path) as opened:
        return opened.exec("print('marked' in globals())") == "False\n"


def mark(fake: ReplBoard) -> None:
    with open_board(fake.path) as opened:
        opened.exec("marked = True")


def test_board_runs_again_also_when_something_is_refused(board: ReplBoard) -> None:
    put(board, "/config.json", BY_HAND)
    for options, says in (
        (["--set", "device=n"], ""),
        (["--set", "sleep=deep"], "wake_interval_s"),
        (["--install", "pico_w"], "is no pico_w"),
        (["--show"], ""),
    ):
        for more in ([], ["--no-restart"]):
            mark(board)
            code, _, err = onebyte("provision", "--port", board.path, *options, *more)
            assert (code != 0) == bool(says) and says in err, err
            assert is_restarted(board) != bool(more), (options, more)


def test_board_of_two_rows_is_given_one_of_them(
    board: ReplBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: [usb_port(board.path)])
    number = "e661640843215678"
    by_port = profile.Target(board.path, "", profile.Profile())
    by_number = profile.Target("", number, profile.Profile())
    (_, one), (_, two) = provision.match_boards([by_port, by_number])
    assert one == board.path
    assert str(two) == f"{board.path} has this number, and stands in another row"


def test_other_board_at_the_port_is_refused(board: ReplBoard, tmp_path: Path, toml: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"port,unique_id\n{board.path},1234\n")
    code, out, _ = onebyte("provision", "--file", toml, "--csv", table)
    assert code == 2 and "has the number e661640843215678, not 1234" in out
    assert copies_on(board) == [None, None]


def test_host_and_device_judge_by_the_same_code() -> None:
    table = node_config.rules()
    assert table["tenant"][0] == "name" and node_config.is_secret("wifi_password")
    assert node_config.convert("broker_tls", "TRUE") is True
    assert node_config.convert("sample_low", "-5") == -5
    for name, (_, key) in profile.FILES.items():
        assert not key or key in table, name
    with pytest.raises(UserError, match="console"):
        node_config.convert("console", "ajar")


def test_locked_board_is_opened_by_a_reset_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from onebyte.boards import catch

    catch_board = catch.catch_board
    with ReplBoard(frozen=FROZEN) as fake:

        def catch_reset(port: str, tell: Callable[[str], object]) -> Any:
            def press_reset(line: str) -> None:
                tell(line)
                fake.stall_after = None

            return catch_board(port, press_reset)

        monkeypatch.setattr(catch, "catch_board", catch_reset)
        put(fake, "/id/config.a", sealed.pack(5, BY_HAND.replace(b"}", b',"console":"locked"}')))
        fake.stall_after = fake.n_in  # as a locked node: nothing helps
        out = provisioned(fake, "--unlock")
        assert out.count("press RESET on the board now") == 1 and "configuration 6" in out
        assert on_board(fake)["console"] == "open"
        assert "the console is open" in provisioned(fake, "--unlock")
        fake.stall_after = fake.n_in
        opened: list[transport.Transport] = []

        def noting(device: str) -> transport.Transport:
            opened.append(transport.Transport(device))
            return opened[-1]

        monkeypatch.setattr(catch, "Transport", noting)
        late = pytest.raises(UserError, match="did not open within 1 s: was RESET pressed")
        with late, catch_board(fake.path, print, 1.0):
            pass
        # While one is open, the board comes back as another port.
        assert opened and not any(one.serial._port.is_open for one in opened)
    old = pytest.raises(UserError, match="is too old")
    with ReplBoard(version="1.20.0") as fake, old, catch_board(fake.path, print):
        pass
