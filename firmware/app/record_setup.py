"""From a configuration to a recorder: the settings that count, and what the source measures."""

import json
import sys

from app import config as configuration
from app import record_flash, record_plan
from app.recorder import Recorder
from formats import errors, flatjson

# A board that was never configured records all the same: nothing of these is used.
_UNUSED = {"tenant": "collect", "device": "collect", "broker_host": "-"}

# What a plan has beside keys of the configuration, and what counts where it is absent.
_PLAN: dict = {"v": 1, "label": "", "subject": "", "license": "", "quota_kib": 64, "duration_s": 0}


def settings(load, path: str, overrides: dict):
    """Returns the configuration of a recording.

    Args:
        load: function that returns the Config in the file `path`.
        path: of config.json; it may be absent.
        overrides: keys that differ for this recording.

    Raises:
        OnebyteError: a CONFIG_* code.
    """
    values = dict(_UNUSED)
    try:
        config = load(path)
        values = {key: getattr(config, key) for key in configuration.KEYS}
    except errors.OnebyteError as error:
        if error.code != errors.CONFIG_MISSING:
            raise
    values.update(overrides)
    return configuration.Config(values)


def info(config, source, plan=()) -> bytes:
    """Returns the body of the INFO block.

    Args:
        config: Config.
        source: its driver.
        plan: pairs of key and value to add.
    """
    lsb = [str(lsb) for lsb in getattr(source, "lsb_nano", ())]
    pairs = [
        ("v", 1),
        ("sensor", config.sensor),
        ("n_channels", source.n_channels),
        ("rate_mhz", source.rate_mhz),
        ("pace_mhz", getattr(source, "pace_mhz", source.rate_mhz)),
        ("lsb_nano", lsb),
        ("range_g", config.sensor_range_g),
        ("range_dps", config.sensor_range_dps),
        ("machine", getattr(sys.implementation, "_machine", sys.platform)),
        ("micropython", ".".join([str(part) for part in sys.implementation.version[:3]])),
    ]
    pairs += plan
    return flatjson.pack(pairs)


def split_plan(plan: dict) -> tuple:
    """Returns (what a plan says of the recording, keys of the configuration)."""
    said = {key: plan.get(key, _PLAN[key]) for key in _PLAN}
    return said, {key: plan[key] for key in plan if key not in _PLAN}


def record_to_flash(make_source, load, path: str, files) -> int:
    """Records as the plan says; returns why it ended, -1 when there is no plan.

    Raises:
        OnebyteError: the configuration does not work.
    """
    plan = record_plan.read(files)
    if not plan:
        return -1
    said, overrides = split_plan(plan)
    config = settings(load, path, overrides)
    source = make_source(config)
    pairs = [(key, said[key]) for key in ("label", "subject", "license")]
    sink = record_flash.Sink(
        files, record_flash.free_bytes, info(config, source, pairs), said["quota_kib"] * 1024
    )
    reason = record_flash.run(Recorder(source), sink, said["duration_s"] * 1000)
    if said["duration_s"]:
        record_plan.remove(files)
    print("onebyte record: run %d, %d bytes, reason %d" % (sink.run, sink.written, reason))
    return reason


def listing(files) -> str:
    """Returns JSON about the segments on flash: path, bytes, SHA-256 in hex; oldest first."""
    from binascii import hexlify
    from hashlib import sha256

    found = []
    for _, _, path in record_flash.segments(files):
        digest = sha256()
        n_bytes = 0
        file = files.open(path, "rb")
        try:
            while True:
                piece = file.read(1024)
                if not piece:
                    break
                digest.update(piece)
                n_bytes += len(piece)
        finally:
            file.close()
        found.append([path, n_bytes, hexlify(digest.digest()).decode()])
    return json.dumps(found)


def run_plan(hardware, load, path: str) -> None:
    """Records to flash as the plan says.

    Args:
        hardware: the module `board`.
        load, path: see `settings`.
    """
    files = hardware.make_files()
    try:
        record_to_flash(lambda config: hardware.Board(config).source, load, path, files)
    except (errors.OnebyteError, OSError) as error:
        print("onebyte record:", error)
