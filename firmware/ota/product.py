"""What this node is, and the root document that it trusts first.

It comes from the frozen module `product` of an image that was built for a product, and there no
file can say otherwise; else from id/product.json and id/root on the filesystem. docs/SPEC.md: On
flash.
"""

import sys

from formats import flatjson
from formats.errors import OnebyteError
from ota.trust import Device

JSON_PATH = "id/product.json"
ROOT_PATH = "id/root"
SLOT_BYTES = 262144

_KEYS = ("vendor", "product_class", "hardware", "firmware")
_LIMITS = ((1, 0xFFFF), (1, 0xFFFF), (0, 31), (0, 0xFFFFFFFF))
_MAX_JSON_BYTES = 512
_MAX_ROOT_BYTES = 4096
_MPY_VERSION = 0xFF


class Product:
    """What a node is.

    Attributes:
        device: `trust.Device`; tenant and partition_bytes are not known here.
        root: signed file of the first root document.
        is_frozen: whether it is part of the image, so that no file can change it.
    """

    def __init__(self, values, root, is_frozen: bool) -> None:
        self.device = Device()
        for name, value in zip(_KEYS, values):
            setattr(self.device, name, value)
        features = getattr(sys.implementation, "_mpy", 0)
        self.device.mpy_abi = features & _MPY_VERSION
        self.device.arch = features >> 10 & 15
        self.device.slot_bytes = SLOT_BYTES
        self.root = root
        self.is_frozen = is_frozen


def load(store):
    """Return the `Product`, None when the node has none: then there are no updates.

    Args:
        store: `ota.store.Store`.
    """
    return read_frozen() or _read_files(store)


def read_frozen():
    """Return the `Product` that the image was built for, None without one."""
    path = sys.path[:]
    sys.path[:] = [".frozen"]  # a file of this name on the filesystem is none
    try:
        import product
    except ImportError:
        return None
    finally:
        sys.path[:] = path
    values = (product.VENDOR, product.PRODUCT_CLASS, product.HARDWARE, product.FIRMWARE)
    return Product(values, product.ROOT, True)


def _read_files(store):
    content = store.read(JSON_PATH, _MAX_JSON_BYTES)
    root = store.read(ROOT_PATH, _MAX_ROOT_BYTES)
    if content is None and root is None:
        return None
    try:
        values = _parse(content or b"")
    except OnebyteError as error:
        print("onebyte boot: %s: %s; no updates" % (JSON_PATH, error))
        return None
    if values is None or root is None:
        print("onebyte boot: %s and %s do not fit; no updates" % (JSON_PATH, ROOT_PATH))
        return None
    return Product(values, root, False)


def _parse(content):
    found = flatjson.parse(content, _MAX_JSON_BYTES)
    values = [found.get(key) for key in _KEYS]
    if len(found) != len(_KEYS):
        return None
    for value, (low, high) in zip(values, _LIMITS):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return None
    return values
