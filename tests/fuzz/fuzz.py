"""Build the model fuzzer with sanitizers, feed it valid models and run it.

    python tests/fuzz/fuzz.py [--execs N] [--seed N] [--planted]

The last line counts; the exit status is 1 when anything crashed or hung. With --planted the check
has a bug, and a run that does not crash is the failure.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "both"), str(ROOT / "tests" / "fakes")]

import sample_model  # noqa: E402

from formats import model_pack  # noqa: E402

HERE = Path(__file__).parent
KERNELS = ROOT / "lib" / "native" / "kernels"
BUILD = ROOT / "build" / "fuzz"
CFLAGS = ("-std=gnu99", "-g", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DEFAULT_EXECS = 1_000_000


def small_program(window: int) -> list[tuple[int, int, int, int, int]]:
    """Return every feature once, for four channels and the streams of the sample model."""
    lags = (1, window - 1, 0)
    plain = [(op, op % 7, 0, 0, 0) for op in (*range(1, 13), 14, 22, 23, 25)]
    with_arguments = [(13, 1, 200, 0, 0), (15, 1, 0, 6, 0), (16, 2, 5, 0, 0), (17, 1, 0, 0, 0)]
    with_arguments += [(18, 0, *lags), (19, 6, *lags), (20, 3, 0, 8, 0), (21, 4, 1, 8, 0)]
    return plain + with_arguments + [(24, 0, 12345, 0, 0)]


def seed_models() -> list[bytes]:
    """Return valid models: small ones, since an execution costs what its window costs."""
    files = [model_pack.pack(sample_model.smallest()), sample_model.pack()]
    files.append(model_pack.pack(sample_model.with_custom()))
    for window, fft_log2 in ((8, 4), (16, 4), (24, 5), (64, 6)):
        program = small_program(window)
        random = sample_model.Random(window)
        trees = [
            sample_model.random_tree(random, len(program), 3, splits) for splits in (1, 3, 8, 20)
        ]
        fields = sample_model.fields(
            window=window,
            hop=1,
            program=program,
            fft_log2=fft_log2,
            trees=trees,
            novelty_ranges=[(-100, 100)] * len(program),
            golden_vectors=(),
        )
        files += [model_pack.pack(fields), model_pack.pack(dict(fields, rows=()))]
    deep = [[(0, 5)] * 32 + [1] * 33, [(9, -5)] + [(1, 1), 0] * 31 + [0, 1]]
    long = sample_model.random_tree(sample_model.Random(3), 10, 3, 200)
    many = {
        "labels": [f"{i}" for i in range(240)],
        "trees": [[(0, i), i, i + 1] for i in range(9)],
    }
    files.append(sample_model.pack(window=16, hop=1, program=[(1, 0, 0, 0, 0)] * 10, fft_log2=0,
                                   fft_window=0, trees=[*deep, long]))  # fmt: skip
    return [*files, model_pack.pack({**sample_model.smallest(), **many})]


def build(planted: bool) -> Path:
    """Compile the fuzzer and return the program."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        sys.exit("fuzz: there is no C compiler")
    sources = sorted(KERNELS.glob("*.c"))
    if planted:
        sources = [path for path in sources if path.name != "classifier_check.c"]
        sources.append(HERE / "planted_classifier_check.c")
    sources += [HERE / "fuzz_model.c", HERE / "fuzz_mutate.c"]
    program = BUILD / ("fuzz_planted" if planted else "fuzz_model")
    command = [compiler, *CFLAGS, *SANITIZERS, "-iquote", str(KERNELS), "-o", str(program)]
    subprocess.run([*command, *map(str, sources)], check=True)
    return program


def run(execs: int, seed: int, planted: bool) -> int:
    """Run the fuzzer and return its exit status."""
    BUILD.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, file in enumerate(seed_models()):
        path = BUILD / f"seed-{i}.obm"
        path.write_bytes(file)
        paths.append(str(path))
    kept = BUILD / ("planted.obm" if planted else "failure.obm")
    program = build(planted)
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [str(program), str(execs), str(seed), str(kept), *paths]
    quiet = subprocess.DEVNULL if planted else None
    return subprocess.run(command, env=environment, stderr=quiet, check=False).returncode


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--execs", type=int, default=DEFAULT_EXECS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", action="store_true", help="plant a bug that must be found")
    arguments = parser.parse_args()
    status = run(arguments.execs, arguments.seed, arguments.planted)
    if arguments.planted:
        print("planted bug found" if status == 1 else "planted bug NOT found")
        status = 0 if status == 1 else 1
    sys.exit(status)


if __name__ == "__main__":
    main()
