"""Feed the readers of updates and messages what nobody should send.

    python|micropython tests/fuzz/fuzz_updates.py [execs=N] [seed=N] [only=NAME] [planted=1]

N executions of each target. An exception that is no answer, an accepted input that packs to other
bytes, an execution that takes too long or too much memory is printed, counted, and ends the run
with exit status 1. With planted=1 every reader lacks a check, and not to find that is the failure.
"""

import gc
import random
import sys
import time

IS_MICROPYTHON = sys.implementation.name == "micropython"

HERE = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
ROOT = HERE + "/../.."
_FOLDERS = ("lib", "firmware", "tests/both", "tests/fakes", "tests/fuzz")
if IS_MICROPYTHON:
    sys.path[:] = [ROOT + "/" + name for name in _FOLDERS] + [".frozen"]
else:
    sys.path[:0] = [ROOT + "/" + name for name in _FOLDERS]

# ruff: noqa: E402 - the imports need the path
from mutations import below, mutate
from targets import Mismatch, all_targets, device_targets

MAX_HEAP_BYTES = 65536  # of one execution, all that it allocates, on the unix port
MAX_PEAK_BYTES = 262144  # of one execution at its highest, on CPython
MAX_MS = 2000
MAX_INPUT_BYTES = 8192
_KEPT_SEEDS = 64
_SHOWN = 3


class Hang(BaseException):
    """An execution takes too long."""


if IS_MICROPYTHON:

    class Watch:
        """Measures what one execution allocates; garbage is not collected meanwhile."""

        every = 1
        limit_bytes = MAX_HEAP_BYTES
        _entered = 0

        def __enter__(self):
            if self._entered % 16 == 0:
                gc.collect()
            self._entered += 1
            gc.disable()
            self._before = gc.mem_alloc()
            return self

        def __exit__(self, *_):
            self.n_bytes = gc.mem_alloc() - self._before
            gc.enable()

    def guard():
        """There is nothing to interrupt an execution with: who starts this one has a time-out."""

    def rearm(seconds):
        """See `guard`."""

else:
    import signal
    import tracemalloc

    class Watch:  # type: ignore[no-redef]
        """Measures the peak of one execution."""

        every = 101  # tracing is slow
        limit_bytes = MAX_PEAK_BYTES

        def __enter__(self):
            tracemalloc.start()
            return self

        def __exit__(self, *_):
            self.n_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

    def _alarm(*_):
        raise Hang

    def guard():
        """Let an execution that takes too long end in `Hang`."""
        signal.signal(signal.SIGPROF, _alarm)

    def rearm(seconds):
        """Begin to measure the processor's time for an execution; a machine may stand still."""
        signal.setitimer(signal.ITIMER_PROF, seconds)


class Counts:
    """What came of a target's executions."""

    def __init__(self):
        self.execs = self.accepted = self.crashes = self.hangs = 0
        self.most_bytes = 0

    @property
    def is_clean(self):
        """Whether everything is as it should be; a fuzzer that nothing passes tests nothing."""
        return not self.crashes and not self.hangs and self.accepted * 1000 >= self.execs


def next_input(target, pool):
    """Return a changed input."""
    data = mutate(pool[below(len(pool))], pool)
    if target.mend and below(3):
        data = bytearray(target.mend(data))
    return bytes(data[:MAX_INPUT_BYTES])


def execute(target, data, counts, watch):
    """Run one input; return what is wrong, None when nothing is."""
    counts.execs += 1
    try:
        if watch is None:
            target.run(data)
        else:
            with watch:
                target.run(data)
        counts.accepted += 1
        return None if watch is None else too_much(counts, watch)
    except target.allowed:
        return None if watch is None else too_much(counts, watch)
    except Hang:
        counts.hangs += 1
        return "too long"
    except Mismatch:
        counts.crashes += 1
        return "accepted, and packs to other bytes"
    except Exception as error:
        counts.crashes += 1
        return repr(error)


def too_much(counts, watch):
    """Return what is wrong with the memory of the last execution, None when nothing is."""
    counts.most_bytes = max(counts.most_bytes, watch.n_bytes)
    if watch.n_bytes <= watch.limit_bytes:
        return None
    counts.crashes += 1
    return "%d bytes of memory" % watch.n_bytes


def fuzz(target, execs, stops_early):
    """Run a target and return its `Counts`."""
    counts = Counts()
    watch = Watch()
    pool = list(target.seeds)
    for seed in target.seeds:
        wrong = execute(target, seed, counts, watch)
        assert wrong is None or stops_early, (target.name, wrong, seed)
    assert stops_early or counts.accepted == len(target.seeds), target.name
    began_ms = time.time()
    for i in range(execs):
        data = next_input(target, pool)
        before = counts.accepted
        if i % 64 == 0:
            rearm(MAX_MS / 1000)
        wrong = execute(target, data, counts, watch if i % watch.every == 0 else None)
        if counts.accepted > before and below(50) == 0:
            # What passes leads further than what does not.
            keep(pool, target, data)
        if wrong is not None:
            if stops_early:
                break
            if counts.crashes + counts.hangs <= _SHOWN:
                print("%s: %s: %s" % (target.name, wrong, data))
    rearm(0)
    counts.seconds = time.time() - began_ms
    return counts


def keep(pool, target, data):
    """Use an input as a seed, in the place of another one that was found, if need be."""
    if len(pool) < _KEPT_SEEDS:
        pool.append(data)
    else:
        pool[len(target.seeds) + below(len(pool) - len(target.seeds))] = data


def show(target, counts):
    """Print a line of the result."""
    runtime = "unix" if IS_MICROPYTHON else "cpython"
    values = (target.name, counts.execs, counts.crashes, counts.hangs, counts.accepted)
    line = "fuzz %s execs=%d crashes=%d hangs=%d accepted=%d" % values
    print("%s most_heap=%d on=%s" % (line, counts.most_bytes, runtime))


def run(arguments):
    """Fuzz everything; return the exit status."""
    guard()
    is_bad = False
    n_found = 0
    targets = all_targets() + (device_targets() if IS_MICROPYTHON else [])
    targets = [one for one in targets if arguments.get("only", one.name) == one.name]
    for target in targets:
        random.seed(int(arguments.get("seed", 1)))
        is_planted = "planted" in arguments
        undo = target.plant() if is_planted else None
        counts = fuzz(target, int(arguments.get("execs", 20000)), is_planted)
        if undo:
            undo()
            found = counts.crashes + counts.hangs
            n_found += found > 0
            if not found:
                print("planted bug NOT found in %s, execs=%d" % (target.name, counts.execs))
        else:
            show(target, counts)
            is_bad |= not counts.is_clean
    if "planted" in arguments:
        print("fuzz planted bugs=%d found=%d" % (len(targets), n_found))
        return 0 if n_found == len(targets) else 1
    return 1 if is_bad or not targets else 0


if __name__ == "__main__":
    sys.exit(run(dict([argument.split("=") for argument in sys.argv[1:]])))
