"""Count the instructions of the native modules' code under QEMU; `make bench-xtensa`.

    python tests/bench/xtensa/instructions.py [--short] [--update]

Prints `instructions NAME N` for xtensawin, what a call costs on average: feature_* and stream_*
are features_into for one window of 128 samples with nothing else in the program, fft_* the
transform alone, spectrum_* features_into around it, features and predict_* the exercise model's
calls, window_to_class both, load_model the constructor with its check. votes_* is the C function
below predict_into, and emlearn_* emlearn's for the same forest and vectors. Counted is what stands
in the module: a count is no cycle, and memory, caches and window overflows are not in it. `info
ARCH NAME N` says the same of the other chips.

The figures go to build/bench/xtensa.json. The exit status is 1 when one of xtensawin is more than
3 % worse than in tests/bench/xtensa/baseline.json; --update writes that file.
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
for folder in ("bench", "both", "fakes", "native/emulate"):
    sys.path.insert(0, str(ROOT / "tests" / folder))

import counting  # noqa: E402
import emlearn_forest  # noqa: E402
import gate  # noqa: E402
import qemu  # noqa: E402
import workloads  # noqa: E402

from onebyte.errors import UserError  # noqa: E402

BASELINE = Path(__file__).with_name("baseline.json")
SHORT = ("feature_std", "feature_goertzel", "fft_128", "exercise")


def count_all(arch: str, short: bool) -> dict[str, int]:
    """Return the figures of an architecture."""
    folder = counting.BUILD / arch
    folder.mkdir(parents=True, exist_ok=True)
    jobs = workloads.op_jobs() | workloads.fft_jobs() | {"exercise": workloads.exercise_job()}
    jobs |= workloads.forest_jobs(folder)
    if short:
        jobs = {name: jobs[name] for name in SHORT}
    figures = {}
    for name, counts in zip(jobs, counting.count(arch, list(jobs.values())), strict=True):
        figures |= figures_of(name, counts)
    return figures


def figures_of(name: str, counts: counting.JobCounts) -> dict[str, int]:
    """Return the figures that a job gives."""
    mean = counting.mean
    if name == "exercise":
        window, predict = mean(counts.windows), mean(counts.vectors)
        figures = {"load_model": mean([counts.load]), "features": window}
        return figures | {"predict_soft": predict, "window_to_class": window + predict}
    if name == "soft":
        return {"votes_soft": mean(counts.vectors, ["trees"])}
    if name == "hard":
        votes = mean(counts.vectors, ["trees"])
        return {"predict_hard": mean(counts.vectors), "votes_hard": votes}
    if name.startswith("fft_"):
        spectrum = {name.replace("fft", "spectrum"): mean(counts.windows)}
        return {name: mean(counts.windows, ["fft"]), **spectrum}
    return {name: mean(counts.windows)}


def ratios_of(figures: dict[str, int]) -> dict[str, float]:
    """Return how many of our instructions emlearn's votes cost."""
    return {
        f"votes_{kind}_vs_emlearn": round(figures[f"emlearn_{kind}"] / figures[f"votes_{kind}"], 3)
        for kind in ("soft", "hard")
    }


def run(short: bool) -> dict[str, dict]:
    """Count, print and return the figures of xtensawin, and in a long run of the others."""
    arch = emlearn_forest.ARCH
    source = {"emulator": counting.emulator_version(arch), "compiler": counting.compiler_version()}
    for name, text in source.items():
        print(f"# {name}: {text}")
    figures = count_all(arch, short)
    if not short:
        for kind, forest in workloads.forests().items():
            figures[f"emlearn_{kind}"] = emlearn_forest.count(kind, forest)
    for name, figure in figures.items():
        print(f"instructions {name} {figure}")
    if short:
        return {"source": source, "instructions": figures}
    ratios = ratios_of(figures)
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio}")
    info = {}
    for other in (arch for arch in qemu.TARGETS if arch != emlearn_forest.ARCH):
        print(f"# {other}: {counting.emulator_version(other)}")
        for name, figure in count_all(other, short=False).items():
            info[f"{other} {name}"] = figure
            print(f"info {other} {name} {figure}")
    return {"source": source, "instructions": figures, "ratios": ratios, "info": info}


def settle(result: dict[str, dict], update: bool, short: bool) -> int:
    """Compare with the baseline; return the exit status."""
    target = ROOT / "build" / "bench" / f"xtensa{'-short' if short else ''}.json"
    if not update and BASELINE.is_file():
        compiler = json.loads(BASELINE.read_text())["source"]["compiler"]
        if compiler != result["source"]["compiler"]:
            print(f"not compared: the baseline is of another compiler, {compiler}")
            return int(os.environ.get("CI") == "true")
    return gate.settle(result, BASELINE, target, update=update, short=short)


def main() -> None:
    """Parse the arguments, count and compare with the baseline."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="a few figures, in seconds")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    arguments = parser.parse_args()
    if arguments.short and arguments.update:
        parser.error("a baseline needs all figures")
    try:
        result = run(arguments.short)
    except UserError as error:
        sys.exit(f"instructions.py: {error}")
    sys.exit(settle(result, arguments.update, arguments.short))


if __name__ == "__main__":
    main()
