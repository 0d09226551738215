"""The kernels as a native module: they need no libc and no float, on a Cortex-M0+ neither."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from native_runs import INTEGER_HELPERS

from onebyte import kernels, toolchain

SHF_WRITE = 1
COMMON = ("-std=c99", "-O2", "-ffreestanding", "-fpic", "-fno-tree-loop-distribute-patterns")
COMPILERS = {
    "gcc": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0plus", *COMMON],
    "clang": ["clang", "--target=thumbv6m-none-eabi", "-fno-builtin", *COMMON[:3], "-fpic"],
    "host": ["cc", *COMMON],
}
MAX_ARMV6M_BYTES = 20_000


def need(tool: str) -> None:
    """Skip where a compiler is missing; in CI that is a failure, since `make test` installs it."""
    if shutil.which(tool) is None:
        assert os.environ.get("CI") != "true", f"CI needs {tool}"
        pytest.skip(f"{tool} is not installed")


@pytest.mark.parametrize("name", COMPILERS)
def test_kernels_are_freestanding(name, tmp_path):
    command = COMPILERS[name]
    need(command[0])
    undefined, defined = set(), set()
    for source in sorted(kernels.KERNELS.glob("*.c")):
        target = tmp_path / f"{source.stem}.o"
        subprocess.run([*command, "-c", str(source), "-o", str(target)], check=True)
        with target.open("rb") as file:
            elf = ELFFile(file)
            for section in elf.iter_sections():
                is_data = section["sh_type"] in ("SHT_PROGBITS", "SHT_NOBITS")
                writable = section["sh_flags"] & SHF_WRITE and section["sh_size"]
                assert not (is_data and writable), f"{source.name}: {section.name}"
            for symbol in elf.get_section_by_name(".symtab").iter_symbols():
                if symbol["st_info"]["bind"] == "STB_GLOBAL":
                    is_needed = symbol["st_shndx"] == "SHN_UNDEF"
                    (undefined if is_needed else defined).add(symbol.name)
    outside = undefined - defined - {"", "_GLOBAL_OFFSET_TABLE_"}
    assert outside <= (INTEGER_HELPERS if name != "host" else set())
    assert all(symbol.startswith("ob_") for symbol in defined)


@pytest.mark.parametrize(("arch", "tool"), [("x64", "cc"), ("armv6m", "arm-none-eabi-gcc")])
def test_native_module_links(arch, tool):
    need(tool)
    module = toolchain.build_natmod("obkernels", arch, toolchain.micropython_source())
    size = module.stat().st_size
    print(f"{arch}: {size} bytes")
    assert module.read_bytes()[:1] == b"M"
    assert size < (MAX_ARMV6M_BYTES if arch == "armv6m" else 2 * MAX_ARMV6M_BYTES)
    source_folder = Path(toolchain.ROOT, "lib", "native", "obkernels")
    assert not list(source_folder.glob("*.o")) + list(source_folder.glob(".mpy_ld_cache"))
