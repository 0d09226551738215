"""Puts releases of `ota_releases` into the slots of a filesystem, as an install leaves them."""

import ota_releases

from formats import slot_state
from ota.store import make_folders

SIGNER = ota_releases.StandIn


class Product:
    """What a product file says, for the node that `ota_releases` makes releases for."""

    is_frozen = False

    def __init__(self, device, root=None):
        self.device = device
        self.root = root or ota_releases.root_file(SIGNER, 1)


def write_file(files, path, content):
    """Write a file and the folders above it."""
    make_folders(files, path)
    with files.open(path, "wb") as file:
        file.write(content)


def put(store, slot, release):
    """Fill a slot."""
    path = store.slot_path(slot)
    for name, content in release.contents.items():
        write_file(store.files, "%s/%s" % (path, name), content)
    write_file(store.files, store.manifest_path(slot), release.content)


def put_state(store, **values):
    """Write a state record with these fields; the others as in a new one."""
    state = slot_state.State()
    state.record_seq = 1
    for name, value in values.items():
        setattr(state, name, value)
    store.write_state(state)
    return state
