"""The raw REPL of a small board, played by MicroPython's unix port over its stdin and stdout.

What the host sends is executed by a real interpreter, on a real LittleFS of N_BLOCKS blocks in
RAM that takes the place of the root. tests/fakes/repl_board.py starts it.

Arguments: number of blocks; a "version" such as 1.20.0, or "-" for the interpreter's own; the
name of the implementation; the chip's number in hexadecimal digits; where modules are frozen from;
their names, commas between.
"""

import binascii
import io
import sys

import vfs

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
READY = b"\x06"  # from now on the process takes signals
WINDOW = 128
BLOCK_BYTES = 4096

n_blocks, version, name, unique_id, path, modules = sys.argv[1:7]
stdin = sys.stdin.buffer
stdout = sys.stdout.buffer


class Flash:
    def __init__(self):
        self.image = bytearray(b"\xff" * (int(n_blocks) * BLOCK_BYTES))

    def readblocks(self, block, buf, offset=0):
        # Without a slice: a forgotten file is closed by the collector, which cannot allocate.
        at = block * BLOCK_BYTES + offset
        for i in range(len(buf)):
            buf[i] = self.image[at + i]

    def writeblocks(self, block, buf, offset=0):
        at = block * BLOCK_BYTES + offset
        for i in range(len(buf)):
            self.image[at + i] = buf[i]

    def ioctl(self, op, arg):
        if op == 4:
            return int(n_blocks)
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            for i in range(arg * BLOCK_BYTES, (arg + 1) * BLOCK_BYTES):
                self.image[i] = 0xFF
        return 0


class Implementation(tuple):
    """Stands for sys.implementation where the board is another one."""

    _mpy = 0
    _machine = "a board of old"


class Machine:
    @staticmethod
    def unique_id():
        return binascii.unhexlify(unique_id)

    @staticmethod
    def reset():
        raise SystemExit


def restart():
    """Returns fresh names, as after a reset."""
    sys.modules["machine"] = Machine
    return {"__name__": "__main__", "_implementation": other}


other = None
if version != "-":
    other = Implementation((name, tuple([int(part) for part in version.split(".")])))
if modules:
    sys.path[:] = path.split(":")
    for module in modules.split(","):
        __import__(module)
# A board has no other files.
sys.path[:] = [".frozen", "/lib", "/"]
device = Flash()
vfs.VfsLfs2.mkfs(device)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(device), "/")


def write(data):
    stdout.write(data)


def read_pasted():
    """Returns the source that comes by raw paste."""
    write(b"R\x01" + bytes([WINDOW & 255, WINDOW >> 8]) + b"\x01")
    source = bytearray()
    left = 2 * WINDOW
    while True:
        byte = stdin.read(1)
        if byte in (b"\x03", b"\x04"):
            write(b"\x04")
            return source if byte == b"\x04" else b"raise KeyboardInterrupt"
        source += byte
        left -= 1
        if left == WINDOW:
            left += WINDOW
            write(b"\x01")


def run(source, names):
    text = source.decode()
    if other is not None:
        text = text.replace("sys.implementation", "_implementation")
    try:
        exec(compile(text, "<stdin>", "exec"), names)
        write(b"\x04\x04>")
    except SystemExit:
        write(b"\r\n")
        return True
    except BaseException as error:
        report = io.StringIO()
        sys.print_exception(error, report)
        write(b"\x04" + report.getvalue().replace("\n", "\r\n").encode() + b"\x04>")
    return False


class Repl:
    """What a byte from the host does, by the mode."""

    def __init__(self):
        self.names = restart()
        self.is_raw = False
        self.source = bytearray()
        self.keys = {
            1: self.enter_raw,
            2: self.leave_raw,
            3: self.clear,
            4: self.end,
            5: self.paste,
        }

    def take(self, byte):
        action = self.keys.get(byte[0])
        if action:
            action()
        else:
            self.source += byte

    def enter_raw(self):
        self.is_raw = True
        self.source = bytearray()
        write(BANNER)

    def leave_raw(self):
        self.is_raw = False
        write(b"\r\nMicroPython v1.25.0 on 2025-04-15; a board with RP2040\r\n")
        write(b'Type "help()" for more information.\r\n>>> ')

    def clear(self):
        self.source = bytearray()
        if not self.is_raw:
            write(b"\r\n>>> ")

    def end(self):
        text, self.source = self.source, bytearray()
        if self.is_raw:
            write(b"OK")
            self.run(text)
        else:
            write(b"MPY: soft reboot\r\n>>> ")
            self.names = restart()

    def paste(self):
        if self.is_raw:
            stdin.read(2)
            self.run(read_pasted())

    def run(self, text):
        if run(text, self.names):
            self.names, self.is_raw = restart(), False


def main():
    repl = Repl()
    write(READY)
    while True:
        try:
            byte = stdin.read(1)
            if not byte:
                return
            repl.take(byte)
        except KeyboardInterrupt:
            pass


main()
