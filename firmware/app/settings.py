"""Which configuration counts: the sealed copies that `onebyte provision` wrote, else a JSON file.

The copies lie in the folder `id` beside the JSON file. As long as one of them is whole the JSON
file means nothing: a node that was provisioned keeps its configuration whatever file appears.
"""

from app import config
from formats import sealed

COPIES = ("id/config.a", "id/config.b")


def load(path: str, open_file=open):
    """Returns the `config.Config` that counts.

    Args:
        path: of the JSON file; it need not be there.
        open_file: function that opens a file.

    Raises:
        OnebyteError: there is none (CONFIG_MISSING), or it is wrong.
    """
    found = find(path, open_file)
    return config.load(path) if found is None else config.parse(found[1], COPIES[found[2]])


def find(path: str, open_file=open):
    """Returns (number, content, index in COPIES) of the sealed copy that counts, or None."""
    folder = path[: path.rfind("/") + 1]
    return sealed.newest([_read(folder + name, open_file) for name in COPIES])


def _read(path, open_file):
    try:
        with open_file(path, "rb") as file:
            return file.read(sealed.MAX_BYTES + 1)
    except OSError:
        return None
