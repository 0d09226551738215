"""What an app gets of the updates: all of it is frozen, whatever the app is.

The interface may grow, and nothing of it goes away: a release of today meets later frozen code.
"""

import sys

from ota import desk, loader, pace, platform, product, store, verifier
from ota.http_source import HttpSource
from ota.mqtt_source import MqttSource
from ota.standing import Standing
from ota.updater import Updater

__all__ = ["Updates", "at_desk", "current", "desk", "start"]

current = None  # the `Updates` of this start


class Updates:
    """The updates of one start.

    Attributes:
        boot: `loader.Boot`: what was found.
        platform: `platform.Platform`.
        verify: checks one Ed25519 signature.
        updater: `updater.Updater` once the app has asked for it.
    """

    def __init__(self, boot, chip, verify) -> None:
        self.boot = boot
        self.platform = chip
        self.verify = verify
        self.updater: Updater | None = None
        self._standing: Standing | None = None

    @property
    def standing(self):
        """Where the node stands now, a `standing.Standing`."""
        if self.updater is not None:
            return self.updater.standing
        if self._standing is None:
            self._standing = Standing(self.boot, self.verify, self.platform)
        return self._standing

    @property
    def slot_path(self) -> str:
        """Folder of the slot that runs, empty when none does."""
        return self.boot.slot_path

    @property
    def is_trial(self) -> bool:
        """Whether what runs is on trial."""
        return self.updater.is_trial if self.updater else self.boot.is_trial

    @property
    def is_frozen(self) -> bool:
        """Whether the product is part of the image: then nothing runs that nobody has signed."""
        return self.boot.product.is_frozen

    def make_updater(self, tenant: str, randint, net, context, settings: dict):
        """Return the `updater.Updater` of this start, and keep it as `updater`.

        Args:
            tenant: whose node this is.
            randint: random.randint.
            net: the `socket` module, or something with its `getaddrinfo` and `socket`.
            context: SSL context for https, or None.
            settings: `deadline_ms`: for one answer of the network; and any attribute of
                `pace.Limits`. What this frozen code does not know is left alone.
        """
        limits = pace.Limits()
        for name, value in settings.items():
            if hasattr(limits, name):
                setattr(limits, name, value)
        self.boot.product.device.tenant = tenant
        updater = Updater(self.boot, self.verify, self.platform, randint, limits)
        deadline_ms = settings["deadline_ms"]
        # Over HTTP a first piece waits for a name, a connection, a handshake and a reply.
        http = HttpSource(net, 4 * deadline_ms, context)
        updater.sources = (MqttSource(tenant, deadline_ms), http)
        self.updater = updater
        return updater


def start(files, prefix: str):
    """Decide what runs, and let the interpreter find it; None where there are no updates.

    A mistake in here must leave a node that runs: it is told in one line, and the frozen app runs.

    Args:
        files: filesystem.
        prefix: see `store.Store`.
    """
    global current  # noqa: PLW0603 - a start happens once
    path = sys.path[:]
    try:
        current = _start(store.Store(files, prefix), True)
        return current
    except Exception as error:
        sys.path[:] = path
        values = type(error).__name__, error
        print("onebyte boot: the loader failed, the frozen app runs: %s: %s" % values)
        return None


def at_desk(files, prefix: str):
    """Return the updates for a computer on the console; None where there are none.

    Where the node was stopped before it had begun, this is a start of its own, without an app.

    Args:
        files: filesystem.
        prefix: see `store.Store`.
    """
    global current  # noqa: PLW0603
    if current is None:
        current = _start(store.Store(files, prefix), False)
    return current


def _start(folders, has_app: bool):
    found = product.load(folders)
    if found is None:
        return None
    chip = platform.Platform()
    found.device.partition_bytes = chip.partition_bytes
    verify = verifier.make(chip.feed)
    if verify is None:
        print("onebyte boot: neither obed25519 nor its twin; no updates")
        return None
    boot = loader.boot(folders, found, verify, chip.feed, chip.firmware)
    print("onebyte boot: %s" % loader.describe(boot))
    if not has_app:
        return Updates(boot, chip, verify)
    if boot.must_restart:
        print("onebyte boot: another firmware starts first")
        chip.restart()
    if boot.is_trial:
        chip.start_watchdog()
    loader.enter(boot)
    return Updates(boot, chip, verify)
