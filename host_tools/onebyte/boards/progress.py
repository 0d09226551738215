"""A bar for each board on a terminal; silent when the output goes to a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["bars"]


@contextmanager
def bars() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show bars on stderr; yield what makes one for a name: a callback of bytes done and total."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def make(name: str) -> Callable[[int, int], None]:
            task = progress.add_task(name, total=None)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return show

        yield make
