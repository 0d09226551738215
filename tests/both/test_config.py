"""Configuration: defaults, refusals, and that docs/CONFIG.md says the same."""

import json
import os

from check import raises

from app import config
from formats import errors

_ROOT = __file__.rsplit("/", 3)[0] if __file__.count("/") > 2 else "."
_GOOD = {"tenant": "lab", "device": "node-1", "broker_host": "broker.example"}


def _with(**changes):
    values = dict(_GOOD)
    values.update(changes)
    return values


def _refused(code, **changes):
    return raises(code, config.Config, _with(**changes)).detail


def test_defaults_and_given_values():
    made = config.Config(_with(keepalive_s=5, replay_speed=30, broker_user="ü" * 127))
    assert made.keepalive_s == 5
    assert made.replay_speed == 30
    assert made.device == "node-1"
    for key in config.KEYS:
        assert hasattr(made, key)
    assert made.outbox_ram_records == config.KEYS["outbox_ram_records"][1]


def test_every_default_is_allowed():
    config.Config(_GOOD)


def test_refuses_unknown_and_missing_keys():
    assert "keep_alive" in _refused(errors.CONFIG_KEY, keep_alive=3)
    for key in _GOOD:
        values = dict(_GOOD)
        del values[key]
        assert key in raises(errors.CONFIG_MISSING, config.Config, values).detail
    raises(errors.CONFIG_SYNTAX, config.Config, [1])


def test_refuses_wrong_types():
    wrong = {
        "bool": (1, "true", None),
        "int": (1.0, True, "1", None),
        "number": ("1", False, None),
        "text": (1, None, ["a"]),
        "name": (1, None),
        "choice": (1, None),
    }
    for key in config.KEYS:
        for value in wrong[config.KEYS[key][0]]:
            assert key in _refused(errors.CONFIG_TYPE, **{key: value})


def test_refuses_values_beyond_the_range_and_names_it():
    for key in config.KEYS:
        spec = config.KEYS[key]
        if spec[0] in ("int", "number"):
            for value in (spec[2] - 1, spec[3] + 1):
                detail = _refused(errors.CONFIG_RANGE, **{key: value})
                assert key in detail
                assert "%d to %d" % (spec[2], spec[3]) in detail
        elif spec[0] in ("text", "name"):
            _refused(errors.CONFIG_RANGE, **{key: "a" * (spec[3] + 1)})
        elif spec[0] == "choice":
            assert spec[2][0] in _refused(errors.CONFIG_RANGE, **{key: "nosuch"})
    _refused(errors.CONFIG_TYPE, replay_speed=0.5)
    _refused(errors.CONFIG_RANGE, broker_user="ü" * 128)


def test_names_are_parts_of_topics():
    for name in ("", "Lab", "a/b", "a+", "#", "ü", "a b"):
        _refused(errors.CONFIG_RANGE, tenant=name)


def test_refuses_values_that_do_not_fit_together():
    assert "sample_low" in _refused(errors.CONFIG_RANGE, sample_low=5, sample_high=5)
    assert "outbox_records" in _refused(errors.CONFIG_RANGE, outbox_records=31)
    assert "broker_ca_path" in _refused(errors.CONFIG_MISSING, broker_tls=True)
    tls = {"broker_tls": True, "broker_ca_path": "ca.der"}
    config.Config(_with(**tls))
    own = {"broker_cert_path": "c.der", "broker_key_path": "k.der"}
    config.Config(_with(**tls, **own))
    assert "broker_tls" in _refused(errors.CONFIG_MISSING, **own)
    for key in own:
        assert "belong together" in _refused(errors.CONFIG_MISSING, **{key: "x.der"}, **tls)


def test_a_locked_console_can_be_opened_again():
    config.Config(_with(console="locked", safe_boot_ms=1000))
    assert "safe_boot_ms" in _refused(errors.CONFIG_RANGE, console="locked", safe_boot_ms=999)


def test_sleep_and_its_cycle_fit_together():
    assert "wake_interval_s" in _refused(errors.CONFIG_RANGE, wake_interval_s=60)
    assert "wake_interval_s" in _refused(errors.CONFIG_RANGE, sleep="deep")
    assert "watchdog_ms" in _refused(errors.CONFIG_RANGE, watchdog_ms=4999)
    for sleep, interval_s in (("never", 0), ("light", 0), ("auto", 0), ("auto", 60), ("deep", 1)):
        config.Config(_with(sleep=sleep, wake_interval_s=interval_s, watchdog_ms=0))


def test_addresses_are_four_numbers():
    fixed = {"ip_address": "10.0.0.7", "ip_gateway": "10.0.0.1", "ip_dns": "9.9.9.9"}
    assert config.Config(_with(**fixed)).ip_mask == "255.255.255.0"
    assert "ip_gateway" in _refused(errors.CONFIG_MISSING, ip_address="10.0.0.7")
    for text in ("10.0.0", "10.0.0.256", "10.0.0.x", "10.0.0.1.2", "1.2.3.-4", "0001.2.3.4"):
        for key in ("ip_address", "ip_mask", "ip_gateway", "ip_dns"):
            assert key in _refused(errors.CONFIG_RANGE, **{key: text})


def test_a_long_password_is_not_shown():
    for key in ("broker_password", "wifi_password"):
        assert "s3cret" not in _refused(errors.CONFIG_RANGE, **{key: "s3cret" * 50})
        assert "s3cret" not in _refused(errors.CONFIG_TYPE, **{key: ["s3cret"]})


def test_load():
    path = "/tmp/onebyte_test_config.json"
    try:
        for text, code in (
            (b"{", errors.CONFIG_SYNTAX),
            (b'{"tenant":"lab" "device":"a"}', errors.CONFIG_SYNTAX),
            (b'{"tenant":"lab","tenant":"b"}', errors.CONFIG_SYNTAX),
            (b"[]", errors.CONFIG_SYNTAX),
            (b'"\xff"', errors.CONFIG_SYNTAX),
            (b" " * 8193, errors.CONFIG_SYNTAX),
            (b"{}", errors.CONFIG_SYNTAX),
        ):
            with open(path, "wb") as file:
                file.write(text)
            raises(code, config.load, path)
        with open(path, "wb") as file:
            file.write(json.dumps(_GOOD).encode())
        assert config.load(path).tenant == "lab"
    finally:
        os.remove(path)
    raises(errors.CONFIG_MISSING, config.load, path)


def test_the_documentation_lists_every_key_as_it_is():
    rows = {}
    with open(_ROOT + "/docs/CONFIG.md") as file:
        for line in file:
            if line.startswith("| `"):
                cells = [cell.strip() for cell in line.split("|")[1:-1]]
                rows[cells[0].strip("`")] = cells[1:]
    assert set(rows) == set(config.KEYS)
    for key in config.KEYS:
        spec = config.KEYS[key]
        default = spec[1] if spec[1] is config.REQUIRED else json.dumps(spec[1])
        assert rows[key][:3] == [spec[0], default, config.range_text(key)], key
        assert rows[key][3], key
