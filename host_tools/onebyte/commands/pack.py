"""`onebyte pack`: from files to a release that can be signed."""

from pathlib import Path
from typing import Any

import click

from onebyte.errors import UserError

_file = click.Path(path_type=Path)


@click.command(short_help="files to a release")
@click.argument("out", type=_file)
@click.option("--release", "toml", type=_file, help="release.toml with what does not change.")
@click.option("--model", type=_file, help="Model file, checked as a node does.")
@click.option(
    "--model-name",
    default="model.obm",
    show_default=True,
    help="Its name on the node, that of `model_path`.",
)
@click.option("--custom", type=_file, help="custom.py of the model.")
@click.option("--app", is_flag=True, help="This repository's firmware/app, compiled.")
@click.option("--app-folder", type=_file, help="Another app's Python files, compiled.")
@click.option("--native", multiple=True, type=_file, help="Native module (.mpy); may be repeated.")
@click.option("--firmware", type=_file, help="Whole firmware of an ESP32-S3 (.app-bin).")
@click.option("--folder", type=_file, help="Files laid out as a slot: app/, model/, top/, ...")
@click.option("--compile", "compiles", is_flag=True, help="Compile the Python files of --folder.")
@click.option("--base", type=_file, help="Release whose files are kept unless given anew.")
@click.option("--arch", help="Architecture of @native code in the app, such as armv6m.")
@click.option(
    "--mpy-version",
    default=6,
    show_default=True,
    type=click.IntRange(1, 255),
    help="Of the .mpy files that the nodes take.",
)
@click.option("--plain", is_flag=True, help="Deflate nothing.")
@click.option("--seq", type=int, help="Number of the release: above all before.")
@click.option("--content-version", type=int, help="Version of what the files are.")
@click.option("--vendor", type=int, help="Your number.")
@click.option("--product-class", type=int, help="Class of the product.")
@click.option("--hardware", multiple=True, type=int, help="Hardware of the class, 0-31.")
@click.option("--tenant", help="Only this tenant's nodes.")
@click.option("--security-floor", type=int, help="No lower content version afterwards.")
@click.option("--root-epoch", type=int, help="Root document that the signer knows.")
@click.option("--min-firmware", type=int, help="Lowest version of the frozen firmware.")
@click.option("--tries", type=int, help="Starts of the trial, wakes included.")
@click.option("--offline-h", type=int, help="May confirm after so many hours on its own.")
@click.option("--heap-floor-bytes", type=int, help="Heap that the trial must leave free.")
@click.option("--latency-budget-us", type=int, help="Longest time to a decision.")
def command(out: Path, toml: Path | None, **options: Any) -> None:
    """Pack files into a release folder.

    Writes OUT/manifest.unsigned and OUT/objects; `onebyte sign` goes on from there. Each option
    that describes the release is also a key of release.toml, and the option counts.

    \b
    Example: onebyte pack releases/5 --release release.toml --seq 5 --content-version 5 \\
             --model models/exercise/model.obm
    """
    from onebyte.updates import description, packing, signing

    values = description.read(toml) if toml else {}
    for key in description.KEYS:
        given = options.pop(key)
        if given is not None and given != ():
            values[key] = list(given) if key == "hardware" else given
    body = packing.pack(out, _files(options), values, not options["plain"])
    for line in signing.summary(body):
        click.echo(line)
    click.echo(f"{out}: packed, not signed yet")


def _files(options: dict[str, Any]) -> list[Any]:
    """Return the files that the options name; those given one by one replace those of --base."""
    from formats import manifest
    from onebyte import toolchain
    from onebyte.updates import packing, sources
    from onebyte.updates.release import Release

    arch = options["arch"]
    if arch is not None and arch not in sources.ARCH_NUMBERS:
        raise UserError(f"no architecture {arch!r}; there are {', '.join(sources.ARCH_NUMBERS)}")
    compiler = sources.Compiler(arch)
    files = []
    if options["folder"]:
        files += sources.layout(options["folder"], compiler if options["compiles"] else None)
    if options["app"]:
        files += sources.app(toolchain.ROOT / "firmware" / "app", compiler)
    if options["app_folder"]:
        files += sources.app(options["app_folder"], compiler)
    if options["model"]:
        files.append(
            sources.single(manifest.MODEL, options["model"], options["model_name"] or None)
        )
    if options["custom"]:
        files.append(sources.custom(options["custom"]))
    files += [sources.single(sources.TOP, path) for path in options["native"]]
    if options["firmware"]:
        files.append(sources.single(manifest.FIRMWARE, options["firmware"]))
    if options["base"]:
        given = {file.path for file in files}
        old = packing.files_of(Release(options["base"]))
        files += [file for file in old if file.path not in given]
    sources.check_version(files, options["mpy_version"])
    return files
