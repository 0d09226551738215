"""What a node is made as: a `product.toml`, for images (`onebyte build firmware`) and boards.

vendor = 7
product_class = 3
hardware = 2      # number of its hardware in the class, 0-31
firmware = 1      # version of the frozen part, which `min_firmware` of a release asks for
roots = "keys"    # folder of root documents; the newest one is what the node trusts first
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from formats import flatjson
from onebyte.errors import UserError
from onebyte.updates import roots

__all__ = ["KEYS", "Product", "read"]

# key -> lowest and highest value.
KEYS = {
    "vendor": (1, 0xFFFF),
    "product_class": (1, 0xFFFF),
    "hardware": (0, 31),
    "firmware": (0, 0xFFFFFFFF),
}


@dataclass(frozen=True)
class Product:
    """What a node is.

    Attributes:
        name: Of the file, without its suffix.
        values: The values of KEYS, in order.
        root: The signed file of the first root document.
    """

    name: str
    values: tuple[int, ...]
    root: bytes

    def module_text(self) -> str:
        """Return the source of the frozen module `product`."""
        lines = [
            f"{key.upper()} = {value}\n" for key, value in zip(KEYS, self.values, strict=True)
        ]
        return f'"""What this image is made for."""\n\n{"".join(lines)}ROOT = {self.root!r}\n'

    def json_text(self) -> bytes:
        """Return id/product.json of a board whose firmware has no product in it."""
        return flatjson.pack(list(zip(KEYS, self.values, strict=True)))


def read(path: Path) -> Product:
    """Return the product in a TOML file.

    Raises:
        UserError: It cannot be read, says something else than KEYS and `roots`, or the chain of
            root documents is not valid or of another vendor.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML: {error}") from None
    wanted = {*KEYS, "roots"}
    if set(values) != wanted:
        odd = ", ".join(sorted(wanted ^ set(values)))
        raise UserError(f"{path}: unknown or missing: {odd}; it has {', '.join(KEYS)} and roots")
    for key, (low, high) in KEYS.items():
        value = values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"{path}: {key} is {low} to {high}, not {value!r}")
    if not isinstance(values["roots"], str):
        raise UserError(f"{path}: roots is a folder, not {values['roots']!r}")
    chain = roots.read_chain(path.parent / values["roots"])
    vendor = chain.newest.vendor
    if vendor != values["vendor"]:
        raise UserError(f"{path}: the root documents are those of vendor {vendor}")
    return Product(path.stem, tuple(values[key] for key in KEYS), chain.files[-1])
