"""Link a native module and write where each file's code is: link_map.py MAP FOLDER ARGUMENT...

What follows MAP goes to onebyte.crossbuild.link. A line of MAP is `begin end file`, in bytes from
the start of the module's code.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from onebyte.crossbuild import link


def main() -> None:
    """Link, and write the map when the addresses are known."""
    target = Path(sys.argv.pop(1))
    sys.path.insert(0, sys.argv[1])
    linker: Any = importlib.import_module("mpy_ld")
    build_mpy = linker.build_mpy

    def build_and_map(env: Any, *rest: Any) -> None:
        build_mpy(env, *rest)
        lines = []
        for section in env.sections:
            if section.name.startswith(".text"):
                end = section.addr + len(section.data)
                lines.append(f"{section.addr} {end} {Path(str(section.filename)).stem}\n")
        target.write_text("".join(lines))

    linker.build_mpy = build_and_map
    link.main()


if __name__ == "__main__":
    main()
