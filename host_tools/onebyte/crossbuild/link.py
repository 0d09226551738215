"""Run MicroPython's mpy_ld.py with two repairs: link.py FOLDER-OF-mpy_ld.py ARGUMENT...

For Xtensa mpy_ld.py (1.25 and 1.27 at least) merges literals that have the same section name and
offset even when they come from different object files: a constant table of one file is then read
instead of another's, without any error. Section names that hold their file keep them apart.

It also writes the path of the result into the file, as the name of its source. Without the folder
the same sources give the same bytes wherever they are built.

Most of its time goes into libgcc's symbols. It keeps them by that library's SHA-256, but beside
the sources; here they lie in our cache, where the next build finds them.
"""

import importlib
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

from onebyte.download import cache_dir


class _Cache:
    """Results by their key, each in a file that is whole or not there: several links may run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> Any:
        return pickle.loads((self._folder / key).read_bytes())

    def store(self, key: str, data: Any) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            pickle.dump(data, file)
        Path(file.name).replace(self._folder / key)


def main() -> None:
    """Repair the linker's module and run it."""
    folder = sys.argv.pop(1)
    sys.path.insert(0, folder)
    linker: Any = importlib.import_module("mpy_ld")
    library: Any = importlib.import_module("ar_util")
    original = linker.Section.from_elfsec

    def from_elfsec(elf_section: Any, file_name: Any) -> Any:
        section = original(elf_section, file_name)
        if section.name.startswith((".rodata", ".text")):
            section.name += f".{Path(str(file_name)).stem}"
        return section

    write_qstr = linker.MPYOutput.write_qstr

    def write_name(output: Any, name: str) -> None:
        write_qstr(output, Path(name).name)

    symbols = library.CachedArFile.load_symbols.__wrapped__
    keep = library.cached(library.CachedArFile._cache_key, _Cache(cache_dir() / "linker"))
    library.CachedArFile.load_symbols = keep(symbols)
    linker.Section.from_elfsec = staticmethod(from_elfsec)
    linker.MPYOutput.write_qstr = write_name
    linker.main()


if __name__ == "__main__":
    main()
