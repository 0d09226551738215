"""The two files that tell a board without a frozen product which one it is, and whom it trusts."""

from collections.abc import Callable, Mapping

from formats import flatjson, root_document, signed
from formats.errors import OnebyteError
from onebyte.errors import UserError
from ota import trust

__all__ = ["check_product"]

# As firmware/ota/product.py reads them.
_RANGES = {
    "vendor": (1, 0xFFFF),
    "product_class": (1, 0xFFFF),
    "hardware": (0, 31),
    "firmware": (0, 0xFFFFFFFF),
}
_MAX_JSON_BYTES = 512
_MAX_ROOT_BYTES = 4096

Verify = Callable[[bytes, bytes, tuple[bytes, ...]], bool]


def check_product(files: Mapping[str, bytes], verify: Verify) -> None:
    """Refuse a product or a root document that a board would not take.

    Args:
        files: May have `product` and `root`.
        verify: Checks one Ed25519 signature: public key, signature, message.

    Raises:
        UserError: one without the other, or one that is refused.
    """
    if "product" not in files and "root" not in files:
        return
    if "product" not in files or "root" not in files:
        raise UserError("product and root belong together: what it is, and whom it trusts")
    vendor = _product_vendor(files["product"])
    root = _checked_root(files["root"], verify)
    if root.vendor != vendor:
        raise UserError(f"the product is of vendor {vendor}, the root document of {root.vendor}")


def _product_vendor(content: bytes) -> int:
    try:
        values = flatjson.parse(content, _MAX_JSON_BYTES)
    except OnebyteError as error:
        raise UserError(f"the product file is refused: {error}") from error
    if set(values) != set(_RANGES):
        raise UserError(f"the product file must have just the keys {', '.join(_RANGES)}")
    for key, (low, high) in _RANGES.items():
        value = values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"the product file's {key} must be a number from {low} to {high}")
    return int(values["vendor"])


def _checked_root(content: bytes, verify: Verify) -> root_document.RootDocument:
    if len(content) > _MAX_ROOT_BYTES:
        raise UserError(f"the root document is longer than {_MAX_ROOT_BYTES} bytes")
    try:
        document = signed.parse(content, signed.ROOT)
        root = root_document.parse(document.body)
        signers = trust.valid_signers(document, root.root_keys, verify)
    except OnebyteError as error:
        raise UserError(f"the root document is refused: {error}") from error
    if len(signers) < root.threshold:
        raise UserError(
            f"the root document has {len(signers)} of the {root.threshold} signatures it needs"
        )
    return root
