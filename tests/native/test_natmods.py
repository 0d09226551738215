"""The native modules of every chip: built, installed by mip, executed, compared bit for bit."""

import functools
import http.server
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from native_runs import EMULATE, INTEGER_HELPERS, need, run_script

from formats import mpy_file
from onebyte import toolchain
from onebyte.crossbuild import mpyfile, natmods, xtensa
from onebyte.errors import UserError

MAX_BYTES = 20_000
# What run.py executes, and how much: the emulated chip is slower than QEMU.
RUNS = {arch: 320 for arch in natmods.ARCHS} | {"armv6m": 64, "armv6m-image": 64}
RUNS["armv6m-qemu"] = 320
QEMU_RUNS = {"armv6m": "armv6m-qemu", "armv7emsp": "armv7emsp"}
PLANTED_RUNS = [run for run in RUNS if run not in ("x64", "armv6m-image")]

# Functions of libgcc that are allowed inside a module.
HELPERS = {"armv6m": INTEGER_HELPERS}


def emulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_script(EMULATE / "run.py", *arguments)


@pytest.mark.parametrize("arch", natmods.ARCHS)
def test_module_is_small_and_needs_no_float_routines(arch: str, tmp_path: Path) -> None:
    need(arch)
    built = natmods.build_all([arch], tmp_path)[arch]
    assert built.path == tmp_path / arch / "obkernels.mpy"
    assert built.sizes == mpyfile.read(built.path)
    assert built.sizes.file_bytes < MAX_BYTES
    data = built.path.read_bytes()
    assert mpy_file.is_whole(io.BytesIO(data)) and not mpy_file.is_whole(io.BytesIO(data[:-1]))
    assert set(built.helpers) <= HELPERS.get(arch, set())
    package = json.loads((tmp_path / arch / "package.json").read_text())
    assert package["urls"] == [["obkernels.mpy", "obkernels.mpy"]]
    _, line = natmods.table({arch: built})
    assert line.split()[:2] == [arch, str(built.sizes.file_bytes)]


def test_mip_installs_the_module_from_a_local_server(tmp_path: Path) -> None:
    micropython = Path(sys.executable).with_name("micropython")
    if not micropython.is_file():
        assert os.environ.get("CI") != "true"
        pytest.skip("the packaged unix port is not installed")
    natmods.build_all(["x64"], tmp_path / "dist")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "dist"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = (
            "import mip, sys\n"
            f"mip.install('http://127.0.0.1:{server.server_port}/x64/package.json', target='.')\n"
            "sys.path[:] = ['.']\n"
            "import obkernels\n"
            "print('version', obkernels.KERNEL_VERSION)\n"
        )
        done = subprocess.run(
            [micropython, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        server.shutdown()
    assert done.stdout.splitlines()[-1] == "version 1", done.stdout + done.stderr
    assert (tmp_path / "obkernels.mpy").is_file()


@pytest.mark.parametrize("run", RUNS)
def test_module_gives_the_bits_of_the_host(run: str) -> None:
    need(run.partition("-")[0])
    done = emulate("--arch", run, "--calls", str(RUNS[run]))
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    found = re.fullmatch(r"native ([\w-]+) calls=(\d+) identical=(\d+)", last)
    assert found and found[1] == run
    assert int(found[2]) == int(found[3]) >= 2 * RUNS[run]


@pytest.mark.parametrize("run", PLANTED_RUNS)
def test_planted_error_in_the_build_of_a_chip_is_found(run: str) -> None:
    need(run.partition("-")[0])
    done = emulate("--arch", run, "--calls", "32", "--planted")
    assert done.stdout.splitlines()[-1:] == ["planted error found"], done.stdout + done.stderr
    assert done.returncode == 0
    # The module ran to its end, and what the error does not touch is right.
    found = re.search(rf"native {run} calls=(\d+) identical=(\d+)", done.stdout)
    assert found and 0 < int(found[2]) < int(found[1])


def test_core_for_armv6m_knows_no_thumb_2() -> None:
    for arch in ("armv6m", "armv7emsp"):
        need(arch)
        emulate("--arch", QEMU_RUNS[arch], "--calls", "1")
    programs = toolchain.ROOT / "build" / "emulate"
    status = {
        arch: subprocess.run(
            ["qemu-arm", "-cpu", "arm1136", programs / arch],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode
        for arch in ("armv6m", "armv7emsp")
    }
    assert status["armv6m"] == 1  # "the input ends too early"
    # Halves of Thumb-2's instructions are illegal, or read as others that lead astray.
    assert status["armv7emsp"] in (-signal.SIGILL, -signal.SIGSEGV)


def test_loader_refuses_another_architecture() -> None:
    need("armv6m")
    emulate("--arch", "armv6m-qemu", "--calls", "1")
    data = natmods.build("x64").path.read_bytes()
    done = subprocess.run(
        ["qemu-arm", "-cpu", "arm1136", toolchain.ROOT / "build" / "emulate" / "armv6m"],
        input=len(data).to_bytes(4, "little") + data,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"incompatible .mpy file\n")


def test_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    need("armv6m")
    here = natmods.build("armv6m").path.read_bytes()
    there = natmods.build("armv6m", {"BUILD": str(tmp_path / "elsewhere")}).path.read_bytes()
    assert here == there
    assert b"/" + natmods.MODULE.encode() not in here


def test_stock_linker_still_mixes_up_tables(tmp_path: Path) -> None:
    # When this fails MicroPython has repaired its linker, and link.py can go.
    need("xtensawin")
    stock = f"{sys.executable} {toolchain.micropython_source()}/tools/mpy_ld.py"
    settings = {"MPY_LD": stock, "BUILD": str(tmp_path / "stock")}
    mixed_up = natmods.build("xtensawin", settings)
    assert mixed_up.sizes.text_bytes < natmods.build("xtensawin").sizes.text_bytes


def test_espressifs_compiler_is_taken_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / xtensa.VENDOR_COMPILER
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert xtensa.find_compiler() == xtensa.Compiler("xtensa-esp32s3-elf-", ())
    assert natmods.make_settings("xtensawin")["CROSS"] == "xtensa-esp32s3-elf-"


@pytest.mark.parametrize("arch", natmods.ARCHS)
def test_missing_compiler_is_named_with_what_to_install(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"(?i)install .*(gcc|picolibc|newlib)"):
        natmods.make_settings(arch)


def test_unknown_architecture_is_refused() -> None:
    with pytest.raises(UserError, match="no architecture 'z80'; there are x64, armv6m"):
        natmods.build("z80")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends too early"),
        (b"M\x05\x0a\x1f", "version 6"),
        (b"x\x06\x0a\x1f", "version 6"),
        (b"M\x06\x00\x1f", "without native code"),
        (b"M\x06\x0b\x1f\x00\x00\x00", "Python code"),
        (b"M\x06\x0b\x1f\x00\x00\x0a\x01", "ends too early"),
    ],
)
def test_other_files_are_not_taken_for_native_modules(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=reason):
        mpyfile.parse(data)
    with pytest.raises(UserError, match=r"x\.mpy"):
        mpyfile.read(tmp_path / "x.mpy")
