"""What a release is for and how it is tried: `release.toml`, overridden by options.

The keys are named as the fields of the manifest. docs/SPEC.md: Release folder.
"""

import tomllib
from pathlib import Path
from typing import Any

from formats import errors, manifest, topics
from formats.errors import OnebyteError
from onebyte.errors import UserError

__all__ = ["KEYS", "fields", "read"]

_U16, _U32 = 0xFFFF, 0xFFFFFFFF
_N_HARDWARE = 32

# key -> lowest and highest value; None: a text, or a list of numbers.
KEYS: dict[str, tuple[int, int] | None] = {
    "vendor": (1, _U16),
    "product_class": (1, _U16),
    "hardware": None,
    "tenant": None,
    "seq": (1, _U32),
    "content_version": (0, _U32),
    "security_floor": (0, _U32),
    "root_epoch": (1, _U32),
    "min_firmware": (0, _U32),
    "tries": (1, manifest.MAX_TRIES),
    "offline_h": (0, manifest.MAX_OFFLINE_H),
    "heap_floor_bytes": (0, _U32),
    "latency_budget_us": (0, _U32),
}
_NEEDED = ("vendor", "product_class", "seq", "content_version")


def read(path: Path) -> dict[str, Any]:
    """Return the values in a `release.toml`.

    Raises:
        UserError: It cannot be read, is no TOML, or has an unknown key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML: {error}") from None
    for key in values:
        if key not in KEYS:
            raise UserError(f"{path}: unknown key {key}; there are {', '.join(KEYS)}")
    return values


def fields(values: dict[str, Any]) -> dict[str, Any]:
    """Return what `manifest_pack.pack` takes, without files, from checked values.

    Args:
        values: Of `read`, with the options of the command line put over them.

    Raises:
        UserError: A value is missing or out of range; the message names it.
    """
    for key in _NEEDED:
        if key not in values:
            raise UserError(f"the release has no {key}: write it into release.toml or give it")
    for key, value in values.items():
        _check(key, value)
    offline_h = values.get("offline_h", 0)
    floor = values.get("security_floor", 0)
    if floor > values["content_version"]:
        raise UserError(
            f"security_floor {floor} is above content_version {values['content_version']}: "
            "this release would refuse itself"
        )
    return {
        "root_epoch": values.get("root_epoch", 1),
        "manifest_seq": values["seq"],
        "content_version": values["content_version"],
        "security_floor": floor,
        "vendor": values["vendor"],
        "product_class": values["product_class"],
        "hardware_mask": sum(1 << bit for bit in set(values.get("hardware", range(_N_HARDWARE)))),
        "min_firmware": values.get("min_firmware", 0),
        "tries": values.get("tries", 3),
        "may_confirm_offline": offline_h > 0,
        "offline_h": offline_h,
        "heap_floor_bytes": values.get("heap_floor_bytes", 0),
        "latency_budget_us": values.get("latency_budget_us", 0),
        "tenant": values.get("tenant", ""),
    }


def explain(error: OnebyteError) -> str:
    """Say of a manifest that cannot be packed what to do about it."""
    advice = {
        errors.MANIFEST_SIZE: f"a release has 1 to {manifest.MAX_FILES} files",
        errors.MANIFEST_NAME: "a file name is 1 to 24 of a-z 0-9 _ . and begins with no dot",
    }
    return f"{error}; {advice[error.code]}" if error.code in advice else str(error)


def _check(key: str, value: Any) -> None:
    limits = KEYS[key]
    if limits is not None:
        low, high = limits
        if not _is_integer(value) or not low <= value <= high:
            raise UserError(f"{key} must be a whole number from {low} to {high}, not {value!r}")
    elif key == "tenant":
        if not isinstance(value, str) or (value and not topics.is_name(value)):
            raise UserError(f"tenant must be 1 to 32 of a-z 0-9 _ -, or empty, not {value!r}")
    elif not (
        isinstance(value, list | tuple | range)
        and value
        and all(_is_integer(bit) and 0 <= bit < _N_HARDWARE for bit in value)
    ):
        raise UserError(f"hardware must be numbers from 0 to 31 in a list, not {value!r}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
