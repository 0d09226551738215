"""Shows decisions: a live table on a terminal, plain lines elsewhere, JSON lines for scripts."""

import json
import sys
from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from onebyte.receiver.monitor import Decision, Device, Monitor, Note

__all__ = ["Display", "JsonLines", "LiveTable", "PlainLines", "confidence_bar", "plain_line"]

_N_LEVELS = 7
_N_NOTES = 5
_TIME_WIDTH = 8  # HH:MM:SS
_DEVICE_WIDTH = 12


def confidence_bar(level: int | None) -> str:
    """Seven characters, as many filled as the level; empty without a level."""
    return "" if level is None else "█" * level + "░" * (_N_LEVELS - level)


def plain_line(item: Decision | Note) -> str:
    """One line of text for a decision or a note."""
    name = f"{item.tenant}/{item.device}"
    if isinstance(item, Note):
        return f"-- {name}: {item.text}"
    parts = [item.time_text, f"{name:16}", f"#{item.epoch}.{item.seq}", f"{item.label:22}"]
    if item.level is not None:
        parts.append(f"confidence {item.level}/{_N_LEVELS}")
    if item.novel:
        parts.append("novel")
    if item.fault is not None:
        parts.append("FAULT")
    return "  ".join(parts).rstrip()


class Display(ABC):
    """Where decisions go; a context manager that owns the terminal while it is open."""

    @abstractmethod
    def show(self, item: Decision | Note) -> None:
        """Show one decision or note."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class JsonLines(Display):
    """Decisions as one JSON object a line on stdout; notes as text on stderr."""

    def show(self, item: Decision | Note) -> None:
        if isinstance(item, Note):
            print(plain_line(item), file=sys.stderr, flush=True)
        else:
            print(json.dumps(item.as_json(), ensure_ascii=False), flush=True)


class PlainLines(Display):
    """Decisions and notes as lines of text."""

    def show(self, item: Decision | Note) -> None:
        print(plain_line(item), flush=True)


class LiveTable(Display):
    """One row a device with its latest decision, and the latest notes below."""

    def __init__(self, monitor: Monitor, console: Console | None = None) -> None:
        self._monitor = monitor
        self._notes: deque[Note] = deque(maxlen=_N_NOTES)
        self._live = Live(
            get_renderable=self._render, console=console or Console(), refresh_per_second=8
        )

    def show(self, item: Decision | Note) -> None:
        if isinstance(item, Note):
            self._notes.append(item)

    def _render(self) -> Group:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("time", no_wrap=True, min_width=_TIME_WIDTH)
        # On a narrow terminal long names go on in the next line, and labels are cut.
        table.add_column("device", overflow="fold", min_width=_DEVICE_WIDTH)
        table.add_column("decision", no_wrap=True)
        for name, width in (("sure", _N_LEVELS), ("novel", 5), ("link", 7)):
            table.add_column(name, no_wrap=True, min_width=width)
        for name, width in (("count", 5), ("faults", 6), ("lost", 4)):
            table.add_column(name, justify="right", no_wrap=True, min_width=width)
        # The paho thread never touches the devices: messages are taken by the thread that shows.
        for device in list(self._monitor.devices.values()):
            table.add_row(*_row(device))
        notes = [f"[dim]{escape(plain_line(note))}[/dim]" for note in list(self._notes)]
        return Group(table, "", *notes)

    def __enter__(self) -> "LiveTable":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


def _row(device: Device) -> list[str]:
    last = device.last
    link = {None: "?", True: "[green]online[/green]", False: "[red]offline[/red]"}[device.online]
    head = [f"{device.tenant}/{device.name}"]
    tail = [
        link,
        str(device.n_decisions),
        str(device.n_faults),
        str(device.reconciler.missing),
    ]
    if last is None:
        return ["", *head, "[dim]waiting[/dim]", "", "", *tail]
    label = escape(last.label)
    if last.fault is not None:
        label = f"[red]{label}[/red]"
    elif last.class_id is None:
        label = f"[dim]{label}[/dim]"
    novel = "[yellow]novel[/yellow]" if last.novel else ""
    return [last.time_text, *head, label, confidence_bar(last.level), novel, *tail]
