"""What is frozen into the image of this board."""

include("$(ONEBYTE)/boards/rp2040_boot/manifest.py")
module("board.py")
module("figures.py")
