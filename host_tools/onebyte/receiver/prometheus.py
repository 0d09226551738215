"""The monitor's counts as Prometheus' text format 0.0.4, and the endpoint that serves them."""

import queue
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from http.server import BaseHTTPRequestHandler
from socket import AF_INET, AF_INET6
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, NamedTuple

from formats import messages, record, result
from onebyte.errors import UserError
from onebyte.receiver.monitor import Decision, Device, Note

__all__ = ["CONTENT_TYPE", "MAX_DEVICES", "Endpoint", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_DEVICES = 1000  # whoever may publish can invent devices; those beyond are only counted

_ANSWER_S = 5.0
_CLIENT_S = 5.0

# Metric -> type, help. A node's own counters begin anew when it boots, which Prometheus expects.
_METRICS = {
    "devices": ("gauge", "Devices that the monitor has heard of."),
    "devices_omitted": ("gauge", "Devices beyond the limit, of which nothing else is told."),
    "received_total": ("counter", "Decisions received, each once."),
    "decisions_total": ("counter", "Decisions with a class, by class of the current model."),
    "undecided_total": ("counter", "Decisions that no class was seen often or clearly enough."),
    "faults_total": ("counter", "Decisions without a class because of a fault, by reason."),
    "undecoded_total": ("counter", "Decisions whose byte the meta message does not explain."),
    "novel_total": ("counter", "Decisions on an input unlike the training data."),
    "missing_total": ("counter", "Decisions that never arrived and were given up."),
    "duplicates_total": ("counter", "Decisions left out because they had arrived before."),
    "late_total": ("counter", "Decisions left out because their gap had been given up."),
    "unanchored_total": ("counter", "Live bytes left out because nothing gave them a number."),
    "last_decision_timestamp_seconds": ("gauge", "When the latest decision was made or arrived."),
    "online": ("gauge", "1 while the node is connected, 0 after its last will."),
    "info": ("gauge", "The model that the node runs; always 1."),
    "node_queued": ("gauge", "Records that wait in the node."),
    "node_dropped_total": ("counter", "Records that the node lost since its boot."),
    "node_windows_total": ("counter", "Windows that the node judged since its boot."),
    "node_faults_total": ("counter", "Fault decisions of the node since its boot."),
    "node_connects_total": ("counter", "Connects to the broker since its boot."),
    "node_uptime_seconds": ("gauge", "Time since the node's boot."),
    "node_heap_free_bytes": ("gauge", "Free heap."),
    "node_time_quality": ("gauge", "Quality of the node's clock, 0 to 2."),
    "node_flash_errors_total": ("counter", "Failed flash operations since its boot."),
    "node_wakes_total": ("counter", "Wakes from sleep since its boot."),
    "node_supply_volts": ("gauge", "Supply voltage."),
    "node_flash_held_total": ("counter", "How often a weak supply kept records in RAM."),
    "node_charge_ampere_hours_total": ("counter", "Charge since boot by the board's figures."),
}
# Key of the status message -> metric, factor.
_STATUS = {
    "queued": ("node_queued", 1),
    "dropped": ("node_dropped_total", 1),
    "windows": ("node_windows_total", 1),
    "faults": ("node_faults_total", 1),
    "connects": ("node_connects_total", 1),
    "uptime_s": ("node_uptime_seconds", 1),
    "heap_free": ("node_heap_free_bytes", 1),
    "time_quality": ("node_time_quality", 1),
    "flash_errors": ("node_flash_errors_total", 1),
    "wakes": ("node_wakes_total", 1),
    "supply_mv": ("node_supply_volts", 1e-3),
    "flash_held": ("node_flash_held_total", 1),
}


class Sample(NamedTuple):
    """One value of a metric, with the labels beside tenant and device."""

    metric: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class _Counts:
    """Decisions of one device by what they say. At most 240 classes and 7 reasons."""

    def __init__(self) -> None:
        self.model: object = None
        self.classes: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.undecided = 0
        self.undecoded = 0
        self.novel = 0
        self.last_s = 0.0

    def add(self, decision: Decision, now_s: float) -> None:
        self.last_s = now_s if decision.time_quality == record.SINCE_BOOT else decision.time_s
        self.novel += bool(decision.novel)
        if decision.class_id is not None:
            self.classes[decision.class_id] += 1
        elif decision.fault is not None:
            self.faults[decision.fault] += 1
        elif decision.label == result.REASONS[result.UNDECIDED]:
            self.undecided += 1
        else:
            self.undecoded += 1


class Metrics:
    """Counts decisions by class and reason; everything else it reads from the monitor's devices.

    Not for two threads: `Endpoint.answer` calls it on the monitor's.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], _Counts] = {}

    def take(
        self,
        items: Iterable[Decision | Note],
        devices: Mapping[tuple[str, str], Device],
        now_s: float,
    ) -> None:
        """Count decisions that were received."""
        for item in items:
            if not isinstance(item, Decision):
                continue
            key = (item.tenant, item.device)
            if key not in self._counts and len(self._counts) >= MAX_DEVICES:
                continue
            counts = self._counts.setdefault(key, _Counts())
            meta = devices[key].meta
            model = meta and (meta["model"], meta["labels"])
            if counts.model != model:
                # Another model's classes are other classes: their counters begin anew.
                counts.model = model
                counts.classes.clear()
            counts.add(item, now_s)

    def render(self, devices: Mapping[tuple[str, str], Device]) -> str:
        """Return the text format of everything that is known now."""
        shown = [device for key, device in devices.items() if key in self._counts]
        others = [device for key, device in devices.items() if key not in self._counts]
        shown += others[: MAX_DEVICES - len(shown)]
        lines: dict[str, list[str]] = {metric: [] for metric in _METRICS}
        lines["devices"].append(_line(Sample("devices", len(devices))))
        omitted = Sample("devices_omitted", len(devices) - len(shown))
        lines["devices_omitted"].append(_line(omitted))
        for device in shown:
            owner = (("tenant", device.tenant), ("device", device.name))
            for sample in self._samples(device):
                labelled = sample._replace(labels=owner + sample.labels)
                lines[sample.metric].append(_line(labelled))
        return "".join(
            f"# HELP onebyte_{metric} {text}\n# TYPE onebyte_{metric} {kind}\n"
            + "".join(lines[metric])
            for metric, (kind, text) in _METRICS.items()
            if lines[metric]
        )

    def _samples(self, device: Device) -> Iterator[Sample]:
        counts = self._counts.get((device.tenant, device.name)) or _Counts()
        reconciler = device.reconciler
        yield Sample("received_total", device.n_decisions)
        yield Sample("missing_total", reconciler.missing)
        # A counter that went down would be one that began anew.
        yield Sample("duplicates_total", reconciler.duplicates + reconciler.readmitted)
        yield Sample("late_total", reconciler.late)
        yield Sample("unanchored_total", reconciler.unanchored)
        yield Sample("undecided_total", counts.undecided)
        yield Sample("undecoded_total", counts.undecoded)
        yield Sample("novel_total", counts.novel)
        for reason in result.REASONS[1:]:
            yield Sample("faults_total", counts.faults[reason], (("reason", reason),))
        if device.last is not None:
            yield Sample("last_decision_timestamp_seconds", counts.last_s)
        if device.meta is not None:
            is_same = counts.model == (device.meta["model"], device.meta["labels"])
            for class_id, label in enumerate(device.meta["labels"]):
                value = counts.classes[class_id] if is_same else 0
                yield Sample("decisions_total", value, (("class", label),))
            about = ("name", "model", "encoding")
            yield Sample("info", 1, tuple((key, device.meta[key]) for key in about))
        if device.online is not None:
            yield Sample("online", device.online)
        yield from _status_samples(device.status or {})


def _status_samples(status: Mapping[str, Any]) -> Iterator[Sample]:
    for key, (metric, factor) in _STATUS.items():
        if key in status:
            yield Sample(metric, status[key] * factor)
    for key in messages.CHARGE_KEYS:
        if key in status:
            phase = key.removeprefix("uah_")
            yield Sample("node_charge_ampere_hours_total", status[key] / 1e6, (("phase", phase),))


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escape(value)}"' for name, value in sample.labels)
    value = sample.value
    text = str(int(value)) if value == int(value) else repr(float(value))
    return f"onebyte_{sample.metric}{f'{{{labels}}}' if labels else ''} {text}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class _Server(ThreadingTCPServer):
    daemon_threads = True  # a client that reads slowly does not keep us from ending
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.asked: queue.SimpleQueue[Future[str]] = queue.SimpleQueue()
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "onebyte", ""
    timeout = _CLIENT_S

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            return self.send_error(404, "metrics are at /metrics")
        asked: Future[str] = Future()
        self.server.asked.put(asked)
        try:
            body = asked.result(_ANSWER_S).encode()
        except NoAnswer:
            return self.send_error(503, "the monitor is busy")
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal for decisions."""


class Endpoint:
    """Serves /metrics while its `with` block runs.

    A request waits until the thread of the monitor calls `answer`, so that no other thread ever
    touches the devices.

    Args:
        host: address to listen on.
        port: TCP port; 0 takes a free one.

    Raises:
        UserError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            self._server = _Server((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"cannot listen on {host}:{port}: {reason}") from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    def answer(self, metrics: Metrics, devices: Mapping[tuple[str, str], Device]) -> None:
        """Answer the requests that wait."""
        text = None
        while not self._server.asked.empty():
            asked = self._server.asked.get()
            if text is None:
                text = metrics.render(devices)
            asked.set_result(text)

    def __enter__(self) -> "Endpoint":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
