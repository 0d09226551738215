"""Progress on a terminal; silent when the output goes to a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["folds_bar"]


@contextmanager
def folds_bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr; yield what to call with the name of each finished step."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)

        def done(name: str) -> None:
            progress.update(task, advance=1, description=f"{title} ({name})")

        yield done
