"""What is frozen into the image of every RP2040 board, besides the board's own files."""

import os

# MicroPython's rp2, but not its _boot.py, which formats the flash after any error.
freeze("$(PORT_DIR)/modules", "rp2.py")
for name in ("_boot.py", "flash_mount.py", "main.py"):
    module(name, base_path="$(ONEBYTE)/boards/rp2040_boot")
for name in ("chip.py", "chip_rp2040.py", "node_board.py", "record_source.py", "sensors.py"):
    module(name, base_path="$(ONEBYTE)/boards")
module("obchoice.py", base_path="$(ONEBYTE)/lib/native/obkernels")
module("boot.py", base_path="$(ONEBYTE)/firmware")
for name in ("app", "ota"):
    package(name, base_path="$(ONEBYTE)/firmware")
# As firmware.main: the name main is taken by the file that decides whether to start it.
freeze("$(ONEBYTE)", "firmware/main.py")
for name in ("drivers", "formats", "mqtt", "pipeline"):
    package(name, base_path="$(ONEBYTE)/lib")
package("umqtt", base_path="$(ONEBYTE)/build/device/lib")
# What `onebyte build firmware --product` lays there; else the filesystem says what a board is.
PRODUCT = os.environ.get("ONEBYTE_PRODUCT", "")
if os.path.isfile(os.path.join(PRODUCT, "product.py")):
    module("product.py", base_path=PRODUCT)
