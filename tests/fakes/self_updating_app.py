"""The app of a release for the emulated board: it updates itself from objects on its flash.

The first line of its copy in a release says which version it is, and whether it crashes. It prints
what runs, confirms its own trial, and takes what the file /want asks for.
"""

VERSION, CRASHES = 0, False  # replaced in each release

import node  # noqa: E402
import sensing  # noqa: E402


class Objects:
    """A source that reads from the flash itself."""

    def __init__(self):
        self._request = None

    def begin(self, object_id, offset, n_bytes):
        """Take a request."""
        self._request = object_id, offset, min(n_bytes, 1024)

    def step(self, _):
        """Answer it."""
        if self._request is None:
            return None
        object_id, offset, n_bytes = self._request
        self._request = None
        with open("/o/" + object_id, "rb") as file:
            file.seek(offset)
            return file.read(n_bytes)

    def close(self):
        """Forget it."""
        self._request = None


class Facts:
    """A healthy node."""

    model_reason, sensor_ok, windows, heap_free, latency_us, uptime_s = 0, True, 99, 1 << 20, 0, 9


def main(found, path):
    """Run until there is nothing left to do."""
    print("app %d %d %d in %s" % (VERSION, node.VERSION, sensing.VERSION, found.slot_path))
    if CRASHES:
        raise ValueError("crashes")
    updater = found.make_updater("", lambda low, high: low, None, None, {"deadline_ms": 1000})
    updater.sources = Objects(), None
    updater.facts = Facts
    updater.link(True)
    with open("/want", "rb") as file:
        updater.on_want(file.read())
    now_ms = 0
    while not updater.action:
        if updater.is_trial:
            said = updater.status()
            ack = '{"v":1,"seq":%d,"record":%d}' % (said["pending_seq"], said["record"])
            updater.on_ack(ack.encode())
        updater.step(now_ms)
        rest_ms = updater.rest_ms(now_ms)
        if rest_ms >= 1 << 28 and not updater.action:
            print("the end", updater.status()["refused"], updater.error)
            return 0
        now_ms += rest_ms or 1
    updater.restart()
