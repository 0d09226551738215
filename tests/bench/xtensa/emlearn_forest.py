"""Count what emlearn's own C executes for a forest on an ESP32-S3's processor."""

import struct
from pathlib import Path

import counting
import emlearn
import numpy as np
import qemu
import workloads
from elftools.elf.elffile import ELFFile
from emlearn import trees as emlearn_trees

from formats import model
from onebyte.errors import UserError
from onebyte.training import quantize
from onebyte.training.agreement import emlearn_predict

ARCH = "xtensawin"
COUNTED = ("eml_", "forest_")


def count(name: str, forest: quantize.Forest) -> int:
    """Return the instructions of forest_predict for one vector, without its divisions.

    Raises:
        UserError: a missing tool, or another class than on the host.
    """
    vectors = workloads.exercise_vectors(model.parse(workloads.EXERCISE.read_bytes()))
    folder = counting.BUILD / ARCH
    program = build(name, forest)
    ranges = []
    with program.open("rb") as file:
        for symbol in ELFFile(file).get_section_by_name(".symtab").iter_symbols():
            if symbol.name.startswith(COUNTED) and symbol["st_info"]["type"] == "STT_FUNC":
                begin = symbol["st_value"]
                ranges.append((begin, begin + symbol["st_size"]))
    requests = folder / f"{name}.bin"
    head = struct.pack("<2I", forest.n_features, len(vectors))
    requests.write_bytes(head + vectors.tobytes())
    answers, counts = counting.run_counted(ARCH, program, ranges, requests)
    if not (np.frombuffer(answers, "<i4") == emlearn_predict(forest, vectors)).all():
        raise UserError(f"emlearn's {name} votes give other classes than on the host")
    return round(sum(counts[-1][:-1]) / len(vectors))


def build(name: str, forest: quantize.Forest) -> Path:
    """Compile emlearn's generated code of a forest."""
    folder = counting.BUILD / ARCH
    code = emlearn_trees.generate_c_loadable(
        quantize.to_emlearn(forest),
        name="forest",
        n_features=forest.n_features,
        dtype="int16_t",
        n_classes=forest.n_classes,
        leaf_bits=8 if forest.rows else 0,
    )
    generated = folder / f"forest_{name}.h"
    generated.write_text(code)
    flags = [f'-DFOREST="{generated}"', f"-I{emlearn.includedir}", "-w"]
    flags.append(f"-I{counting.HERE / 'include'}")
    sources = [counting.HERE / "emlearn_votes.c"]
    sources += [qemu.HERE / "system.c", qemu.HERE / "trap.c"]
    return qemu.compile_program(ARCH, folder / f"emlearn_{name}", sources, flags)
