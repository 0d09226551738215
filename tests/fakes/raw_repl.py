"""The raw REPL of a small board, played by MicroPython's unix port over its stdin and stdout.

What the host sends is executed by a real interpreter, on a real LittleFS that takes the place of
the root. tests/fakes/repl_board.py starts it. Ctrl-C is SIGUSR2, which boards/unix takes as a
chip's serial port does: it stops a program at its next bytecode, and between programs it does
nothing but be the byte that comes with it.

Arguments: the file that is the flash; a "version" such as 1.20.0, or "-" for the interpreter's
own; the name of the implementation; the chip's number in hexadecimal digits; where modules are
frozen from; their names, commas between; a chip of stock_chip.py, whose boot.py and main.py run
first and whose reset ends the process, or "-".
"""

import binascii
import io
import sys

import micropython
import vfs

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
READY = b"\x06"  # from now on the process takes Ctrl-C
CTRL_C = 3
NEVER = -1
WINDOW = 128
BLOCK_BYTES = 4096

image, version, name, unique_id, path, modules, chip = sys.argv[1:8]
stdin = sys.stdin.buffer
stdout = sys.stdout.buffer


class Flash:
    """A file. As a chip's driver, which is C, it ends what it began before Ctrl-C is seen.

    That is so as long as nothing here jumps. Nor does anything allocate, since the collector may
    close a forgotten file.
    """

    def __init__(self):
        self.file = open(image, "r+b")
        self.n_blocks = self.file.seek(0, 2) // BLOCK_BYTES
        self.erased = b"\xff" * BLOCK_BYTES
        self.is_blank = self.file.seek(0) == 0 and self.file.read(BLOCK_BYTES) == self.erased
        answers = (self.nothing, self.count, self.size, self.erase)
        self.answers = dict(zip((3, 4, 5, 6), answers))  # by the numbers of MicroPython's ioctl
        self.answers[1] = self.answers[2] = self.nothing

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * BLOCK_BYTES + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.file.seek(block * BLOCK_BYTES + offset)
        self.file.write(buf)

    def ioctl(self, op, arg):
        return self.answers[op](arg)

    def nothing(self, _):
        return 0

    def count(self, _):
        return self.n_blocks

    def size(self, _):
        return BLOCK_BYTES

    def erase(self, block):
        self.writeblocks(block, self.erased)
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
    if chip != "-":
        sys.exit()  # the next process has the same flash
    return make_names()


def make_names():
    """Returns what a program finds."""
    if chip == "-":
        sys.modules["machine"] = Machine
    return {"__name__": "__main__", "_implementation": other}


other = None
if version != "-":
    other = Implementation((name, tuple([int(part) for part in version.split(".")])))
if modules:
    sys.path[:] = path.split(":")
    for module in modules.split(","):
        __import__(module)
if chip != "-":
    sys.path[:] = [__file__.rsplit("/", 1)[0]]
    import stock_chip

    stock_chip.make(chip, Machine.unique_id())
# A board has no other files.
sys.path[:] = [".frozen", "/lib", "/"] if chip == "-" else ["", ".frozen", "/lib"]
device = Flash()
if device.is_blank:
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
            return source if byte == b"\x04" else b"raise KeyboardInterrupt"
        source += byte
        left -= 1
        if left == WINDOW:
            left += WINDOW
            write(b"\x01")


def attend(action):
    """Runs what Ctrl-C may stop; returns the exception that ended it, or None."""
    ended = None
    try:
        try:
            micropython.kbd_intr(CTRL_C)
            action()
        except BaseException as error:
            ended = error
        micropython.kbd_intr(NEVER)
        for _ in range(2):
            pass  # a jump raises a Ctrl-C that is pending
    except KeyboardInterrupt as error:
        micropython.kbd_intr(NEVER)
        if ended is None:
            ended = error
    return ended


def run(source, names, answer):
    """Answers that the source is here, and runs it; returns whether it was a reset."""
    text = source.decode()
    if other is not None:
        text = text.replace("sys.implementation", "_implementation")

    def program():
        write(answer)  # Ctrl-C by whoever has read that stops the program
        exec(compile(text, "<stdin>", "exec"), names)

    ended = attend(program)
    if isinstance(ended, SystemExit):
        write(b"\r\n")
        return True
    report = io.StringIO()
    if ended is not None:
        sys.print_exception(ended, report)
    write(b"\x04" + report.getvalue().replace("\n", "\r\n").encode() + b"\x04>")
    return False


class Repl:
    """What a byte from the host does, by the mode."""

    def __init__(self):
        self.names = make_names()
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
            self.run(text, b"OK")
        else:
            write(b"MPY: soft reboot\r\n>>> ")
            self.names = restart()

    def paste(self):
        if self.is_raw:
            stdin.read(2)
            self.run(read_pasted(), b"\x04")

    def run(self, text, answer):
        if run(text, self.names, answer):
            self.names, self.is_raw = restart(), False


def start(names):
    write(READY)
    if chip != "-":
        stock_chip.start(names)


def main():
    micropython.kbd_intr(NEVER)
    repl = Repl()
    ended = attend(lambda: start(repl.names))
    if isinstance(ended, SystemExit):
        return
    if ended is not None:
        sys.print_exception(ended)
    if chip != "-":
        repl.leave_raw()
    while byte := stdin.read(1):
        repl.take(byte)


main()
