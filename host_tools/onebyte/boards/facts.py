"""What a board says of itself: its interpreter, its mpy ABI, its chip's number, its image."""

import json
from dataclasses import dataclass
from typing import Any

from onebyte.errors import UserError

__all__ = ["MIN_VERSION", "SCRIPT", "Facts", "parse_facts"]

MIN_VERSION = (1, 25, 0)  # the oldest that our tests run on

# Of sys.implementation._mpy; MicroPython's "mpy files" has the numbers.
_ARCHITECTURES = (
    *("", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)

# Prints one line of JSON. A board without our firmware lacks some of the modules; a file named
# product on the filesystem is no frozen one. A frozen module has a __file__ without a folder.
SCRIPT = """
import sys,json
i=sys.implementation
d={'name':i[0],'version':list(i[1])[:3],'mpy':getattr(i,'_mpy',0),'platform':sys.platform,
'machine':getattr(i,'_machine','')}
try:
 import machine,binascii
 d['unique_id']=binascii.hexlify(machine.unique_id()).decode()
except (ImportError,AttributeError):pass
try:
 import figures
 d['board']=figures.NAME
 d['frozen']=not getattr(figures,'__file__','/').startswith('/')
except (ImportError,AttributeError):pass
w=sys.path[:]
sys.path[:]=['.frozen']
try:
 import product as p
 d['product']={'frozen':True,'vendor':p.VENDOR,'class':p.PRODUCT_CLASS,'hardware':p.HARDWARE,
 'firmware':p.FIRMWARE}
except (ImportError,AttributeError):
 try:
  f=open('/id/product.json')
  d['product']=json.load(f)
  f.close()
 except (OSError,ValueError):pass
sys.path[:]=w
print(json.dumps(d))
"""


@dataclass(frozen=True)
class Facts:
    """What a board says of itself.

    Attributes:
        implementation: "micropython", or another one's name.
        version: Such as (1, 25, 0).
        mpy: Version and sub-version of the .mpy files that it loads, such as (6, 3).
        arch: Of the native modules that it loads, empty for none.
        platform: Such as rp2.
        machine: Such as "Raspberry Pi Pico with RP2040".
        unique_id: The chip's number in hexadecimal digits, empty when it is not known.
        board: The name of the board that our code is for, empty without our code.
        is_own_image: Our code is in the image, not in files.
        product: What the board says it is, as in its image or in id/product.json.
    """

    implementation: str
    version: tuple[int, ...]
    mpy: tuple[int, int]
    arch: str
    platform: str
    machine: str
    unique_id: str
    board: str
    product: dict[str, Any] | None
    is_own_image: bool = False

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return "v" + ".".join(map(str, self.version))

    def check(self, device: str) -> None:
        """Raise unless our files run on this interpreter.

        Raises:
            UserError: another implementation, or one that is too old.
        """
        wanted = "v" + ".".join(map(str, MIN_VERSION))
        if self.implementation != "micropython":
            raise UserError(
                f"{device} runs {self.implementation} {self.version_text}, not MicroPython: flash "
                f"MicroPython {wanted} or newer (`onebyte flash`)"
            )
        if self.version < MIN_VERSION:
            raise UserError(
                f"{device} runs MicroPython {self.version_text}, which is too old: flash {wanted} "
                "or newer (`onebyte flash`)"
            )


def parse_facts(text: str) -> Facts:
    """Return the facts in what SCRIPT printed.

    Raises:
        UserError: it is no such thing.
    """
    try:
        values = json.loads(text)
        mpy = int(values["mpy"])
        return Facts(
            implementation=str(values["name"]),
            version=tuple(int(part) for part in values["version"]),
            mpy=(mpy & 0xFF, mpy >> 8 & 3),
            arch=_ARCHITECTURES[mpy >> 10 & 0x3F],
            platform=str(values["platform"]),
            machine=str(values["machine"]),
            unique_id=str(values.get("unique_id", "")),
            board=str(values.get("board", "")),
            product=values.get("product"),
            is_own_image=bool(values.get("frozen")),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"the board's answer is damaged: {text[:60]!r}") from error
