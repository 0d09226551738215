"""Compare the device's inner loop with what its users would write otherwise; `make bench`.

    python tests/bench/bench.py [model.obm]

Both sides of every pair run in turn in one process of MicroPython's unix port, with the same model
and the same inputs; each ratio is the median over the pairs. The exit status is 1 when a ratio
misses its bound. Ratios hold for this machine; a Cortex-M0+ has no float unit, so there the first
one is larger.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import emlearn
import numpy as np

from formats import model, model_pack
from onebyte import toolchain
from onebyte.training import quantize

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
MODEL = ROOT / "models" / "exercise" / "model.obm"
BOUNDS = {"predict_vs_emlearn": 4, "window_vs_micropython": 50, "load_vs_csv": 50}
N_VECTORS = 256
TIMEOUT_S = 600


def forest_of(parsed: model.Model) -> quantize.Forest:
    """Return the forest of a model file."""
    return quantize.Forest(
        [parsed.trees.nodes(i) for i in range(parsed.n_trees)],
        [tuple(parsed.trees.row(i)) for i in range(parsed.n_rows)],
        parsed.n_features,
        parsed.n_classes,
    )


def hard(forest: quantize.Forest) -> quantize.Forest:
    """Return the forest with each row replaced by its best class."""
    best = [row.index(max(row)) for row in forest.rows]
    trees = [[best[n] if isinstance(n, int) else n for n in tree] for tree in forest.trees]
    return quantize.Forest(trees, [], forest.n_features, forest.n_classes)


def write_csv(forest: quantize.Forest, path: Path) -> None:
    """Write the forest as emlearn-micropython reads it: one line a leaf value, root and node."""
    nodes, roots, leaves = quantize.to_emlearn(forest)
    lines = [f"f,{forest.n_features}", f"c,{forest.n_classes}", f"lf,{8 if forest.rows else 0}"]
    lines += [f"l,{votes}" for leaf in leaves for votes in (leaf if forest.rows else [leaf])]
    lines += [f"r,{root}" for root in roots]
    for index, (feature, threshold, *children) in enumerate(nodes):
        left, right = (child - index if child >= 0 else child for child in children)
        lines.append(f"n,{feature},{threshold},{left},{right}")
    path.write_text("\r\n".join(lines) + "\r\n")


def write_model(forest: quantize.Forest, parsed: model.Model, path: Path) -> None:
    """Write a model file with another forest behind the same features."""
    names = [name for name in (*model_pack.NEEDED, *model_pack.OPTIONAL) if hasattr(parsed, name)]
    fields = {name: getattr(parsed, name) for name in names}
    fields |= {"trees": forest.trees, "rows": [bytes(row) for row in forest.rows]}
    fields |= {"golden_vectors": (), "golden_windows": ()}
    path.write_bytes(model_pack.pack(fields))


def prepare(source: Path) -> None:
    """Write models, CSVs and feature vectors to build/bench."""
    BUILD.mkdir(parents=True, exist_ok=True)
    data = source.read_bytes()
    parsed = model.parse(data)
    if parsed.n_rows == 0:
        sys.exit("bench: the model must have rows of votes")
    forest = forest_of(parsed)
    (BUILD / "soft.obm").write_bytes(data)
    write_csv(forest, BUILD / "soft.csv")
    write_model(hard(forest), parsed, BUILD / "hard.obm")
    write_csv(hard(forest), BUILD / "hard.csv")
    vectors = [vector[3] for vector in parsed.golden_vectors]
    if not vectors:
        sys.exit("bench: the model must have golden vectors")
    (BUILD / "vectors.bin").write_bytes(similar(np.array(vectors)).tobytes())


def similar(vectors: np.ndarray) -> np.ndarray:
    """Return many different feature vectors like the given ones.

    A processor learns the paths of a few vectors by heart, which no sensor's data lets it do. Each
    feature keeps its distribution: it is mixed of two vectors of the model's golden ones.
    """
    random = np.random.default_rng(1)
    first, second = random.integers(len(vectors), size=(2, N_VECTORS))
    share = random.random((N_VECTORS, vectors.shape[1])) * 0.5
    return np.rint(vectors[first] * (1 - share) + vectors[second] * share).astype("<i2")


def build_modules() -> None:
    """Build obkernels and the module around emlearn's kernel."""
    source = toolchain.micropython_source()
    toolchain.build_natmod("obkernels", "x64", source)
    command = ["make", "-C", str(Path(__file__).with_name("emlreference")), f"MPY_DIR={source}"]
    command += [f"PYTHON={sys.executable}", f"EMLEARN_INCLUDE={emlearn.includedir}"]
    subprocess.run([*command, f"BUILD={BUILD}"], check=True, stdout=subprocess.DEVNULL)


def measure() -> dict[str, float]:
    """Run the pairs on MicroPython and return its figures."""
    beside = Path(sys.executable).with_name("micropython")
    program = str(beside) if beside.is_file() else shutil.which("micropython")
    if program is None:
        sys.exit("bench: no MicroPython unix port: run make venv-dev")
    command = [program, str(Path(__file__).with_name("pairs.py"))]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        sys.exit(f"bench: the pairs failed\n{done.stdout}")
    return {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}


def main() -> int:
    """Measure, print and compare with the bounds."""
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL)
    build_modules()
    figures = measure()
    for name, figure in figures.items():
        if name not in BOUNDS and name != "alloc":
            print(f"info {name} {figure:.2f}")
    missed = []
    for name, bound in BOUNDS.items():
        print(f"ratio {name} {figures[name]:.2f}")
        if figures[name] < bound:
            missed.append(f"{name} is below {bound}")
    print(f"alloc bytes_per_decision {figures['alloc']:g}")
    if figures["alloc"] != 0:
        missed.append("a decision allocates")
    if missed:
        print("bench: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
