"""The demonstration on an emulated board: its broker, with TLS or without, and the run."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from onebyte.errors import UserError
from onebyte.receiver.display import Display
from onebyte.receiver.link import BrokerSettings, Link
from onebyte.receiver.monitor import SUBSCRIBED, Monitor
from onebyte.simulation import playback
from onebyte.simulation.broker import HOST, Broker, TlsFiles
from onebyte.simulation.certificates import Ca
from onebyte.simulation.demo import Scene
from onebyte.simulation.emulated import (
    BROKER_NAME,
    N_CHANNELS,
    RATE_MHZ,
    EmulatedNode,
    EmulatedOptions,
)

__all__ = ["Service", "check_parts", "describe", "open_broker", "options_for", "perform"]

TENANT = "demo"
DEVICE = "rp2040"


class Service(NamedTuple):
    """A running broker and how to reach it.

    Attributes:
        broker: the process.
        settings: for the host.
        ca: certificate for the board, DER; empty without TLS.
    """

    broker: Broker
    settings: BrokerSettings
    ca: bytes

    @property
    def description(self) -> str:
        """What it is, in words."""
        security = "TLS, with a certificate of its own CA" if self.ca else "without TLS"
        return f"{self.broker.kind} on {self.broker.address}, {security}"


@contextmanager
def open_broker(folder: Path, with_tls: bool) -> Iterator[Service]:
    """Run a broker as long as the block; with TLS it has a certificate of a new CA.

    Args:
        folder: where certificate and key go.
        with_tls: whether it accepts TLS and nothing else; needs mosquitto.
    """
    if not with_tls:
        with Broker() as broker:
            yield Service(broker, BrokerSettings(broker.host, broker.port), b"")
        return
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_file = Ca("onebyte demo CA"), folder / "ca.pem"
    ca.write(ca_file)
    files = TlsFiles(*ca.issue_for_boards(folder, [BROKER_NAME, HOST]))
    with Broker(tls=files) as broker:
        settings = BrokerSettings(broker.host, broker.port, tls_ca=ca_file)
        yield Service(broker, settings, ca.der)


def check_parts(image: Path, scene: Scene) -> None:
    """Raise UserError when there is no image, or the model wants another sensor chip."""
    if not image.is_file():
        raise UserError(f"there is no image {image}: run make firmware BOARD=pico_ppp")
    wanted = (scene.model.n_channels, scene.model.rate_mhz)
    if wanted != (N_CHANNELS, RATE_MHZ):
        raise UserError(
            f"the emulated MPU-6050 measures {N_CHANNELS} channels at {RATE_MHZ / 1000:g} Hz, "
            f"{scene.model_path} wants {wanted[0]} at {wanted[1] / 1000:g} Hz"
        )


def options_for(
    image: Path,
    service: Service,
    outages: Sequence[dict[str, Any]] = (),
    config: dict[str, Any] | None = None,
) -> EmulatedOptions:
    """Return what the demonstration's board is given; see `EmulatedOptions`."""
    port = service.settings.port
    return EmulatedOptions(image, port, TENANT, DEVICE, service.ca, outages, config or {})


def perform(
    scene: Scene, options: EmulatedOptions, service: Service, folder: Path, display: Display
) -> tuple[playback.Part, EmulatedNode]:
    """Run the board against the broker and return what became of it.

    Args:
        scene: what its sensor measures; made with `is_stream`.
        options: of `options_for`.
        service: a running broker.
        folder: where the board's files go; what is left there of an earlier run is removed.
        display: where decisions go.
    """
    shutil.rmtree(folder, ignore_errors=True)
    node = EmulatedNode(folder, options, scene.model_file, scene.script)
    part = playback.Part(node, scene.script)
    node.is_complete = lambda: part.lost == 0
    topics = [f"ob/{TENANT}/{DEVICE}/{kind}" for kind in SUBSCRIBED]
    with Link(service.settings, topics) as link, display:
        node.wall_s = playback.play([part], link, Monitor(), display.show)
    return part, node


def describe(part: playback.Part, node: EmulatedNode) -> list[str]:
    """Return lines about how the run went, for people."""
    report, stats = part.report, node.stats
    return [
        f"node: {report.get('kernels', '?')}, {report.get('overruns', '?')} FIFO overruns, "
        f"{report.get('connects', '?')} connections, {report.get('uplink_error') or 'no error'}",
        f"network: {stats.get('bytes_in', 0)} bytes from the board, "
        f"{stats.get('bad_frames', 0)} bad frames, {stats.get('retransmitted', 0)} "
        f"retransmissions, {stats.get('refused', 0)} packets to unknown addresses refused",
        f"time: {node.emulated_s:.1f} s emulated, {node.wall_s:.1f} s on the clock, "
        f"{node.cpu_s:.1f} s of this machine's processor",
    ]
