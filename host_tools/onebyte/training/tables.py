"""Strict reading of TOML tables: every key is asked for by name, the rest is refused."""

import difflib
from collections.abc import Iterator
from typing import Any

from onebyte.errors import UserError

__all__ = ["REQUIRED", "Table"]

REQUIRED: Any = object()  # the default of a key that has none


class Table:
    """One TOML table; `take` its keys, then `close` it.

    Args:
        data: the parsed table.
        where: how messages name it, such as `recipe.toml [samples]`.
    """

    def __init__(self, data: Any, where: str):
        if not isinstance(data, dict):
            raise UserError(f"{where}: must be a table")
        self.where = where
        self._data = data
        self._known: list[str] = []

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        """Return the value of `key`, which must be a `kind`; an int is welcome as a float."""
        self._known.append(key)
        if key not in self._data:
            if default is REQUIRED:
                raise UserError(f"{self.where}: key {key!r} is missing")
            return default
        value = self._data[key]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise UserError(
                f"{self.where}: {key} = {value!r} must be {_NAMES.get(kind, kind.__name__)}"
            )
        return value

    def number(self, key: str, low: float, high: float, default: Any = REQUIRED) -> Any:
        """Return a number within low..high; an int where both bounds are ints."""
        kind = int if isinstance(low, int) and isinstance(high, int) else float
        value = self.take(key, kind, default)
        if value is not None and not low <= value <= high:
            raise UserError(f"{self.where}: {key} = {value} must be within {low} to {high}")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: Any = REQUIRED) -> str:
        """Return one of the given strings."""
        value = self.take(key, str, default)
        if value not in choices:
            raise UserError(f"{self.where}: {key} = {value!r} must be one of {', '.join(choices)}")
        return str(value)

    def strings(self, key: str, default: Any = REQUIRED) -> list[str]:
        """Return a list of strings; a single string counts as a list of one."""
        value = self._data.get(key)
        if isinstance(value, str):
            self._known.append(key)
            return [value]
        values = self.take(key, list, default)
        if not all(isinstance(item, str) for item in values):
            raise UserError(f"{self.where}: {key} must be a list of strings")
        return list(values)

    def table(self, key: str, default: Any = REQUIRED) -> "Table":
        """Return a sub-table."""
        return Table(self.take(key, dict, default), f"{self.where.split(' [')[0]} [{key}]")

    def tables(self, key: str, default: Any = REQUIRED) -> list["Table"]:
        """Return an array of tables."""
        file = self.where.split(" [")[0]
        values = self.take(key, list, default)
        return [Table(value, f"{file} [[{key}]] number {i + 1}") for i, value in enumerate(values)]

    def __iter__(self) -> Iterator[str]:
        """Go through all keys in the file's order."""
        return iter(self._data)

    def close(self) -> None:
        """Refuse the keys that nobody asked for."""
        for key in self._data:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._known)}"
                raise UserError(f"{self.where}: unknown key {key!r}; {hint}")


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
    bool: "true or false",
}
