"""Run the jobs inside MicroPython on an emulated RP2040."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cases

from onebyte.emulator import littlefs
from onebyte.emulator.machine import DeviceError, EmulatorError, Machine

SCRIPT = Path(__file__).with_name("device_cases.py")
NATMOD = "natmod"  # the name of the file; obkernels is compiled in
# Emulated: all jobs take some 25 s, and a chip that hangs is seen.
TIMEOUT_S = 200


def run_jobs(firmware: Path, natmod: Path | None, jobs: Sequence[cases.Job]) -> bytes:
    """Return what the kernels on the chip answer to all jobs.

    Args:
        firmware: Image with the kernels compiled in.
        natmod: The native module to be put on the chip's filesystem and used; None for the
            kernels that are compiled in.
        jobs: What is asked.
    """
    # The image runs a main.py that is there instead of the node.
    files = {"main.py": b"pass\n"}
    if natmod:
        files[f"lib/{NATMOD}.mpy"] = natmod.read_bytes()
    name = NATMOD if natmod else ""
    with tempfile.TemporaryDirectory() as folder:
        requests, answers = Path(folder, "requests"), Path(folder, "answers")
        requests.write_bytes(b"".join(job.request() for job in jobs) + bytes(4))
        mailbox = {"input": str(requests), "output": str(answers)}
        with Machine(firmware, littlefs.make_image(files), mailbox=mailbox) as machine:
            machine.boot()
            try:
                machine.exec(f"{SCRIPT.read_text()}\nmain({name!r})\n", TIMEOUT_S)
            except (DeviceError, EmulatorError) as error:
                # What it answered until then still counts.
                print(f"the chip ended with {error}")
        return answers.read_bytes()
