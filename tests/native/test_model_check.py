"""The check in C and the one in Python give the same first reason for every file."""

import sample_model
from check import Random
from mutated_models import mutated

from formats import errors, model, model_pack
from formats.errors import OnebyteError
from onebyte.kernels import KernelModel

N_FILES = 24_000
N_SEEDS = 10

# Reasons that a file can have; ALIGNMENT belongs to a buffer, GOLDEN_MISMATCH to a run.
REASONS = {*range(1, 24), errors.CUSTOM}


def reason_in_c(file: bytes) -> int:
    try:
        KernelModel(file)
    except OnebyteError as error:
        return error.code
    return 0


def small_models() -> list[bytes]:
    """Valid files of a few hundred bytes, so that a mutation hits something that matters."""
    many = sample_model.smallest()
    many["labels"] = [str(i) for i in range(20)]
    many["trees"] = [[(0, i), i, i + 1] for i in range(8)]
    files = [sample_model.pack(), model_pack.pack(sample_model.smallest()), model_pack.pack(many)]
    deepest = [(0, 5)] * 32 + [1] * 33
    files.append(model_pack.pack(sample_model.with_custom()))
    return [*files, sample_model.pack(trees=[deepest])]


def test_same_reason_for_mutated_files():
    random = Random(20261122)
    seeds = small_models()
    found = dict.fromkeys(range(27), 0)
    for i in range(N_FILES):
        file = mutated(seeds[i % len(seeds)], random)
        in_c, in_python = reason_in_c(file), model.check(file)
        assert in_c == in_python, (
            f"C {errors.name(in_c)}, Python {errors.name(in_python)}: {file.hex()}"
        )
        found[in_c] += 1
    assert {code for code in found if found[code]} == {0} | REASONS, found
    assert found[0] > N_FILES / 100 and found[errors.CRC] < N_FILES / 8, found


def test_same_reason_for_mutated_large_models():
    random = Random(7)
    for seed in range(1, N_SEEDS + 1):
        file = model_pack.pack(sample_model.random_fields(seed))
        assert reason_in_c(file) == 0
        for _ in range(60):
            changed = mutated(file, random)
            assert reason_in_c(changed) == model.check(changed), changed.hex()


def test_every_length_of_a_file_is_checked():
    file = sample_model.pack()
    for length in range(len(file)):
        assert reason_in_c(file[:length]) == model.check(file[:length]) != 0
