"""Runs first, before boot.py; the USB port does not work yet."""

import flash_mount
import rp2

flash_mount.problem = flash_mount.mount(rp2.Flash())
