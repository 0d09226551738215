"""The builder of images: what it refuses, what it keeps, and where its sources come from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onebyte import debian, toolchain
from onebyte.crossbuild import firmware, image, rp2040_tree
from onebyte.errors import UserError

SIZES = image.Sizes(
    flash=600_000, data=6_000, bss=36_000, filesystem_start=1 << 20, filesystem=1 << 20
)


@pytest.mark.parametrize("board", ["nano", "", "../boards/pico", "rp2040_boot"])
def test_unknown_board_is_told_the_known_ones(board: str) -> None:
    with pytest.raises(UserError, match=r"^no board '.*'; images are for pico, pico_ppp$"):
        firmware.build(board)


@pytest.mark.parametrize("board", ["unix", "pico_w", "esp32_s3"])
def test_board_of_another_micropython_is_told_apart(board: str) -> None:
    with pytest.raises(
        UserError, match=rf"^{board} runs another MicroPython; images are for pico"
    ):
        firmware.build(board)


def test_command_prints_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "firmware", "BOARD=nano"],
        cwd=toolchain.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert lines[0].endswith("no board 'nano'; images are for pico, pico_ppp")


@pytest.mark.parametrize("name", ["absent", "absent/micropython.cmake", "empty"])
def test_missing_c_module_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=rf"^no C module at .*{name}: "):
        firmware.build("pico", [tmp_path / name])


def put_programs(folder: Path, names: set[str], printed: str) -> None:
    folder.mkdir()
    for name in names:
        program = folder / name
        program.write_text(f"#!/bin/sh\necho {printed}\n")
        program.chmod(0o755)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("arm-none-eabi-gcc", "gcc-arm-none-eabi, libnewlib-arm-none-eabi and libstdc"),
        ("cmake", "cmake"),
        ("ninja", "ninja-build"),
        ("make", "make"),
    ],
)
def test_missing_program_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, package: str
) -> None:
    put_programs(tmp_path / "bin", set(firmware._PACKAGES) - {program}, "/somewhere/libc.a")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(
        UserError, match=f"^the image needs {program}: on Debian install {package}"
    ):
        firmware.build("pico")


def test_compiler_without_its_libraries_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GCC answers with the name that it was asked for where it has no such file.
    put_programs(tmp_path / "bin", set(firmware._PACKAGES), "libc.a")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UserError, match=r"^arm-none-eabi-gcc has no libc\.a: on Debian install "):
        firmware.build("pico")


def test_image_may_reach_up_to_the_filesystem() -> None:
    image.check_fits("pico", SIZES)
    full = image.Sizes(1 << 20, 0, 0, 1 << 20, 1 << 20)
    image.check_fits("pico", full)
    with pytest.raises(UserError) as refused:
        image.check_fits("pico", image.Sizes((1 << 20) + 5, 0, 0, 1 << 20, 1 << 20))
    assert str(refused.value) == (
        "the image for pico is 5 bytes too large: 1048581 bytes, and the filesystem of 1048576 "
        "bytes leaves 1048576"
    )


def test_image_too_large_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = image.Sizes((1 << 20) + 5, 0, 0, 1 << 20, 1 << 20)
    monkeypatch.setattr(firmware.toolchain, "unpack_umqtt", lambda build: tmp_path)
    monkeypatch.setattr(firmware, "_run_ninja", lambda *arguments: None)
    monkeypatch.setattr(firmware, "_write_uf2", lambda *arguments: None)
    monkeypatch.setattr(firmware.image, "measure", lambda elf: large)
    (tmp_path / firmware._FIGURES).write_text("of the last build")
    with pytest.raises(UserError, match="5 bytes too large"):
        firmware._compile("pico", [tmp_path], tmp_path, tmp_path)
    assert not (tmp_path / firmware._FIGURES).exists()
    assert not (tmp_path / "firmware.uf2").exists()


def test_other_programs_are_no_image(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-o", tmp_path / "main.elf", source], check=True)
    with pytest.raises(UserError, match="is no RP2040 image of MicroPython"):
        image.measure(tmp_path / "main.elf")


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "ld: firmware.elf section `.text' will not fit in region `FLASH'\n"
            "ld: region `FLASH' overflowed by 4096 bytes\n",
            "the image is 4096 bytes too large for the chip's FLASH",
        ),
        ("[1/2] x\na.c:3:1: error: no y\nb.c:1:1: error: z\n", "a.c:3:1: error: no y"),
        ("fine\nx.o: undefined reference to `f'\n", "x.o: undefined reference to `f'"),
        ("", "no output"),
    ],
)
def test_first_error_is_said(output: str, said: str) -> None:
    assert firmware._first_error(output) == said


def test_last_line() -> None:
    built = firmware.Firmware("pico", Path(), SIZES, 200_000)
    line = "firmware pico flash=600000 data=6000 bss=36000 heap_free=200000"
    assert firmware.summary(built) == line


@pytest.mark.parametrize("board", ["pico", "pico_ppp"])
def test_half_of_the_flash_is_the_filesystem(board: str) -> None:
    header = (toolchain.ROOT / "boards" / board / "mpconfigboard.h").read_text()
    storage = re.search(r"MICROPY_HW_FLASH_STORAGE_BYTES \((\d+) \* 1024\)", header)
    assert storage
    assert int(storage[1]) == 1024


# The cache of whole images


@pytest.fixture
def fake_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace what takes time; the list holds the boards that were compiled."""
    compiled: list[str] = []

    def compile_board(board: str, modules: object, tree: Path, target: Path, home: Path) -> None:
        compiled.append(board)
        target.mkdir(parents=True, exist_ok=True)
        for name in firmware._RESULTS:
            (target / name).write_text(f"{board} {len(compiled)}")
        (target / firmware._FIGURES).write_text('{"heap_free": 7}')

    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(firmware, "_compile", compile_board)
    monkeypatch.setattr(firmware, "_check_tools", lambda: None)
    monkeypatch.setattr(firmware.image, "measure", lambda elf: SIZES)
    monkeypatch.setattr(firmware.toolchain, "unpack_umqtt", lambda build: tmp_path / "umqtt")
    tree = rp2040_tree.Tree(tmp_path, "pinned")
    monkeypatch.setattr(rp2040_tree, "assemble", lambda: tree)
    return compiled


def test_image_is_built_once(fake_build: list[str], tmp_path: Path) -> None:
    first = firmware.build("pico", folder=tmp_path / "a")
    second = firmware.build("pico", folder=tmp_path / "b")
    assert fake_build == ["pico"]
    assert first.heap_free == second.heap_free == 7
    assert first.uf2.read_bytes() == second.uf2.read_bytes()
    firmware.build("pico_ppp", folder=tmp_path / "a")
    assert fake_build == ["pico", "pico_ppp"]


def test_further_modules_are_built_each_time(fake_build: list[str], tmp_path: Path) -> None:
    (tmp_path / "micropython.cmake").touch()
    for _ in range(2):
        firmware.build("pico", [tmp_path], tmp_path / "a")
    assert fake_build == ["pico", "pico"]


def test_a_product_has_its_own_image_and_the_objects_of_the_board(
    fake_build: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "BUILD", tmp_path / "build")
    monkeypatch.setattr(firmware, "DIST", tmp_path / "dist")
    frozen = tmp_path / "build" / "pico" / "product" / "product.py"
    assert firmware.build("pico").board == "pico"
    assert not frozen.exists()
    pump = firmware.build("pico", product=("pump", "VENDOR = 1\n"))
    assert frozen.read_text() == "VENDOR = 1\n"
    assert pump.folder == tmp_path / "build" / "pico-pump"
    assert (tmp_path / "dist" / "pico-pump.uf2").is_file()
    firmware.build("pico", product=("pump", "VENDOR = 2\n"))
    firmware.build("pico", product=("pump", "VENDOR = 1\n"))
    assert fake_build == ["pico"] * 3, "the first and the last are one image"
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "other cache"))
    firmware.build("pico")
    assert not frozen.exists(), "a plain image has no product"


def test_own_checkout_is_built_each_time(
    fake_build: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rp2040_tree, "assemble", lambda: rp2040_tree.Tree(tmp_path, ""))
    for _ in range(2):
        firmware.build("pico", folder=tmp_path / "a")
    assert fake_build == ["pico", "pico"]


def test_a_change_while_building_is_not_kept(
    fake_build: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = iter(["old", "new", "new", "new"])
    monkeypatch.setattr(
        firmware, "_kept_folder", lambda board, tree, product: tmp_path / next(keys)
    )
    for _ in range(2):
        firmware.build("pico", folder=tmp_path / "a")
    assert fake_build == ["pico", "pico"]
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "new" / firmware._FIGURES).is_file()


def test_every_input_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        *("firmware/app/node.py", "lib/formats/model.py", "lib/native/kernels/crc.c"),
        *("lib/native/kernels/onebyte.h", "lib/native/obkernels/micropython.cmake"),
        *("boards/chip.py", "boards/pico/board.py", "boards/pico/mpconfigboard.h"),
        *("boards/rp2040_boot/_boot.py", "host_tools/onebyte/crossbuild/firmware.py"),
    ]
    ignored = ["README.md", "boards/pico_ppp/board.py", "lib/native/obkernels/Makefile"]
    for name in [*names, *ignored]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    monkeypatch.setattr(firmware.toolchain, "ROOT", tmp_path)
    monkeypatch.setattr(firmware, "_BOARDS", tmp_path / "boards")
    monkeypatch.setattr(firmware.toolchain, "unpack_umqtt", lambda build: tmp_path / "umqtt")
    seen = [firmware._kept_folder("pico", "tree")]
    for name in names:
        (tmp_path / name).write_text("2\n")
        seen.append(firmware._kept_folder("pico", "tree"))
    assert len(set(seen)) == len(seen)
    for name in ignored:
        (tmp_path / name).write_text("2\n")
    assert firmware._kept_folder("pico", "tree") == seen[-1]
    assert firmware._kept_folder("pico", "other") != seen[-1]
    (tmp_path / "arm-none-eabi-gcc").write_text("#!/bin/sh\n[ $1 = --version ] && echo 99\n")
    (tmp_path / "arm-none-eabi-gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert firmware._kept_folder("pico", "tree") != seen[-1], "the compiler counts, too"


# The source tree


def make_source(folder: Path, version: str = toolchain.MICROPYTHON_VERSION) -> Path:
    major, minor, micro = version.split(".")
    files = dict.fromkeys((*toolchain._SOURCE_FILES, "lib/uzlib/x.c", "py/obj.c"), "")
    files["ports/rp2/CMakeLists.txt"] = ""
    files["py/mpconfig.h"] = (
        f"#define MICROPY_VERSION_MAJOR {major}\n#define MICROPY_VERSION_MINOR {minor}\n"
        f"#define MICROPY_VERSION_MICRO {micro}\n"
    )
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def add_libraries(folder: Path) -> None:
    for library in rp2040_tree.LIBRARIES:
        proof = folder / library.name / library.proof
        proof.parent.mkdir(parents=True, exist_ok=True)
        proof.write_text(library.name)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without submodules, in MPY_DIR, and libraries that need no network."""
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MPY_DIR", str(tmp_path / "source"))
    add_libraries(tmp_path / "libraries")
    monkeypatch.setattr(rp2040_tree, "_fetch_libraries", lambda: tmp_path / "libraries")
    return make_source(tmp_path / "source")


def test_checkout_with_submodules_is_used_as_it_is(source: Path) -> None:
    add_libraries(source / "lib")
    assert rp2040_tree.assemble() == rp2040_tree.Tree(source, "")


def test_checkout_without_submodules_gets_ours_and_stays_as_it_is(source: Path) -> None:
    before = sorted(source.rglob("*"))
    tree = rp2040_tree.assemble()
    assert tree.path != source
    assert tree.key == ""  # the checkout may change
    for library in rp2040_tree.LIBRARIES:
        assert (tree.path / "lib" / library.name / library.proof).read_text() == library.name
    assert (tree.path / "lib/uzlib/x.c").is_file()
    assert not (tree.path / "ports/rp2").is_symlink()
    assert sorted(source.rglob("*")) == before


def test_tree_follows_its_checkout(source: Path) -> None:
    (source / "ports/rp2/old.c").touch()
    tree = rp2040_tree.assemble().path
    assert (tree / "ports/rp2/old.c").is_file()
    (source / "ports/rp2/old.c").unlink()
    (source / "ports/rp2/new.c").write_text("new")
    assert rp2040_tree.assemble().path == tree
    assert (tree / "ports/rp2/new.c").read_text() == "new"
    assert not (tree / "ports/rp2/old.c").is_symlink()


def test_one_submodule_of_its_own_is_taken(source: Path) -> None:
    (source / "lib/lwip/src/core").mkdir(parents=True)
    (source / "lib/lwip/src/core/init.c").write_text("own")
    tree = rp2040_tree.assemble().path
    assert (tree / "lib/lwip/src/core/init.c").read_text() == "own"
    assert (tree / "lib/tinyusb/src/tusb.c").read_text() == "tinyusb"


def test_other_version_needs_its_own_submodules(source: Path) -> None:
    make_source(source, "1.27.0")
    with pytest.raises(UserError, match=r"MicroPython 1\.27\.0 without lib/pico-sdk: run `make"):
        rp2040_tree.assemble()
    add_libraries(source / "lib")
    assert rp2040_tree.assemble().path == source


def test_source_without_the_port_is_refused(source: Path) -> None:
    shutil.rmtree(source / "ports/rp2")
    with pytest.raises(UserError, match="no ports/rp2"):
        rp2040_tree.assemble()


def test_library_out_of_reach_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise UserError("this machine does not run Debian")

    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path))
    monkeypatch.setattr(debian, "fetch_source", refuse)
    monkeypatch.setattr(debian, "fetch_binaries", refuse)
    with pytest.raises(UserError, match=r"no pico-sdk for the RP2040: this .* set MPY_DIR"):
        rp2040_tree._fetch_libraries()
    monkeypatch.setattr(debian, "fetch_source", lambda *arguments: tmp_path / "nothing")
    with pytest.raises(UserError, match="Debian's trixie has another version of lwip"):
        rp2040_tree._fetch(rp2040_tree.LIBRARIES[-1], tmp_path)


def test_archive_of_other_content_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = rp2040_tree.LIBRARIES[-1]
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / library.file).write_bytes(b"planted")
    monkeypatch.setenv("ONEBYTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "fetch_source", lambda *arguments: tmp_path / "files")
    with pytest.raises(UserError, match="has the wrong content"):
        rp2040_tree._fetch(library, tmp_path)
    assert not list((tmp_path / "cache").rglob(library.file))


def test_one_build_at_a_time(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from onebyte.crossbuild import rp2040_tree
print(flush=True)
with rp2040_tree.locked(Path({str(tmp_path / "lock")!r})):
    print("inside")
"""
    with rp2040_tree.locked(tmp_path / "lock"):
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert other.stdout
        assert other.stdout.readline() == "\n"  # it is about to ask for the lock
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
    output, _ = other.communicate(timeout=30)
    assert output == "inside\n"
