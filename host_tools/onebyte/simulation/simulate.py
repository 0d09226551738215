"""Many simulated nodes at once: who plays what, and the broker they share."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from formats import topics
from onebyte import toolchain
from onebyte.errors import UserError
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import SUBSCRIBED, Monitor
from onebyte.simulation import playback
from onebyte.simulation.broker import Broker
from onebyte.simulation.device import Node, NodeOptions
from onebyte.simulation.script import Script, cut, make_script
from onebyte.training import datasets
from onebyte.training import recipe as recipes

__all__ = ["Plan", "make_scripts", "run"]

_TENANT = "sim"
_WILL_S = 30.0  # the broker notices at once that a node has ended, unless it is slow


@dataclass(frozen=True)
class Plan:
    """How many nodes play how much of a model's dataset.

    Attributes:
        model_folder: folder with recipe.toml and model.obm.
        n_nodes: how many.
        seconds: length of each node's recording.
        speed: times real time; 0 as fast as the nodes can.
    """

    model_folder: Path
    n_nodes: int
    seconds: float
    speed: int

    def read_model(self) -> bytes:
        """Return the model file.

        Raises:
            UserError: there is none.
        """
        path = self.model_folder / "model.obm"
        try:
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None


def make_scripts(plan: Plan) -> list[Script]:
    """Return a script for each node: groups in turn, each time a later piece of the same group.

    Raises:
        UserError: recipe, model or data are missing.
        OnebyteError: the model is refused.
    """
    model_file = plan.read_model()
    recipe = recipes.load(plan.model_folder)
    dataset = datasets.load(recipe)
    groups = dataset.groups
    return [
        make_script(
            model_file,
            cut(dataset, groups[i % len(groups)], i // len(groups) * plan.seconds, plan.seconds),
            recipe.custom,
        )
        for i in range(plan.n_nodes)
    ]


def run(
    plan: Plan, scripts: list[Script], address: tuple[str, int] | None, folder: Path
) -> tuple[list[playback.Part], float]:
    """Run one node for each script and return what became of them, and the seconds it took.

    Args:
        plan: as given to `make_scripts`.
        scripts: from `make_scripts`.
        address: host and port of a running broker; None starts one.
        folder: where the nodes live.
    """
    toolchain.unpack_umqtt(toolchain.ROOT / "build")
    model_file = plan.read_model()
    with _broker(address) as (host, port):
        parts = []
        for i, script in enumerate(scripts):
            name = f"node-{i + 1:03}"
            options = NodeOptions(host, port, _TENANT, name, plan.speed)
            node = Node(folder / name, options, model_file, script.recording, script.custom)
            parts.append(playback.Part(node, script))
        filters = [f"ob/{_TENANT}/+/{kind}" for kind in SUBSCRIBED]
        with Link(BrokerSettings(host, port), filters) as link:
            monitor = Monitor()
            seconds = playback.play(parts, link, monitor)
            if address is not None:
                _clear_retained(link, monitor)
    return parts, seconds


@contextmanager
def _broker(address: tuple[str, int] | None) -> Iterator[tuple[str, int]]:
    if address is not None:
        yield address
        return
    with Broker() as broker:
        yield broker.host, broker.port


def _clear_retained(link: Link, monitor: Monitor) -> None:
    """Leave nothing of the simulated nodes on somebody's broker, their last wills neither."""
    deadline_s = time.monotonic() + _WILL_S
    devices = monitor.devices.values()
    while any(device.online for device in devices) and time.monotonic() < deadline_s:
        for message in link.messages(0.1):
            monitor.take(message)
    for device in devices:
        for kind in (topics.META, topics.STATUS):
            topic = topics.pack(device.tenant, device.name, kind)
            link.publish(topic, b"", retain=True, wait_s=_WILL_S)
