"""The node's configuration: the one place of all defaults and ranges.

docs/CONFIG.md explains every key; a test keeps its table equal to the one below.
"""

from formats import errors, flatjson

_BOOL = "bool"
_INT = "int"
_TEXT = "text"  # the range is that of its length in UTF-8 bytes
_CHOICE = "choice"
_NAME = "name"  # part of a topic: [a-z0-9_-], the range is that of its length

REQUIRED = "required"

# key: (kind, default, lowest, highest), or (_CHOICE, default, choices)
KEYS: dict = {
    "tenant": (_NAME, REQUIRED, 1, 32),
    "device": (_NAME, REQUIRED, 1, 32),
    "broker_host": (_TEXT, REQUIRED, 1, 253),
    "broker_port": (_INT, 1883, 1, 65535),
    "broker_tls": (_BOOL, False),
    "broker_ca_path": (_TEXT, "", 0, 255),
    "broker_cert_path": (_TEXT, "", 0, 255),
    "broker_key_path": (_TEXT, "", 0, 255),
    "broker_user": (_TEXT, "", 0, 255),
    "broker_password": (_TEXT, "", 0, 255),
    "keepalive_s": (_INT, 60, 5, 3600),
    "network_deadline_ms": (_INT, 5000, 100, 60000),
    "reconnect_max_s": (_INT, 60, 1, 3600),
    "policy": (_CHOICE, "on_change", ("all", "on_change", "heartbeat")),
    "heartbeat_s": (_INT, 600, 1, 604800),
    "status_interval_s": (_INT, 300, 1, 86400),
    "model_path": (_TEXT, "model.obm", 1, 255),
    "custom_path": (_TEXT, "custom.py", 1, 255),
    "spectrum": (_CHOICE, "exact", ("exact", "ulab")),
    "silent_ms": (_INT, 5000, 10, 3600000),
    "saturated_permille": (_INT, 100, 0, 1000),
    "sample_low": (_INT, -32768, -32768, 32767),
    "sample_high": (_INT, 32767, -32768, 32767),
    "update_path": (_TEXT, "", 0, 200),
    "update_ca_path": (_TEXT, "", 0, 255),
    "update_trial_s": (_INT, 900, 10, 86400),
    "update_pause_s": (_INT, 5, 1, 3600),
    "outbox_path": (_TEXT, "q", 1, 200),
    "outbox_records": (_INT, 4096, 1, 1000000),
    "outbox_ram_records": (_INT, 32, 1, 1024),
    "outbox_segment_records": (_INT, 64, 1, 1024),
    "outbox_full": (_CHOICE, "drop_oldest", ("drop_oldest", "drop_newest")),
    "outbox_flush_s": (_INT, 60, 1, 86400),
    "sleep": (_CHOICE, "never", ("never", "auto", "light", "deep")),
    "wake_interval_s": (_INT, 0, 0, 86400),
    "wake_windows": (_INT, 1, 1, 1000),
    "awake_budget_ms": (_INT, 20000, 1000, 3600000),
    "watchdog_ms": (_INT, 8000, 0, 8388),
    "brownout_mv": (_INT, 0, 0, 20000),
    "safe_boot_ms": (_INT, 2000, 0, 60000),
    "console": (_CHOICE, "open", ("open", "locked")),
    "sensor": (
        _CHOICE,
        "replay",
        ("replay", "lis3dh", "lsm6dsox", "mpu6050", "adc", "pin_events", "pin_level"),
    ),
    "sensor_rate_mhz": (_INT, 50000, 10, 10000000),
    "sensor_range_g": (_INT, 8, 2, 16),
    "sensor_range_dps": (_INT, 2000, 125, 2000),
    "sensor_address": (_INT, 0, 0, 127),
    "sensor_pin": (_INT, -1, -1, 48),
    "i2c_sda_pin": (_INT, -1, -1, 48),
    "i2c_scl_pin": (_INT, -1, -1, 48),
    "i2c_hz": (_INT, 400000, 10000, 1000000),
    "wifi_ssid": (_TEXT, "", 0, 32),
    "wifi_password": (_TEXT, "", 0, 63),
    "wifi_fast_ms": (_INT, 3000, 0, 60000),
    "wifi_full_ms": (_INT, 20000, 1000, 120000),
    "ip_address": (_TEXT, "", 0, 15),
    "ip_mask": (_TEXT, "255.255.255.0", 7, 15),
    "ip_gateway": (_TEXT, "", 0, 15),
    "ip_dns": (_TEXT, "", 0, 15),
    "ppp_baud": (_INT, 115200, 9600, 3000000),
    "ppp_deadline_ms": (_INT, 30000, 1000, 300000),
    "replay_path": (_TEXT, "", 0, 255),
    "replay_speed": (_INT, 1, 0, 1000000),
    "replay_fifo_rows": (_INT, 0, 0, 65535),
    "drain_s": (_INT, 10, 0, 86400),
}

# What never appears in a message, nor on a screen.
SECRETS = ("broker_password", "wifi_password")

_IPV4_KEYS = ("ip_address", "ip_mask", "ip_gateway", "ip_dns")

_MAX_FILE_BYTES = 8192
_MIN_LOCKED_MS = 1000
_NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


class Config:
    """A checked configuration: every key of `KEYS` is an attribute.

    Args:
        values: the keys that differ from their defaults, and all required ones.

    Raises:
        OnebyteError: a CONFIG_* code; the detail names the key and what is allowed.
    """

    def __init__(self, values: dict):
        if not isinstance(values, dict):
            raise errors.OnebyteError(errors.CONFIG_SYNTAX, "not an object")
        for key in values:
            if key not in KEYS:
                raise errors.OnebyteError(errors.CONFIG_KEY, "%r is not a key" % key)
        for key in KEYS:
            if key not in values and KEYS[key][1] is REQUIRED:
                raise errors.OnebyteError(errors.CONFIG_MISSING, "%s is required" % key)
            value = values.get(key, KEYS[key][1])
            check_value(key, value)
            setattr(self, key, value)
        _check_together(self)


def load(path: str) -> Config:
    """Returns the configuration in the JSON file at `path`.

    Raises:
        OnebyteError: it cannot be read (CONFIG_MISSING), or it is wrong.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        detail = "no file %s" % path if error.errno == 2 else "%s: %s" % (path, error)  # ENOENT
        raise errors.OnebyteError(errors.CONFIG_MISSING, detail) from None
    return parse(text, path)


def parse(text, path: str) -> Config:
    """Returns the configuration in the bytes of a JSON object.

    Args:
        text: The bytes.
        path: Where they are from, for messages.

    Raises:
        OnebyteError: a CONFIG_* code.
    """
    try:
        values = flatjson.parse(text, _MAX_FILE_BYTES)
    except errors.OnebyteError as error:
        raise errors.OnebyteError(errors.CONFIG_SYNTAX, "%s: %s" % (path, error.detail)) from None
    return Config(values)


def range_text(key: str) -> str:
    """Returns what is allowed for `key`, as people write it."""
    spec = KEYS[key]
    if spec[0] == _BOOL:
        return "true, false"
    if spec[0] == _CHOICE:
        return ", ".join(spec[2])
    text = "%d to %d" % (spec[2], spec[3])
    if spec[0] == _TEXT:
        return text + " bytes"
    if spec[0] == _NAME:
        return text + " of a-z 0-9 _ -"
    return text


def check_value(key: str, value) -> None:
    """Raises OnebyteError unless `value` alone is allowed for `key`."""
    spec = KEYS[key]
    kind = spec[0]
    if not _is_kind(kind, value):
        raise errors.OnebyteError(errors.CONFIG_TYPE, "%s must be %s" % (key, kind))
    if kind == _BOOL:
        return
    if kind == _CHOICE:
        good = value in spec[2]
    elif kind == _TEXT:
        good = spec[2] <= len(value.encode()) <= spec[3]
    elif kind == _NAME:
        good = spec[2] <= len(value) <= spec[3] and all(c in _NAME_CHARACTERS for c in value)
    else:
        good = spec[2] <= value <= spec[3]
    if not good:
        _refuse_range(key, range_text(key), value)


def _check_together(config) -> None:
    if config.sample_low >= config.sample_high:
        _refuse_range("sample_low", "less than sample_high", config.sample_low)
    if config.sleep == "never" and config.wake_interval_s:
        _refuse_range("wake_interval_s", "0 where sleep is never", config.wake_interval_s)
    if config.sleep == "deep" and not config.wake_interval_s:
        _refuse_range("wake_interval_s", "at least 1 where sleep is deep", 0)
    # A scan for access points waits up to 3 s, light sleep on an RP2040 for 4 s at a time.
    if 0 < config.watchdog_ms < 5000:
        _refuse_range("watchdog_ms", "0, or at least 5000", config.watchdog_ms)
    if config.outbox_records < config.outbox_ram_records:
        _refuse_range("outbox_records", "at least outbox_ram_records", config.outbox_records)
    _check_tls(config)
    if config.console == "locked" and config.safe_boot_ms < _MIN_LOCKED_MS:
        # Otherwise nothing but erasing the whole flash would ever open it again.
        _refuse_range("safe_boot_ms", "at least 1000 where console is locked", config.safe_boot_ms)
    for key in _IPV4_KEYS:
        text = getattr(config, key)
        if text and not _is_ipv4(text):
            _refuse_range(key, "four numbers such as 192.168.1.20", text)
    if config.ip_address and not config.ip_gateway:
        raise errors.OnebyteError(errors.CONFIG_MISSING, "ip_address needs ip_gateway")


def _check_tls(config) -> None:
    if config.broker_tls and not config.broker_ca_path:
        raise errors.OnebyteError(
            errors.CONFIG_MISSING, "broker_tls needs broker_ca_path, the CA to trust"
        )
    if bool(config.broker_cert_path) != bool(config.broker_key_path):
        raise errors.OnebyteError(
            errors.CONFIG_MISSING, "broker_cert_path and broker_key_path belong together"
        )
    if config.broker_cert_path and not config.broker_tls:
        raise errors.OnebyteError(errors.CONFIG_MISSING, "broker_cert_path needs broker_tls")


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(
        1 <= len(part) <= 3 and all(c in "0123456789" for c in part) and int(part) <= 255
        for part in parts
    )


def _is_kind(kind: str, value) -> bool:
    if kind == _BOOL:
        return isinstance(value, bool)
    if kind == _INT:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str)


def _refuse_range(key: str, allowed: str, value) -> None:
    # A secret that is too long does not belong into a log.
    shown = "" if key in SECRETS else ", not %r" % (value,)
    raise errors.OnebyteError(errors.CONFIG_RANGE, "%s: %s%s" % (key, allowed, shown))
