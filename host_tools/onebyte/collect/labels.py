"""Which label counts from which row on: by key press, by a schedule, or one for all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from onebyte.errors import UserError

__all__ = [
    "Fixed",
    "Keys",
    "Labeller",
    "Schedule",
    "Span",
    "check_label",
    "parse_keys",
    "parse_schedule",
    "spans",
]

_LABEL = re.compile(r"[a-z0-9-]{1,24}")
_LONGEST_S = 86400.0
QUIT_KEYS = ("q", "\x03", "\x04", "\x1b")


class Labeller(Protocol):
    """Says which label counts."""

    is_done: bool

    @property
    def state(self) -> str:
        """The label that counts, for people."""

    def step(self, row: int, time_s: float, keys: str) -> list[tuple[int, str]]:
        """Return (row, label) of each change.

        Args:
            row: number of the row that is sampled now.
            time_s: seconds of samples since the recording began.
            keys: what was typed since the last call.
        """


def check_label(text: str) -> str:
    """Return a label that can stand in a file's name.

    Raises:
        UserError: it cannot.
    """
    if not _LABEL.fullmatch(text):
        raise UserError(f"label {text!r} must be 1 to 24 of a-z, 0-9 and -")
    return text


def parse_keys(text: str) -> dict[str, str]:
    """Return key -> label of `walking=w,resting=r`.

    Raises:
        UserError: not of this form, or a key or a label stands there twice.
    """
    keys: dict[str, str] = {}
    for part in text.split(","):
        label, equals, key = part.strip().partition("=")
        if not equals or len(key) != 1 or not key.isprintable() or key in (" ", "q"):
            raise UserError(
                f"--labels: {part.strip()!r} must be label=key, a key other than q or space"
            )
        if key in keys or label in keys.values():
            raise UserError(f"--labels: {part.strip()!r} names a key or a label again")
        keys[key] = check_label(label)
    return keys


def parse_schedule(text: str, rounds: int = 1) -> list[tuple[str, float]]:
    """Return (label, seconds) in their order of `resting:10,walking:10`, repeated.

    Raises:
        UserError: not of this form.
    """
    steps = []
    for part in text.split(","):
        label, _, seconds = part.strip().partition(":")
        try:
            duration_s = float(seconds)
        except ValueError:
            duration_s = 0.0
        if not 0 < duration_s <= _LONGEST_S:
            raise UserError(f"--schedule: {part.strip()!r} must be label:seconds")
        steps.append((check_label(label), duration_s))
    return steps * rounds


@dataclass
class Fixed:
    """One label for all, or none.

    Attributes:
        label: may be empty.
    """

    label: str
    is_done: bool = False
    _is_said: bool = False

    @property
    def state(self) -> str:
        """What is shown."""
        return self.label or "no label"

    def step(self, row: int, time_s: float, keys: str) -> list[tuple[int, str]]:
        """See Labeller."""
        self.is_done = any(key in QUIT_KEYS for key in keys)
        if self._is_said or not self.label:
            return []
        self._is_said = True
        return [(0, self.label)]


class Keys:
    """A key switches to its label; space to none; q ends.

    Args:
        keys: key -> label.
    """

    def __init__(self, keys: dict[str, str]) -> None:
        self._keys = keys
        self._label = ""
        self.is_done = False
        self.unknown = ""

    @property
    def state(self) -> str:
        """What is shown."""
        choice = "  ".join(f"{key}={label}" for key, label in self._keys.items())
        wrong = f"  (no label has the key {self.unknown!r})" if self.unknown else ""
        return f"{self._label or 'no label'}   [{choice}  space=none  q=end]{wrong}"

    def step(self, row: int, time_s: float, keys: str) -> list[tuple[int, str]]:
        """See Labeller."""
        changes = []
        for key in keys:
            label = self._keys.get(key, "" if key == " " else None)
            if key in QUIT_KEYS:
                self.is_done = True
            elif label is None:
                self.unknown = key
            else:
                self.unknown = ""
                if label != self._label:  # a key that is held down repeats itself
                    changes.append((row, label))
                self._label = label
        return changes


class Schedule:
    """Labels by the time that was recorded; what comes next is said in time.

    Args:
        steps: (label, seconds).
        say: takes a line for the person who moves.
    """

    COUNTDOWN_S = 3

    def __init__(self, steps: Sequence[tuple[str, float]], say: object) -> None:
        self._steps = list(steps)
        self._say = say
        self._at = -1
        self._until_s = 0.0
        self._counted = 0
        self.is_done = False

    @property
    def state(self) -> str:
        """What is shown."""
        return self._steps[self._at][0] if 0 <= self._at < len(self._steps) else "no label"

    def step(self, row: int, time_s: float, keys: str) -> list[tuple[int, str]]:
        """See Labeller."""
        self.is_done = self.is_done or any(key in QUIT_KEYS for key in keys)
        changes: list[tuple[int, str]] = []
        while not self.is_done and time_s >= self._until_s:
            late_s = time_s - self._until_s
            rate = row / time_s if time_s > 0 else 0.0
            self._at += 1
            begins = max(0, row - round(late_s * rate))
            if self._at == len(self._steps):
                changes.append((begins, ""))
                self.is_done = True
                break
            label, duration_s = self._steps[self._at]
            self._until_s += duration_s
            self._counted = self.COUNTDOWN_S
            changes.append((begins, label))
            self._tell(f"now: {label}, {duration_s:g} s")
        self._count_down(time_s)
        return changes

    def _count_down(self, time_s: float) -> None:
        left_s = self._until_s - time_s
        if self.is_done or left_s > self._counted or left_s <= 0:
            return
        while self._counted and left_s <= self._counted:
            self._counted -= 1
        following = self._at + 1
        word = self._steps[following][0] if following < len(self._steps) else "the end"
        self._tell(f"  {word} in {self._counted + 1} ...")

    def _tell(self, line: str) -> None:
        if callable(self._say):
            self._say(line)


@dataclass(frozen=True)
class Span:
    """Rows [start, end) with one label; empty where nobody gave one."""

    start: int
    end: int
    label: str


def spans(
    marks: Sequence[tuple[int, str]], first_row: int, end_row: int, settle_rows: int
) -> list[Span]:
    """Cut rows [first_row, end_row) at the marks.

    Args:
        marks: (row, label) in ascending order of rows.
        first_row, end_row: of a piece without a gap.
        settle_rows: so many rows after a change belong to no label: a person needs time.
    """
    found: list[Span] = []

    def add(start: int, end: int, label: str) -> None:
        start, end = max(start, first_row), min(end, end_row)
        if start >= end:
            return
        if found and found[-1].label == label and found[-1].end == start:
            start = found.pop().start
        found.append(Span(start, end, label))

    changes = [(0, ""), *marks]
    for i, (row, label) in enumerate(changes):
        end = changes[i + 1][0] if i + 1 < len(changes) else end_row
        # Who begins with a label is in the movement already.
        settled = min(end, row + (settle_rows if row and label else 0))
        add(row, settled, "")
        add(settled, end, label)
    return found
