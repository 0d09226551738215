"""Images of the board's file system: LittleFS 2 with the geometry that our firmware mounts."""

from pathlib import PurePosixPath
from typing import Any

from onebyte.errors import UserError

__all__ = ["STORAGE_BYTES", "make_image", "read_image"]

STORAGE_BYTES = 1024 * 1024  # the end of the flash on our boards; stock images take 1408 KiB
_BLOCK_BYTES = 4096  # what the flash erases at once
_PROGRAM_BYTES = 256  # a page of the flash
_READ_BYTES = 32


def make_image(files: dict[str, bytes], n_bytes: int = STORAGE_BYTES) -> bytes:
    """Return the image of a file system that holds `files`; folders are made as needed.

    Args:
        files: Path on the board -> content.
        n_bytes: Size of the storage, whole blocks.

    Raises:
        UserError: they do not fit.
    """
    import littlefs

    filesystem = _filesystem(n_bytes)
    filesystem.format()
    filesystem.mount()
    try:
        for name, content in files.items():
            path = PurePosixPath("/") / name
            filesystem.makedirs(str(path.parent), exist_ok=True)
            with filesystem.open(str(path), "wb") as file:
                file.write(content)
    except littlefs.LittleFSError as error:
        raise UserError(f"the files do not fit into {n_bytes} bytes: {error}") from error
    filesystem.unmount()
    return bytes(filesystem.context.buffer)


def read_image(image: bytes) -> dict[str, bytes]:
    """Return the files of an image, their full paths without the first slash.

    Raises:
        UserError: the image holds no file system.
    """
    import littlefs

    filesystem = _filesystem(len(image))
    filesystem.context.buffer = bytearray(image)
    try:
        filesystem.mount()
    except littlefs.LittleFSError as error:
        raise UserError(f"no LittleFS in the image: {error}") from error
    files = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = str(PurePosixPath(folder) / name)
            with filesystem.open(path, "rb") as file:
                files[path.lstrip("/")] = bytes(file.read())
    filesystem.unmount()
    return files


def _filesystem(n_bytes: int) -> Any:
    import littlefs

    return littlefs.LittleFS(
        block_size=_BLOCK_BYTES,
        block_count=n_bytes // _BLOCK_BYTES,
        prog_size=_PROGRAM_BYTES,
        read_size=_READ_BYTES,
        cache_size=_PROGRAM_BYTES,
        mount=False,
    )
