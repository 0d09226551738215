"""Starts what `onebyte provision --install` has put on a board, on MicroPython's unix port.

Arguments: the folder that holds the board's files and becomes the root; the folder of the fake
modules of its hardware. boot.py and main.py run as the port runs them; then one line of JSON says
where the loader and the app come from.
"""

import json
import os
import sys

import vfs

root, hardware = sys.argv[1:3]
sys.path[:] = [hardware]
import machine  # noqa: E402
import network  # noqa: E402, F401

machine.unique_id = lambda: b"\x01\x02\x03\x04"
vfs.umount("/")
vfs.mount(vfs.VfsPosix(root), "/")
os.chdir("/")
del sys.argv[1:]
sys.path[:] = ["", ".frozen", "/lib"]  # of MicroPython's own images
for name in ("/boot.py", "/main.py"):
    with open(name) as file:
        exec(compile(file.read(), name, "exec"), {"__name__": "__main__"})
names = ("firmware.main", "ota.updates", "ota.loader", "obed25519", "formats", "board", "app.run")
found = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
updates = sys.modules["ota.updates"].current
print(json.dumps({"files": found, "path": sys.path, "slot": updates and updates.slot_path}))
